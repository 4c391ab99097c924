"""Faults of what the bot stands on: its process, the computer, the people, and its models' files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.core import approvals
from bot.core.events import StopAsked
from bot.core.model_events import TrainingEnded, TrainingQueued, TrainingStarted
from bot.engine.reactor import Point
from tests.simulation.month_kinds import FAST_SECONDS, SLOW_SECONDS, Kind, ails, brisk, fault, some
from tests.simulation.month_market import SYMBOLS

if TYPE_CHECKING:
    from tests.simulation.month_stage import Month

HALF, SOMETIMES = 0.5, 0.15
FLAPS = 8
FLAPPING = (("lag_ms", 902.0), ("turn_ms", 902.0), ("wal_mb", 102.0), ("budget_share", 0.96))
POINTS = tuple(p for p in Point if p not in (Point.SNAPSHOT, Point.SENDING))


# -- the process -----------------------------------------------------------------------------------


@fault
async def process_is_killed(month: Month) -> None:
    """SIGKILL; the next process starts at once, or later."""
    month.outside.down_seconds = month.chance.choice((0.0, 0.5, 5.0, 30.0))
    month.life.die()
    await asyncio.sleep(60)


@fault
async def process_dies_at_a_point(month: Month) -> bool:
    """It dies inside a turn, or on either side of a commit or of an effect."""
    month.outside.down_seconds = month.chance.choice((0.0, 0.5, 5.0))
    starts = month.watcher.starts
    month.aim = (month.chance.choice(POINTS), month.chance.randint(1, 20))
    for _ in range(15):
        await asyncio.sleep(60)
        if month.watcher.starts > starts:
            break
    month.aim = None
    return month.watcher.starts > starts


@fault
async def process_is_restarted(month: Month) -> None:
    """Somebody stops it the proper way."""
    month.outside.down_seconds = 1.0
    month.life.post(StopAsked(at=month.life.clock.now(), cause="SIGTERM"))
    await asyncio.sleep(60)


@fault
async def process_keeps_dying(month: Month) -> None:
    """Four deaths within minutes."""
    for _ in range(4):
        month.outside.down_seconds = 1.0
        month.life.die()
        await asyncio.sleep(60)


@fault
async def event_cannot_be_decided(month: Month) -> None:
    """Deciding an event fails: a fault of the program, once."""
    oracle = month.life.loop.reactor.oracle
    whole = oracle.ask

    def fails(*args: object) -> object:
        oracle.ask = whole  # type: ignore[method-assign]
        raise ArithmeticError("planted")

    oracle.ask = fails  # type: ignore[method-assign]
    await asyncio.sleep(150)


@fault
async def computer_flaps(month: Month) -> None:
    """A number of the computer is ill again and again, and deaths and clocks come in between."""
    name, value = month.chance.choice(FLAPPING)
    for _ in range(FLAPS):
        with ails(month, name, value):
            await some(month, 130, 240)
        if month.chance.random() < SOMETIMES:
            month.outside.down_seconds = 1.0
            month.life.die()
        elif month.chance.random() < SOMETIMES:
            month.offset_ms += round(month.chance.uniform(-600_000, 600_000))
        await some(month, 70, 140)


# -- the computer ----------------------------------------------------------------------------------


def _host(name: str, value: float, seconds: float, title: str, doc: str) -> Kind:
    """Register the fault of a measurement that is beyond its limit for a while."""

    async def beyond(month: Month) -> None:
        with ails(month, name, value):
            await asyncio.sleep(seconds)

    beyond.__name__, beyond.__doc__ = title, doc
    return fault(beyond)


_host("lag_ms", 900.0, FAST_SECONDS, "event_loop_lags", "The event loop wakes late.")
_host("turn_ms", 900.0, FAST_SECONDS, "commits_are_slow", "Turns take long.")
_host("wal_mb", 100.0, FAST_SECONDS, "log_of_the_database_is_large", "The WAL grows.")
_host("clock_ms", 900.0, FAST_SECONDS, "own_clock_drifts", "The clock is off.")
_host("budget_share", 0.95, FAST_SECONDS, "request_limit_is_near", "Too many requests.")
_host("rss_growth", 0.6, SLOW_SECONDS, "memory_grows", "Memory grows by the hour.")
_host("rss_mb", 900.0, SLOW_SECONDS, "memory_is_large", "Memory is over its limit.")
_host("backup_hours", 30.0, SLOW_SECONDS, "backup_is_old", "No young backup.")
_host("config_differs", 1.0, SLOW_SECONDS, "config_was_changed", "The file was edited.")
_host("chain_hours", 5.0, SLOW_SECONDS, "audit_was_not_verified", "Verification lags.")


async def _room(month: Month, free_mb: int, seconds: float) -> None:
    month.rooms.append(free_mb)
    await asyncio.sleep(seconds)
    month.rooms.remove(free_mb)


@fault
async def disk_is_low(month: Month) -> None:
    """Space runs low."""
    await _room(month, 300, FAST_SECONDS)


@fault
async def disk_is_full(month: Month) -> None:
    """Space runs out, by measure."""
    await _room(month, 20, FAST_SECONDS)


@fault
async def database_cannot_grow(month: Month) -> None:
    """SQLite itself says that the database is full, at whatever row it comes to."""
    with brisk(month):
        life = month.life
        connection = life.booted.writer.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        await some(month, 15, 40)
        if month.life is life:  # else it died meanwhile, and another one opened the file anew
            connection.execute("PRAGMA max_page_count = 1073741823")


# -- people ----------------------------------------------------------------------------------------


@fault
async def channel_is_down(month: Month) -> None:
    """The first channel to people fails while there is something to tell."""
    month.outside.channels.down.add("mail-1")
    with ails(month, "lag_ms", 901.0):
        await asyncio.sleep(FAST_SECONDS)
    await some(month, 10, 300)
    month.outside.channels.down.clear()


@fault
async def channel_is_slow(month: Month) -> None:
    """The first channel takes longer than is waited for."""
    month.outside.channels.slow.add("mail-1")
    with ails(month, "turn_ms", 901.0):
        await asyncio.sleep(FAST_SECONDS)
    await some(month, 10, 300)
    month.outside.channels.slow.clear()


@fault
async def people_are_silent(month: Month) -> None:
    """Nobody answers a critical alert, for so long that it is escalated."""
    month.silent = True
    await _room(month, 300, month.chance.uniform(1_300, 4_500))
    month.silent = False


async def _perhaps_die(month: Month) -> None:
    """Have what was latched meet a death, every other time."""
    await asyncio.sleep(20)
    if month.chance.random() < HALF:
        month.life.die()
    await some(month, 10, 60)


@fault
async def operator_kills(month: Month) -> None:
    """A person trips the kill switch."""
    with brisk(month):
        month.ask("kill")
        await _perhaps_die(month)


@fault
async def operator_holds(month: Month) -> None:
    """A person holds a symbol."""
    with brisk(month):
        month.ask("hold", symbol=month.chance.choice(SYMBOLS))
        await _perhaps_die(month)


@fault
async def operator_flattens(month: Month) -> bool:
    """A person has every position closed."""
    symbol = await month.position()
    if symbol:
        month.ask("flatten")
        await some(month, 30, 90)
    return bool(symbol)


@fault
async def halt_mark_is_set(month: Month) -> None:
    """Somebody sets the HALT mark beside the bot."""
    with brisk(month):
        month.life.halt.set("ops", "planted")
        await _perhaps_die(month)


# -- models ----------------------------------------------------------------------------------------


@fault
async def model_files_are_damaged(month: Month) -> bool:
    """The champion's files no longer are what they were when the next process starts."""
    model, run = f"{month.chance.getrandbits(256):064x}", f"t{month.chance.getrandbits(32):08x}"
    at = month.life.clock.now
    month.life.post(TrainingQueued(at=at(), run=run, rows=900, operator="ana"))
    month.life.post(TrainingStarted(at=at(), run=run, attempt=1, rows=900, pid=2))
    said = {"cause": "ok", "reason": "done", "seconds": 5.0, "peak_mb": 90, "rows": 900}
    month.life.post(TrainingEnded(at=at(), run=run, attempt=1, model=model, **said))  # type: ignore[arg-type]
    await asyncio.sleep(30)
    month.ask("promote", model=model, despite="budget")
    await asyncio.sleep(5)
    for run in approvals.waiting(month.life.world):
        month.ask("approve", second=True, run=run)
    await asyncio.sleep(60)
    was_champion = month.life.world.state("model", model) == "CHAMPION"
    month.outside.damaged.add(model)
    month.outside.down_seconds = 1.0
    month.life.die()
    await asyncio.sleep(60)
    return was_champion
