"""Remembers how long each phase of an order took, in histograms with fixed buckets, real time.

The reactor's phases are taken at its own points, as a probe; an order's way out at the gate; the
event loop's lag at its ticks. Each histogram has one thread that adds; any thread may read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from enum import StrEnum

from bot.core.effects import Submit
from bot.core.turn import Dispatch
from bot.edge.clock import monotonic_ns
from bot.engine.reactor import Point, Probe, no_probe

BOUNDS_SECONDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
"""Upper bounds, each included; what is longer has a bucket of its own."""

_BOUNDS_NS = tuple(round(bound * 1e9) for bound in BOUNDS_SECONDS)


class Phase(StrEnum):
    """What is measured: each is one part of the way from an event to an order's answer."""

    FEATURE = "feature"
    DECIDE = "decide"
    COMMIT = "commit"
    SEND = "send"
    ACKNOWLEDGE = "acknowledge"


class Histogram:
    """How many took how long: ``counts`` has an entry for each bound and one beyond them."""

    __slots__ = ("counts", "total_ns")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_NS) + 1)
        self.total_ns = 0

    def add(self, took_ns: int) -> None:
        """Count one that took so long."""
        self.counts[bisect_left(_BOUNDS_NS, took_ns)] += 1
        self.total_ns += took_ns

    def cumulative(self) -> Iterator[tuple[float | None, int]]:
        """Yield each bound in seconds (None: without end) and how many took no longer."""
        total = 0
        for bound, count in zip((*BOUNDS_SECONDS, None), tuple(self.counts), strict=True):
            total += count
            yield bound, total


class Timings:
    """The histograms of one run."""

    def __init__(self) -> None:
        self.phases = {phase: Histogram() for phase in Phase}
        self.loop_lag = Histogram()
        self._durable: dict[str, int] = {}

    def around(self, probe: Probe) -> Probe:
        """Return a probe that takes the time at each point of a turn, then calls ``probe``."""
        return _stopwatch(self.phases, probe)

    # -- the way of an order, on the event loop ----------------------------------------------------

    def intended(self, dispatches: Iterable[Dispatch], durable_ns: int) -> None:
        """Note since when the orders among these effects are durable."""
        for dispatch in dispatches:
            if isinstance(dispatch.effect, Submit):
                self._durable[dispatch.effect.order] = durable_ns

    def leaving(self, order: str) -> None:
        """Count an order whose first byte leaves now; it may be told more than once."""
        durable_ns = self._durable.get(order, 0)
        if durable_ns > 0:
            self.phases[Phase.SEND].add(monotonic_ns() - durable_ns)
            self._durable[order] = -durable_ns  # it has left

    def answered(self, order: str) -> None:
        """Count an order whose fate is told, or was waited for long enough; forget one not sent."""
        durable_ns = self._durable.pop(order, 0)
        if durable_ns < 0:
            self.phases[Phase.ACKNOWLEDGE].add(monotonic_ns() + durable_ns)


def _stopwatch(phases: dict[Phase, Histogram], probe: Probe) -> Probe:
    """Return a probe that takes the time between the points of a turn.

    A decision includes its event's way through the journal's form. What is neither decision nor
    feature is the commit: the lock, the rows, and the sync. A closure with few readings of the
    clock: it runs eight times a turn, inside the transaction.
    """
    decided, answered, written = Point.DECIDED, Point.ANSWERED, Point.WRITTEN
    begun, taken, committed = Point.BEGUN, Point.TAKEN, Point.COMMITTED
    decide, feature = phases[Phase.DECIDE].add, phases[Phase.FEATURE].add
    commit, now_ns = phases[Phase.COMMIT].add, monotonic_ns
    silent = probe is no_probe
    began = last = thought = 0

    def stopwatch(point: Point) -> None:
        nonlocal began, last, thought
        if point is decided or point is answered:
            now = now_ns()
            took, last = now - last, now
            thought += took
            (decide if point is decided else feature)(took)
        elif point is written or point is begun:
            last = now_ns()
        elif point is taken:
            began, thought = now_ns(), 0
        elif point is committed:
            commit(now_ns() - began - thought)
        if not silent:
            probe(point)

    return stopwatch
