"""What happens to models and to their training: reported by the trainer, by verification, by scoring."""

from __future__ import annotations

from msgspec import Struct

from bot.core.event import Event


class TrainingQueued(Event, frozen=True):
    """Somebody asked for a model; ``rows`` is how many candles it may learn from."""

    run: str
    rows: int
    operator: str = ""


class TrainingStarted(Event, frozen=True):
    """A process began to learn from at most ``rows`` candles."""

    run: str
    attempt: int
    rows: int
    pid: int


class TrainingEnded(Event, frozen=True):
    """An attempt ended, by itself or not. ``seconds`` real, ``peak_mb`` MiB, ``rows`` learnt from.

    ``cause``: ok, memory, killed, crashed, timeout, refused, failed, interrupted, or lost: attempt
    0 is the trainer itself. ``again``: another attempt
    follows, ``reduced`` tells with what. ``model`` is what it made.
    """

    run: str
    attempt: int
    cause: str
    reason: str
    seconds: float
    peak_mb: int
    rows: int
    exit_code: int = 0
    signal: int = 0
    again: bool = False
    reduced: str = ""
    model: str = ""


class ModelVerified(Event, frozen=True):
    """A model's files are what their id says, passed their own test, and are loaded."""

    model: str
    manifest: str
    trained_to: int
    skill: float


class ModelRefused(Event, frozen=True):
    """A model's files are missing, damaged, or made for something else."""

    model: str
    reason: str


class Score(Struct, frozen=True, array_like=True):
    """A model's word: a probability, or None and why the vote was dropped."""

    model: str
    value: float | None
    fault: str = ""


class ModelsScored(Event, frozen=True):
    """What the models say of a symbol's newest candle."""

    symbol: str
    open_time: int
    scores: tuple[Score, ...]


class ModelDisplaced(Event, frozen=True):
    """Another model took a model's place (derived)."""

    reason: str


Report = TrainingQueued | TrainingStarted | TrainingEnded
"""What a trainer may tell the bot."""

Journaled = Report | ModelVerified | ModelRefused | ModelsScored
