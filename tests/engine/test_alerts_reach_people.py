"""Alerts reach real servers through the outbox, channel by channel, whatever becomes of another."""

from __future__ import annotations

import asyncio

import pytest

from bot.core.effects import Cancel
from bot.core.events import Latched, StorageChecked, VenueTroubled
from bot.core.turn import Dispatch
from bot.desk import alerts as desk
from bot.edge.notify import Notifier
from bot.engine.effects import CONCURRENT_MAX
from bot.engine.replay import check
from tests.given import commanded, tuned
from tests.outbox import Outbox
from tests.people import Mailbox, Webhook

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

LIMIT_SECONDS = 20
STATES = "SELECT group_concat(channel || ' ' || state) FROM (SELECT * FROM alert_delays ORDER BY channel, seq)"


@pytest.fixture
def people():
    made = []

    def make(kind, fault=""):
        made.append(kind(fault))
        return made[-1]

    yield make
    for server in made:
        server.close()


def run(story):
    """Run a story with a limit on its real time."""

    async def limited():
        async with asyncio.timeout(LIMIT_SECONDS):
            await story

    asyncio.run(limited())


def low(box, mb=100):
    return StorageChecked(at=box.world.at, free_mb=mb)


async def opened(path, notifier, **settings):
    """Return an outbox whose channels are loaded."""
    box = Outbox(path, notifier, tuned(**settings))
    await notifier.open()
    box.open()
    return box


@pytest.mark.parametrize("fault", ["refuse", "hang", "500", "drop"])
def test_one_channel_is_told_at_once_while_the_other_is_down_and_tried_again_alone(
    people, tmp_path, fault
):
    async def story():
        hook, mailbox = people(Webhook, fault), people(Mailbox)
        box = await opened(tmp_path / "s", Notifier([hook.url, mailbox.url], timeout_seconds=1.0))
        box.say(low(box))
        await box.until("SELECT state FROM alert_delays WHERE channel = 'mailto-2'", "SENT")
        assert "storage: 100 MB free" in mailbox.next(0)["subject"]
        assert box.row("SELECT state FROM alert_delays WHERE channel = 'json-1'") != ("SENT",)
        await box.settled()
        assert box.row(STATES) == ("json-1 RETRY,mailto-2 SENT",)
        if fault != "refuse":
            hook.fault = ""
            box.tick(1)
            await box.settled()
            assert hook.next(0)["message"].endswith("(repeat)")
            assert box.row(STATES) == ("json-1 SENT,mailto-2 SENT",)
        assert mailbox.mails.empty(), "the other one is not told again"
        (delay,) = box.row("SELECT delay_ms FROM alert_delays WHERE channel = 'mailto-2'")
        assert 0 <= delay < LIMIT_SECONDS * 1000

    run(story())


def test_a_channel_that_stays_down_ends_dead_with_its_reason(people, tmp_path):
    async def story():
        hook = people(Webhook, "500")
        box = await opened(tmp_path / "s", Notifier([hook.url]), delivery__attempts_max=3)
        box.say(low(box))
        for _ in range(3):
            await box.settled()
            box.tick(5)
        await box.settled()
        found = box.row("SELECT state, delay_ms, reason FROM alert_delays")
        assert found[:2] == ("DEAD", None)
        assert found[2].startswith("3 attempts: Retryable: json-1: ")
        moves = "SELECT source, dest FROM transition WHERE machine = 'delivery' AND dest = 'DEAD'"
        assert box.rows(moves) == [("PENDING", "DEAD")]
        assert box.row("SELECT text FROM alert") == ("storage: 100 MB free",)
        assert hook.asked == 3

    run(story())


def test_a_critical_escalates_until_it_is_acknowledged(people, tmp_path):
    async def story():
        first, second = people(Webhook), people(Mailbox)
        box = await opened(tmp_path / "s", Notifier([first.url], [second.url]))
        box.say(low(box))
        await box.settled()
        for seconds in (300, 600):
            box.tick(seconds)
            await box.settled()
        said = [first.next(0)["message"].splitlines()[0] for _ in range(2)]
        assert said == [
            "storage: 100 MB free",
            "storage: 100 MB free; nobody acknowledged it for 5 min",
        ]
        assert second.next(0)["subject"].endswith("nobody acknowledged it for 15 min")
        ((name,),) = box.rows("SELECT id FROM alerts WHERE state = 'ESCALATED'")
        moves = f"SELECT dest, reason FROM transition WHERE machine = 'alert' AND key = '{name}'"
        assert box.rows(moves)[-1] == ("ESCALATED", "nobody acknowledged it for 15 min")
        box.say(commanded(box.world, "ack", alert=name, reason="on it"))
        box.tick(4_000)
        await box.settled()
        assert (first.messages.empty(), second.mails.empty()) == (True, True)
        found = box.row("SELECT state, reason, deliveries FROM alerts WHERE id LIKE 'a%' LIMIT 1")
        assert found == ("CLOSED", "it happened once", "json-1 SENT ×2, mailto-2 SENT")
        moves = box.rows(
            "SELECT dest, reason FROM history WHERE machine = 'alert' AND dest = 'ACKNOWLEDGED'"
        )
        assert moves == [("ACKNOWLEDGED", "ana: on it")]

    run(story())


def test_a_restart_neither_repeats_nor_forgets(people, tmp_path):
    async def story():
        hook, mailbox = people(Webhook, "hang"), people(Mailbox)
        urls = [hook.url, mailbox.url]
        box = await opened(tmp_path / "s", Notifier(urls, timeout_seconds=5.0))
        box.say(low(box))
        await box.until("SELECT state FROM alert_delays WHERE channel = 'mailto-2'", "SENT")
        box.runner.close()  # it dies with one message under way
        await asyncio.gather(*box.runner.in_flight, return_exceptions=True)
        assert mailbox.next(0)
        hook.fault = ""
        again = await opened(tmp_path / "s", Notifier(urls))
        await again.settled()
        told = [hook.next(0)["message"] for _ in range(hook.messages.qsize())]
        (mine,) = [message for message in told if "storage" in message]
        assert mine.endswith("(repeat)")
        assert ["storage" in str(mailbox.next(0)) for _ in range(mailbox.mails.qsize())] == [False]
        again.tick(301)
        await again.settled()
        assert "nobody acknowledged" in hook.next(0)["message"]

    run(story())


def test_replay_decides_every_alert_again_alike(people, tmp_path):
    async def story():
        hook = people(Webhook)
        box = await opened(tmp_path / "s", Notifier([hook.url]), alerts__storm_max=2)
        for n in range(6):
            box.say(VenueTroubled(at=box.world.at, kind="unseen code", reason=f"{n % 4}"))
        box.say(Latched(at=box.world.at, reason="r"), commanded(box.world, "release"))
        for _ in range(5):
            box.tick(300)
            await box.settled()
        assert check(box.connection).transitions == box.row("SELECT count(*) FROM transition")[0]
        counted = box.rows("SELECT text, count FROM alerts WHERE key LIKE 'unseen%' ORDER BY key")
        assert [count for _, count in counted] == [2, 2, 1, 1]

    run(story())


def test_messages_that_hang_keep_no_cancel_waiting(people, tmp_path):
    async def story():
        hook = people(Webhook, "hang")
        notifier = Notifier([hook.url], timeout_seconds=10.0)
        box = await opened(tmp_path / "s", notifier, alerts__storm_max=1000)
        box.say(
            *(
                VenueTroubled(at=box.world.at, kind="unseen code", reason=f"{n}")
                for n in range(2 * CONCURRENT_MAX)
            )
        )
        done = asyncio.Event()

        async def cancel(dispatch):
            done.set()
            return []

        box.runner._kinds[Cancel] = cancel
        box.runner.start([Dispatch("0-0", Cancel(order="o", symbol="s"))])
        await done.wait()
        assert box.row("SELECT count(*) FROM alert_delays WHERE state = 'PENDING'") == (64,)
        box.runner.close()

    run(story())


def test_what_is_not_sent_is_still_said_on_the_screen(tmp_path):
    async def story():
        box = await opened(tmp_path / "s", Notifier([]))
        box.say(low(box), commanded(box.world, "hold"))
        await box.settled()
        assert box.said == ["critical: storage: 100 MB free"]
        assert box.rows("SELECT * FROM alert_delays") == []

    run(story())


def test_the_desk_lists_what_is_open_and_what_was_lately(people, tmp_path):
    async def story():
        hook = people(Webhook, "500")
        box = await opened(tmp_path / "s", Notifier([hook.url]))
        box.say(low(box), *[VenueTroubled(at=box.world.at, kind="unseen code", reason="1")] * 3)
        await box.settled()
        box.tick(700)
        storage, code = desk.read(box.connection, 5)
        assert (storage.key, storage.state, storage.age_seconds) == (
            "storage account LOW",
            "RAISED",
            700.0,
        )
        assert (storage.open, code.open, code.count) == (True, False, 3)
        assert [m.state for m in code.messages] == ["PENDING"]
        assert [m.channel for m in storage.messages] == ["json-1", "json-1"], "sent, and sent again"
        assert [told.key for told in desk.read(box.connection, 0)] == [storage.key]
        await box.settled()

    run(story())
