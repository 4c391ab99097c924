"""docs/health.md names every check and objective as the code has them."""

from pathlib import Path

from bot.core import slo
from bot.core.checks import CHECKS

TEXT = (Path(__file__).parents[2] / "docs" / "health.md").read_text()


def test_every_check_has_its_row_and_no_other():
    rows = {line for line in TEXT.splitlines() if line.count("|") == 5}
    called = {True: "yes", False: ""}
    told = {
        f"| {check.name} | {check.meaning} | {check.pace} | {called[check.grave]} |"
        for check in CHECKS.values()
    }
    assert rows - told == {
        "| check | promise | pace | people are called at any hour |",
        "|---|---|---|---|",
    }
    assert told <= rows


def test_every_objective_has_its_row():
    for name, checks in slo.OBJECTIVES.items():
        assert f"| {name} | {', '.join(checks)} |" in TEXT
