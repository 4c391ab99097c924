"""ARCHITECTURE.md shows each machine as its table is, not as it once was."""

from pathlib import Path

import pytest

from bot.core.decide import TABLES

PAGE = Path(__file__).parents[2] / "ARCHITECTURE.md"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_drawing_of_each_machine_is_the_table(table):
    if not PAGE.exists():
        pytest.skip("ARCHITECTURE.md is not written yet")
    assert f"```mermaid\n{table.mermaid()}\n```" in PAGE.read_text()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_drawing_has_every_state_and_says_why_in_words(table):
    drawing = table.mermaid()
    assert "lambda" not in drawing
    for state in table.states:
        assert f" {state}" in drawing
    for state in table.final:
        assert f"{state} --> [*]" in drawing
