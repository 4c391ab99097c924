"""`bot self-assess` holds limits, controls, drills, checks, and alerts against the record, and says "never"."""

from __future__ import annotations

import json
import math
import re

import pytest

from bot.cli.app import _guarded
from bot.core.controls import LIMITS, NONSENSE
from bot.core.decide import TABLES
from bot.core.machine import Level
from bot.core.settings import Settings
from bot.core.values import Side
from bot.desk import assessment, nearness
from bot.desk.assessment_page import html
from bot.store.database import open_memory, open_reader, open_writer
from bot.store.schema import migrate
from tests.desk.story import copied, told_in
from tests.people import Webhook

DAYS = {"days": 30, "drill_days": 90}


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    return told_in(tmp_path_factory.mktemp("told"))


@pytest.fixture
def state(told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return copied(told, tmp_path)


@pytest.fixture
def assess(state, capfd):
    def run(*words):
        code = _guarded(["self-assess", "--json", *words])
        return code, json.loads(capfd.readouterr().out)

    return run


def verdict(found, name):
    return next(row for row in found["verdicts"] if row["name"] == name)


def row(found, part, name, key="name"):
    return next(row for row in found[part] if row[key] == name)


def test_each_limit_has_the_worst_that_came_and_how_often_it_was_met(assess, state):
    found = assess()[1]
    reader = open_reader(state, alive=False)
    (drawdown,) = reader.execute("SELECT max(drawdown) FROM equity").fetchone()
    reader.close()
    kill = row(found, "limits", "kill.drawdown_max", "key")
    assert (kill["limit"], kill["nearest"]) == (0.15, drawdown)
    assert math.isclose(kill["share"], drawdown / 0.15)
    assert row(found, "limits", "controls.losses_row_max", "key")["nearest"] == 4
    drift = row(found, "limits", "controls.drift_max", "key")
    assert (drift["met"], drift["nearest"]) == (1, None), "what is not on record is not made up"
    guard = row(found, "limits", "guard.reduced_drawdown", "key")
    assert (guard["met"], guard["last"]) == (1, "2023-11-14 23:46:20")


def test_a_limit_that_was_nearly_reached_is_a_warning(assess, state):
    assert verdict(assess()[1], "limits")["verdict"] == "well"
    connection = open_writer(state)
    connection.execute("UPDATE equity SET day_loss = 0.036 WHERE id = 3")
    connection.close()
    near = verdict(assess()[1], "limits")
    assert (near["verdict"], near["said"]) == (
        "warning",
        "kill.daily_loss_max came to 90% (0.036 of 0.04)",
    )


def test_what_was_longer_ago_than_the_days_does_not_count(assess, state):
    connection = open_writer(state)
    connection.execute("UPDATE refusal SET at = at - 2 * 86400000")
    connection.close()
    found = assess("--days", "1")[1]
    drift = row(found, "controls", "price drift")
    assert (drift["times"], drift["ever"]) == (0, 1)


def test_a_control_without_a_refusal_and_a_state_that_never_was_are_named(assess):
    found = assess()[1]
    idle = verdict(found, "controls")
    assert idle["verdict"] == "warning"
    for name in ("self-match", "message rate", "guard PAUSED", "storage CORRUPT"):
        assert name in idle["said"]
        assert row(found, "controls", name)["last"] == "never"
    for name in ("price drift", "kill TRIPPED", "hold HELD", "guard REDUCED"):
        assert name not in idle["said"]


def test_drills_have_their_last_time_or_never(assess, capfd):
    found = assess()[1]
    assert row(found, "drills", "kill")["last"] == "2023-11-15 00:00:00"
    assert {"restore", "panic", "backup"} <= {
        d["name"] for d in found["drills"] if d["last"] == "never"
    }
    assert "restore (never)" in verdict(found, "drills")["said"]
    for words in (["backup"], ["do", "hold", "--reason", "drill"]):
        assert _guarded(words) == 0
        capfd.readouterr()
    found = assess()[1]
    for name in ("backup", "hold"):
        assert not row(found, "drills", name)["due"]


@pytest.mark.filterwarnings("ignore:.*imghdr:DeprecationWarning")  # of a library
def test_a_test_of_the_channels_counts_only_if_all_took_it(assess, state, capfd, monkeypatch):
    webhook = Webhook("500")
    monkeypatch.setenv("BOT_NOTIFY_URLS", webhook.url)
    for fault, code in (("500", 1), ("", 0)):
        webhook.fault = fault
        assert _guarded(["alerts", "test"]) == code
        capfd.readouterr()
        assert (row(assess()[1], "drills", "alerts test")["last"] == "never") == bool(fault)
    webhook.close()


def test_an_upgrade_check_is_a_drill(assess, capfd):
    _guarded(["upgrade", "check"])
    capfd.readouterr()
    assert not row(assess()[1], "drills", "upgrade check")["due"]


def test_checks_that_never_ran_and_those_that_are_escalated_are_named(assess):
    code, found = assess()
    assert code == 1
    assert verdict(found, "checks")["said"].startswith("outbox: the oldest effect is on its way")
    assert {"memory", "backup", "chain"} <= set(found["checks_never"])
    assert "memory; " in verdict(found, "coverage")["said"]


def test_a_critical_that_nobody_acknowledged_and_a_spent_budget_are_wrong(assess, state):
    connection = open_writer(state)
    connection.execute("UPDATE finding SET well = 1")
    connection.execute("UPDATE instance SET state = 'WELL' WHERE machine = 'check'")
    connection.execute("UPDATE instance SET state = 'CLOSED' WHERE machine = 'alert'")
    connection.close()
    code, found = assess()
    assert (code, found["ok"]) == (0, True), found["verdicts"]
    connection = open_writer(state)
    connection.execute("UPDATE objective SET spent = 1.5, burn = 3 WHERE name = 'data'")
    connection.execute(
        "INSERT INTO alert VALUES('a9-9', 9, 'k', 'critical', 0, 0, 1, 0, 'kill', 'stop failed')"
    )
    connection.execute("INSERT INTO instance VALUES('alert', 'a9-9', 'ESCALATED', 1, 0, 'r')")
    connection.close()
    code, found = assess()
    assert code == 1
    assert verdict(found, "objectives")["verdict"] == "wrong"
    assert "data spent 150%, burns 3×" in verdict(found, "objectives")["said"]
    assert verdict(found, "alerts")["said"].startswith("a9-9 since 1970-01-01")


def test_healing_has_its_rate(assess):
    said = verdict(assess()[1], "healing")["said"]
    assert re.match(r"\d+ of \d+ attempts cured \(\d+%\); \d+ were left to people", said), said


def test_exposure_is_followed_from_execution_to_execution():
    connection = open_memory()
    migrate(connection, 0)
    fills = (
        ("a", "X", Side.BUY, 2, 100),
        ("b", "Y", Side.SELL, 1, 50),
        ("c", "X", Side.SELL, 2, 110),
    )
    for at, (name, symbol, side, qty, price) in enumerate(fills):
        connection.execute(
            "INSERT INTO fill VALUES(?, 1, ?, 'o', ?, ?, ?, ?, '0', '0', '')",
            (name, at, symbol, str(side), str(qty), str(price)),
        )
    assert nearness.exposure(connection, 0) == nearness.Exposure(250.0, 200.0, 2)
    assert nearness.exposure(connection, 2) == nearness.Exposure(50.0, 50.0, 1)
    assert nearness.exposure(connection, 3) == nearness.Exposure(None, None, None)


def test_every_lowering_state_and_every_control_is_assessed():
    below = {
        (table.name, str(state))
        for table in TABLES
        for state, level in table.lowers.items()
        if level < Level.FULL
    }
    passing = {"process", "feed"}  # on the way up and down, and while nothing is known yet
    known = {(m, s) for m, states in assessment.LOWERING.items() for s in states}
    missing = {pair for pair in below - known if pair[0] not in passing}
    after = {("kill", "FLATTENING"), ("kill", "LATCHED"), ("breaker", "HALF_OPEN")}
    after |= {("reconciliation", "DRIFT"), ("reconciliation", "RESOLVING")}
    assert missing <= after, "states that follow one that is assessed"
    assert set(assessment.CONTROLS) == {name for name, _ in (*NONSENSE, *LIMITS)}


def test_the_view_has_just_the_states_that_are_assessed():
    connection = open_memory()
    migrate(connection, 0)
    (sql,) = connection.execute(
        "SELECT sql FROM sqlite_schema WHERE name = 'limits_met'"
    ).fetchone()
    listed = set(re.findall(r"\('(\w+)', '(\w+)'\)", sql))
    assert listed == {(m, s) for m, states in assessment.LOWERING.items() for s in states}


def test_the_page_has_a_bar_for_each_measured_limit_and_no_markup_of_the_database(state, tmp_path):
    found = assessment.read(state, Settings(), **DAYS)
    page = html(found)
    measured = [limit for limit in found.limits if limit.share is not None]
    assert page.count('class="bar"') == len(measured) > 8
    assert "&lt;" in html(type(found)(**{**asdict(found), "database": "<b>"}))
    assert _guarded(["self-assess", "--html", str(tmp_path / "page.html")]) == 1
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def asdict(struct):
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_it_reads_like_this(assess, capfd):
    _guarded(["self-assess"])
    said = capfd.readouterr().out
    assert "warning  drills     " in said
    assert "kill.drawdown_max" in said
    assert "not on record" in said


def test_without_a_database_it_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert _guarded(["self-assess"]) == 2
    assert "expected a database" in capfd.readouterr().err
