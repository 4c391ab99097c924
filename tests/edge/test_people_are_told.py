"""Messages leave through Apprise to real servers, whatever becomes of another channel."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from bot.core.effects import Notify
from bot.edge.notify import THREADS_MAX, Notifier, defused
from bot.errors import ConfigError, Retryable
from tests.people import DISCORD_ID, DISCORD_TOKEN, FAULTS, Mailbox, Webhook

# Apprise asks for a module of the standard library that later Pythons do not have
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

MESSAGE = Notify(
    severity="critical",
    text="kill switch tripped (account): drawdown 12.00% at limit 10.00%",
    key="kill account TRIPPED",
    runbook="kill",
    alert="a142-0",
    since=1_700_000_000_000,
    count=3,
)


@pytest.fixture
def people():
    """Make servers, each with its fault, and let them go at the end."""
    made = []

    def make(kind, fault=""):
        made.append(kind(fault))
        return made[-1]

    yield make
    for server in made:
        server.close()


def but(**changes):
    return Notify(**{name: getattr(MESSAGE, name) for name in MESSAGE.__struct_fields__} | changes)


# -- the message -----------------------------------------------------------------------------------


async def test_a_mail_says_what_since_when_what_to_do_and_the_audit_head(people):
    mailbox = people(Mailbox)
    notifier = Notifier([mailbox.url])
    await notifier.send("mailto-1", MESSAGE, "142-1 #145 ab12cd34ef56")
    mail = mailbox.next()
    assert (
        mail["subject"]
        == "bot: critical: kill switch tripped (account): drawdown 12.00% at limit 10.00%"
    )
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == [
        "kill switch tripped (account): drawdown 12.00% at limit 10.00%",
        "",
        "since 2023-11-14 22:13:20 UTC, 3 times",
        "alert kill account TRIPPED (a142-0)",
        "sent again until: python -m bot alerts ack a142-0",
        "what to do: docs/alerts.md#kill",
        "142-1 #145 ab12cd34ef56",
    ]


async def test_a_repeat_says_so(people):
    hook = people(Webhook)
    await Notifier([hook.url]).send("json-1", MESSAGE, "142-1 #145 ab", True)
    assert hook.next()["message"].endswith("142-1 #145 ab (repeat)")


HOSTILE = (
    "@everyone <@123> <@&77> <!here> *b* _i_ ~~s~~ `c` ||x|| [a](http://b) > q # h\x1b[31m\u202e"
)


async def test_text_from_outside_calls_nobody(people):
    hook = people(Webhook)
    await Notifier([hook.url]).send("json-1", but(text=HOSTILE), "r")
    found = hook.next()
    for said in (found["message"], found["title"]):
        assert "@" not in said
        assert "<!" not in said
        assert "\x1b" not in said
        assert "\u202e" not in said
    assert found["message"].startswith("(at)everyone <(at)123> <(at)&77> < !here> *b*")


async def test_what_discord_would_draw_is_escaped(people, monkeypatch):
    hook = people(Webhook)
    from apprise.plugins.discord import NotifyDiscord

    monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://127.0.0.1:{hook.port}")
    notifier = Notifier([f"discord://{DISCORD_ID}/{DISCORD_TOKEN}"])
    await notifier.send("discord-1", but(text=HOSTILE), "r")
    said = hook.next()["content"]
    assert r"\(at\)everyone <\(at\)123\> <\(at\)&77\> < !here\>" in said
    assert r"\*b\* \_i\_ \~\~s\~\~ \`c\` \|\|x\|\| \[a\]\(http://b\) \> q \# h" in said


async def test_html_of_a_message_is_no_html_in_a_mail(people):
    mailbox = people(Mailbox)
    notifier = Notifier([f"{mailbox.url}&format=html"])
    await notifier.send("mailto-1", but(text="<b>bold</b>"), "r")
    (html,) = [
        p.get_content() for p in mailbox.next().walk() if p.get_content_type() == "text/html"
    ]
    assert "<b>bold" not in html
    assert "&lt;b&gt;bold" in html


async def test_a_long_message_reaches_discord_in_parts(people, monkeypatch):
    hook = people(Webhook)
    from apprise.plugins.discord import NotifyDiscord

    monkeypatch.setattr(NotifyDiscord, "notify_url", f"http://127.0.0.1:{hook.port}")
    text = "\n".join(f"- warning: line {n} of a digest that is long" for n in range(60))
    await Notifier([f"discord://{DISCORD_ID}/{DISCORD_TOKEN}"]).send(
        "discord-1", but(text=text), "r"
    )
    parts = [hook.next()["content"], hook.next()["content"]]
    assert all(len(part) <= 2_000 for part in parts)
    assert "line 59" in parts[-1]


@pytest.mark.parametrize("text", ["@everyone", "<@1>", "a@b.c", "<!channel>"])
def test_what_is_defused_calls_nobody(text):
    assert not {"@", "<!"} & {defused(text)[n : n + size] for n in range(20) for size in (1, 2)}


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Webhook, Mailbox], ids=["http", "smtp"])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "slow"])
async def test_each_fault_of_a_channel_is_a_sentence_and_can_be_tried_again(people, kind, fault):
    server = people(kind, fault)
    notifier = Notifier([server.url], timeout_seconds=1.0)
    (name,) = notifier.first
    with pytest.raises(Retryable, match=rf"^{name}: \S+") as failed:
        await notifier.send(name, MESSAGE, "1-0")
    if fault == "hang":
        assert "no answer within 1 s" in str(failed.value)


@pytest.mark.parametrize("kind", [Webhook, Mailbox], ids=["http", "smtp"])
async def test_a_slow_channel_is_waited_for(people, kind):
    server = people(kind, "slow")
    notifier = Notifier([server.url])
    await notifier.send(*notifier.first, MESSAGE, "1-0")
    assert server.next()


@pytest.mark.parametrize("fault", ["refuse", "hang", "500", "drop"])
async def test_a_dead_channel_keeps_no_other_waiting(people, fault):
    dead, mailbox = people(Webhook, fault), people(Mailbox)
    notifier = Notifier([dead.url, mailbox.url], timeout_seconds=5.0)
    await notifier.open()
    lost = [asyncio.create_task(notifier.tried("json-1", MESSAGE, f"{n}-0")) for n in range(50)]
    await notifier.send("mailto-2", MESSAGE, "60-0")
    assert mailbox.next(0)
    for task in lost:
        task.cancel()


async def ended(*threads):
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)


async def test_threads_that_hang_are_bounded_and_the_channel_comes_back(people):
    hook = people(Webhook, "hang")
    notifier = Notifier([hook.url], timeout_seconds=1.0)
    await notifier.open()
    found = await asyncio.gather(*(notifier.tried("json-1", MESSAGE, f"{n}-0") for n in range(20)))
    assert all("no answer within 1 s" in why for why in found)
    assert hook.asked <= 2 * THREADS_MAX, "who found no thread free sent nothing"
    hanging = [t for t in threading.enumerate() if t.name == "notify-json-1"]
    assert len(hanging) <= THREADS_MAX
    hook.fault = ""
    await ended(*hanging)
    await notifier.send("json-1", MESSAGE, "30-0")
    assert hook.next()


async def test_a_message_that_arrived_late_is_not_sent_twice(people):
    hook = people(Webhook, "slow")
    notifier = Notifier([hook.url], timeout_seconds=0.2)
    await notifier.open()
    notifier._channels["json-1"]._plugin.socket_read_timeout = 5.0
    with pytest.raises(Retryable, match="no answer within"):
        await notifier.send("json-1", MESSAGE, "1-0")
    assert hook.next()
    await ended(*(t for t in threading.enumerate() if t.name == "notify-json-1"))
    await notifier.send("json-1", MESSAGE, "1-0", True)
    assert hook.asked == 1


async def test_everybody_is_told_at_once_and_each_failure_is_named(people):
    hook, mailbox = people(Webhook), people(Mailbox, "500")
    notifier = Notifier([hook.url], [mailbox.url])
    assert (notifier.first, notifier.second) == (("json-1",), ("mailto-2",))
    found = await notifier.send_all(MESSAGE, "test")
    assert (found["json-1"], bool(found["mailto-2"])) == ("", True)


# -- addresses -------------------------------------------------------------------------------------


async def test_a_wrong_address_is_a_configuration_error_and_stops_no_other(people):
    hook = people(Webhook)
    notifier = Notifier(["nosuch://x:secret@y", hook.url])
    with pytest.raises(ConfigError, match="notify nosuch-1: Apprise does not understand it"):
        await notifier.open()
    assert "does not understand" in await notifier.tried("nosuch-1", MESSAGE, "1-0")
    await notifier.send("json-2", MESSAGE, "1-1")
    assert hook.next()


async def test_no_failure_tells_the_secrets_of_an_address(people):
    hook = people(Webhook, "refuse")
    urls = [
        f"json://canaryuser:canarypass@127.0.0.1:{hook.port}/canarytoken/",
        f"mailtos://canaryuser:canarypass@127.0.0.1:{hook.port}/?from=a@b.c&to=d@e.f",
        f"jsons://127.0.0.1:{hook.port}/canarytoken?+X-Key=canaryheader",
    ]
    found = await Notifier(urls, timeout_seconds=2).send_all(MESSAGE, "r")
    assert all(found.values())
    assert "canary" not in str(found)


async def test_not_even_an_error_that_nobody_foresaw_tells_them(monkeypatch):
    from apprise.plugins.custom_json import NotifyJSON

    url = "json://canaryuser:canary%20pass@localhost/canarytoken/?+X-Key=canaryheader"

    def broken(self, **_):
        raise RuntimeError("canaryuser, canary pass, /canarytoken/, canaryheader of localhost\x1b")

    monkeypatch.setattr(NotifyJSON, "send", broken)
    why = await Notifier([url]).tried("json-1", MESSAGE, "r")
    four = "(hidden), (hidden), /(hidden)/, (hidden)"
    assert why == f"json-1: RuntimeError: {four} of localhost\N{REPLACEMENT CHARACTER}"


async def test_a_channel_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="expected one of none; found 'mailto-1'"):
        await Notifier([]).send("mailto-1", MESSAGE, "1-0")


def test_without_channels_nothing_is_loaded():
    code = (
        "import asyncio, sys\nfrom bot.edge.notify import Notifier\n"
        "asyncio.run(Notifier([]).open()); print('apprise' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "False"
