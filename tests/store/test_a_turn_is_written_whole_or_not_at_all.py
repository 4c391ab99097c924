"""A turn is written whole or not at all; what cannot be written becomes poison, its neighbours live."""

import pytest

from bot.core.effects import Submit
from bot.core.events import Filled
from bot.core.permission import entry_level
from bot.engine import reactor as reactor_module
from bot.engine.reactor import Point
from bot.errors import StoreBusy, StoreFatal
from bot.store import chain
from bot.store.database import classify, open_writer
from tests.given import BTC, a_fill, commanded, go, measured, ticked
from tests.store.kept import count, kept, opened, rows


@pytest.fixture
def reactor(tmp_path):
    return opened(tmp_path / "state.db")


def everything(reactor):
    tables = ("journal", "transition", "outbox", "fill", "trade", "equity", "candle", "instance")
    return {table: rows(reactor, f"SELECT * FROM {table}") for table in tables}


def fill_up(reactor):
    pages = rows(reactor, "PRAGMA page_count")[0][0]
    reactor.writer.connection.execute(f"PRAGMA max_page_count={pages}").fetchall()


def test_a_full_disk_leaves_nothing_behind_and_the_same_events_go_in_later(reactor):
    before, world, head = everything(reactor), reactor.world, reactor.writer.head
    fill_up(reactor)
    events = [Filled(at=world.at, fill=a_fill(by="x" * 5_000)) for _ in range(20)]
    with pytest.raises(StoreBusy, match="full"):
        reactor.turn(events)
    assert everything(reactor) == before
    assert (reactor.world, reactor.writer.head) == (world, head)
    assert not reactor.writer.connection.in_transaction
    reactor.writer.connection.execute("PRAGMA max_page_count=1000000").fetchall()
    assert reactor.turn(events).world.positions[BTC].qty == 20
    assert chain.verify(reactor.writer.connection)[1] == reactor.writer.head


def test_a_locked_database_is_busy_and_nothing_is_lost(reactor, tmp_path):
    reactor.writer.connection.execute("PRAGMA busy_timeout=10")
    other = open_writer(tmp_path / "state.db")
    other.execute("BEGIN IMMEDIATE")
    event = commanded(reactor.world, "hold")
    with pytest.raises(StoreBusy, match="locked"):
        reactor.turn([event])
    other.execute("ROLLBACK")
    assert reactor.turn([event]).world.state("hold") == "HELD"


def test_an_event_that_cannot_be_decided_is_poison_and_its_neighbours_are_not(reactor):
    world = reactor.world
    broken = Filled(at=world.at, fill="not a fill")
    good = [Filled(at=world.at, fill=a_fill()), Filled(at=world.at, fill=a_fill())]
    committed = reactor.turn([good[0], broken, good[1]])
    assert committed.world.positions[BTC].qty == 2
    assert committed.world.state("hold") == "HELD"
    kinds = [
        kind for (kind,) in rows(reactor, "SELECT kind FROM journal ORDER BY seq DESC LIMIT 3")
    ]
    assert kinds[::-1] == ["Filled", "Poisoned", "Filled"]
    (reason,) = rows(reactor, "SELECT reason FROM instance WHERE machine = 'hold'")[0]
    assert reason.startswith("deciding Filled failed: ValidationError")


def test_what_sqlite_refuses_is_poison_and_its_neighbours_are_not(reactor):
    world = reactor.world
    orphan = commanded(world, "hold", id="c-1")
    connection = reactor.writer.connection
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute(  # a row of this key is there already: the version is taken
        "INSERT INTO transition(id, seq, at, machine, key, version, source, trigger, dest, reason,"
        " hash) SELECT 10000, 1, 1, 'run', 'c-1', 1, '', 'Commanded', 'PROPOSED', 'r', zeroblob(32)"
    )
    connection.execute("PRAGMA foreign_keys=ON")
    good = [Filled(at=world.at, fill=a_fill()), Filled(at=world.at, fill=a_fill())]
    committed = reactor.turn([good[0], orphan, good[1]])
    assert committed.world.positions[BTC].qty == 2
    (why,) = rows(
        reactor, "SELECT json_extract(body, '$.error') FROM journal WHERE kind='Poisoned'"
    )[0]
    assert "UNIQUE constraint failed" in why
    assert committed.world.state("hold") == "HELD"


def test_poison_hands_out_nothing_of_what_it_would_have_done(reactor, monkeypatch):
    world, decide = reactor.world, reactor_module.decide

    def explode(w, event, seq):
        decision = decide(w, event, seq)
        if any(isinstance(d.effect, Submit) for d in decision.dispatches):
            raise KeyError("planted")
        return decision

    monkeypatch.setattr(reactor_module, "decide", explode)
    committed = reactor.turn([measured(world)])
    assert not [d for d in committed.dispatches if isinstance(d.effect, Submit)]
    assert committed.world.orders == {}
    assert entry_level(committed.world) < 3


def test_text_that_cannot_be_encoded_is_poison_too(reactor):
    event = commanded(reactor.world, "hold", reason="\ud800")
    assert reactor.turn([event]).world.state("hold") == "HELD"
    assert rows(reactor, "SELECT kind FROM journal ORDER BY seq DESC LIMIT 1") == [("Poisoned",)]


def test_an_error_in_the_middle_of_a_turn_changes_nothing(reactor):
    before, world = everything(reactor), reactor.world

    def die(point):
        if point is Point.COMMITTING:
            raise KeyboardInterrupt

    reactor.probe = die
    with pytest.raises(KeyboardInterrupt):
        reactor.turn([commanded(world, "hold")])
    assert everything(reactor) == before
    assert reactor.world is world


def test_after_a_commit_of_unknown_outcome_nothing_is_written_any_more(reactor):
    reactor.writer.dead = True
    with pytest.raises(StoreFatal, match="outcome of an earlier commit is not known"):
        reactor.turn([commanded(reactor.world, "hold")])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("database is locked", StoreBusy),
        ("database or disk is full", StoreBusy),
        ("attempt to write a readonly database", StoreBusy),
        ("disk I/O error", StoreFatal),
        ("database disk image is malformed", StoreFatal),
    ],
)
def test_an_error_is_clean_or_it_ends_the_process(text, kind):
    assert type(classify(RuntimeError(text))) is kind


def test_memory_and_disk_say_the_same_after_every_turn(reactor, tmp_path):
    world = reactor.world
    for event in (measured(world), commanded(world, "hold"), ticked(world, 5)):
        committed = reactor.turn([event])
        twin = kept(tmp_path / "state.db")
        assert twin.world == committed.world
        assert (twin.writer.head, twin.writer.seq) == (reactor.writer.head, reactor.writer.seq)
        twin.writer.connection.close()


def test_every_step_and_effect_has_its_row(reactor):
    told = go(reactor.world, measured(reactor.world))
    before = count(reactor, "transition"), count(reactor, "outbox")
    reactor.turn([measured(reactor.world)])
    assert count(reactor, "transition") == before[0] + len(told.steps)
    assert count(reactor, "outbox") == before[1] + len(told.emitted)
