"""Events of health: what the host measured, and what a check found in it."""

from __future__ import annotations

from bot.core.event import Event


class Sampled(Event, frozen=True):
    """The host was measured; ``pace`` (fast, slow) says which checks are to be made on it."""

    pace: str
    samples: dict[str, float]


class Probed(Event, frozen=True):
    """A check was made (derived at a sampling)."""

    check: str
    well: bool
    said: str
    times: int
