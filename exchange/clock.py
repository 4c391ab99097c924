"""Keeps market time, which runs at a given rate of real time and never steps back."""

from __future__ import annotations

import time


class MarketClock:
    """Market time in milliseconds UTC; `rate` market seconds pass in one real second."""

    def __init__(self, start_ms: int, rate: float) -> None:
        self.rate = rate
        self._base_ms = float(start_ms)
        self._since = time.monotonic()

    def now_ms(self) -> int:
        """Market time now, in milliseconds."""
        return int(self._base_ms + (time.monotonic() - self._since) * 1000 * self.rate)

    def now_s(self) -> int:
        """Market time now, in whole seconds."""
        return self.now_ms() // 1000

    def jump(self, seconds: float) -> None:
        """Moves market time forward at once by `seconds` (market)."""
        self._base_ms += seconds * 1000
