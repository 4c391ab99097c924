"""The checker is checked: for each promise, a bot that breaks it on purpose is found out."""

import shutil
from pathlib import Path

import pytest

from bot.store.database import sqlite3
from tests.faults import checker, jobs
from tests.faults.mutations import MUTATIONS

NEVER = 10**9
DIES_BY_ITSELF = [("committing", NEVER)]
LATER = [("committed", 50), ("committed", 50)]

CASES = {
    "send before commit": ({"plan": DIES_BY_ITSELF}, "order unknown to the database"),
    "acknowledge before commit": ({"plan": DIES_BY_ITSELF}, "acknowledged transition lost"),
    "resend after crash": ({"plan": DIES_BY_ITSELF * 2}, "was sent again and refused"),
    "decide twice": ({"plan": LATER}, "accepted orders stem from"),
    "forget hold": ({"plan": LATER, "commands": ["hold"]}, "state not as before: hold"),
    "enter while held": (
        {"plan": [("committed", 110)], "commands": ["hold"]},
        "entry while hold was HELD",
    ),
    "lose fills": ({"plan": LATER, "finish": True}, "execution not booked once"),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("mutations")
    planned = [
        {
            "folder": str(folder / name.replace(" ", "-")),
            "finish": False,
            "seed": 7,
            "mutation": name,
            **job,
        }
        for name, (job, _) in CASES.items()
    ]
    return dict(zip(CASES, jobs.run_all(planned), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_bot_that_breaks_a_promise_is_found_out(results, name):
    found = results[name]["report"]["violations"]
    assert any(CASES[name][1] in text for text in found), (found, results[name])


def test_every_mutation_has_a_case():
    assert set(MUTATIONS) == set(CASES)


EDITS = {
    "chain broken": "UPDATE transition SET reason = 'nothing to see' WHERE id = 20",
    "acknowledged transition lost": "DELETE FROM transition WHERE id > 30",
    "replay broken": "UPDATE outbox SET kind = 'Other' WHERE id = (SELECT max(id) FROM outbox)",
}


@pytest.mark.parametrize("violation", EDITS)
def test_an_edited_database_is_found_out(results, violation, tmp_path):
    source = Path(results["decide twice"]["folder"])
    shutil.copytree(source, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
    db = sqlite3.connect(tmp_path / "copy" / "state.db", isolation_level=None)
    for (trigger,) in db.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
    ).fetchall():
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute(EDITS[violation])
    db.close()
    found = checker.check(tmp_path / "copy", finished=False).violations
    assert any(violation in text for text in found), found
