"""The shape of a command: what it does, whether it tightens, and how it is refused and verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from bot.core.events import Commanded

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Run, World


class Verb(Struct, frozen=True):
    """A command: what it does, whether it tightens, how it is refused, done, and verified."""

    name: str
    meaning: str
    tightens: bool
    why_not: Callable[[World, Commanded], str | None]
    act: Callable[[Turn, Commanded], None]
    verified: Callable[[World, Run], str | None]
    within_seconds: float = 10.0
