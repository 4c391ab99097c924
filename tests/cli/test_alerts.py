"""The command line on alerts: each channel is tried and named, and what people were told is listed."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import ENV
from tests.people import Mailbox, Webhook


@pytest.fixture
def people():
    made = [Mailbox(), Webhook()]
    yield made
    for server in made:
        server.close()


def with_channels(first, second=""):
    return {**ENV, "BOT_NOTIFY_URLS": first, "BOT_NOTIFY_CRITICAL_URLS": second}


def test_every_channel_is_tried_and_says_what_happened(empty, people):
    mailbox, hook = people
    done = empty("alerts", "test", env=with_channels(mailbox.url, hook.url))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["mailto-1 (first)", "json-2 (second)"]
    assert all("took it in" in line for line in lines)
    assert "this is a test" in mailbox.next(0)["subject"]
    assert hook.next(0)["title"].startswith("bot: info: this is a test")


def test_one_channel_that_fails_is_named_and_the_others_are_told(empty, people):
    mailbox, hook = people
    hook.fault = "500"
    env = with_channels(f"{mailbox.url} {hook.url}")
    done = empty("alerts", "test", "--severity", "critical", "--json", env=env)
    assert done.code == 1
    found = {row["channel"]: row for row in done.data["channels"]}
    assert (found["mailto-1"]["taken"], found["json-2"]["taken"]) == (True, False)
    assert found["json-2"]["why"].startswith("json-2: ")
    assert mailbox.next(0)["subject"].startswith("bot: critical: ")


def test_an_address_that_nobody_understands_is_named_without_its_secrets(empty):
    done = empty("alerts", "test", env=with_channels("nosuch://user:canary@host"))
    assert done.code == 1
    assert "nosuch-1: Apprise does not understand it" in done.out
    assert "canary" not in done.out + done.err


def test_without_a_channel_there_is_nothing_to_test(empty):
    done = empty("alerts", "test")
    assert (done.code, "expected a channel to test" in done.err) == (2, True)


def test_what_people_were_told_is_listed_with_its_deliveries(bot):
    found = bot("alerts", "list", "-n", "100", "--json").data["alerts"]
    assert found
    told = [alert for alert in found if alert["key"] == "kill account TRIPPED"]
    assert [alert["state"] for alert in told] == ["CLOSED"]
    assert told[0]["reason"].startswith("rearm by ana")
    assert told[0]["messages"][0]["channel"] == "mailto-1"
    assert "\x1b" not in json.dumps(found)
    text = bot("alerts", "list", "-n", "100").out
    assert "mailto-1 SENT" in text
    assert "kill account TRIPPED" in text


def test_a_stopped_bot_acknowledges_nothing(bot):
    done = bot("alerts", "ack", "kill account TRIPPED")
    assert (done.code, "no bot answers" in done.err) == (5, True)
