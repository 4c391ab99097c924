"""How long each phase took: measured where it happens, in buckets that add up."""

import asyncio
from contextlib import contextmanager

import pytest

from bot.core.effects import Notify, Submit
from bot.core.turn import Dispatch
from bot.core.values import Side
from bot.edge.clock import time_from
from bot.engine import probes
from bot.engine.gate import Gate
from bot.engine.reactor import Point, no_probe
from bot.engine.timings import BOUNDS_SECONDS, Histogram, Phase, Timings
from tests.edge.worlds import entry
from tests.given import D, measured
from tests.store.kept import opened

MS = 1_000_000


class Time:
    """A monotonic clock that a test moves."""

    def __init__(self):
        self.ns = 1

    @contextmanager
    def told(self):
        with time_from(lambda: self.ns, lambda: self.ns):
            yield self


@pytest.fixture
def time():
    with Time().told() as time:
        yield time


def one(histogram):
    """Return the only measurement of a histogram, ms."""
    assert sum(histogram.counts) == 1
    return histogram.total_ns / MS


def test_a_bound_belongs_to_its_bucket_and_what_is_longer_has_its_own():
    histogram = Histogram()
    for seconds in (0, BOUNDS_SECONDS[0], BOUNDS_SECONDS[1], BOUNDS_SECONDS[-1], 60):
        histogram.add(round(seconds * 1e9))
    found = list(histogram.cumulative())
    assert [le for le, _ in found] == [*BOUNDS_SECONDS, None]
    assert found[0] == (BOUNDS_SECONDS[0], 2)
    assert found[1] == (BOUNDS_SECONDS[1], 3)
    assert found[-2:] == [(BOUNDS_SECONDS[-1], 4), (None, 5)]
    assert histogram.total_ns == round((sum(BOUNDS_SECONDS[:2]) + BOUNDS_SECONDS[-1] + 60) * 1e9)


def test_each_part_of_a_turn_is_counted_to_its_phase(time):
    timings, seen = Timings(), []
    probe = timings.around(seen.append)
    course = (
        (0, Point.TAKEN),
        (1, Point.BEGUN),  # the lock
        (2, Point.DECIDED),
        (4, Point.ANSWERED),
        (8, Point.DECIDED),
        (16, Point.JOURNALED),
        (32, Point.WRITTEN),
        (64, Point.COMMITTING),
        (128, Point.COMMITTED),  # the sync
        (256, Point.SWAPPED),
    )
    for ms, point in course:
        time.ns += ms * MS
        probe(point)
    assert timings.phases[Phase.DECIDE].total_ns == (2 + 8) * MS
    assert one(timings.phases[Phase.FEATURE]) == 4
    assert one(timings.phases[Phase.COMMIT]) == 1 + 16 + 32 + 64 + 128
    assert seen == [point for _, point in course], "the probe that was there is asked as before"


def test_a_real_turn_has_one_commit_and_a_decision_for_each_event(tmp_path):
    reactor, timings = opened(tmp_path / "state.db"), Timings()
    reactor.probe = timings.around(no_probe)
    before = reactor.writer.seq
    reactor.turn([measured(reactor.world), measured(reactor.world, "ETHUSDT")])
    assert reactor.writer.seq == before + 2
    assert sum(timings.phases[Phase.DECIDE].counts) == 2
    assert sum(timings.phases[Phase.COMMIT].counts) == 1


def an_order(name="a"):
    submit = Submit(
        order=name, symbol="BTCUSDT", side=Side.BUY, qty=D(1), reduce_only=False, price=D(1)
    )
    return Dispatch("1-0", submit)


def test_an_order_is_timed_from_its_commit_to_its_first_byte_and_to_its_answer(time):
    timings = Timings()
    timings.intended([an_order(), Dispatch("1-1", Notify(severity="info", text="x"))], time.ns)
    time.ns += 5 * MS
    timings.leaving("a")
    timings.leaving("a")  # the body follows the head
    time.ns += 10 * MS
    timings.answered("a")
    timings.answered("a")
    assert one(timings.phases[Phase.SEND]) == 5
    assert one(timings.phases[Phase.ACKNOWLEDGE]) == 15


def test_an_order_that_does_not_leave_is_not_counted_and_not_kept(time):
    timings = Timings()
    timings.intended([an_order()], time.ns)
    timings.answered("a")
    assert not any(sum(timings.phases[phase].counts) for phase in (Phase.SEND, Phase.ACKNOWLEDGE))
    assert not timings._durable


class Rest:
    """Asks for the last word twice, as the HTTP client does, before it answers."""

    def __init__(self, time):
        self.time = time

    async def post(self, path, body, priority, why_not):
        self.time.ns += 3 * MS
        self.said = why_not() or why_not()
        self.time.ns += 4 * MS
        raise OSError("the answer does not matter here")


class Venue:
    category = "linear"


@pytest.mark.parametrize(("why", "sent"), [(None, [3 * MS]), ("HALT", [])])
def test_the_gate_times_what_leaves_at_the_socket(time, monkeypatch, why, sent):
    venue, timings = Venue(), Timings()
    venue.rest = Rest(time)
    gate, answers = Gate(venue, None, None, None, timings), iter([None, why, why])
    monkeypatch.setattr(gate, "why_not", lambda submit: next(answers))
    dispatch = Dispatch("1-0", entry())
    timings.intended([dispatch], time.ns)
    with pytest.raises(OSError, match="does not matter"):
        asyncio.run(gate.send(dispatch))
    assert venue.rest.said == why
    assert [timings.phases[p].total_ns for p in (Phase.SEND, Phase.ACKNOWLEDGE)] == (
        [*sent, 7 * MS] if sent else [0, 0]
    )


def test_the_event_loops_lag_is_how_late_it_wakes(time, monkeypatch):
    naps = []

    async def sleep(seconds):
        if naps:
            raise asyncio.CancelledError
        naps.append(seconds)
        time.ns += int(seconds * 1e9) + 20 * MS

    monkeypatch.setattr(probes.asyncio, "sleep", sleep)
    timings = Timings()
    senses = probes.Probes(Venue(), None, None, post=None, loop=None, timings=timings)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(senses._lag())
    assert one(timings.loop_lag) == 20
