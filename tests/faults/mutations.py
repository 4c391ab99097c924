"""Deliberate faults of the bot, applied in a child: each breaks one promise, and the checker must say so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from bot.core import controls, entries, positions
from bot.core.deliveries import DELIVERY, in_doubt
from bot.core.effects import Submit
from bot.core.events import Started
from bot.core.holds import HOLD, HoldState
from bot.core.machine import Row, always
from bot.core.values import OrderStatus
from bot.edge.venues.bybit import Bybit
from bot.engine import effects as runner
from bot.engine import gate, service
from bot.store.writer import Writer
from tests.faults.checker import COLUMNS


def apply(name: str) -> None:
    """Apply a mutation by name; "" changes nothing."""
    if name:
        (MUTATIONS | VENUE_MUTATIONS)[name]()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _services() -> list[service.Service]:
    """Return a list that the service puts itself into when it is made."""
    made: list[service.Service] = []
    original = service.Service.__init__

    def remember(self: service.Service, *args: Any) -> None:
        original(self, *args)
        made.append(self)

    service.Service.__init__ = remember  # type: ignore[method-assign]
    return made


def send_before_commit() -> None:
    """Orders leave as soon as they are decided, unasked; the process dies before its COMMIT."""
    gate.Gate.why_not = lambda self, submit: None  # type: ignore[method-assign]
    made, write, commit = _services(), Writer.decision, Writer.commit
    left: list[object] = []

    def early(self: Writer, seq: int, body: str, decision: Any) -> Any:
        found = write(self, seq, body, decision)
        orders = [d for d in decision.dispatches if isinstance(d.effect, Submit)]
        if orders:
            made[0].asyncio_loop.call_soon_threadsafe(made[0].runner.start, orders)
            left.extend(orders)
        return found

    def late(self: Writer) -> None:
        if left:
            time.sleep(0.3)
            _die()
        commit(self)

    Writer.decision = early  # type: ignore[method-assign]
    Writer.commit = late  # type: ignore[method-assign]


def acknowledge_before_commit() -> None:
    """Transitions are told to watchers before COMMIT; the process dies between the two."""
    made, commit, turns = _services(), Writer.commit, []

    def late(self: Writer) -> None:
        turns.append(1)
        if len(turns) > 40:
            sql = f"SELECT {', '.join(COLUMNS)} FROM transition WHERE id > ?"
            rows = self.connection.execute(sql, (self.head_id,)).fetchall()
            lines = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
            if lines:
                made[0].asyncio_loop.call_soon_threadsafe(made[0].commands.publish, lines)
                time.sleep(0.2)
                _die()
        commit(self)

    Writer.commit = late  # type: ignore[method-assign]


def resend_after_crash() -> None:
    """A restart sends again what was on the wire, and no gate asks; each process dies at its first ACK."""
    for row in DELIVERY.rows:
        if row.when is in_doubt:
            row.when = lambda world, event, key: None
    gate.Gate.why_not = lambda self, submit: None  # type: ignore[method-assign]
    original = gate.send_order

    async def once(venue: Any, submit: Submit, *more: Any) -> Any:
        outcome = await original(venue, submit, *more)
        if outcome.kind is gate.Kind.ACK:
            _die()
        return outcome

    gate.send_order = once


def decide_twice() -> None:
    """One signal makes two orders, and no gate asks."""
    gate.Gate.why_not = lambda self, submit: None  # type: ignore[method-assign]
    original = entries.intend

    def twice(turn: Any, *args: Any, **more: Any) -> str:
        original(turn, *args, **more)
        return original(turn, *args, **more)

    entries.intend = twice


def forget_hold() -> None:
    """A start frees what an operator held."""
    free = Row(HoldState.HELD, Started, always("a fresh start"), HoldState.FREE)
    HOLD.__init__(  # type: ignore[misc]
        "hold", HoldState, (*HOLD.rows, free), key=HOLD.key, lowers=HOLD.lowers
    )


def enter_while_held() -> None:
    """Nothing asks the lattice."""
    entries.lowered = controls.lowered = lambda world, symbol="": []


def lose_fills() -> None:
    """Every other execution is not booked."""
    original = positions.book

    def lossy(turn: Any, fill: Any) -> None:
        if int(fill.fill[0], 16) % 2:
            original(turn, fill)

    positions.book = lossy


MUTATIONS: dict[str, Callable[[], None]] = {
    "send before commit": send_before_commit,
    "acknowledge before commit": acknowledge_before_commit,
    "resend after crash": resend_after_crash,
    "decide twice": decide_twice,
    "forget hold": forget_hold,
    "enter while held": enter_while_held,
    "lose fills": lose_fills,
}


# -- of the order path: tests/faults/test_kill_awaits.py -------------------------------------------


def enter_without_bracket() -> None:
    """Entries leave without their stop and target."""
    original = gate.send_order

    async def bare(venue: Any, submit: Submit, *more: Any) -> Any:
        return await original(venue, replace(submit, stop=None, take=None), *more)

    gate.send_order = bare


def amend_by_a_new_order() -> None:
    """An amendment sends the order again at its new price, under another id."""

    async def resend(self: Bybit, order: str, symbol: str, price: Decimal) -> None:
        row = await self.find(order, symbol)
        if row is not None:
            again = Submit(
                order=order + "0",
                symbol=symbol,
                side=row.side,
                qty=row.qty,
                reduce_only=False,
                price=price,
            )
            await gate.send_order(self, again)

    Bybit.amend = resend  # type: ignore[method-assign]


def believe_a_cancel() -> None:
    """A cancel counts as done without a word of the venue, which never hears of it."""
    believed: set[str] = set()
    find = Bybit.find

    async def cancel(self: Bybit, order: str, symbol: str) -> None:
        believed.add(order)

    async def found(self: Bybit, order: str, symbol: str) -> Any:
        row = await find(self, order, symbol)
        mine = row is not None and order in believed
        return replace(row, status=OrderStatus.CANCELED) if mine and row else row

    Bybit.cancel, Bybit.find = cancel, found  # type: ignore[method-assign]


def lose_at_once() -> None:
    """An order that the venue does not show is LOST at the first question."""
    runner.PROOF_MARGIN_SECONDS = -600.0


VENUE_MUTATIONS: dict[str, Callable[[], None]] = {
    "enter without bracket": enter_without_bracket,
    "amend by a new order": amend_by_a_new_order,
    "believe a cancel": believe_a_cancel,
    "lose at once": lose_at_once,
}
