"""The heartbeat: what the running bot rewrites each second, as whoever watches it reads it.

It carries the machine's monotonic time with the id of the boot that this time belongs to, so that
a clock set forward or back makes no bot look dead, and none look alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

_TRIES = 3  # a read may meet a write half way


class LifeSign(Struct, frozen=True):
    """The last sign of life: who, when, and what it said of itself.

    ``wall_ms`` is UTC by the computer's clock, for people; ``mono_ms`` is what never steps, of the
    boot ``boot`` ("" where the writer did not tell).
    """

    pid: int
    wall_ms: int
    boot: str
    mono_ms: int
    fields: dict[str, Any]

    @property
    def name(self) -> str:
        """What tells this sign from every other."""
        return f"{self.pid} {self.wall_ms}"

    def age_seconds(self, wall_ms: int) -> float:
        """Return how old it is by the computer's clock, s."""
        return max(0, wall_ms - self.wall_ms) / 1000

    def silent_seconds(self, boot: str, mono_ms: int) -> float | None:
        """Return the real seconds since it was given, or None if it was given in another boot."""
        if self.boot != boot or self.mono_ms > mono_ms:
            return None
        return (mono_ms - self.mono_ms) / 1000

    def why_not_at_rest(self) -> str | None:
        """Tell why the account may need someone although the bot is silent, or None.

        Only a bot that stopped cleanly, left no entry open, and saw a stop at the venue for each
        position is at rest: that was a person's decision.
        """
        process = self.fields.get("process")
        if process != "STOPPED":
            return f"it was {process or 'in no known state'}"
        left = {name: self.fields.get(name) for name in ("entries", "unprotected")}
        open_ = [f"{name} {count}" for name, count in left.items() if count != 0]
        return f"it stopped with {', '.join(open_)}" if open_ else None


def newest(read: Callable[[], bytes]) -> LifeSign | None:
    """Return the newest sign of life in a heartbeat file, or None if none can be read."""
    for _ in range(_TRIES):
        try:
            found = msgspec.json.decode(read())
        except (OSError, msgspec.DecodeError):
            continue
        if isinstance(found, dict) and (sign := _sign(found)) is not None:
            return sign
    return None


def _sign(found: dict[str, Any]) -> LifeSign | None:
    pid, wall = found.get("pid"), found.get("wall_ms")
    boot, mono = found.get("boot", ""), found.get("mono_ms", 0)
    if not (isinstance(pid, int) and isinstance(wall, int)):
        return None
    if not (isinstance(boot, str) and isinstance(mono, int)):
        return None
    return LifeSign(pid, wall, boot, mono, found)
