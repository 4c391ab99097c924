from __future__ import annotations

import os
import time

import pytest

from bot.desk import query
from bot.desk.catalogue import ANSWERS, VIEWS
from bot.desk.query import BadQuery, Limits
from bot.errors import ConfigError, Refused, Retryable

SHORT = Limits(seconds=0.5)

# The corpus of shared/prototypes/faults/opsql.py, every one of which mode=ro alone lets start.
ATTACKS = (
    "delete from journal",
    "attach 'evil.db' as e",
    "attach 'file:evil.db?mode=rwc' as e",
    "attach '/etc/passwd' as p",
    "vacuum into 'evil2.db'",
    "pragma journal_mode=delete",
    "pragma writable_schema=on",
    "pragma query_only=off",
    "select load_extension('x')",
    "select 1; delete from journal",
    "begin immediate",
    "with recursive c(x) as (select 1 union all select x+1 from c) select count(*) from c",
    "select hex(randomblob(300000000)) is null",
    "create temp table zz(a)",
    "select edit('x')",
    "pragma wal_checkpoint(truncate)",
)
MORE_ATTACKS = (
    "update transition set reason = 'x'",
    "drop view trades",
    "insert into meta values('a', 'b')",
    "select * from pragma_journal_mode",
    "select replace(hex(zeroblob(1000000)), '0', hex(zeroblob(1000)))",
    "select length(printf('%.*c', 900000000, 'x'))",
    "with recursive c(x) as (select 'x' union all select x||x from c) select length(x) from c",
    "savepoint a",
    "detach main",
    "reindex",
    "analyze",
    "select writefile('evil.db', 'x')",
    "select fts3_tokenizer('simple')",
    "create table evil.x(a)",
    "pragma hard_heap_limit=0",
    "explain delete from journal",
)


def test_the_corpus_has_all_sixteen_attacks():
    assert len(ATTACKS) == 16


@pytest.mark.parametrize("sql", ATTACKS + MORE_ATTACKS)
def test_an_attack_is_blocked_quickly_and_leaves_nothing(state, sql, monkeypatch):
    monkeypatch.chdir(state.parent)
    before = state.read_bytes()
    names = {name for name in os.listdir() if not name.endswith(("-wal", "-shm"))}
    began = time.monotonic()
    with pytest.raises((Refused, Retryable, BadQuery)):
        query.run(state, sql, SHORT)
    assert time.monotonic() - began < 3
    assert state.read_bytes() == before
    assert {name for name in os.listdir() if not name.endswith(("-wal", "-shm"))} == names


def test_what_writes_is_refused_and_not_merely_misunderstood(state):
    for sql in ("delete from journal", "attach 'e.db' as e", "pragma query_only=off"):
        with pytest.raises(Refused, match="may only read"):
            query.run(state, sql)


def test_an_endless_query_is_cut_at_its_deadline(state):
    with pytest.raises(Retryable, match=r"cut after 0\.5 s"):
        query.run(state, ATTACKS[11], SHORT)


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_each_documented_view_has_its_documented_columns_and_rows(state, view):
    found = query.run(state, view.name)
    assert found.columns == tuple(view.columns)
    assert found.rows, "the told day has something for every view"


def test_every_view_of_the_database_is_documented(state):
    found = query.run(state, "SELECT name FROM sqlite_schema WHERE type = 'view'")
    assert {row[0] for row in found.rows} == set(VIEWS)


def test_how_often_was_the_guard_reduced_last_week_and_why(state):
    found = query.run(state, ANSWERS[0].sql)
    assert found.rows == (
        ("2023-11-14 23:46:20", "win rate 33% under 40% over 6 trades", None),
    )


def test_every_operator_action_with_name_and_reason(state):
    found = query.run(state, ANSWERS[1].sql)
    told = [(row[1], row[2], row[4], row[5]) for row in found.rows]
    assert told == [
        ("ana", "hold", "news at noon", "DONE"),
        ("ana", "release", "news is over", "DONE"),
        ("ben", "kill", "drill \x1b[31m[bold]", "DONE"),
        ("ana", "rearm", "drill is over", "DONE"),
        ("eve", "rearm", "I want to", "REFUSED"),
    ]


def test_the_equity_curve_by_day(state):
    found = query.run(state, ANSWERS[2].sql)
    days = [(row[0], float(row[1]), float(row[4])) for row in found.rows]
    assert days == [("2023-11-14", 100_000, 99_947.953), ("2023-11-15", 99_947.953, 99_947.953)]
    assert float(found.rows[0][3]) == 100_116.033


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.question[:30])
def test_every_documented_question_runs(state, answer):
    assert query.run(state, answer.sql).columns


def test_rows_and_bytes_are_cut_and_said(state):
    few = query.run(state, "history", Limits(rows=3))
    assert (len(few.rows), few.cut) == (3, "cut after 3 rows")
    exact = query.run(state, "SELECT id FROM history LIMIT 3", Limits(rows=3))
    assert (len(exact.rows), exact.cut) == (3, "")
    small = query.run(state, "history", Limits(bytes=200))
    assert small.cut == "cut after 200 bytes"


def test_a_mistake_is_a_bad_query_and_a_missing_database_is_said(state, tmp_path):
    with pytest.raises(BadQuery, match="no such table: nope"):
        query.run(state, "select * from nope")
    with pytest.raises(BadQuery):
        query.run(state, "select ?")
    with pytest.raises(ConfigError, match="found none"):
        query.run(tmp_path / "other.db", "select 1")
