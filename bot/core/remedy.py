"""A remedy: what may be tried against a check that is not well, as declared, and what came of it."""

from __future__ import annotations

from msgspec import Struct

LOW, MEDIUM, HIGH = "low", "medium", "high"
RISKS = (LOW, MEDIUM, HIGH)
"""How much may go wrong when it is tried; one of high risk waits for a person."""

ATTEMPTS_LEAST, ATTEMPTS_MOST = 3, 10
"""Between these lies what a remedy may declare as its attempts a day."""


class Remedy(Struct, frozen=True):
    """A remedy as its file declares it.

    ``checks``: names of the checks it is for; with a subject ("config file"), for that one only.
    ``attempts``: at most so many a day of lived time.
    ``cool_real_seconds``: pause before it is tried again on the same check. ``within_real_seconds``:
    time for the check to be well again afterwards. ``backs_up``: what it copies first, in words.
    ``venue``: it is of no use while the venue is away. ``last``: it is tried when no other is left.
    """

    name: str
    meaning: str
    checks: tuple[str, ...]
    risk: str
    attempts: int
    cool_real_seconds: float
    within_real_seconds: float
    backs_up: str
    verified: str
    venue: bool = False
    last: bool = False


class Try(Struct, frozen=True, array_like=True):
    """A remedy that was begun on a check, ``at`` in lived market ms."""

    remedy: str
    check: str
    at: int


class Attempt(Struct, frozen=True):
    """A run that the bot proposed and that is not at its end. ``deadline``: lived market ms."""

    remedy: str
    check: str
    said: str
    proposed_at: int
    deadline: int


class HealingMemory(Struct, frozen=True):
    """What healing remembers.

    ``lived``: market ms that the bot lived through, tick by tick, which no clock and no restart
    moves; ``ticked_at``: market time of the last tick. ``tries``: those of the last lived day.
    ``tried``: check → remedies of this episode, each with what came of it. ``record``:
    "check remedy" → how often it cured and failed, ever.
    """

    lived: int = 0
    ticked_at: int = 0
    tries: tuple[Try, ...] = ()
    tried: dict[str, dict[str, str]] = {}
    record: dict[str, tuple[int, int]] = {}


def worth(record: tuple[int, int]) -> float:
    """Return how likely a remedy cures: the mean of Beta(1 + cured, 1 + failed), Laplace's rule."""
    cured, failed = record
    return (1 + cured) / (2 + cured + failed)
