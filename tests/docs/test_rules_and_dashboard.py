"""The alert rules and the dashboard ask for nothing that the bot does not tell."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bot.cli.app import bot
from bot.core.decide import TABLES
from bot.core.effects import AnyEffect
from bot.core.runs import VERBS
from bot.desk.catalogue import VIEWS
from bot.desk.metrics import HISTOGRAM, METRICS
from bot.engine.timings import Phase

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "bot.json"
STATES = {table.name: {str(state) for state in table.states} for table in TABLES}
SELECTOR = re.compile(r"(bot_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)=(~?)"([^"]*)"')


def rules():
    return [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]


def panels():
    return [
        panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"
    ]


def queries():
    yield from ((rule["alert"], rule["expr"]) for rule in rules())
    for panel in panels():
        yield from ((panel["title"], target["expr"]) for target in panel["targets"])


def known(labels, name):
    """Return what a label of a metric may be, or None if that is open."""
    if name == "state" and "machine" in labels:
        return set().union(*(STATES[machine] for machine in labels["machine"]))
    if name == "state":
        return STATES["order"] | STATES["delivery"] | STATES["model"]
    open_ = {"machine": set(STATES), "phase": set(Phase), "file": {"main", "wal"}}
    open_["effect"] = {kind.__name__ for kind in AnyEffect.__args__}
    return open_.get(name)


@pytest.mark.parametrize(("title", "query"), list(queries()), ids=lambda text: text[:40])
def test_every_query_asks_for_metrics_labels_and_values_that_exist(title, query):
    found = SELECTOR.findall(query)
    assert found, f"{title}: expected a metric in {query}"
    for name, matchers in found:
        stem = re.sub(r"_(bucket|sum|count)$", "", name)
        metric = METRICS[name if name in METRICS else stem]
        assert (metric.kind == HISTOGRAM) == (name not in METRICS), query
        labels = {label: set(text.split("|")) for label, _, text in MATCHER.findall(matchers)}
        assert set(labels) <= set(metric.labels), query
        for label, values in labels.items():
            allowed = known(labels, label)
            assert allowed is None or values <= allowed, f"{title}: {values - allowed}"


def test_every_rule_says_how_bad_what_and_what_to_do():
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "do"}, rule["alert"]


def test_what_must_be_watched_has_a_rule():
    watched = " ".join(rule["expr"] for rule in rules())
    for metric in (
        *("bot_up", "bot_heartbeat_timestamp_seconds", 'machine="guard",state="PAUSED"'),
        *('machine="kill",state="ARMED"', 'machine="hold"', "bot_position_stop_held"),
        *("bot_order_doubt_age_seconds", 'effect="Notify"', "bot_disk_free_bytes"),
        *("bot_loop_lag_seconds", 'phase="commit"', "bot_check_well", "bot_healing_today"),
        *("bot_objective_spent_ratio", "bot_escalations_total", "bot_backup_age_seconds"),
    ):
        assert metric in watched


def test_the_commands_that_rules_name_exist():
    for rule in rules():
        for words in re.findall(r"`bot ([^`]+)`", rule["annotations"]["do"]):
            command, *rest = words.split()
            assert command in bot.commands, words
            if command == "do":
                assert rest[0] in VERBS, words
            elif command == "query" and not rest[0].startswith('"'):
                assert rest[0] in VIEWS, words


def test_the_dashboard_is_rows_of_panels_that_do_not_overlap():
    document = json.loads(DASHBOARD.read_text())
    rows = [panel["title"] for panel in document["panels"] if panel["type"] == "row"]
    assert rows == ["State", "Money", "Health", "Latency", "Itself"]
    taken, ids = set(), set()
    for panel in document["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}  # fmt: skip
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        ids.add(panel["id"])
        assert panel["type"] == "row" or panel["description"]
    assert len(ids) == len(document["panels"])


def test_promtool_agrees():
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: the rules' syntax is not checked by Prometheus")
    command = ["promtool", "check", "rules", RULES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
