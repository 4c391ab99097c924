"""The shape of a command: what it does, how it is refused and verified, and how far a run can come."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from bot.core.events import Commanded
from bot.core.roles import OPERATOR

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


PROPOSED, APPROVED, RUNNING, VERIFYING, DONE, REFUSED, FAILED, ESCALATED, EXPIRED = RunState


def one_is_enough(world: World, event: Commanded) -> str | None:
    """Never."""
    return None


class Verb(Struct, frozen=True):
    """A command: what it does, whether it tightens, how it is refused, done, and verified.

    ``least``: the role that it needs. ``two_people``: why two people must want it, or None.
    """

    name: str
    meaning: str
    tightens: bool
    why_not: Callable[[World, Commanded], str | None]
    act: Callable[[Turn, Commanded], None]
    verified: Callable[[World, Run], str | None]
    within_seconds: float = 10.0
    least: str = OPERATOR
    two_people: Callable[[World, Commanded], str | None] = one_is_enough
