"""The page on alerts says what the settings say, and has something to do for every alert."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from bot.config import FIELDS, Config
from bot.core.alerts import AlertState

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "alerts.md").read_text()


def emitted():
    """Yield each ``Notify(severity=…, …)`` of the bot as its keywords."""
    for path in sorted((ROOT / "bot").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Notify":
                found = {word.arg: word.value for word in node.keywords}
                if isinstance(found.get("severity"), ast.Constant):
                    yield path.name, found


def test_every_warning_and_critical_links_something_to_do():
    found = [(name, words) for name, words in emitted() if words["severity"].value != "info"]
    assert len(found) > 10
    for name, words in found:
        assert "runbook" in words, f"{name}: expected a runbook of {ast.unparse(words['text'])}"
        assert f"\n### {words['runbook'].value}\n" in PAGE, f"{name}: {words['runbook'].value}"


@pytest.mark.parametrize(
    "key",
    [key for key in FIELDS if key.startswith("alerts.") or key == "notify.timeout_real_seconds"],
)
def test_every_setting_is_on_the_page_with_its_default(key):
    value, name = Config().value(key), key.partition(".")[2]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    shown = f"{value:g}" if number else f"`{str(value).lower()}`"
    row = next(line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line)
    assert re.search(rf"(= |\| |, ){re.escape(shown)}( |,)", row), row


def test_every_state_is_on_the_page():
    assert all(f"| {state} |" in PAGE for state in AlertState if state != "CLOSED")
