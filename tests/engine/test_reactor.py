"""The reactor: all waiting events in one transaction; memory changes only after COMMIT."""

import pytest

from bot.core.events import CandleClosed, Filled
from bot.engine.reactor import Point
from bot.errors import StoreBusy
from bot.store.database import open_writer
from tests.given import BTC, MINUTE, T, a_candle, a_fill, commanded, measured, ticked
from tests.store.kept import kept, opened, rows


@pytest.fixture
def reactor(tmp_path):
    return opened(tmp_path / "state.db")


def traced(reactor):
    """Return the statements that the connection carries out from now on."""
    seen = []
    reactor.writer.connection.set_trace_callback(seen.append)
    return seen


def fills(world, number):
    return [Filled(at=world.at, fill=a_fill()) for _ in range(number)]


def test_twenty_waiting_events_are_one_transaction(reactor):
    seen = traced(reactor)
    committed = reactor.turn(fills(reactor.world, 20))
    assert committed.world.positions[BTC].qty == 20
    assert seen.count("COMMIT") == 1
    assert seen.count("BEGIN IMMEDIATE") == 1
    assert seen[0] == "BEGIN IMMEDIATE"
    assert seen[-1] == "COMMIT"
    assert rows(reactor, "SELECT count(*) FROM fill") == [(20,)]


def test_the_same_events_one_by_one_give_the_same_world_and_chain(tmp_path):
    together, apart = opened(tmp_path / "a.db"), opened(tmp_path / "b.db")
    world = together.world
    events = [
        *fills(world, 5),
        measured(world, "ETHUSDT"),
        commanded(world, "hold"),
        ticked(world, 5),
    ]
    together.turn(events)
    for event in events:
        apart.turn([event])
    assert together.world == apart.world
    assert together.writer.head == apart.writer.head


def test_a_turn_tells_every_transition_with_its_number(reactor):
    world = reactor.world
    committed = reactor.turn([measured(world), commanded(world, "hold")])
    told = [(e.id, e.step.machine, e.step.key, e.step.dest) for e in committed.entries]
    stored = rows(
        reactor,
        "SELECT id, machine, key, dest FROM transition WHERE id >= ? ORDER BY id",
        committed.entries[0].id,
    )
    assert told == stored
    assert (committed.head_id, committed.head) == (reactor.writer.head_id, reactor.writer.head)


def test_memory_changes_after_the_commit_and_effects_come_after_both(reactor):
    world, seen = reactor.world, []
    reactor.probe = lambda point: seen.append((point, reactor.world is world))
    event = CandleClosed(at=T + MINUTE, symbol=BTC, candle=a_candle(T), source="t")
    committed = reactor.turn([event])
    order = [point for point, _ in seen]
    begun = [Point.TAKEN, Point.BEGUN, Point.DECIDED]
    assert order[:3] == begun, "decided before a row is written"
    assert order[-3:] == [Point.COMMITTING, Point.COMMITTED, Point.SWAPPED]
    assert {Point.ANSWERED, Point.JOURNALED, Point.WRITTEN} <= set(order[3:-3])
    assert [before for _, before in seen] == [point is not Point.SWAPPED for point in order]
    assert reactor.world is committed.world


def test_a_turn_that_failed_leaves_the_indicators_as_they_were(reactor, tmp_path):
    reactor.writer.connection.execute("PRAGMA busy_timeout=10")
    before = dict(reactor.oracle.symbols)
    other = open_writer(tmp_path / "state.db")
    other.execute("BEGIN IMMEDIATE")
    event = CandleClosed(at=T + MINUTE, symbol=BTC, candle=a_candle(T), source="t")
    with pytest.raises(StoreBusy):
        reactor.turn([event])
    assert reactor.oracle.symbols == before
    other.execute("ROLLBACK")
    reactor.turn([event])
    assert reactor.oracle.symbols[BTC] is not before[BTC]


def test_an_answer_of_the_oracle_is_an_event_of_its_own_with_its_cause(reactor):
    candles = [a_candle(T + n * MINUTE) for n in range(700)]
    for candle in candles[:600]:
        at = candle.open_time + MINUTE
        reactor.turn([CandleClosed(at=at, symbol=BTC, candle=candle, source="t")])
    last = rows(reactor, "SELECT seq, kind, cause FROM journal ORDER BY seq DESC LIMIT 2")
    (answer, kind, cause), (asked, of, _) = last
    assert (kind, of) == ("Measured", "CandleClosed")
    assert (cause, answer) == (asked, asked + 1)


def test_an_empty_turn_is_harmless(reactor):
    world = reactor.world
    assert reactor.turn([]).world == world


def test_a_reactor_opened_again_goes_on_where_it_was(tmp_path):
    first = opened(tmp_path / "state.db")
    first.turn([measured(first.world)])
    again = kept(tmp_path / "state.db")
    assert again.world == first.world
    told = again.turn([commanded(again.world, "hold")])
    assert told.world.state("hold") == "HELD"
    assert again.writer.seq == first.writer.seq + 1
