"""The metrics are what status says, in numbers; their names, units, and docs are one list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.core.decide import TABLES
from bot.core.events import Doubted, Ticked
from bot.desk import files, measures, status
from bot.desk.metrics import COUNTER, HISTOGRAM, METRICS, SUFFIXES, Buckets, Values, markdown
from bot.errors import ConfigError
from tests.desk.story import Story
from tests.given import BTC

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"bot_[a-z]+(_[a-z]+)*")
TOTALS = ("_sum", "_count", "_bucket")


def parsed(text):
    """Return every sample of an exposition: (name, labels) → value."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found, name, **labels):
    return found[name, frozenset(labels.items())]


@pytest.fixture
def found(state):
    return parsed(measures.read(state).text())


# -- the list --------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_every_metric_has_a_name_a_unit_and_a_meaning(metric):
    assert NAME.fullmatch(metric.name)
    assert metric.unit
    assert re.fullmatch(r"[A-Z].+\.", metric.meaning), "a sentence"
    stem = metric.name.removesuffix("_total")
    assert (metric.kind == COUNTER) == (metric.name != stem), "counters end in _total"
    ends = {unit for unit, suffix in SUFFIXES.items() if stem.endswith(suffix)}
    assert (metric.unit in ends) if metric.unit in SUFFIXES else not ends
    assert not stem.endswith(TOTALS)


def test_the_page_has_exactly_these(state):
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert markdown() in page, "write the table anew: bot.desk.metrics.markdown()"
    assert set(re.findall(r"^\| `(bot_\w+)`", page, re.MULTILINE)) == set(METRICS)


def test_what_is_not_in_the_list_or_lacks_a_label_is_refused():
    with pytest.raises(KeyError):
        Values().put("bot_nonsense", 1)
    with pytest.raises(ValueError, match="expected labels"):
        Values().put("bot_orders", 1)


# -- what the database says ------------------------------------------------------------------------


def test_all_that_is_not_live_is_read_from_the_database(state, found):
    names = {name for name, _ in found}
    stopped = {name for name in METRICS if "_process_" in name} | {
        "bot_heartbeat_timestamp_seconds",
        "bot_backup_age_seconds",
    }
    live = {metric.name for metric in METRICS.values() if metric.live}
    assert names == set(METRICS) - live - stopped, "no process, no heartbeat, no backup here"


def test_they_say_what_status_says(state, found):
    told = status.read(state)
    assert value(found, "bot_up") == 0
    assert value(found, "bot_life_state", state=told.bot.state) == 1
    assert value(found, "bot_entry_level", level=told.level) == 1
    assert value(found, "bot_halt_set") == told.halt.set
    assert value(found, "bot_equity_quote") == float(told.equity.equity)
    assert value(found, "bot_drawdown_ratio") == told.equity.drawdown
    assert value(found, "bot_positions") == len(told.positions) == 1
    assert value(found, "bot_position_stop_held", symbol=BTC) == 1
    assert value(found, "bot_stop_coverage_ratio") == 1
    assert value(found, "bot_transitions_total") == told.head_id
    assert value(found, "bot_check_well", check="loop") == 1
    assert value(found, "bot_healing_attempts_total", remedy="rest", outcome="failed") == 1
    assert value(found, "bot_healing_limit", remedy="rest") == 3
    assert value(found, "bot_escalations_total") == told.healing.escalations >= 1
    severe = [alert for alert in told.alerts if alert.severity == "critical"]
    assert value(found, "bot_alerts_open", severity="critical") == len(severe)
    for row in told.account:
        assert value(
            found, "bot_machine_state", machine=row.machine, key="account", state=row.state
        )


def test_a_machine_stands_in_one_of_all_its_states(found):
    tables = {table.name: {str(state) for state in table.states} for table in TABLES}
    seen = {}
    for (name, labels), number in found.items():
        if name == "bot_machine_state":
            of = dict(labels)
            seen.setdefault((of["machine"], of["key"]), {})[of["state"]] = number
    assert {("guard", "account"), ("feed", BTC), ("position", BTC)} <= set(seen)
    for (machine, _), states in seen.items():
        assert set(states) == tables[machine]
        assert sorted(states.values())[-2:] == [0, 1]


def test_orders_effects_and_round_trips_are_counted(state, found):
    connection = files.open_state(state)
    told = dict(connection.execute(
        "SELECT state, count(*) FROM instance WHERE machine = 'order' GROUP BY state"))  # fmt: skip
    effects = connection.execute("SELECT count(*) FROM outbox").fetchone()[0]
    connection.close()
    counted = {
        dict(labels)["state"]: n for (name, labels), n in found.items() if name == "bot_orders"
    }
    assert {state: n for state, n in counted.items() if n} == told
    assert sum(n for (name, _), n in found.items() if name == "bot_deliveries") == effects
    assert (
        value(found, "bot_trades_total", result="won"),
        value(found, "bot_trades_total", result="lost"),
    ) == (2, 4)


def test_an_order_in_doubt_and_a_message_that_waits_have_an_age(tmp_path):
    story = Story(tmp_path / "state.db")
    story.start()
    order = story.minute(up=True).effect.order
    story.reactor.turn([Doubted(at=story.at + 1000, order=order, reason="no answer")])
    for seconds in (21, 31):
        story.reactor.turn([Ticked(at=story.at + seconds * 1000, marks={BTC: 100.0})])
    found = parsed(measures.read(tmp_path / "state.db").text())
    assert value(found, "bot_orders", state="UNKNOWN") == 1
    assert value(found, "bot_order_doubt_age_seconds") == 30
    assert value(found, "bot_undelivered", effect="Inquire") == 1
    assert value(found, "bot_undelivered", effect="Notify") > 0
    assert value(found, "bot_undelivered_age_seconds", effect="Notify") == 10
    assert value(found, "bot_undelivered_age_seconds", effect="Leverage") == 0


def test_a_database_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="found none"):
        measures.read(tmp_path / "state.db")


# -- the forms -------------------------------------------------------------------------------------


def test_a_histogram_is_written_with_its_buckets_and_its_sum():
    values = Values()
    values.put("bot_loop_lag_seconds", Buckets(((0.001, 1), (0.5, 3), (None, 4)), 2.5))
    found = parsed(values.text())
    assert value(found, "bot_loop_lag_seconds_bucket", le="0.001") == 1
    assert value(found, "bot_loop_lag_seconds_bucket", le="+Inf") == 4
    assert (
        value(found, "bot_loop_lag_seconds_count"),
        value(found, "bot_loop_lag_seconds_sum"),
    ) == (4, 2.5)


def test_names_from_outside_cannot_break_a_line():
    values = Values()
    values.put("bot_position_stop_held", 1, 'A"\n# HELP x\\')
    ((_, labels),) = parsed(values.text())
    assert dict(labels) == {"symbol": 'A"\n# HELP x\\'}


def test_types_and_meanings_are_written(state):
    families = {f.name: f for f in text_string_to_metric_families(measures.read(state).text())}
    for metric in METRICS.values():
        family = families.get(metric.name.removesuffix("_total"))
        if family is not None:
            assert (family.type, family.documentation) == (metric.kind, metric.meaning)


def test_the_document_has_the_same_values(state):
    document = measures.read(state).document()
    assert {entry["name"] for entry in document} <= set(METRICS)
    assert not [e for e in document if e["kind"] == HISTOGRAM]
    (held,) = (e for e in document if e["name"] == "bot_position_stop_held")
    assert held["samples"] == [{"labels": {"symbol": BTC}, "value": 1.0}]
