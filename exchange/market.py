"""Answers what the market shows now: prices, candles, the book, and what was traded."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from exchange.clock import MarketClock
from exchange.decimals import ZERO, floor_to
from exchange.depth import Depth, Level, draw_levels, draw_volumes
from exchange.instruments import Catalogue, Category, Instrument, Side
from exchange.paths import SECONDS_DAY, Floats, Path

DAY_M = SECONDS_DAY // 60
Key = tuple[Category, str]
Own = Callable[[Instrument, Side], list[Level]]


class Candle(NamedTuple):
    """One candle; `start_m` is its epoch minute, prices are on the instrument's tick."""

    start_m: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: float
    turnover: float


class Market:
    """The path of prices, seen through the clock, the shocks, and an instrument's grid."""

    def __init__(self, clock: MarketClock, path: Path, catalogue: Catalogue, depth: Depth) -> None:
        self.clock = clock
        self.path = path
        self.catalogue = catalogue
        self.depth = depth
        self.shocks: dict[str, list[tuple[int, float]]] = {}  # from second, factor
        self.own: Own = lambda instrument, side: []  # our resting orders that `side` would meet
        self.closed: set[Key] = set()  # instruments that are not traded (any more)
        self.frozen: dict[str, int] = {}  # the second at which a symbol's shown book stands still
        self.crossed: set[str] = set()  # symbols whose shown bids stand above their asks
        self._lasts: dict[Key, tuple[int, Instrument, Decimal]] = {}
        self._books: dict[tuple[Key, Side], tuple[int, Instrument, list[Level]]] = {}
        self._volumes: dict[str, tuple[int, list[float]]] = {}

    def second(self, symbol: str) -> int:
        """The market second whose price is current: now, or the last one of the path."""
        _, stop = self.path.span(symbol)
        now = self.clock.now_s()
        return now if stop is None else min(now, stop - 1)

    def edge(self, symbol: str) -> int:
        """The second up to which time has passed for the symbol; a candle ending here is closed."""
        _, stop = self.path.span(symbol)
        now = self.clock.now_s()
        return now if stop is None else min(now, stop)

    def shock(self, symbol: str, factor: float) -> None:
        """Multiplies every later price of the symbol by `factor`."""
        self.shocks.setdefault(symbol, []).append((self.clock.now_s() + 1, factor))
        self._lasts.clear()
        self._books.clear()

    def prices(self, symbol: str, start_s: int, stop_s: int) -> Floats:
        """Prices of the seconds [start_s, stop_s), shocks included."""
        prices = self.path.prices(symbol, start_s, stop_s)
        for since, factor in self.shocks.get(symbol, ()):
            if since < stop_s:
                prices[max(since - start_s, 0) :] *= factor
        return prices

    def last(self, instrument: Instrument, second: int | None = None) -> Decimal:
        """The last traded price, at `second` or now."""
        at = self.second(instrument.symbol) if second is None else second
        key = (instrument.category, instrument.symbol)
        known = self._lasts.get(key)
        if known is None or known[0] != at or known[1] is not instrument:
            price = instrument.price(float(self.prices(instrument.symbol, at, at + 1)[0]))
            known = self._lasts[key] = (at, instrument, price)
        return known[2]

    def mark(self, instrument: Instrument, second: int | None = None) -> Decimal:
        """The mark and index price: this market has one source of prices, its last trades."""
        return self.last(instrument, second)

    def traded(self, symbol: str, second: int) -> float:
        """Base coin that the rest of the market traded in that second."""
        minute = second // 60
        known = self._volumes.get(symbol)
        if known is None or known[0] != minute:
            volume = float(self.path.volumes(symbol, minute, minute + 1)[0])
            known = self._volumes[symbol] = (
                minute,
                draw_volumes(symbol, minute, volume, self.depth),
            )
        return known[1][second % 60]

    def is_live(self, instrument: Instrument) -> bool:
        """True while the instrument is traded."""
        return (instrument.category, instrument.symbol) not in self.closed

    # The book

    def levels(self, instrument: Instrument, side: Side, second: int) -> list[Level]:
        """What an order of `side` can still take of others in that second, best price first."""
        key = ((instrument.category, instrument.symbol), side)
        known = self._books.get(key)
        if known is None or known[0] != second or known[1] is not instrument:
            last = self.last(instrument, second)
            rows = draw_levels(instrument, side, last, self.depth, second)
            known = self._books[key] = (second, instrument, rows)
        return known[2]

    def eat(self, instrument: Instrument, side: Side, second: int, taken: Level) -> None:
        """Takes a quantity off a level, so that it is not offered again in that second."""
        left = [
            Level(row.price, row.qty - taken.qty) if row.price == taken.price else row
            for row in self.levels(instrument, side, second)
        ]
        rows = [row for row in left if row.qty > 0]
        self._books[(instrument.category, instrument.symbol), side] = (second, instrument, rows)

    def best(self, instrument: Instrument, side: Side, second: int | None = None) -> Level:
        """The first level that an order of `side` meets; the last price if all was taken."""
        at = self.second(instrument.symbol) if second is None else second
        rows = self.levels(instrument, side, at)
        return rows[0] if rows else Level(self.last(instrument, at), ZERO)

    def shown(self, instrument: Instrument, side: Side) -> list[Level]:
        """The public book as an order of `side` meets it: others' levels and our own orders.

        It is stale or crossed while a test asks for it; orders are always matched on the true one.
        """
        symbol = instrument.symbol
        at = self.frozen.get(symbol)
        if at is None:
            rows = {
                level.price: level for level in self.levels(instrument, side, self.second(symbol))
            }
            for price, qty in self.own(instrument, side):
                rows[price] = Level(price, qty + (rows[price].qty if price in rows else ZERO))
        else:
            last = self.last(instrument, at)
            drawn = draw_levels(instrument, side, last, self.depth, at)
            rows = {level.price: level for level in drawn}
        found = sorted(rows.values(), reverse=side == "Sell")
        if symbol in self.crossed and side == "Sell":
            up = floor_to(self.last(instrument) / 500, instrument.tick)
            found = [Level(price + up, qty) for price, qty in found]
        return found

    def freeze_book(self, symbol: str) -> None:
        """From now on the public book of the symbol stands still."""
        self.frozen[symbol] = self.second(symbol)

    def cross_book(self, symbol: str) -> None:
        """From now on the public book of the symbol shows bids above its asks."""
        self.crossed.add(symbol)

    def heal_book(self, symbol: str) -> None:
        """The public book of the symbol is the true one again."""
        self.frozen.pop(symbol, None)
        self.crossed.discard(symbol)

    def candles(
        self, instrument: Instrument, minutes: int, start_m: int, stop_m: int
    ) -> list[Candle]:
        """Candles that open in [start_m, stop_m), oldest first; the last may be open."""
        first_s, _ = self.path.span(instrument.symbol)
        start_m = max(start_m, -(-first_s // 60))
        start_m = -(-start_m // minutes) * minutes
        stop_m = min(stop_m, self.second(instrument.symbol) // 60 + 1)
        stop_m = -(-stop_m // minutes) * minutes
        span = max(DAY_M // minutes, 1) * minutes  # a day at a time keeps the memory small
        rows: list[Candle] = []
        for at in range(start_m, stop_m, span):
            rows += self._chunk(instrument, minutes, at, min(at + span, stop_m))
        return rows

    def _chunk(
        self, instrument: Instrument, minutes: int, start_m: int, stop_m: int
    ) -> list[Candle]:
        stop_s = min(stop_m * 60, self.second(instrument.symbol) + 1)
        prices = self.prices(instrument.symbol, start_m * 60, stop_s)
        volumes = self.path.volumes(instrument.symbol, start_m, -(-stop_s // 60))
        volumes[-1] *= (stop_s - 1) % 60 / 60 + 1 / 60  # the open minute's share
        edges = np.arange(0, len(prices), minutes * 60)
        highs = np.maximum.reduceat(prices, edges)
        lows = np.minimum.reduceat(prices, edges)
        lasts = np.append(edges[1:], len(prices)) - 1
        sums = np.add.reduceat(volumes, np.arange(0, len(volumes), minutes))
        grid = instrument.price
        return [
            Candle(
                start_m + n * minutes,
                grid(float(prices[edge])),
                grid(float(highs[n])),
                grid(float(lows[n])),
                grid(float(prices[lasts[n]])),
                float(sums[n]),
                float(sums[n] * (highs[n] + lows[n]) / 2),
            )
            for n, edge in enumerate(edges)
        ]


class DayStatistics(NamedTuple):
    """The last 24 market hours of one instrument."""

    first: Decimal
    hour_ago: Decimal
    high: Decimal
    low: Decimal
    volume: float


def day_statistics(market: Market, instrument: Instrument) -> DayStatistics:
    """Looks back 24 hours, or as far as the path goes."""
    now = market.second(instrument.symbol)
    first_s, _ = market.path.span(instrument.symbol)
    start = max(now - SECONDS_DAY, first_s)
    prices = market.prices(instrument.symbol, start, now + 1)
    volumes = market.path.volumes(instrument.symbol, start // 60, now // 60 + 1)
    grid = instrument.price
    return DayStatistics(
        first=grid(float(prices[0])),
        hour_ago=grid(float(prices[-min(3600, len(prices))])),
        high=grid(float(prices.max())),
        low=grid(float(prices.min())),
        volume=float(volumes.sum()),
    )
