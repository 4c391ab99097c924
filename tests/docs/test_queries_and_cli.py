"""The pages on queries and commands say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.cli.app import bot
from bot.core.flags import FLAGS
from bot.desk.catalogue import ANSWERS, VIEWS, markdown
from docs import diagrams

ROOT = Path(__file__).parents[2]


def test_docs_queries_is_what_the_catalogue_says():
    found = (ROOT / "docs" / "queries.md").read_text()
    assert found == markdown(), "write it anew: bot.desk.catalogue.markdown()"


def test_the_three_questions_of_the_audit_trail_are_documented():
    asked = [answer.question for answer in ANSWERS[:3]]
    assert asked == [
        "How often was the guard REDUCED last week, and why?",
        "Every operator action with name and reason",
        "The equity curve by day",
    ]


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_every_view_has_a_question_and_a_meaning_for_each_column(view):
    assert view.question.endswith("?")
    assert all(view.columns.values())


WORDS = r"([a-z][a-z-]*(?: [a-z][a-z-]*)*)"
TYPED, TABLE = rf"python -m bot {WORDS}", rf"^\| `{WORDS}"


def documented(page):
    """Yield the words of each command that a page names: to type or, in cli.md, in its table."""
    for line in re.findall(
        TABLE if page.name == "cli.md" else TYPED, page.read_text(), re.MULTILINE
    ):
        yield line.split()


PAGES = [path for path in (ROOT / "README.md", ROOT / "docs" / "cli.md") if path.exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_has_help(page):
    known = set()
    for words in documented(page):
        command = words[: 2 if words[0] in ("audit", "config") else 1]
        known.add(tuple(command))
    assert known
    for command in sorted(known):
        assert bot.main([*command, "--help"], standalone_mode=False) == 0


def test_the_table_of_commands_is_the_one_by_which_the_bot_decides():
    text = (ROOT / "docs" / "cli.md").read_text()
    assert diagrams.told(text) == text, "write it anew: make docs"


def test_every_flag_is_in_docs_operating():
    text = (ROOT / "docs" / "operating.md").read_text()
    assert re.findall(r"^\| `([a-z_.]+)` \|", text.partition("## Flags")[2], re.MULTILINE) == list(
        FLAGS
    )


def test_every_command_is_in_docs_cli():
    text = (ROOT / "docs" / "cli.md").read_text()
    for name in bot.commands:
        assert f"`{name}" in text
