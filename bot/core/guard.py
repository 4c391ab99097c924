"""The performance guard: NORMAL trades, REDUCED trades at half size, PAUSED opens nothing.

Invariants: a review, an operator, or doubt about an order moves it; what doubt lowered comes back
with its end; otherwise the way back from PAUSED leads through REDUCED;
the recovery line is the reduce line plus a margin, so that every profile has hysteresis. Win rate
is taken over the last ``window`` trades, shadow trades included while PAUSED. Drawdown is taken
from the guard's own peak, which is set anew when PAUSED ends: the kill switch keeps the true peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.asking import pending
from bot.core.effects import Cancel, Effect, Notify
from bot.core.events import Commanded, DoubtAged, Reviewed, Started
from bot.core.machine import BORN, Level, Row, Table, When, always
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.world import World


class GuardState(StrEnum):
    """How much the bot trusts its own performance."""

    NORMAL = "NORMAL"
    REDUCED = "REDUCED"
    PAUSED = "PAUSED"


NORMAL, REDUCED, PAUSED = GuardState


def _beyond(world: World, review: Reviewed, win_rate: float, drawdown: float) -> str | None:
    limits = world.settings.guard
    if not review.guard_drawdown <= drawdown:
        return f"drawdown {review.guard_drawdown:.2%} over {drawdown:.2%}"
    counted = review.win_rate is not None and review.trades >= limits.trades_min
    if counted and review.win_rate is not None and not review.win_rate >= win_rate:
        return f"win rate {review.win_rate:.0%} under {win_rate:.0%} over {review.trades} trades"
    return None


def broken(world: World, event: Reviewed, key: str) -> str | None:
    """Win rate or drawdown is beyond the pause line."""
    limits = world.settings.guard
    return _beyond(world, event, limits.paused_win_rate, limits.paused_drawdown)


def weak(world: World, event: Reviewed, key: str) -> str | None:
    """Win rate or drawdown is beyond the reduce line."""
    limits = world.settings.guard
    return _beyond(world, event, limits.reduced_win_rate, limits.reduced_drawdown)


def sound(world: World, event: Reviewed, key: str) -> str | None:
    """Win rate and drawdown are back, with a margin, over enough trades."""
    limits = world.settings.guard
    if world.guard_before:
        return None  # doubt about an order lowered it, and lifts it
    line = limits.reduced_win_rate + limits.recover_margin
    if event.win_rate is None or event.trades < limits.trades_min:
        return None
    if event.win_rate >= line and event.guard_drawdown < limits.reduced_drawdown:
        return f"recovered: win rate {event.win_rate:.0%} over {event.trades} trades, drawdown {event.guard_drawdown:.2%}"
    return None


def told(world: World, event: Commanded, key: str) -> str | None:
    """An operator asked for reduced size."""
    return f"{event.operator}: {event.reason}" if event.verb == "reduce" else None


def doubted(world: World, event: DoubtAged, key: str) -> str | None:
    """An order's outcome is unknown."""
    limit = world.settings.guard.doubt_reduced_real_seconds
    return _doubt(event) if event.age >= world.real_ms(limit) else None


def doubted_long(world: World, event: DoubtAged, key: str) -> str | None:
    """An order's outcome is unknown for too long."""
    limit = world.settings.guard.doubt_paused_real_seconds
    return _doubt(event) if event.age >= world.real_ms(limit) else None


def _doubt(event: DoubtAged) -> str:
    return f"the outcome of {event.order} is unknown for {event.age / 1000:.0f} s"


def settled_in(state: str) -> When:
    """Return the predicate that the last doubt ended which lowered the guard from this state."""

    def settled(world: World, event: DoubtAged, key: str) -> str | None:
        return "no outcome is unknown" if not event.age and world.guard_before == state else None

    settled.__doc__ = f"No outcome is unknown any more; it was {state} before"
    return settled


def tell(world: World, event: Reviewed | Commanded | DoubtAged, key: str) -> Iterator[Effect]:
    """Tell people that the guard moves, and why."""
    asked: tuple[When, ...] = (told,)
    if isinstance(event, Reviewed):
        asked = (broken, weak, sound)
    elif isinstance(event, DoubtAged):
        asked = (doubted_long, doubted)
    why = next((found for ask in asked if (found := ask(world, event, key))), "")
    money = isinstance(event, Reviewed) and broken(world, event, key) is not None
    yield Notify(
        severity="warning",
        text=f"guard leaves {world.state('guard')}: {why}",
        runbook="guard",
        latch=money,
    )


def cancel_entries(world: World, event: object, key: str) -> Iterator[Effect]:
    """Cancel the entries on their way, of one symbol or all, each once."""
    under_way = pending(world, Cancel)
    for order in world.orders.values():
        wanted = Cancel(order=order.order, symbol=order.symbol)
        concerned = order.entry and not order.ended and key in (ACCOUNT, order.symbol)
        if concerned and wanted not in under_way:
            yield wanted


# fmt: off
GUARD = Table("guard", GuardState, (
    #   from     on         when                   to       then
    Row(BORN,    Started,   always("first start"), NORMAL),
    Row(NORMAL,  Reviewed,  broken,                PAUSED,  (tell, cancel_entries)),
    Row(NORMAL,  Reviewed,  weak,                  REDUCED, (tell,)),
    Row(NORMAL,  Commanded, told,                  REDUCED, (tell,)),
    Row((NORMAL, REDUCED), DoubtAged, doubted_long, PAUSED, (tell, cancel_entries)),
    Row(NORMAL,  DoubtAged, doubted,               REDUCED),
    Row((REDUCED, PAUSED), DoubtAged, settled_in("NORMAL"),  NORMAL),
    Row(PAUSED,  DoubtAged, settled_in("REDUCED"), REDUCED),
    Row(REDUCED, Reviewed,  broken,                PAUSED,  (tell, cancel_entries)),
    Row(REDUCED, Reviewed,  sound,                 NORMAL,  (tell,)),
    Row(PAUSED,  Reviewed,  sound,                 REDUCED, (tell,)),
), key=ACCOUNT, lowers={REDUCED: Level.REDUCED, PAUSED: Level.REDUCE_ONLY})
# fmt: on
