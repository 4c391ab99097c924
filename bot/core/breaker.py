"""The venue breaker: CLOSED OPEN HALF_OPEN. While the venue does not serve us, nothing new is opened.

Invariants: it opens on a ban, on maintenance, on throttling, and on failures in a row; it closes
only on a whole reading of the account; exits and protection go on through an open breaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.asking import account_question, pending
from bot.core.effects import Effect, Notify, Reconcile
from bot.core.events import Limited, Reconciled, Started, Ticked, VenueAnswered, VenueTroubled
from bot.core.holds import HOLD
from bot.core.machine import BORN, Level, Row, Table, always
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

AT_ONCE = ("banned", "maintenance", "throttled", "key")
"""Kinds of trouble that open the breaker the first time."""


class BreakerState(StrEnum):
    """Whether the venue serves us."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


CLOSED, OPEN, HALF_OPEN = BreakerState


def troubled(world: World, event: VenueTroubled, key: str) -> str | None:
    """The venue does not serve us."""
    most = world.settings.orders.troubles_max
    if event.kind in AT_ONCE:
        return f"{event.kind}: {event.reason}"
    if event.kind == "unreachable" and world.troubles >= most:
        return f"{world.troubles} requests in a row failed: {event.reason}"
    return None


def rested(world: World, event: Ticked, key: str) -> str | None:
    """The pause is over; the account is asked for."""
    return "the pause is over" if world.at >= world.breaker_until else None


def served(world: World, event: Reconciled, key: str) -> str:
    """The venue answered a whole reading of the account."""
    return "the venue answers"


def tell(world: World, event: VenueTroubled, key: str) -> Iterator[Effect]:
    """Tell people."""
    yield Notify(
        severity="warning",
        text=(
            f"the venue does not serve us ({troubled(world, event, key)}): no entries until it does;"
            " exits and stops go on, it is tried again by itself"
        ),
        runbook="venue-away",
    )


def tell_over(world: World, event: Reconciled, key: str) -> Iterator[Effect]:
    """Tell people that it is over."""
    yield Notify(severity="info", text="the venue answers again: entries may go on")


def ask(world: World, event: Ticked, key: str) -> Iterator[Effect]:
    """Try the venue with a question, unless one is on its way: an outage of hours asks it once."""
    if not pending(world, Reconcile):
        yield account_question(world)


# fmt: off
BREAKER = Table("breaker", BreakerState, (
    #   from       on             when                   to         then
    Row(BORN,      Started,       always("first start"), CLOSED),
    Row(CLOSED,    VenueTroubled, troubled,              OPEN,      (tell,)),
    Row(HALF_OPEN, VenueTroubled, troubled,              OPEN),
    Row(OPEN,      Ticked,        rested,                HALF_OPEN, (ask,)),
    Row(HALF_OPEN, Reconciled,    served,                CLOSED,    (tell_over,)),
), key=ACCOUNT, lowers={OPEN: Level.REDUCE_ONLY, HALF_OPEN: Level.REDUCE_ONLY})
# fmt: on


def heard(turn: Turn, event: VenueTroubled) -> None:
    """Count trouble; open the breaker; call a person where only a person can help."""
    world = turn.world
    troubles = world.troubles + 1 if event.kind == "unreachable" else world.troubles
    turn.set(troubles=troubles)
    step = turn.fire(BREAKER, event)
    if step is not None:
        pause = world.real_ms(world.settings.orders.breaker_real_seconds)
        turn.set(breaker_until=max(event.retry_at, world.at + pause))
    elif world.state("breaker") == OPEN:  # a longer ban counts
        turn.set(breaker_until=max(event.retry_at, world.breaker_until))
    if event.kind == "key":
        turn.fire(HOLD, Limited(at=world.at, control="key", reason=event.reason))
    if event.kind == "unseen code":
        text = f"the venue said something new: {event.reason}"
        about = f"unseen code {event.reason}"
        turn.emit(Notify(severity="warning", text=text, key=about, runbook="unseen-code"))


def over(turn: Turn, event: VenueAnswered) -> None:
    """Forget the failures in a row."""
    turn.set(troubles=0)


def tick(turn: Turn, event: Ticked) -> None:
    """Try the venue again once the pause is over."""
    turn.fire(BREAKER, event)


def answered(turn: Turn, event: Reconciled) -> None:
    """After a whole reading nothing speaks against the venue."""
    turn.set(troubles=0)
    turn.fire(BREAKER, event)
