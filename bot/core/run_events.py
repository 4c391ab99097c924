"""Events of runs: what a person says to one that waits for a word."""

from __future__ import annotations

from bot.core.event import Event


class Answered(Event, frozen=True):
    """A person gave the word that a run waits for (derived): yes, or no."""

    granted: bool
    operator: str
    reason: str
