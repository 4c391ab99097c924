"""Replay finds a rule that was changed by one line, and says where the first difference is."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.faults.places import ROOT, Place

CHANGES = {
    "orders.py": (
        'return f"acknowledged as {event.venue_id}"',
        'return f"acknowledged {event.venue_id}"',
    ),
    "entries.py": (
        "if not signal.confidence >= risk.confidence_min:",
        "if not signal.confidence >= 0.99:",
    ),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("replay") / "p")
    try:
        place.start_exchange()
        bot = place.start_bot("--for", "5s", "--config", str(place.file))
        assert bot.wait(60) == 0, place.said()
    finally:
        place.close()
    return place


def replayed(place, root) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "bot", "replay", "--check", "--state", str(place.state)],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_run_of_the_whole_program_replays_byte_for_byte(ran):
    done = replayed(ran, ROOT)
    assert done.returncode == 0, done.stderr
    assert "replay equals" in done.stdout


@pytest.mark.parametrize("module", CHANGES)
def test_one_changed_line_of_a_rule_is_caught_with_its_first_difference(ran, module, tmp_path):
    for package in ("bot", "migrations"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    path = tmp_path / "bot" / "core" / module
    before, after = CHANGES[module]
    assert path.read_text().count(before) == 1
    path.write_text(path.read_text().replace(before, after))
    done = replayed(ran, tmp_path)
    assert done.returncode == 1, done.stdout
    assert "stored" in done.stderr, done.stderr
    assert "recomputed" in done.stderr, done.stderr
