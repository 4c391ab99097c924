"""Trainings: what a trainer, a process of its own, told of itself. Key: run id.

QUEUED RUNNING RETRYING; ends SUCCEEDED FAILED. Invariants: every attempt leaves a row with its
cause; a trainer that falls silent has failed; what becomes of a training never touches trading.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core import models
from bot.core.effects import Effect, Notify
from bot.core.events import Ticked
from bot.core.facts import AttemptEnded
from bot.core.machine import BORN, Row, Table
from bot.core.model_events import Report, TrainingEnded, TrainingQueued, TrainingStarted

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


class TrainingState(StrEnum):
    """How far a training has come."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


QUEUED, RUNNING, RETRYING, SUCCEEDED, FAILED = TrainingState


def asked(world: World, event: TrainingQueued, key: str) -> str:
    """Somebody asked for a model."""
    return f"{event.operator} asked for a model from at most {event.rows} rows"


def begun(world: World, event: TrainingStarted, key: str) -> str:
    """Its process began to learn."""
    return f"attempt {event.attempt} learns from at most {event.rows} rows"


def made(world: World, event: TrainingEnded, key: str) -> str | None:
    """It made a model."""
    return f"made model {models.short(event.model)}" if event.model else None


def smaller(world: World, event: TrainingEnded, key: str) -> str | None:
    """Its process ended before its time; another takes less."""
    return (
        f"attempt {event.attempt}: {event.reason}; again with {event.reduced}"
        if event.again
        else None
    )


def gave_up(world: World, event: TrainingEnded, key: str) -> str:
    """Another attempt is no use."""
    return f"attempt {event.attempt}: {event.reason}"


def silent(world: World, event: Ticked, key: str) -> str | None:
    """The trainer does not say anything any more."""
    instance = world.instance_of("training", key)
    limit = world.settings.models.silent_real_seconds
    if instance is None or world.at - instance.since <= world.real_ms(limit):
        return None
    return f"the trainer said nothing for more than {limit:g} s of real time"


def tell(world: World, event: TrainingEnded | Ticked, key: str) -> Iterator[Effect]:
    """Tell people that there is no new model."""
    why = silent(world, event, key) if isinstance(event, Ticked) else gave_up(world, event, key)
    yield Notify(severity="warning", text=f"training {key} FAILED: {why}", runbook="training")


# fmt: off
TRAINING = Table("training", TrainingState, (
    #   from                          on               when     to         then
    Row(BORN,                         TrainingQueued,  asked,   QUEUED),
    Row((QUEUED, RETRYING),           TrainingStarted, begun,   RUNNING),
    Row(RUNNING,                      TrainingEnded,   made,    SUCCEEDED),
    Row(RUNNING,                      TrainingEnded,   smaller, RETRYING),
    Row((QUEUED, RUNNING, RETRYING),  TrainingEnded,   gave_up, FAILED,   (tell,)),
    Row((QUEUED, RUNNING, RETRYING),  Ticked,          silent,  FAILED,   (tell,)),
), key="run id", final=frozenset({SUCCEEDED, FAILED}))
# fmt: on


def why_not(world: World, report: Report) -> str | None:
    """Tell why a trainer's report cannot be taken now, or None."""
    state, kind = world.state("training", report.run), type(report).__name__
    if TRAINING.answers(state, report):
        return None
    return f"{kind}: training {report.run} is {state or 'not known, or at its end'}"


def reported(turn: Turn, event: Report) -> None:
    """Take a trainer's report down; a model that it made becomes a candidate."""
    step = turn.fire(TRAINING, event, event.run)
    if step is None or not isinstance(event, TrainingEnded):
        return
    turn.note(
        AttemptEnded(
            event.run,
            event.attempt,
            event.cause,
            event.reason,
            event.seconds,
            event.peak_mb,
            event.exit_code,
            event.signal,
            event.rows,
            event.reduced,
            event.model,
        )
    )
    if step.dest == SUCCEEDED:
        models.born(turn, event)


def tick(turn: Turn, event: Ticked) -> None:
    """Give up on trainers that fell silent."""
    for key in list(turn.world.machines.get("training", {})):
        turn.fire(TRAINING, event, key)
