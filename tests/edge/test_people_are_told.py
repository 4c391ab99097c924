"""Notifications leave through Apprise to a real mail server."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from aiosmtpd.controller import Controller

from bot.edge.notify import Notifier
from bot.errors import ConfigError, Retryable

# Apprise asks for a module of the standard library that later Pythons do not have
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")


class Inbox:
    def __init__(self) -> None:
        self.mails: list[str] = []

    async def take(self, server, session, envelope):
        self.mails.append(envelope.content.decode())
        return "250 taken"


@pytest.fixture
def inbox():
    inbox = Inbox()
    inbox.handle_DATA = inbox.take
    controller = Controller(inbox, hostname="127.0.0.1", port=0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        controller.port = free.getsockname()[1]
    controller.start()
    inbox.port = controller.port
    yield inbox
    controller.stop()


def mailto(port: int) -> str:
    return f"mailto://127.0.0.1:{port}/?from=bot@example.com&to=anna@example.com&format=text"


async def test_a_mail_arrives_with_its_reference(inbox):
    notifier = Notifier([mailto(inbox.port)])
    said = await notifier.send("critical", "drawdown 12 % @everyone\nlook", "#12 ab12", False)
    assert said == "1 channels"
    (mail,) = inbox.mails
    for said in ("drawdown 12 %", "#12 ab12", "bot: critical"):
        assert said in mail
    for left_out in ("@everyone", "(repeat)"):
        assert left_out not in mail


async def test_a_repeat_says_so_and_skips_whom_it_reached(inbox):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        dead = free.getsockname()[1]
    notifier = Notifier([mailto(inbox.port), mailto(dead)])
    for again in (False, True):
        with pytest.raises(Retryable, match=r"[Ee]-?[Mm]ail"):
            await notifier.send("info", "hello", "#1 aa", again)
    assert len(inbox.mails) == 1
    await Notifier([mailto(inbox.port)]).send("info", "hello", "#1 aa", True)
    assert "#1 aa (repeat)" in inbox.mails[-1]


async def test_a_wrong_address_is_a_configuration_error():
    with pytest.raises(ConfigError, match="notify url 1"):
        await Notifier(["nosuch://x:secret@y"]).open()


def test_without_channels_nothing_is_loaded():
    code = (
        "import asyncio, sys\nfrom bot.edge.notify import Notifier\n"
        "print(asyncio.run(Notifier([]).send('info','x','#1',False)), 'apprise' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "no channels False"
