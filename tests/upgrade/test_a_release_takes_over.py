"""A running bot of an older release is upgraded; the first attempt fails and is rolled back."""

from __future__ import annotations

import json
import signal

import pytest

from tests.faults.places import until
from tests.upgrade.releases import NEWEST, Releases, older


@pytest.fixture
def place(tmp_path):
    made = Releases(tmp_path / "place", older(tmp_path))
    yield made
    made.close()


def test_an_upgrade_that_fails_is_rolled_back_and_one_that_is_well_stays(place):
    place.start_exchange()
    old = place.start_older()
    place.until_state("process", "RUNNING", seconds=40)

    # step one, beside the running bot
    code, found = place.upgrade("check")
    assert (code, found["ok"]) == (0, True), found
    steps = ["config", "room", "backup", "migrate", "audit", "replay", "boot", "models"]
    assert [verdict["name"] for verdict in found["verdicts"]] == steps
    assert found["migrations"] == [NEWEST]
    assert found["before"] != found["build"]
    assert found["redecided"]["events"] > 10
    assert found["redecided"]["differ"] == 0, found["redecided"]
    assert old.poll() is None
    assert place.rows("SELECT count(*) FROM migration_sum WHERE name = ?", NEWEST) == [(0,)]
    assert not list(place.folder.glob("*.rehearsal/*"))

    # step two, and the new build dies
    code, done = place.upgrade("apply", "--reason", "the spring release")
    assert (code, done["stage"]) == (0, "APPLIED"), done
    assert old.wait(40) == 0, "it stopped cleanly"
    new = place.start_bot()
    until(lambda: place.state_of("process") == "RUNNING", "the new build runs", 40)
    new.send_signal(signal.SIGKILL)
    new.wait(10)
    code, done = place.upgrade("confirm")
    assert (code, done["stage"]) == (1, "ROLLED_BACK"), done
    assert done["said"].startswith("rolled back: it crashed: ended in RUNNING without stopping")
    assert done["said"].endswith(f"start build {found['before']}")
    assert place.rows("SELECT count(*) FROM migration_sum WHERE name = ?", NEWEST) == [(0,)]
    assert done["kept"], "nothing is deleted"

    # the new build is not started again, the old one goes on as a new epoch
    refused = place.start_bot(out="refused.out")
    assert refused.wait(40) == 78, "a service manager gives up at once"
    assert f"start build {found['before']}" in place.said("refused.out")
    old = place.start_older()
    until(lambda: place.state_of("process") == "RUNNING", lambda: place.said("older.out"), 40)
    assert place.rows("SELECT value FROM meta WHERE name = 'epoch'") == [("2",)]

    # once more, and it stays
    assert place.upgrade("apply", "--reason", "no check")[0] == 3
    assert place.upgrade("check")[0] == 0
    assert place.upgrade("apply", "--reason", "mended")[0] == 0
    place.start_bot()
    code, done = place.upgrade("confirm")
    assert (code, done["stage"]) == (0, "CONFIRMED"), done
    told = place.rows("SELECT severity, text FROM alerts WHERE key = 'upgrade'")
    assert len(told) == 1
    assert told[0][0] == "warning"
    assert f"upgraded from {found['before']} to {found['build']} by " in told[0][1]
    whats = [row[0] for row in place.rows("SELECT what FROM builds ORDER BY seq")]
    assert whats == ["start", "restore", "upgrade", "start"]
    place.do("stop")
    assert json.loads(place.cli("audit", "verify", "--json").stdout)["checked"] > 0
