"""Deliveries: whether each effect was carried out. At least once; an order never blindly twice.

PENDING was handed out; RETRY waits for its next attempt; SENT, DEAD, and EXPIRED are ends.
Invariants: a protective effect ends only as SENT; an entry past its time is never sent; a
``Submit`` is attempted once by one process, and after that its order is asked about instead.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core.effects import (
    PROTECTIVE,
    Amend,
    Cancel,
    Exit,
    Heal,
    Inquire,
    Protect,
    Reconcile,
    Submit,
)
from bot.core.events import Delivered, Emitted, Recovered, Ticked, Undelivered
from bot.core.machine import BORN, Row, Table, always

if TYPE_CHECKING:
    from bot.core.settings import Settings
    from bot.core.turn import Turn
    from bot.core.world import Delivery, World


IMPATIENT = (Protect, Cancel, Inquire, Reconcile)
"""Retried after short pauses: a naked position or an outcome in doubt does not wait long."""
QUICK_CANCELS = 20
"""Attempts of a cancel half a second apart; a venue that is away for longer is not hammered."""


class DeliveryState(StrEnum):
    """Where an effect stands on its way."""

    PENDING = "PENDING"
    RETRY = "RETRY"
    SENT = "SENT"
    DEAD = "DEAD"
    EXPIRED = "EXPIRED"


PENDING, RETRY, SENT, DEAD, EXPIRED = DeliveryState


def delivered(world: World, event: Delivered, key: str) -> str:
    """Carried out."""
    attempts = world.deliveries[key].attempts + 1
    return "delivered" if attempts == 1 else f"delivered at attempt {attempts}"


def hopeless(world: World, event: Undelivered, key: str) -> str | None:
    """No further attempt is of use."""
    delivery = world.deliveries[key]
    if isinstance(delivery.effect, PROTECTIVE):
        return None
    if event.final or isinstance(delivery.effect, Submit):
        return event.reason
    attempts = delivery.attempts + 1
    if attempts >= world.settings.delivery.attempts_max:
        return f"{attempts} attempts: {event.reason}"
    return None


def failed(world: World, event: Undelivered, key: str) -> str:
    """The attempt failed."""
    return event.reason


def late(world: World, event: Ticked, key: str) -> str | None:
    """Its time has passed."""
    expires_at = world.deliveries[key].effect.expires_at
    if expires_at is not None and world.at >= expires_at:
        return f"not carried out within its time ({(world.at - expires_at) / 1000:.1f} s over)"
    return None


def due(world: World, event: Ticked, key: str) -> str | None:
    """The pause is over."""
    if world.at >= world.deliveries[key].not_before:
        return f"attempt {world.deliveries[key].attempts + 1}"
    return None


def in_doubt(world: World, event: Recovered, key: str) -> str | None:
    """It belonged to a process that died: an order is asked about, not sent again."""
    effect = world.deliveries[key].effect
    if isinstance(effect, Submit):
        return "the process died while it was on its way; the order is asked about instead"
    mine = isinstance(effect, (Amend, Exit, Heal))
    return "it was meant for the moment of a process that has ended" if mine else None


# fmt: off
DELIVERY = Table("delivery", DeliveryState, (
    #   from               on           when                  to
    Row(BORN,              Emitted,     always("decided"),    PENDING),
    Row((PENDING, RETRY),  Delivered,   delivered,            SENT),
    Row(PENDING,           Undelivered, hopeless,             DEAD),
    Row(PENDING,           Undelivered, failed,               RETRY),
    Row((PENDING, RETRY),  Recovered,   in_doubt,             EXPIRED),
    Row((PENDING, RETRY),  Ticked,      late,                 EXPIRED),
    Row(RETRY,             Ticked,      due,                  PENDING),
), key="effect id", final=frozenset({SENT, DEAD, EXPIRED}))
# fmt: on


def outcome(turn: Turn, event: Delivered | Undelivered) -> None:
    """Record what became of an attempt, and when the next may be made."""
    delivery = turn.world.deliveries.get(event.effect)
    if delivery is None:
        return
    step = turn.fire(DELIVERY, event, event.effect)
    if step is not None and step.dest == RETRY:
        pause = pause_seconds(turn.world.settings, delivery)
        later = replace(
            delivery,
            attempts=delivery.attempts + 1,
            not_before=turn.world.at + turn.world.real_ms(pause),
        )
        turn.put("deliveries", event.effect, later)
    elif step is not None:
        turn.put("deliveries", event.effect, None)


def pause_seconds(settings: Settings, delivery: Delivery) -> float:
    """Return the pause before another attempt, real seconds: it doubles up to its ceiling."""
    limits, naked = settings.delivery, settings.orders.naked_real_seconds
    most = limits.backoff_max_real_seconds
    if isinstance(delivery.effect, Cancel) and delivery.attempts < QUICK_CANCELS:
        most = min(most, naked / 4)
    elif isinstance(delivery.effect, IMPATIENT):
        most = min(most, 2 * naked)
    return min(most, limits.backoff_real_seconds * float(2 ** min(delivery.attempts, 16)))


def due_again(turn: Turn, event: Ticked) -> None:
    """End what is late; hand out what is due."""
    for key, delivery in list(turn.world.deliveries.items()):
        expires_at = delivery.effect.expires_at
        waiting = (
            turn.world.state("delivery", key) == RETRY and turn.world.at >= delivery.not_before
        )
        if not waiting and (expires_at is None or turn.world.at < expires_at):
            continue
        step = turn.fire(DELIVERY, event, key)
        if step is not None and step.dest == PENDING:
            turn.again(key, delivery.effect)
        elif step is not None:
            turn.put("deliveries", key, None)


def redeliver(turn: Turn, event: Recovered) -> None:
    """After a start: what the dead process left pending is handed out again, but no order."""
    before = event.snapshot_seq + event.tail
    for key, delivery in list(turn.world.deliveries.items()):
        if int(key.partition("-")[0]) > before:
            continue  # decided by this very start, and on its way
        if turn.fire(DELIVERY, event, key) is not None:
            turn.put("deliveries", key, None)
        elif turn.world.state("delivery", key) == PENDING:
            turn.again(key, delivery.effect)
