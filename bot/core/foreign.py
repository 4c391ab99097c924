"""Foreign orders: open at the venue and not ours. EXTERNAL while they are there, GONE after.

Invariants: they are shown and counted as exposure; entries in their symbol wait; the bot never
cancels them. An open order under an id of ours that the bot has let go of is ours: it is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.asking import pending
from bot.core.effects import Cancel, Effect, Notify
from bot.core.events import Reconciled
from bot.core.machine import BORN, Row, Table

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.values import VenueOrder
    from bot.core.world import World

FOREIGN_MAX = 500


class ExternalState(StrEnum):
    """Whether an order that is not ours is still there."""

    EXTERNAL = "EXTERNAL"
    GONE = "GONE"


EXTERNAL, GONE = ExternalState


def found(world: World, event: Reconciled, key: str) -> str | None:
    """The venue has an open order that is not ours."""
    row = world.foreign.get(key)
    if row is None:
        return None
    return f"{row.side} {row.qty:f} {row.symbol}, id {row.order or 'none'}, {row.filled:f} filled"


def left(world: World, event: Reconciled, key: str) -> str | None:
    """The venue no longer has it."""
    return None if key in world.foreign else "no longer open at the venue"


def ask(world: World, event: Reconciled, key: str) -> Iterator[Effect]:
    """Ask people whose order that is."""
    text = f"an order that is not ours is open: {found(world, event, key)}; entries in it wait"
    yield Notify(severity="warning", text=text)


# fmt: off
FOREIGN = Table("external", ExternalState, (
    #   from      on          when   to
    Row(BORN,     Reconciled, found, EXTERNAL, (ask,)),
    Row(EXTERNAL, Reconciled, left,  GONE),
    Row(GONE,     Reconciled, found, EXTERNAL, (ask,)),
), key="the venue's order id")
# fmt: on


def seen(turn: Turn, event: Reconciled) -> None:
    """Take in which open orders are not ours."""
    mine = f"{turn.world.instance}-"
    rows = event.foreign[:FOREIGN_MAX]
    turn.set(foreign={row.venue_id: row for row in rows if not row.order.startswith(mine)})
    for row in rows:
        if row.order.startswith(mine):
            _let_go(turn, row)
    for key in dict.fromkeys((*turn.world.foreign, *turn.world.machines.get("external", {}))):
        turn.fire(FOREIGN, event, key)


def _let_go(turn: Turn, row: VenueOrder) -> None:
    """Cancel an order of ours that should not be there."""
    wanted = Cancel(order=row.order, symbol=row.symbol)
    if row.order in turn.world.orders or wanted in pending(turn.world, Cancel):
        return
    turn.emit(wanted)
    text = f"{row.order} ({row.side} {row.qty:f} {row.symbol}) was taken for ended and is open: cancelling it"
    turn.emit(Notify(severity="critical", text=text))
