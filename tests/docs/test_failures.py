"""docs/failures.md is true: its moves, times, headings, words, and tests are those of the code."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest
from msgspec import Struct

from bot.config import FIELDS
from bot.core.decide import TABLES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "failures.md").read_text()
HEADINGS = (ROOT / "docs" / "alerts.md").read_text()
RULES = {(machine, source, dest) for t in TABLES for machine, source, _, dest in t.rules()}
SEVERITIES = ("info", "warning", "critical")
SOON = ("at once", "at the next start")


class Failure(Struct, frozen=True):
    """One row of the page."""

    what: str
    within: str
    moves: str
    told: str
    status: str
    runbook: str
    test: str


def failures() -> list[Failure]:
    rows = [line.strip("|").split(" | ") for line in PAGE.splitlines() if line.count(" | ") == 6]
    found = [Failure(*(cell.strip() for cell in row)) for row in rows]
    return [row for row in found if row.what != "failure"]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def source(path: str) -> str:
    return (ROOT / path).read_text()


@cache
def names(path: str) -> set[str]:
    """Return the names of the test functions of a file."""
    found = ast.walk(ast.parse(source(path)))
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def is_configured(name: str) -> bool:
    """Tell whether a name is a setting, or a constant of a module."""
    module, _, constant = name.rpartition(".")
    if name in FIELDS:
        return True
    return module.startswith("bot.") and hasattr(importlib.import_module(module), constant)


def test_there_are_many():
    assert len(failures()) >= 40
    assert len({(row.what, row.moves) for row in failures()}) == len(failures())


def each(test):
    return pytest.mark.parametrize("row", failures(), ids=lambda row: row.what)(test)


@each
def test_its_time_is_a_setting_or_at_once(row):
    known = [name for name in quoted(row.within) if "." in name]
    assert [name for name in known if not is_configured(name)] == []
    assert known or any(word in row.within for word in SOON), row.within


@each
def test_its_moves_are_in_their_tables(row):
    for move in row.moves.split("; "):
        machine, before, after = re.fullmatch(r"(\w+): (\S+) → (\w+)", move).groups()
        assert (machine, "" if before == "[*]" else before, after) in RULES, move


@each
def test_what_to_do_is_a_heading_of_the_page_on_alerts(row):
    if row.runbook == "–":
        return
    heading, anchor = re.fullmatch(r"\[([a-z-]+)\]\(alerts\.md#([a-z-]+)\)", row.runbook).groups()
    assert heading == anchor
    assert f"\n### {heading}\n" in HEADINGS


@each
def test_its_test_exists_and_has_the_state_and_the_words(row):
    path, name = quoted(row.test)[0].split("::")
    assert name.startswith("test_")
    assert name in names(path)
    text = source(path)
    for move in row.moves.split("; "):
        assert move.split(" → ")[1] in text, move
    severity, _, words = quoted(row.told)[0].partition(": ")
    assert severity in SEVERITIES
    for part in re.split(r"…|\(|: | (?=[A-Z]{3})", words):  # where a test puts words together
        assert part.strip(" ,:)") in text, part
