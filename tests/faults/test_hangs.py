"""A bot of which one part hangs is silent to its service manager, and says which part it is."""

from __future__ import annotations

import signal
import socket
import sys

import pytest

from tests.faults.places import toml, until
from tests.faults.seen import Since

PATIENCE = {"watchdog": {"loop_real_seconds": 2, "reactor_real_seconds": 2}}
BOOTS = "SELECT reason FROM transition WHERE machine = 'process' AND dest = 'BOOT' ORDER BY id DESC"


class Manager:
    """The service manager's socket: what the bot tells it, in order."""

    def __init__(self, folder, monkeypatch) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))

    def next(self, word: str) -> list[str]:
        """Return the lines of the next message that has a word, however many come before."""
        while True:
            lines = self.socket.recv(4096).decode().split("\n")
            if any(word in line for line in lines):
                return lines


@pytest.fixture
def manager(tmp_path, monkeypatch):
    made = Manager(tmp_path, monkeypatch)
    yield made
    made.socket.close()


@pytest.fixture
def hanging(place, manager):
    place.config |= PATIENCE
    place.file.write_text(toml(place.config))

    def start():
        command = [sys.executable, "-m", "tests.faults.hanging", str(place.state), str(place.file)]
        return place._spawn(command, "bot.out")

    return start


def hang(place, manager, part, name):
    """Have a part hang, and see that it is named and that the watchdog is no longer fed."""
    place.state.with_name("state.db.hang").write_text(part)
    manager.next(f"STATUS=late: {name} has not moved for")
    for _ in range(2):  # seconds later it is still late: nothing else came in between
        assert manager.socket.recv(4096).startswith(b"STATUS=late: ")
    until(lambda: f"late: {name} has not moved" in place.said(), "stderr names it")


def test_a_loop_that_hangs_is_named_and_the_next_start_knows_why_the_last_one_was_ended(
    place, manager, hanging
):
    bot = hanging()
    assert any("EXTEND_TIMEOUT_USEC" in line for line in manager.next("STATUS=BOOT opening"))
    manager.next("READY=1")
    fed, *more = manager.next("STATUS=RUNNING")
    assert (fed, len(more)) == ("WATCHDOG=1", 1), "it asks for no more time"
    hang(place, manager, "loop", "asyncio loop")
    bot.send_signal(signal.SIGABRT)  # what systemd does now
    assert bot.wait(20) == -signal.SIGABRT

    since = Since(place)
    hanging()
    manager.next("READY=1")
    told = place.rows(BOOTS)[0][0]
    assert told.startswith("crash recorded: the last process ended in RUNNING without stopping")
    assert "asyncio loop has not moved for" in told
    since.moved("process", "RUNNING", "BOOT", "crash recorded: ", "asyncio loop has not moved for")
    since.told("warning", "crash", "crash recorded: ", "asyncio loop has not moved for")
    words = place.state.with_name("state.db.words")
    until(lambda: not words.exists(), "words that are in the journal are put away")


def test_a_reactor_that_hangs_is_named(place, manager, hanging):
    hanging()
    manager.next("READY=1")
    hang(place, manager, "reactor", "reactor")
