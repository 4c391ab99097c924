"""One real bot with its exchange, asked by real commands; killed, asked again, started, stopped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Bot


def started(bot):
    """Start a bot; return when it says that it is RUNNING."""
    process = bot.start(
        "run", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for line in process.stderr:
        if "RUNNING" in line:
            return process
    raise AssertionError(f"it ended: {process.wait()}")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    bot = Bot(tmp_path_factory.mktemp("live"))
    bot.process = started(bot)
    yield bot
    if bot.process.poll() is None:
        bot.process.kill()
    bot.process.communicate()


@pytest.fixture(scope="module")
def follower(live):
    process = live.start("tail", "-n", "1", "-f", "--machine", "hold", "--json",
                         stdout=subprocess.PIPE)  # fmt: skip
    assert json.loads(process.stdout.readline())["dest"] == "FREE", "it follows from here"
    yield process
    process.kill()
    process.communicate()


def test_status_is_of_a_running_bot(live):
    found = live("status", "--json").data
    assert found["bot"]["state"] == "running"
    assert found["bot"]["lease"]["pid"] == found["bot"]["heartbeat"]["pid"] == live.process.pid
    assert found["symbols"]


def test_a_hold_is_verified_and_followed_and_released(live, follower):
    held = live("do", "hold", "--reason", "news", "--json")
    assert held.code == 0, held.err
    assert [m["state"] for m in held.data["moves"]] == [
        "PROPOSED",
        "APPROVED",
        "RUNNING",
        "VERIFYING",
        "DONE",
    ]
    seen = json.loads(follower.stdout.readline())
    assert (seen["dest"], seen["reason"].partition(": ")[2]) == ("HELD", "news")
    assert live("status", "--json").data["level"] == "REDUCE_ONLY"
    released = live("do", "release", "--reason", "over")
    assert (released.code, released.out.splitlines()[-1]) == (0, "DONE: hold is FREE")
    last = live("query", "operator_actions", "--json").data["rows"][-1]
    assert (last["identity"], last["outcome"]) == ("kernel", "DONE")


def test_a_refusal_says_what_must_be_true(live):
    ran = live("do", "rearm", "--reason", "x")
    assert ran.code == 3
    assert "the switch must be LATCHED, it is ARMED" in ran.out


def test_a_parameter_is_set_for_a_time(live):
    ran = live("do", "set-parameter", "name=risk.base_size", "value=0.005", "--expires", "2h",
               "--reason", "careful")  # fmt: skip
    assert ran.code == 0, ran.out
    (row,) = live("status", "--json").data["parameters"]
    assert row["key"] == "risk.base_size"
    assert "0.005 for 7200 s: careful" in row["reason"]
    wide = live("do", "set-parameter", "name=risk.base_size", "value=0.9", "--expires", "2h",
                "--reason", "greedy")  # fmt: skip
    assert wide.code == 3


def test_everything_that_reads_works_while_it_writes(live):
    for command in (("audit", "verify"), ("replay", "--check"), ("backup",), ("query", "machines")):
        ran = live(*command, "--json")
        assert ran.code == 0, ran.err
        assert ran.data


def test_a_second_bot_is_refused_and_named(live):
    ran = live("run")
    assert ran.code == 3
    assert f"pid {live.process.pid}" in ran.err


def test_after_kill_9_it_is_asked_tightened_and_started_again(live):
    assert live("do", "hold", "--reason", "before the crash").code == 0
    live.process.kill()
    live.process.communicate()
    found = live("status", "--json").data
    assert found["bot"]["state"] == "crashed"
    assert any("before the crash" in why for why in found["why"])
    assert live("do", "release", "--reason", "x").code == 5
    assert live("do", "hold", "--symbol", "BTCUSDT", "--reason", "offline").code == 0
    assert live("audit", "verify").code == 0
    live.process = started(live)
    running = live("status", "--json").data
    assert any("before the crash" in why for why in running["why"])
    assert "crash recorded" in live("tail", "-n", "50", "--machine", "process").out


def test_panic_makes_the_account_safe_beside_the_bot(live):
    ran = live("panic", "--reason", "drill", "--json")
    assert ran.code == 0, ran.err
    assert ran.data["lines"][-1]["action"] == "end"
    assert live("status", "--json").data["halt"]["set"]


def test_an_alert_is_listed_and_acknowledged_by_its_key(live):
    """What panic left behind tripped the switch, and the bot called people."""
    key = "kill account TRIPPED"
    with live.start("tail", "-n", "9", "-f", "--machine", "alert", "--json",
                    stdout=subprocess.PIPE) as follower:  # fmt: skip
        next(line for line in follower.stdout if key in json.loads(line)["reason"])
        follower.kill()
    acked = live("alerts", "ack", key, "--reason", "on it", "--json")
    assert acked.code == 0, acked.err
    assert acked.data["state"] == "DONE"
    found = {alert["key"]: alert for alert in live("alerts", "list", "--json").data["alerts"]}
    assert (found[key]["state"], found[key]["severity"]) == ("ACKNOWLEDGED", "critical")
    assert found[key]["reason"].endswith(": on it")
    twice = live("alerts", "ack", found[key]["id"])
    assert (twice.code, "is ACKNOWLEDGED already" in twice.out) == (3, True)
    assert key in live("alerts", "list").out


def test_stop_is_seen_to_its_end(live):
    ran = live("do", "stop", "--reason", "night", "--json")
    assert (ran.code, ran.data["state"]) == (0, "DONE"), ran.err
    assert live.process.wait(20) == 0
    assert live("status", "--json").data["bot"]["state"] == "stopped"
    assert Path(f"{live.state}-wal").exists()
