"""Opens the source of prices that the flags name, and the clock that fits it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from exchange.book import Book
from exchange.candles import OPEN
from exchange.clock import MarketClock, wall_ms
from exchange.errors import BadStart
from exchange.generator import GeneratedPath
from exchange.instruments import CATEGORIES, Catalogue, symbol_names
from exchange.options import Options
from exchange.paths import Path

Real = Callable[[], float]  # the real time that a clock reads, see `MarketClock`
_WARM_UP_M = 3 * 1440


async def _nothing() -> None:
    return None


@dataclass(slots=True)
class Source:
    """A path of prices with its clock and its instruments."""

    clock: MarketClock
    path: Path
    catalogue: Catalogue
    begin: Callable[[], Awaitable[None]] = _nothing
    end: Callable[[], Awaitable[None]] = _nothing


async def open_source(flags: Options, book: Book, real: Real) -> Source:
    """The source that the flags name; raises `BadStart` if flags or book contradict it."""
    if flags.replay and flags.live:
        raise BadStart("expected --replay or --live, found both")
    if flags.loop and not flags.replay:
        raise BadStart("--loop: expected --replay with it, found none")
    if flags.live:
        return await _live(flags, book, real)
    if flags.replay:
        return _replayed(flags, book, real)
    return _generated(flags, book, real)


def _generated(flags: Options, book: Book, real: Real) -> Source:
    catalogue = Catalogue(symbol_names(flags.symbols))
    _same_source(book, f"generator with --seed {flags.seed}")
    start_ms = flags.start if flags.start is not None else wall_ms()
    origin_s = book.get("origin_s")
    if origin_s is None:
        origin_s = start_ms // 60_000 * 60  # whole minutes, so that candles depend on the seed only
        book.put("origin_s", origin_s)
    clock = _resume(flags, book, start_ms, real)
    return Source(clock, GeneratedPath(flags.seed, catalogue, origin_s), catalogue)


def _replayed(flags: Options, book: Book, real: Real) -> Source:
    from exchange.replay import ReplayPath, read_tables  # loads pyarrow

    tables, ticks = read_tables(flags.replay)
    if flags.symbols:
        wanted = symbol_names(flags.symbols)
        if missing := [name for name in wanted if name not in tables]:
            raise BadStart(f"--symbols: expected symbols of the files, found {', '.join(missing)}")
        tables = {name: tables[name] for name in wanted}
    first_m = max(table.first_m for table in tables.values())
    stop_m = min(table.stop_m for table in tables.values())
    if first_m >= stop_m:
        raise BadStart("--replay: expected files that overlap in time, found none that do")
    warm_up_m = min(_WARM_UP_M, (stop_m - first_m) // 3)
    start_ms = flags.start if flags.start is not None else (first_m + warm_up_m) * 60_000
    if not first_m * 60_000 <= start_ms < stop_m * 60_000:
        raise BadStart(
            f"--start: expected a time of the files, {_iso(first_m)} to {_iso(stop_m)}, "
            f"found {_iso(start_ms // 60_000)}"
        )
    _same_source(book, "replay of " + ", ".join(sorted(file.name for file in flags.replay)))
    opens = {name: float(table.rows[0, OPEN]) for name, table in tables.items()}
    catalogue = Catalogue(tuple(tables), opens)
    for category in CATEGORIES:
        for name, tick in ticks.items():
            if name in tables:
                catalogue.set_tick(category, name, tick)
    path = ReplayPath(tables, flags.seed, flags.loop)
    return Source(_resume(flags, book, start_ms, real), path, catalogue)


def _iso(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).isoformat()


async def _live(flags: Options, book: Book, real: Real) -> Source:
    from exchange.live import LiveFeed  # loads the clients of the real venue

    if flags.speed != 1:
        raise BadStart(f"--live: expected --speed 1, found {flags.speed:g}")
    _same_source(book, "live stream")
    feed = LiveFeed(flags.live_rest, flags.live_stream, symbol_names(flags.symbols))
    await feed.load()
    catalogue = Catalogue(feed.symbols, feed.last_prices())
    for (category, symbol), (tick, step) in feed.grids.items():
        catalogue.set_tick(category, symbol, tick)
        catalogue.set_step(category, symbol, step)
    clock = MarketClock(wall_ms(), 1.0, real)
    feed.follow(clock)
    return Source(clock, feed, catalogue, feed.begin, feed.end)


def _same_source(book: Book, name: str) -> None:
    """A book belongs to one source of prices: its positions mean nothing on another."""
    known = book.get("source")
    if known not in (None, name):
        raise BadStart(
            f"--book: expected a new book or one of the {name}, found one of the {known}"
        )
    book.put("source", name)


def _resume(flags: Options, book: Book, start_ms: int, real: Real) -> MarketClock:
    """The clock goes on where the book left it."""
    stored = book.get("market_ms")
    return MarketClock(int(stored) if stored is not None else start_ms, flags.speed, real)
