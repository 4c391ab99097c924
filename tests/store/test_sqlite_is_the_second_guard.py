"""SQLite itself refuses illegal moves, gaps, lost races, edits, and a second champion."""

import pytest

from bot.core.decide import TABLES
from bot.store.database import IntegrityError
from bot.store.schema import project_rules
from tests.given import commanded
from tests.store.kept import opened, rows


@pytest.fixture
def reactor(tmp_path):
    return opened(tmp_path / "state.db")


def insert(reactor, **changes):
    """Write a transition by hand: the guard's next legal move, unless changed."""
    (last,) = rows(reactor, "SELECT max(id) FROM transition")[0]
    row = {
        "id": last + 1,
        "seq": 1,
        "at": 1,
        "machine": "guard",
        "key": "account",
        "version": 2,
        "source": "NORMAL",
        "trigger": "Reviewed",
        "dest": "REDUCED",
        "reason": "r",
        "hash": bytes(32),
        **changes,
    }
    marks = ", ".join("?" * len(row))
    reactor.writer.connection.execute(
        f"INSERT INTO transition({', '.join(row)}) VALUES({marks})", tuple(row.values())
    )


def test_the_next_legal_move_goes_in_and_moves_the_instance(reactor):
    insert(reactor)
    found = rows(reactor, "SELECT state, version FROM instance WHERE machine = 'guard'")
    assert found == [("REDUCED", 2)]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"dest": "HELD"}, "FOREIGN KEY"),  # no such rule
        ({"trigger": "Ticked"}, "FOREIGN KEY"),  # not by this event
        ({"source": "PAUSED"}, "FOREIGN KEY"),  # it stands elsewhere
        ({"version": 3}, "FOREIGN KEY"),  # a gap
        ({"version": 1}, "CHECK"),  # only a birth has version 1
        ({"version": 1, "source": "", "trigger": "Started", "dest": "NORMAL"}, "UNIQUE"),
        ({"version": 0}, "CHECK"),
        ({"source": ""}, "CHECK"),
        ({"reason": ""}, "CHECK"),
        ({"hash": b"short"}, "CHECK"),
        ({"seq": 10**6}, "FOREIGN KEY"),  # no such event
    ],
)
def test_a_move_that_the_tables_do_not_allow_is_refused(reactor, changes, what):
    with pytest.raises(IntegrityError, match=what):
        insert(reactor, **changes)


def test_the_race_is_lost_by_the_second(reactor):
    insert(reactor)
    with pytest.raises(IntegrityError, match="UNIQUE"):
        insert(reactor)


def test_the_rule_table_is_the_tables(reactor):
    stored = rows(
        reactor, "SELECT machine, source, trigger, dest FROM rule WHERE retired_at IS NULL"
    )
    assert sorted(stored) == sorted(rule for table in TABLES for rule in table.rules())


def test_a_rule_that_left_the_tables_is_retired_and_moves_nothing(reactor):
    connection = reactor.writer.connection
    connection.execute("INSERT INTO rule VALUES('guard', 'NORMAL', 'Dreamt', 'PAUSED', NULL)")
    project_rules(connection, 77)
    found = rows(reactor, "SELECT retired_at FROM rule WHERE trigger = 'Dreamt'")
    assert found == [(77,)]
    with pytest.raises(IntegrityError, match="retired"):
        insert(reactor, trigger="Dreamt", dest="PAUSED")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE transition SET reason = 'better' WHERE id = 1",
        "DELETE FROM transition WHERE id = 1",
        "UPDATE journal SET body = '{}' WHERE seq = 1",
        "DELETE FROM journal WHERE seq = 1",
        "DELETE FROM rule",
        "UPDATE rule SET dest = 'NORMAL'",
    ],
)
def test_what_is_written_is_not_rewritten(reactor, sql):
    with pytest.raises(IntegrityError, match=r"append-only|are kept|retired, never"):
        reactor.writer.connection.execute(sql)


def test_an_operators_word_is_kept_even_if_it_moved_nothing(reactor):
    event = commanded(reactor.world, "hold")
    reactor.turn([event])
    reactor.turn([event])  # repeated: it moves nothing
    (seq,) = rows(reactor, "SELECT max(seq) FROM journal")[0]
    assert not rows(reactor, "SELECT 1 FROM transition WHERE seq = ?", seq)
    with pytest.raises(IntegrityError, match="are kept"):
        reactor.writer.connection.execute("DELETE FROM journal WHERE seq = ?", (seq,))


def test_there_is_one_champion(reactor):
    sql = "INSERT INTO instance VALUES('model', ?, ?, 1, 1, 'r')"
    reactor.writer.connection.execute(sql, ("a", "CHAMPION"))
    reactor.writer.connection.execute(sql, ("b", "CANDIDATE"))
    with pytest.raises(IntegrityError, match="UNIQUE"):
        reactor.writer.connection.execute(sql, ("c", "CHAMPION"))
