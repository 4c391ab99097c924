"""``decide``: the one function that turns an event into steps and effects; ``ON`` is its whole map.

Live, replay, recovery, and rehearsal call it with the same kind of events. It is pure: the same
world, event, and seq give the same decision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bot.core import (
    account,
    account_verbs,
    alerts,
    attempts,
    backwards,
    breaker,
    closing,
    deliveries,
    doubt,
    entries,
    events,
    examination,
    feeds,
    foreign,
    health,
    health_events,
    holds,
    model_events,
    models,
    orders,
    parameters,
    positions,
    process,
    protection,
    rebuilding,
    reconciliation,
    restarts,
    runs,
    shadow,
    trainings,
    upgrade_events,
    upgrades,
    working,
)
from bot.core.asking import LOOK_BACK_MS, account_question, ask_account
from bot.core.facts import Fact, PositionMarked
from bot.core.guard import GUARD
from bot.core.holds import HOLD
from bot.core.killswitch import KILL
from bot.core.machine import Step, Table
from bot.core.storage import STORAGE
from bot.core.turn import Dispatch, Question, ScoreQuestion, Turn
from bot.core.world import ACCOUNT, World


class Decision(Struct, frozen=True):
    """What follows from one event; ``emitted`` is stored, ``dispatches`` is carried out."""

    world: World
    steps: tuple[Step, ...]
    emitted: tuple[Dispatch, ...]
    dispatches: tuple[Dispatch, ...]
    facts: tuple[Fact, ...]
    questions: tuple[Question | ScoreQuestion, ...]


TABLES: tuple[Table, ...] = (
    process.PROCESS,
    GUARD,
    HOLD,
    KILL,
    breaker.BREAKER,
    reconciliation.RECONCILIATION,
    feeds.FEED,
    foreign.FOREIGN,
    orders.ORDER,
    positions.POSITION,
    runs.RUN,
    deliveries.DELIVERY,
    alerts.ALERT,
    parameters.PARAMETER,
    STORAGE,
    health.CHECK,
    models.MODEL,
    trainings.TRAINING,
)
"""Every machine there is."""

BORN_AT_START = (
    process.PROCESS,
    GUARD,
    HOLD,
    KILL,
    STORAGE,
    breaker.BREAKER,
    reconciliation.RECONCILIATION,
)
"""The machines of the account."""


def started(turn: Turn, event: events.Started) -> None:
    """Take the configuration in; give birth to the machines of the account."""
    before = turn.world
    turn.set(
        instance=event.instance,
        epoch=event.epoch,
        base=event.settings,
        rate=event.rate,
        channels=event.channels,
        second=event.second,
    )
    if not turn.world.account.fills_since:
        began = replace(turn.world.account, fills_since=turn.world.at, began_at=turn.world.at)
        turn.set(account=began)
    parameters.apply(turn)
    for table in BORN_AT_START:
        turn.fire(table, event)
    restarts.count(turn, event, before)


def reconciled(turn: Turn, event: events.Reconciled) -> None:
    """Compare the venue's account with the ledger, and take it over.

    Not if executions were booked while it was being read, nor where a deeper reading is asked for.
    """
    for fill in event.fills:
        positions.book(turn, fill)
    for move in event.moves:
        reconciliation.book(turn, move)
    for row in event.orders:
        orders.news(turn, events.OrderReported(at=event.at, row=row))
    breaker.answered(turn, event)
    if turn.world.account.booked_at >= event.as_of:
        known = turn.world.account
        deeper = max(known.reread or "light", event.depth, key=LOOK_BACK_MS.__getitem__)
        turn.set(account=replace(known, reread=deeper, reread_at=0))  # torn
        return
    orders.missing(turn, event)
    orders.all_booked(turn, event.as_of)
    foreign.seen(turn, event)
    if not reconciliation.compare(turn, event):
        protection.reconciled(turn, event)  # a stop that is gone does not wait for the ledger
        return
    positions.adopt(turn, event)
    protection.reconciled(turn, event)
    account.reconcile(turn, event)
    process.advance(turn, event)
    private_read(turn, event.as_of)


def private_read(turn: Turn, as_of: int) -> None:
    """Open again once a reading that began after the private stream was up is in."""
    up_at = turn.world.private_up_at
    if up_at and as_of < up_at - turn.world.real_ms(0.1):
        turn.emit(account_question(turn.world))
    elif up_at:
        turn.set(private_lost="", private_up_at=0)


def filled(turn: Turn, event: events.Filled) -> None:
    """Book an execution of the private stream.

    Not before the account was read after the stream was away: what came meanwhile goes first.
    """
    world = turn.world
    behind = world.private_lost or world.private_up_at
    if behind or world.state("process") not in ("RUNNING", "DRAINING"):
        depth = world.account.reread or "light"
        turn.set(account=replace(world.account, reread=depth))
        return
    positions.book(turn, event.fill)


def order_news(turn: Turn, event: Any) -> None:
    """Hear of an order."""
    orders.news(turn, event)


def stream_up(turn: Turn, event: events.StreamUp) -> None:
    """After the private stream was away, compare the account with the venue."""
    if event.stream != "private":
        turn.set(public_lost="")
        return
    turn.set(private_up_at=turn.world.at)
    if turn.world.state("process") in ("RUNNING", "DRAINING"):
        ask_account(turn)


def stream_lost(turn: Turn, event: events.StreamLost) -> None:
    """Without the public stream no data is believed; without the private one nothing is opened."""
    if event.stream == "private":
        turn.set(private_lost=event.reason or "no reason given", private_up_at=0)
    else:
        turn.set(public_lost=event.reason or "no reason given")
        feeds.all_feeds(turn, event)


def clock_jumped(turn: Turn, event: events.ClockJumped) -> None:
    """Follow the venue's clock, even backwards; every feed must prove itself again, people are told."""
    if event.at < turn.world.at:
        backwards.go_back(turn, event.at)
    feeds.all_feeds(turn, event)
    turn.emit(feeds.told_of_jump(event))


def storage_checked(turn: Turn, event: events.StorageChecked) -> None:
    """Judge the disk."""
    turn.fire(STORAGE, event)


def halted(turn: Turn, event: events.Halted) -> None:
    """The HALT mark becomes a kill transition."""
    turn.set(halt=event.mark)
    turn.fire(KILL, event, ACCOUNT)


def panicked(turn: Turn, event: events.Panicked) -> None:
    """Remember how far the lines were read: their file is put aside once this is committed."""
    if event.lines:
        turn.set(panic_read=event.lines[-1])


def restored(turn: Turn, event: events.Restored) -> None:
    """A backup took the place of the database: a new epoch of order ids."""
    turn.set(epoch=event.epoch)
    turn.fire(STORAGE, event)


def kill_ticks(turn: Turn, event: events.Ticked) -> None:
    """Let tripped switches go on."""
    for key, instance in turn.world.machines.get("kill", {}).items():
        if instance.state != "ARMED":
            turn.fire(KILL, event, key)


Handler = Callable[[Turn, Any], Any]

# fmt: off
ON: dict[type, tuple[Handler, ...]] = {
    events.Started:          (started, models.started, attempts.declare),
    events.Recovered:        (orders.recover, deliveries.redeliver, attempts.recover,
                              process.advance),
    events.VenueConnected:   (feeds.connect, positions.connect, process.advance),
    events.Listed:           (feeds.listed,),
    events.Reconciled:       (reconciled,),
    events.VenueTroubled:    (breaker.heard,),
    events.VenueAnswered:    (breaker.over,),
    events.StopAsked:        (account_verbs.begin_stop,),
    events.Poisoned:         (holds.hold_account,),
    events.Latched:          (holds.hold_account,),
    events.Restored:         (restored,),
    events.Panicked:         (panicked, process.advance),
    events.Ticked:           (parameters.expire, feeds.tick, orders.tick, deliveries.due_again,
                              doubt.tick, positions.tick, protection.tick, shadow.follow, account.review,
                              kill_ticks, closing.flatten, working.tick, breaker.tick, reconciliation.due,
                              process.advance, runs.tick, trainings.tick, attempts.tick,
                              alerts.tick),
    events.ClockJumped:      (clock_jumped,),
    events.CandleClosed:     (shadow.candle, feeds.candle),
    events.Backfilled:       (feeds.backfilled,),
    events.FramesRefused:    (feeds.refused,),
    events.StreamUp:         (stream_up,),
    events.StreamLost:       (stream_lost,),
    events.Measured:         (feeds.measured, entries.on_measured, models.ask),
    events.Accepted:         (order_news,),
    events.NotSent:          (order_news,),
    events.Rejected:         (order_news,),
    events.Doubted:          (order_news,),
    events.Absent:           (order_news,),
    events.OrderReported:    (order_news,),
    events.Filled:           (filled,),
    events.PositionReported: (protection.reported,),
    events.Delivered:        (deliveries.outcome,),
    events.Undelivered:      (deliveries.outcome,),
    events.StorageChecked:   (storage_checked,),
    events.Halted:           (halted,),
    events.Commanded:        (runs.command, attempts.answered),
    health_events.Sampled:          (examination.sampled,),
    health_events.Treated:          (attempts.treated,),
    health_events.Refetched:        (feeds.refetched,),
    health_events.Distrusted:       (holds.quarantine,),
    health_events.ResyncAsked:      (reconciliation.resync,),
    health_events.PositionRead:     (rebuilding.rebuild,),
    upgrade_events.Upgraded:        (upgrades.upgraded,),
    model_events.TrainingQueued:  (trainings.reported,),
    model_events.TrainingStarted: (trainings.reported,),
    model_events.TrainingEnded:   (trainings.reported,),
    model_events.ModelVerified:   (models.verified,),
    model_events.ModelRefused:    (models.refuse,),
    model_events.ModelsScored:    (models.scored,),
}
# fmt: on


def mark_positions(turn: Turn, before: World) -> None:
    """Leave a row for every position that the event changed."""
    if turn.world.positions is before.positions:
        return
    for symbol, now in turn.world.positions.items():
        if now is not before.positions.get(symbol):
            turn.note(
                PositionMarked(
                    symbol, now.qty, now.avg, now.stop, now.take, now.stop_held, now.opened_at
                )
            )


def decide(world: World, event: Any, seq: int) -> Decision:
    """Return what follows from an event whose journal number is ``seq``."""
    turn = Turn(world, event, seq)
    for handler in ON[type(event)]:
        handler(turn, event)
    mark_positions(turn, world)
    return Decision(
        turn.world,
        tuple(turn.steps),
        tuple(turn.emitted),
        tuple(turn.dispatches),
        tuple(turn.facts),
        tuple(turn.questions),
    )
