"""Queries read and do nothing else; the documented views answer what they promise."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bot.desk import query
from bot.desk.catalogue import ANSWERS, VIEWS
from bot.desk.query import BadQuery, Limits
from bot.errors import ConfigError, Refused

ROOT = Path(__file__).parents[2]

HERE = Limits(heap_bytes=0)  # a heap limit would hold for every test after this one

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


APART = """
import json, sys, time
from pathlib import Path
from bot.desk import query
from bot.errors import BotError
state, attacks = Path(sys.argv[1]), json.loads(sys.argv[2])
found = {}
for sql in attacks:
    began = time.monotonic()
    try:
        outcome = f"went through: {str(query.run(state, sql, query.Limits(seconds=0.5)))[:80]}"
    except BotError as error:
        outcome = f"{type(error).__name__}: {error}"
    found[sql] = [outcome, time.monotonic() - began]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
found["peak_mb"] = int(status["VmHWM"].split()[0]) // 1024  # of this program, not of who began it
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def attacked(told, tmp_path_factory):
    """Every attack in one process of its own: what came of it, and the folder afterwards."""
    folder = tmp_path_factory.mktemp("attacked")
    shutil.copyfile(told, folder / "state.db")
    before = (folder / "state.db").read_bytes()
    ran = subprocess.run(
        [sys.executable, "-c", APART, "state.db", json.dumps(ATTACKS + MORE_ATTACKS)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (folder / "state.db").read_bytes() == before
    return json.loads(ran.stdout), folder


@pytest.mark.parametrize("sql", ATTACKS + MORE_ATTACKS)
def test_an_attack_is_blocked_and_quickly(attacked, sql):
    outcome, took = attacked[0][sql]
    assert outcome.startswith(("Refused", "Retryable", "BadQuery")), outcome
    assert took < 3


def test_no_attack_left_a_file_or_took_the_memory(attacked):
    found, folder = attacked
    assert {path.name for path in folder.iterdir()} <= {"state.db", "state.db-wal", "state.db-shm"}
    assert found["peak_mb"] < 250


def test_what_writes_is_refused_and_not_merely_misunderstood(state):
    for sql in ("delete from journal", "attach 'e.db' as e", "pragma query_only=off"):
        with pytest.raises(Refused, match="may only read"):
            query.run(state, sql, HERE)


def test_an_endless_query_is_cut_at_its_deadline(attacked):
    outcome, took = attacked[0][ATTACKS[11]]
    assert outcome == "Retryable: cut after 0.5 s; ask for less"
    assert 0.4 < took < 1.5


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_each_documented_view_has_its_documented_columns_and_rows(state, view):
    found = query.run(state, view.name, HERE)
    assert found.columns == tuple(view.columns)
    assert found.rows, "the told day has something for every view"


def test_every_view_of_the_database_is_documented(state):
    found = query.run(state, "SELECT name FROM sqlite_schema WHERE type = 'view'", HERE)
    assert {row[0] for row in found.rows} == set(VIEWS)


def test_how_often_was_the_guard_reduced_last_week_and_why(state):
    found = query.run(state, ANSWERS[0].sql, HERE)
    assert found.rows == (("2023-11-14 23:46:20", "win rate 33% under 40% over 6 trades", None),)


def test_every_operator_action_with_name_and_reason(state):
    found = query.run(state, ANSWERS[1].sql, HERE)
    told = [(row[1], row[2], row[4], row[5]) for row in found.rows]
    assert told == [
        ("ana", "hold", "news at noon", "DONE"),
        ("ana", "release", "news is over", "DONE"),
        ("ben", "kill", "drill \x1b[31m[bold]", "DONE"),
        ("ana", "rearm", "drill is over", "DONE"),
        ("eve", "rearm", "I want to", "REFUSED"),
    ]


def test_the_equity_curve_by_day(state):
    found = query.run(state, ANSWERS[2].sql, HERE)
    days = [(row[0], float(row[1]), float(row[4])) for row in found.rows]
    assert days == [("2023-11-14", 100_000, 99_946.703), ("2023-11-15", 99_946.703, 99_946.703)]
    assert float(found.rows[0][3]) == 100_116.033


def told_of(state, columns, view):
    """Return some columns of a view, oldest row first."""
    return query.run(state, f"SELECT {columns} FROM {view} ORDER BY seq", HERE).rows


def test_every_control_that_refused_a_signal_has_its_row(state):
    assert told_of(state, "at, symbol, side, control, reason", "why_no_trade") == (
        ("2023-11-14 23:48:00", "BTCUSDT", "Buy", "permission",
         "hold account is HELD: ana: news at noon"),
        ("2023-11-14 23:48:00", "BTCUSDT", "Buy", "price drift",
         "the mark 104 is 4.00% from the last close 100, limit 3.00%"),
    )  # fmt: skip


def test_why_was_nothing_traded_in_the_last_day_most_frequent_first(state):
    rows = query.run(state, ANSWERS[3].sql, HERE).rows
    assert [(row[1], row[3]) for row in rows] == [("permission", 1), ("price drift", 1)]


def test_what_cash_came_or_went_without_an_execution(state):
    assert told_of(state, "at, kind, symbol, change", "cash_moves") == (
        ("2023-11-14 23:47:00", "SETTLEMENT", "BTCUSDT", "-1.25"),
    )


def test_every_comparison_with_the_venue_has_its_row_and_its_verdict(state):
    found = told_of(
        state, "at, depth, wallet, cash, positions, fills, moves, verdict", "reconciliations"
    )
    assert found == (
        ("2023-11-14 23:40:00", "light", "100000", "100000", 0, 0, 0, "equal"),
        ("2023-11-14 23:47:00", "light", "99946.703", "99947.953", 0, 0, 0,
         "wallet 99946.703, ledger 99947.953 (-1.250)"),
        ("2023-11-14 23:47:00", "full", "99946.703", "99946.703", 0, 0, 1, "equal"),
    )  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.question[:30])
def test_every_documented_question_runs(state, answer):
    assert query.run(state, answer.sql, HERE).columns


def test_rows_and_bytes_are_cut_and_said(state):
    few = query.run(state, "history", Limits(rows=3, heap_bytes=0))
    assert (len(few.rows), few.cut) == (3, "cut after 3 rows")
    exact = query.run(state, "SELECT id FROM history LIMIT 3", Limits(rows=3, heap_bytes=0))
    assert (len(exact.rows), exact.cut) == (3, "")
    small = query.run(state, "history", Limits(bytes=200, heap_bytes=0))
    assert small.cut == "cut after 200 bytes"


def test_a_mistake_is_a_bad_query_and_a_missing_database_is_said(state, tmp_path):
    with pytest.raises(BadQuery, match="no such table: nope"):
        query.run(state, "select * from nope", HERE)
    with pytest.raises(BadQuery):
        query.run(state, "select ?", HERE)
    with pytest.raises(ConfigError, match="found none"):
        query.run(tmp_path / "other.db", "select 1", HERE)
