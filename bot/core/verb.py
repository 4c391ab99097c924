"""The shape of a command: what it does, how it is refused and verified, and how far a run can come."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from bot.core.events import Commanded

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Run, World


class RunState(StrEnum):
    """How far a command has come, or an attempt at healing that the bot proposed."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    RUNNING = "RUNNING"
    VERIFYING = "VERIFYING"
    DONE = "DONE"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    ESCALATED = "ESCALATED"
    EXPIRED = "EXPIRED"


class Verb(Struct, frozen=True):
    """A command: what it does, whether it tightens, how it is refused, done, and verified."""

    name: str
    meaning: str
    tightens: bool
    why_not: Callable[[World, Commanded], str | None]
    act: Callable[[Turn, Commanded], None]
    verified: Callable[[World, Run], str | None]
    within_seconds: float = 10.0
