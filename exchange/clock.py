"""Keeps market time, which runs at a given rate of real time and never steps back."""

from __future__ import annotations

import time
from collections.abc import Callable


class MarketClock:
    """Market time in milliseconds UTC; `rate` market seconds pass in one real second.

    `real` is the only real time that the exchange reads: seconds that never step back. A caller
    that runs the exchange in virtual time gives its loop's `time`.
    """

    def __init__(
        self, start_ms: int, rate: float, real: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self.real = real
        self.error_ms = 0  # how far the time that clients are shown is wrong
        self._base_ms = float(start_ms)
        self._since = real()

    def now_ms(self) -> int:
        """Market time now, in milliseconds."""
        return int(self._base_ms + (self.real() - self._since) * 1000 * self.rate)

    def now_s(self) -> int:
        """Market time now, in whole seconds."""
        return self.now_ms() // 1000

    def shown_ms(self) -> int:
        """The time that clients are told and that their timestamps are checked against."""
        return self.now_ms() + self.error_ms

    def jump(self, seconds: float) -> None:
        """Moves market time forward at once by `seconds` (market)."""
        self._base_ms += seconds * 1000


def wall_ms() -> int:
    """The computer's time in milliseconds UTC; where market time begins unless a flag says so."""
    return int(time.time() * 1000)
