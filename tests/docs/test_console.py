"""The page on the console says what the console does."""

from __future__ import annotations

import re
from pathlib import Path

from bot.desk.query import DEADLINE_SECONDS, ROWS_MAX
from bot.desk.status import SILENT_SECONDS
from console.actions import ACTIONS, markdown
from console.dialogs import QUICK_SECONDS, REASON_CHARACTERS_MIN, SLOW_SECONDS
from console.doing import TTL_SECONDS
from console.feed import POLL_SECONDS, STALE_SECONDS
from console.shell import FROZEN_SECONDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "console.md").read_text()
TEXT = " ".join(PAGE.split())


def test_the_keys_are_those_of_the_registry():
    found = PAGE.partition("## Keys\n\n")[2]
    assert found == markdown(), "write the tables anew: console.actions.markdown()"


def test_the_numbers_are_those_of_the_code():
    for number in (QUICK_SECONDS, SLOW_SECONDS, SILENT_SECONDS, STALE_SECONDS, POLL_SECONDS,
                   TTL_SECONDS, FROZEN_SECONDS, DEADLINE_SECONDS):  # fmt: skip
        assert f" {number:g} s" in TEXT
    assert f"at least {REASON_CHARACTERS_MIN} characters" in TEXT
    assert f"{ROWS_MAX:,} rows" in TEXT


def test_every_key_of_the_walk_in_the_readme_is_one():
    walk = (ROOT / "README.md").read_text().partition("## Watch it over a bad line")[2]
    named = set(re.findall(r"`([A-Z]|\d|[?:q]|Esc|↵)`", walk.partition("\n## ")[0]))
    assert {"P", "R", "K", "F", "8", "4", "?", "q"} <= named
    assert named <= {action.shown for action in ACTIONS}
