"""Tells the time: the market's, which follows the venue's clock and rate, and the wall's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec import Struct


class _Source:
    """Where real time comes from; a simulation puts its own in place of the machine's."""

    monotonic_ns: Callable[[], int] = staticmethod(time.monotonic_ns)
    wall_ns: Callable[[], int] = staticmethod(time.time_ns)


_source = _Source()


@contextmanager
def time_from(monotonic_ns: Callable[[], int], wall_ns: Callable[[], int]) -> Iterator[None]:
    """Take all real time from these functions (ns) for as long as the context lasts.

    The rest of virtual time is the event loop's: the edge waits by asyncio alone.
    """
    before = _source.monotonic_ns, _source.wall_ns
    _source.monotonic_ns, _source.wall_ns = monotonic_ns, wall_ns
    try:
        yield
    finally:
        _source.monotonic_ns, _source.wall_ns = before


def today() -> str:
    """Return the computer's own date, ISO 8601, UTC."""
    return datetime.fromtimestamp(wall_ms() / 1000, UTC).date().isoformat()


def wall_ms() -> int:
    """Return the computer's own time, ms UTC: for files and log lines, never for decisions."""
    return _source.wall_ns() // 1_000_000


def clock_text(at: int) -> str:
    """Return a time in ms as people read it, UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def monotonic_ns() -> int:
    """Return real time that never steps, ns: for durations."""
    return _source.monotonic_ns()


class Sample(Struct, frozen=True):
    """One reading of the venue's clock, between two readings of the monotonic clock."""

    sent_ns: int
    received_ns: int
    market_ms: int
    rate: float = 1.0

    @property
    def trip_ns(self) -> int:
        """How long the request took, ns of real time."""
        return self.received_ns - self.sent_ns


class MarketClock:
    """Market time in ms UTC, ``rate`` market seconds a real second; only a jump steps it back.

    Before the first ``sync`` it runs from ``start_ms`` (for example the newest stored event), or
    from the wall clock. ``jump_ms``: a venue's clock that moves by more than this, beyond what
    the round trips can explain, has jumped.
    """

    def __init__(
        self, start_ms: int | None = None, rate: float = 1.0, jump_ms: int = 5_000
    ) -> None:
        self.rate = rate
        self.jump_ms = jump_ms
        self.moved_ms = 0.0  # how far the last reading corrected it, market ms
        self._anchor_ms: float = wall_ms() if start_ms is None else start_ms
        self._anchor_ns = monotonic_ns()
        self._doubt_ms: float | None = None
        self._shown = 0
        self._resumed = start_ms is not None

    def venue_ms(self) -> int:
        """Return the best guess of the venue's clock; it may step back, and is for signatures."""
        return int(self._at(monotonic_ns()))

    def now(self) -> int:
        """Return market time, ms; it stands still where a sync moved it back by a little."""
        self._shown = max(self._shown, self.venue_ms())
        return self._shown

    def real_ms(self, seconds: float) -> int:
        """Return how many ms of market time pass in so many real seconds."""
        return round(seconds * 1000 * max(1.0, self.rate))

    def sync(self, samples: Sequence[Sample]) -> int:
        """Adopt the venue's clock from its quickest answer; return the jump in ms, 0 if none.

        The first one is no jump, unless it leads back from the stored time that the clock began at.
        """
        best = min(samples, key=lambda sample: sample.trip_ns)
        middle_ns = (best.sent_ns + best.received_ns) // 2
        doubt_ms = best.trip_ns / 2e6 * best.rate
        moved_ms = best.market_ms - self._at(middle_ns)
        self.moved_ms = moved_ms if self._doubt_ms is not None else 0.0
        first, allowed_ms = self._doubt_ms is None, self.jump_ms + doubt_ms + (self._doubt_ms or 0)
        self._anchor_ms, self._anchor_ns = best.market_ms, middle_ns
        self.rate, self._doubt_ms = best.rate, doubt_ms
        unseen = not self._resumed and not self._shown
        if first and (unseen or moved_ms >= 0):
            self._shown = 0  # what was shown before was no market time
            return 0
        if abs(moved_ms) <= allowed_ms:
            return 0
        self._shown = 0  # what was shown before is no market time any more
        return round(moved_ms)

    def _at(self, mono_ns: int) -> float:
        return self._anchor_ms + (mono_ns - self._anchor_ns) / 1e6 * self.rate
