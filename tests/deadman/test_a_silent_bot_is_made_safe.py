"""Real processes: a bot that is killed or hangs, its exchange, and the dead-man beside them."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess

from bot.edge import embedded
from bot.edge.files import HALT_BYTES
from tests.deadman.conftest import PATIENT


def test_people_are_told_then_entries_go_while_the_stop_stays(silent_bot, channel):
    house = silent_bot
    house.env["BOT_NOTIFY_URLS"] = channel.url
    house.limits(cancel_real_seconds=300)
    warned = house.until_stage("WARN")
    orders, positions = house.left
    assert (warned["exit"], len(house.orders())) == (0, orders), "a warning cancels nothing"
    assert f"Open at the venue: {orders} orders, {positions} positions" in warned["sentence"]
    assert house.once()["stage"] == "WARN"
    house.limits()
    done = house.until_stage("CANCEL")
    assert (done["exit"], done["verified"]) == (0, True), done
    assert f"cancel entries: {orders} cancelled, none open" in done["sentence"]
    assert house.orders() == ()
    assert len(house.positions()) == positions
    assert all(position.stop is not None for position in house.positions())
    assert house.halt()["who"] == "deadman"
    assert (house.folder / "HALT").stat().st_size == HALT_BYTES
    assert {line["who"] for line in house.panics()} == {"deadman"}
    assert house.panics() == done["lines"]

    again = house.once()
    assert (again["stage"], again["exit"], again["lines"]) == ("CANCEL", 0, [])
    assert house.panics() == done["lines"], "what was verified is not done again"
    types = [message["type"] for message in channel.messages]
    assert types == ["warning", "failure"], "each stage is told once"


def test_the_revived_bot_says_what_was_done_and_waits_for_a_person(silent_bot):
    house = silent_bot
    house.until_stage("CANCEL")
    house.limits(**PATIENT)
    house.start_bot()
    house.until(lambda: house.beat().get("kill") == "LATCHED")
    shown = house.run("status").stdout
    assert f"deadman: cancel entries: {house.left[0]} cancelled, none open" in shown
    assert json.loads(house.run("status", "--json").stdout)["panics"][-1]["who"] == "deadman"
    house.until(lambda: not house.panics())
    (row,) = json.loads(
        house.run("query", "SELECT body FROM journal WHERE kind = 'Panicked'", "--json").stdout
    )["rows"]
    assert f"{house.left[0]} cancelled" in row["body"]
    found = house.once()
    assert (found["stage"], found["exit"]) == ("QUIET", 0)
    rearmed = house.run("do", "rearm", "--reason", "looked at it")
    assert rearmed.returncode == 0, rearmed.stdout + rearmed.stderr
    house.until(lambda: not house.halt()["halt"])
    assert json.loads(house.run("status", "--json").stdout)["panics"] == []
    house.kill_bot()
    house.limits()
    second = house.until_stage("CANCEL")
    assert second["lines"], "a second silence is a new one"


def test_positions_are_closed_where_that_is_the_policy(silent_bot):
    house = silent_bot
    house.limits(flatten_real_seconds=5)
    done = house.until_stage("FLATTEN")
    assert (done["exit"], house.positions(), house.orders()) == (0, (), ())
    assert "closed 0.5 ETHUSDT" in done["sentence"]
    again = house.once()
    assert (again["stage"], again["lines"]) == ("FLATTEN", [])


def test_a_bot_that_hangs_is_ended_first(house):
    house.start_bot()
    house.open_something()
    house.bot.send_signal(signal.SIGSTOP)
    done = house.until_stage("CANCEL")
    assert house.bot.wait(10) == -signal.SIGKILL
    assert [line["action"] for line in done["lines"]].index("end process") == 2, "after HALT"
    assert (done["exit"], house.orders()) == (0, ())


def test_a_bot_that_hangs_is_left_where_that_is_the_policy(house):
    house.limits(end_hung=False)
    house.start_bot()
    house.open_something()
    house.bot.send_signal(signal.SIGSTOP)
    done = house.until_stage("CANCEL")
    assert house.bot.poll() is None
    assert (done["exit"], house.orders(), house.halt()["halt"]) == (0, (), True)


def test_a_venue_that_is_away_is_tried_until_it_is_verified(silent_bot):
    house = silent_bot
    house.end_exchange()
    first = house.until_stage("CANCEL")
    assert (first["exit"], first["verified"]) == (4, False)
    assert "NOT VERIFIED" in first["sentence"]
    assert house.halt()["halt"], "HALT needs no venue"
    asyncio.run(embedded.start(house.folder, 1988, 1))
    second = house.once()
    assert (second["exit"], second["verified"], house.orders()) == (0, True, ())
    begun = [line for line in house.panics() if line["action"] == "panic"]
    assert len(begun) == 2
    assert begun[0]["detail"] == begun[1]["detail"], "HALT keeps one reason"


def test_a_beating_bot_is_left_alone_and_one_dead_man_watches(house):
    house.limits(warn_real_seconds=12, cancel_real_seconds=14)
    house.start_bot()
    house.open_something()
    watching = house.start("deadman", "--json", stdout=subprocess.PIPE)
    assert json.loads(watching.stdout.readline())["stage"] == "QUIET"
    second = house.run("deadman", "--once")
    assert second.returncode == 3
    assert "another dead-man watches" in second.stderr
    assert (bool(house.orders()), house.halt()["halt"]) == (True, False)
    house.kill_bot()
    stages = []
    for line in watching.stdout:
        stages.append(json.loads(line)["stage"])
        if stages[-1] == "CANCEL":
            break
    assert house.orders() == ()


def test_a_clean_stop_is_no_alarm(house):
    house.start_bot()
    assert house.run("do", "stop", "--reason", "night").returncode == 0
    house.bot.wait(30)
    assert house.beat()["process"] == "STOPPED"
    assert house.beat()["entries"] == house.beat()["unprotected"] == 0
    found = house.once()
    assert (found["stage"], found["exit"]) == ("QUIET", 0)
    assert "stopped cleanly" in found["sentence"]


def test_its_key_is_its_own(silent_bot):
    house = silent_bot
    house.limits(cancel_real_seconds=500)
    house.env |= {
        "BOT_DEADMAN_KEY": "another",
        "BOT_DEADMAN_SECRET": "x",
        "BOT_VENUE_KEY": "paperkey",
    }
    warned = house.until_stage("WARN")
    assert "API key is invalid" in warned["sentence"], "the exchange knows the bot's key only"
    assert "has the bot's key" not in warned["err"]
    house.env |= {"BOT_DEADMAN_KEY": "paperkey", "BOT_DEADMAN_SECRET": "papersecret"}
    warned = house.once()
    assert "Open at the venue: " in warned["sentence"], "it still works"
    assert "has the bot's key" in warned["err"]


def test_where_no_bot_ran_there_is_nothing_to_watch(house):
    ran = house.run("deadman", "--once")
    assert ran.returncode == 5
    assert "no bot has run" in ran.stderr
    assert not house.panics()
