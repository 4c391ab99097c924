"""The latch: a tightening that acts in memory before it can be written down. It only lowers.

It is set when the database cannot be written, and it clears only when a committed state at least
as tight exists: the hold that its own event leads to.
"""

from __future__ import annotations

from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.world import World


class Latch:
    """``reason`` is why entries are off, None while it is clear. Any thread may read it."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def tighten(self, reason: str) -> None:
        """Turn entries off at once; the first reason is kept."""
        self.reason = self.reason or reason

    def settle(self, world: World, written: str | None) -> None:
        """Clear if the reason that was written is the present one, and its hold is committed."""
        if self.reason == written and entry_level(world) <= Level.REDUCE_ONLY:
            self.reason = None
