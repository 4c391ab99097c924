"""Acts in the worst night: HALT, cancel entries, see that every position has a stop, flatten.

It has its own code path: no database, no models, nothing of the engine. Every action is a JSON
line, written and synced before the next one; what fails is said and does not stop the rest.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from bot.core.effects import Submit
from bot.core.text import safe_text
from bot.core.values import Side, VenuePosition
from bot.edge.clock import wall_ms
from bot.edge.files import Halt, append_panic_line
from bot.edge.host import process_ended
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.codes import Kind
from bot.edge.venues.send import send_order
from bot.errors import BotError, OutcomeUnknown, Refused, Retryable

ATTEMPTS = 5
PAUSE_SECONDS = 0.3
TERM_SECONDS = 5.0
STOP_DISTANCE = Decimal("0.02")  # of the mark, for a position that nothing protects

Step = Callable[[], Awaitable[str]]


class _Log:
    """The lines of panic.jsonl, kept in memory too: a full disk must not hide them."""

    def __init__(self, path: Path, who: str) -> None:
        self.lines: list[str] = []
        self.undone: list[str] = []
        self._path = path
        self._who = who

    def write(self, action: str, outcome: str, detail: str = "") -> None:
        """Add one line and sync it."""
        fields = {"wall_ms": wall_ms(), "who": self._who, "action": action, "outcome": outcome}
        line = msgspec.json.encode({**fields, "detail": safe_text(detail, 500)}).decode()
        self.lines.append(line)
        try:
            append_panic_line(self._path, line)
        except Retryable as error:
            self.undone.append(f"line not written: {error}")


async def panic(
    venue: Bybit,
    halt: Halt,
    log_path: Path,
    flatten: bool,
    who: str,
    reason: str,
    end_pid: int | None,
    *,
    stop_distance: Decimal = STOP_DISTANCE,
) -> list[str]:
    """Make the account safe and return what was done, one JSON line an action.

    ``venue`` must be open. ``end_pid`` is a hung holder of the lease, ended only if it is a
    process of this bot. The last line has the action ``end``; its outcome is ``done``, or
    ``undone`` with what a person must still do. Never raises for a failure of its steps.
    """
    log = _Log(log_path, safe_text(who, 80))
    log.write("panic", "begun", f"{reason} (flatten: {'yes' if flatten else 'no'})")
    await _step(log, "halt", lambda: _halt(halt, who, reason))
    if end_pid is not None:
        await _step(log, "end process", lambda: _end_process(end_pid))
    await _step(log, "reach venue", lambda: _reach(venue))
    met: set[str] = set()
    await _step(log, "cancel entries", lambda: _cancel_entries(venue, met))
    if flatten:
        await _step(log, "flatten", lambda: _flatten(venue))
    await _step(log, "verify stops", lambda: _verify_stops(venue, stop_distance))
    log.write("end", "undone" if log.undone else "done", "; ".join(log.undone))
    return log.lines


async def _step(log: _Log, name: str, step: Step) -> None:
    """Try a step a few times; write what came of each attempt."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            log.write(name, "done", await step())
            return
        except (BotError, OSError) as error:
            last = f"{type(error).__name__}: {error}"
            log.write(name, "failed", f"attempt {attempt} of {ATTEMPTS}: {last}")
            if isinstance(error, _Final):
                break
            await asyncio.sleep(PAUSE_SECONDS * attempt)
    log.undone.append(f"{name}: {last}")


class _Final(Refused):
    """A step that another attempt cannot change."""


async def _halt(halt: Halt, who: str, reason: str) -> str:
    halt.set(who, reason)
    return f"{halt.path} is set"


# -- the holder of the lease -----------------------------------------------------------------------


async def _end_process(pid: int) -> str:
    """End a process of this bot by SIGTERM, then SIGKILL; its descriptor cannot mean another."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return f"{pid} is gone already"
    try:
        why_not = _why_not_ours(pid)
        if why_not:
            raise _Final(why_not)
        for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, TERM_SECONDS)):
            signal.pidfd_send_signal(handle, number)
            if await process_ended(handle, seconds):
                return f"{pid} ended by {number.name}"
        raise Retryable(f"{pid} did not end within {TERM_SECONDS:g} s of SIGKILL")
    except ProcessLookupError:
        return f"{pid} is gone already"
    finally:
        os.close(handle)


def _why_not_ours(pid: int) -> str | None:
    """Tell why a process is not one of this bot that may be ended, or None."""
    if pid == os.getpid():
        return f"{pid} is this process"
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    ours = any(word == "bot" or Path(word).name == "bot" for word in words)
    return None if ours else f"{pid} is no bot: {safe_text(' '.join(words), 120)}"


# -- the venue -------------------------------------------------------------------------------------


async def _reach(venue: Bybit) -> str:
    await venue.sync_clock()
    return f"market time {venue.clock.now()}, rate {venue.clock.rate:g}"


async def _cancel_entries(venue: Bybit, met: set[str]) -> str:
    """Cancel what may open a position; what can only reduce one stays. Done when none is open.

    ``met`` keeps the orders that any attempt found: the one that verifies finds none.
    """
    before, are_all = await venue.open_entries()
    met |= {row.venue_id for row in before}
    if before:
        if are_all:  # else it would take a person's reduce-only limits with them
            await _whatever_came_of(venue.cancel_entries())
        failures = await _cancel_one_by_one(venue)
        left = [row.order or row.venue_id for row in (await venue.open_entries())[0]]
        if left:
            raise Retryable(f"still open: {', '.join(left)}; {'; '.join(failures)}")
    return f"{len(met)} cancelled, none open"


async def _cancel_one_by_one(venue: Bybit) -> list[str]:
    """Cancel the entries that are left, such as wait for a trigger. Return why any was not."""
    failures = []
    for row in (await venue.open_entries())[0]:
        try:
            await _whatever_came_of(venue.cancel(row.order, row.symbol, row.venue_id))
        except BotError as error:  # the next one may be cancelled all the same
            failures.append(f"{row.order or row.venue_id}: {error}")
    return failures


async def _whatever_came_of(change: Awaitable[None]) -> None:
    """Carry out a change whose outcome the venue is asked for right after."""
    try:
        await change
    except OutcomeUnknown:
        return


async def _flatten(venue: Bybit) -> str:
    """Close every position with a reduce-only order: one sent twice cannot open anything."""
    positions = await venue.positions()
    closed = [f"{position.qty:f} {position.symbol}" for position in positions]
    refusals: list[str] = []
    for attempt in range(ATTEMPTS):
        for n, position in enumerate(positions):
            outcome = await send_order(venue, _closing(position, f"{attempt}-{n}"))
            if outcome.kind not in (Kind.ACK, Kind.UNKNOWN):
                refusals.append(f"{position.symbol}: {outcome.reason}")
        if not positions:
            return f"closed {', '.join(closed)}" if closed else "nothing was open"
        await asyncio.sleep(PAUSE_SECONDS)
        positions = await venue.positions()
    if not positions:
        return f"closed {', '.join(closed)}"
    left = ", ".join(f"{position.qty:f} {position.symbol}" for position in positions)
    raise Retryable(f"still open: {left}; refusals: {', '.join(refusals[-3:]) or 'none'}")


def _closing(position: VenuePosition, suffix: str) -> Submit:
    side = Side.of(position.qty).opposite
    return Submit(
        order=f"panic-{wall_ms():x}-{os.getpid():x}-{suffix}",
        symbol=position.symbol,
        side=side,
        qty=abs(position.qty),
        reduce_only=True,
    )


async def _verify_stops(venue: Bybit, distance: Decimal) -> str:
    """See that the venue holds a stop for every position; give a naked one a wide stop."""
    positions = await venue.positions()
    naked = [position for position in positions if position.stop is None]
    failures = []
    for position in naked:
        try:
            await _protect(venue, position, distance)
        except BotError as error:  # the next position needs its stop all the same
            failures.append(f"{position.symbol}: {error}")
    if naked:
        still = [p.symbol for p in await venue.positions() if p.stop is None]
        if still:
            raise Retryable(f"no stop at the venue: {', '.join(still)}; {'; '.join(failures)}")
    given = ", ".join(position.symbol for position in naked) or "none"
    return f"{len(positions)} positions, all with a stop; given one now: {given}"


async def _protect(venue: Bybit, position: VenuePosition, distance: Decimal) -> None:
    (instrument,) = await venue.instruments((position.symbol,))
    away = -distance if position.qty > 0 else distance
    mark = Decimal(str(await venue.mark(position.symbol)))
    stop = instrument.round_price(float(mark * (1 + away)))
    await _whatever_came_of(venue.protect(position.symbol, stop, position.take))
