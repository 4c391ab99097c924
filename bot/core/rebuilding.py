"""Rebuilding: a position made anew from the venue's list of its executions, where the ledger's is another.

Invariants: an execution that was not booked yet is booked, once, with its row and its cash, before
anything else; nothing is replaced unless the executions add up to what the venue has; what is
replaced moves no cash, and what protects it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core import positions
from bot.core.asking import account_question
from bot.core.effects import Notify
from bot.core.values import ZERO
from bot.core.world import Position

if TYPE_CHECKING:
    from decimal import Decimal

    from bot.core.health_events import PositionRead
    from bot.core.turn import Turn
    from bot.core.values import VenueFill


def since_flat(fills: Sequence[VenueFill], qty: Decimal) -> tuple[VenueFill, ...] | None:
    """Return the executions since nothing was open, oldest first; None if they do not reach back.

    The shortest newest part that adds up to ``qty`` is it: before it, nothing was open.
    """
    left = qty
    for index in range(len(fills), 0, -1):
        if not left:
            return tuple(fills[index:])
        left -= fills[index - 1].qty * fills[index - 1].side.sign
    return None if left else tuple(fills)


def rebuild(turn: Turn, event: PositionRead) -> None:
    """Book what was not booked; replace a position that still is not the venue's.

    Nothing of it if an execution was booked while that was read.
    """
    if event.symbol not in turn.world.positions or turn.world.account.booked_at >= event.as_of:
        return
    for fill in event.fills:
        positions.book(turn, fill)
    turn.emit(account_question(turn.world, "full"))
    position, made = turn.world.positions[event.symbol], since_flat(event.fills, event.qty)
    if made is None or position.qty == event.qty:
        return
    anew = positions.replayed(event.symbol, made)
    if anew.qty * position.qty > 0:
        guarded = ("stop", "take", "stop_held", "naked_since", "asked_at", "leaving", "left_at")
        anew = replace(anew, **{name: getattr(position, name) for name in guarded})
    turn.put("positions", event.symbol, replace(anew, venue_qty=event.qty, venue_at=turn.world.at))
    turn.fire(positions.POSITION, event, event.symbol)
    text = (
        f"{event.symbol} was rebuilt from {len(made)} executions:"
        f" {_words(anew)}; the ledger had {_words(position)}"
    )
    about = f"rebuilt {event.symbol}"
    turn.emit(Notify(severity="warning", text=text, key=about, runbook="check"))


def _words(position: Position) -> str:
    return f"{position.qty:f} at {position.avg:f}" if position.qty != ZERO else "nothing"
