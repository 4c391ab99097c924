"""One night of real programs: a bot that hangs, the dead-man beside it, and the bot's return."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.deadman.conftest import CANCEL, House


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A bot that runs, with a position and entries of its account open."""
    made = House(tmp_path_factory.mktemp("night"))
    try:
        made.start_bot()
        made.open_something()
        yield made
    finally:
        made.close()


def test_a_beating_bot_is_left_alone_then_one_that_hangs_is_ended_first(house):
    watching = house.start("deadman", "--json", stdout=subprocess.PIPE)
    assert json.loads(watching.stdout.readline())["stage"] == "QUIET"
    second = house.run("deadman", "--once")
    assert second.returncode == 3
    assert "another dead-man watches" in second.stderr, "one watches a folder"
    assert (bool(house.orders()), house.halt()["halt"]) == (True, False)
    house.hang(CANCEL)
    done = json.loads(watching.stdout.readline())
    watching.terminate()
    assert (done["stage"], done["verified"]) == ("CANCEL", True), done
    assert [line["action"] for line in done["lines"]].index("end process") == 2, "after HALT"
    assert house.bot.wait(10) == -signal.SIGKILL
    assert house.orders() == ()
    assert all(position.stop is not None for position in house.positions())
    watching.wait(10)


def test_the_revived_bot_says_what_was_done_and_waits_for_a_person(house):
    house.start_bot()
    house.until(lambda: house.beat().get("kill") == "LATCHED")
    shown = json.loads(house.run("status", "--json").stdout)["panics"][-1]
    assert (shown["who"], shown["undone"]) == ("deadman", "")
    cancelled = next(deed for deed in shown["did"] if deed.startswith("cancel entries: "))
    assert cancelled.endswith(" cancelled, none open")
    house.until(lambda: not house.panics())
    kept = house.run("query", "SELECT body FROM journal WHERE kind = 'Panicked'", "--json").stdout
    (row,) = json.loads(kept)["rows"]
    assert cancelled.removeprefix("cancel entries: ") in row["body"]
    tripped = "SELECT reason FROM transition WHERE source = 'ARMED' AND dest = 'TRIPPED'"
    (moved,) = json.loads(house.run("query", tripped, "--json").stdout)["rows"]
    assert moved["reason"].startswith("HALT mark set by deadman: ")
    told = "SELECT text FROM alert WHERE severity = 'critical' AND runbook = 'kill'"
    (alert,) = json.loads(house.run("query", told, "--json").stdout)["rows"]
    assert alert["text"].startswith("kill switch tripped (account): HALT mark set by deadman: ")
    assert (house.once()["stage"], house.once()["exit"]) == ("QUIET", 0)
    house.until(lambda: house.beat().get("process") == "RUNNING")
    rearmed = house.run("do", "rearm", "--reason", "looked at it")
    assert rearmed.returncode == 0, rearmed.stdout + rearmed.stderr
    house.until(lambda: not house.halt()["halt"])
    assert json.loads(house.run("status", "--json").stdout)["panics"] == []


def test_a_second_silence_is_a_new_one_and_a_bot_that_hangs_is_left_where_that_is_the_policy(house):
    house.configure(end_hung=False)
    house.open_something()
    house.hang(CANCEL)
    done = house.once()
    assert (done["stage"], done["exit"]) == ("CANCEL", 0)
    assert done["lines"], "what was done in the first silence is not enough"
    assert house.bot.poll() is None
    assert (house.orders(), house.halt()["halt"]) == ((), True)
    house.bot.send_signal(signal.SIGCONT)
    house.until(lambda: "it beats again" in house.once()["sentence"])


def test_a_clean_stop_is_no_alarm(house):
    stopped = house.run("do", "stop", "--reason", "night")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    house.bot.wait(30)
    assert house.beat()["process"] == "STOPPED"
    assert house.beat()["entries"] == house.beat()["unprotected"] == 0
    house.fell_silent(CANCEL)
    found = house.once()
    assert (found["stage"], found["exit"]) == ("QUIET", 0)
    assert "stopped cleanly" in found["sentence"]
