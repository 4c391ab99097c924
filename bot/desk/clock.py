"""Tells the time to people: ages and deadlines of reading. No decision of the bot reads it."""

from __future__ import annotations

import time


def wall_ms() -> int:
    """Return the computer's own time, ms UTC."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - the age of a heartbeat is real time


def seconds() -> float:
    """Return real time that never steps, s: for durations."""
    return time.monotonic()  # noqa: TID251 - how long a person has waited is real time
