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
from bot.core.machine import BORN, Level, Row, Table

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.values import VenueOrder
    from bot.core.world import World

FOREIGN_MAX = 500


class ExternalState(StrEnum):
    """Whether a symbol has open orders that are not ours."""

    EXTERNAL = "EXTERNAL"
    GONE = "GONE"


EXTERNAL, GONE = ExternalState


def of(world: World, symbol: str) -> list[VenueOrder]:
    """Return the open orders of a symbol that are not ours."""
    return [row for row in world.foreign.values() if row.symbol == symbol]


def found(world: World, event: Reconciled, key: str) -> str | None:
    """The venue has open orders that are not ours."""
    rows = of(world, key)
    if not rows:
        return None
    named = "; ".join(f"{row.side} {row.qty:f}, id {row.order or row.venue_id}" for row in rows[:5])
    return f"{len(rows)} that are not ours: {named}"


def other(world: World, event: Reconciled, key: str) -> str | None:
    """There are more or fewer of them."""
    why, instance = found(world, event, key), world.instance_of("external", key)
    same = instance is not None and instance.reason.startswith(f"{len(of(world, key))} ")
    return None if same else why


def left(world: World, event: Reconciled, key: str) -> str | None:
    """The venue no longer has any."""
    return None if of(world, key) else "none open any more"


def ask(world: World, event: Reconciled, key: str) -> Iterator[Effect]:
    """Ask people whose orders those are."""
    text = (
        f"{key}: open orders, {found(world, event, key)}; entries in {key} wait until they are gone"
    )
    about = f"external {key} {len(of(world, key))}"  # another number of them is news
    yield Notify(severity="warning", text=text, key=about, runbook="not-ours")


# fmt: off
FOREIGN = Table("external", ExternalState, (
    #   from          on          when   to
    Row((BORN, GONE), Reconciled, found, EXTERNAL, (ask,)),
    Row(EXTERNAL,     Reconciled, other, EXTERNAL, (ask,)),
    Row(EXTERNAL,     Reconciled, left,  GONE),
), key="symbol", lowers={EXTERNAL: Level.REDUCE_ONLY})
# fmt: on


def seen(turn: Turn, event: Reconciled) -> None:
    """Take in which open orders are not ours; an answer says nothing of what came after its question."""
    mine = f"{turn.world.instance}-"
    strange = [row for row in event.foreign if not row.order.startswith(mine)]
    turn.set(foreign={row.venue_id: row for row in _kept(strange)})
    asked_at = (turn.world.epoch, event.question or turn.seq)
    for row in event.foreign:
        if row.order.startswith(mine) and decided_at(row.order) <= asked_at:
            _let_go(turn, row)
    symbols = {row.symbol for row in strange} | set(turn.world.machines.get("external", {}))
    for symbol in sorted(symbols):
        turn.fire(FOREIGN, event, symbol)


def _kept(rows: list[VenueOrder]) -> list[VenueOrder]:
    """Return so many rows, at least one of each symbol: a symbol is blocked by any of them."""
    first = {row.symbol: row for row in reversed(rows)}
    return [*first.values(), *rows[: max(0, FOREIGN_MAX - len(first))]]


def decided_at(order: str) -> tuple[int, int]:
    """Return the epoch and the seq in which an order of ours was decided; 0 where its id is silent."""
    epoch, seq = [int(n) if n.isdigit() else 0 for n in f"{order}--".split("-")[1:3]]
    return epoch, seq


def _let_go(turn: Turn, row: VenueOrder) -> None:
    """Cancel an order of ours that should not be there."""
    wanted = Cancel(order=row.order, symbol=row.symbol)
    if row.order in turn.world.orders or wanted in pending(turn.world, Cancel):
        return
    turn.emit(wanted)
    text = f"{row.order} ({row.side} {row.qty:f} {row.symbol}) was taken for ended and is open: cancelling it"
    about = f"taken for ended {row.order}"
    turn.emit(Notify(severity="critical", text=text, key=about, runbook="not-ours"))
