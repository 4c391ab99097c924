"""What a silent bot left open is made safe, step by step, by a program with a key of its own."""

from __future__ import annotations

import asyncio

import pytest

from bot.edge import embedded
from bot.edge.files import HALT_BYTES
from tests.deadman.conftest import CANCEL, OWN, WARN, House

pytestmark = pytest.mark.filterwarnings("ignore:.imghdr")


def test_people_are_told_then_entries_go_while_the_stop_stays(silent, channel):
    house = silent
    orders, positions = house.left
    house.env["BOT_NOTIFY_URLS"] = channel.url
    house.fell_silent(WARN)
    warned = house.once()
    assert (warned["stage"], warned["exit"]) == ("WARN", 0)
    assert len(house.orders()) == orders, "a warning cancels nothing"
    assert f"Open at the venue: {orders} orders, {positions} positions" in warned["sentence"]
    assert house.once()["stage"] == "WARN"
    house.fell_silent(CANCEL)
    done = house.once()
    assert (done["stage"], done["exit"], done["verified"]) == ("CANCEL", 0, True), done
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
    told = [message["message"].partition(" silent for ")[0] for message in channel.messages]
    assert [words.split(":")[0] for words in told] == ["dead-man WARN", "dead-man CANCEL"]


def test_positions_are_closed_where_that_is_the_policy(silent):
    house = silent
    house.configure(flatten_real_seconds=CANCEL - 5)
    done = house.once()
    assert (done["stage"], done["exit"]) == ("FLATTEN", 0)
    assert (house.positions(), house.orders()) == ((), ())
    assert "closed 0.5 ETHUSDT" in done["sentence"]
    again = house.once()
    assert (again["stage"], again["lines"]) == ("FLATTEN", [])


def test_a_venue_that_is_away_is_tried_until_it_is_verified(silent, hurried):
    house = silent
    house.exchange.fault("maintenance")
    first = house.once()
    assert (first["stage"], first["exit"], first["verified"]) == ("CANCEL", 4, False)
    assert "NOT VERIFIED" in first["sentence"]
    assert house.halt()["halt"], "HALT needs no venue"
    house.exchange.control("clear")
    second = house.once()
    assert (second["exit"], second["verified"], house.orders()) == (0, True, ())
    begun = [line for line in house.panics() if line["action"] == "panic"]
    assert len(begun) == 2
    assert begun[0]["detail"] == begun[1]["detail"], "HALT keeps one reason"


def test_the_embedded_exchange_is_found_again_at_its_new_address(tmp_path, hurried):
    house = House(tmp_path)
    try:
        asyncio.run(embedded.start(tmp_path, 1988, 1))
        house.fell_silent(CANCEL)
        house.open_something()
        house.end_exchange()
        assert house.once()["exit"] == 4
        asyncio.run(embedded.start(tmp_path, 1988, 1))
        second = house.once()
        assert (second["exit"], second["verified"], house.orders()) == (0, True, ())
    finally:
        house.close()


def test_its_key_is_its_own_and_works_when_the_bots_is_withdrawn(silent):
    house = silent
    house.env["BOT_VENUE_KEY"] = "paperkey"
    house.exchange.control("key", key="paperkey", secret="papersecret", expires_ms=1)
    try:
        done = house.once()
    finally:
        house.exchange.control("key", key="paperkey", secret="papersecret")
    assert (done["exit"], done["verified"]) == (0, True), done
    assert "has the bot's key" not in done["err"]
    assert house.orders() == ()


def test_the_bots_own_key_works_and_a_wrong_one_is_told_of(silent):
    house = silent
    house.fell_silent(WARN)
    house.env |= {"BOT_DEADMAN_KEY": "another", "BOT_VENUE_KEY": "paperkey"}
    assert "API key is invalid" in house.once()["sentence"]
    house.env |= {"BOT_DEADMAN_KEY": "paperkey", "BOT_DEADMAN_SECRET": "papersecret"}
    warned = house.once()
    assert "Open at the venue: " in warned["sentence"], "it still works"
    assert "has the bot's key" in warned["err"]


def test_what_speaks_against_its_key_is_said_while_there_is_time_and_refuses_nothing(silent):
    house = silent
    house.fell_silent(WARN)
    own = {"key": OWN["BOT_DEADMAN_KEY"], "secret": OWN["BOT_DEADMAN_SECRET"]}
    assert house.once()["sentence"].endswith("found any address.")
    house.exchange.control("key", **own, withdraw=True, ips=["127.0.0.1"])
    warned = house.once()
    assert warned["sentence"].endswith(
        "venue key: expected a key that cannot withdraw, found the right Wallet:Withdraw."
    )
    assert "Open at the venue: " in warned["sentence"]
    house.exchange.control("key", **own, read_only=True, ips=["127.0.0.1"])
    assert "expected a key that may trade, found one that is read-only" in house.once()["sentence"]
    house.exchange.control("key", **own, withdraw=True)
    house.fell_silent(CANCEL)
    done = house.once()
    assert (done["exit"], done["verified"], house.orders()) == (0, True, ())
    house.exchange.control("key", **own)


def test_where_no_bot_ran_there_is_nothing_to_watch(tmp_path):
    house = House(tmp_path)
    ran = house.run("deadman", "--once")
    assert ran.returncode == 5
    assert "no bot has run" in ran.stderr
    assert not house.panics()
