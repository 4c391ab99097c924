"""Silence is measured on the machine's monotonic clock; what cannot be measured is remembered."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest

from bot.config import Deadman, Venue
from bot.deadman import DeadMan, Stage, Watched, alone
from bot.edge.clock import MarketClock, wall_ms
from bot.edge.host import boot_id
from bot.edge.notify import Notifier
from bot.edge.venues.bybit import Bybit
from bot.errors import LeaseHeld, NotRunning

pytestmark = pytest.mark.filterwarnings("ignore:.imghdr")

DAY_MS = 86_400_000
NOWHERE = "http://127.0.0.1:1"


class Desk:
    """A folder with a heartbeat that a test writes, and a dead-man that only looks."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "state.db").write_bytes(b"")
        self.heartbeat = folder / "state.db.heartbeat"
        self.limits = Deadman(warn_real_seconds=30, cancel_real_seconds=100_000)
        self.urls, self.patience = (), 10.0

    def man(self) -> DeadMan:
        names = ("state.db", "state.db.heartbeat", "HALT", "panic.jsonl", "memory/deadman.json")
        (self.folder / "memory").mkdir(exist_ok=True)
        return DeadMan(
            Watched(*(self.folder / name for name in names)),
            self.limits,
            lambda: Bybit(NOWHERE, NOWHERE, "itskey", "itssecret", clock=MarketClock()),
            Notifier(self.urls, timeout_seconds=self.patience),
            severity_min="info",
            wanted=Venue(),
        )

    def beat(self, ago_seconds=0.0, **more):
        mono = time.monotonic_ns() // 1_000_000 - round(ago_seconds * 1000)
        stamps = {"pid": os.getpid(), "wall_ms": wall_ms(), "boot": boot_id(), "mono_ms": mono}
        self.heartbeat.write_text(json.dumps(stamps | {"process": "RUNNING"} | more))

    def look(self, man=None):
        return asyncio.run((man or self.man()).look())


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.mark.parametrize("wall", [0, wall_ms() - DAY_MS, wall_ms() + DAY_MS])
def test_a_clock_that_was_set_makes_nobody_look_dead(desk, wall):
    desk.beat(wall_ms=wall)
    os.utime(desk.heartbeat, (1_000_000, 1_000_000))
    assert desk.look().stage == "QUIET"


@pytest.mark.parametrize("wall", [wall_ms(), wall_ms() + DAY_MS])
def test_a_clock_that_was_set_makes_nobody_look_alive(desk, wall):
    desk.beat(ago_seconds=40, wall_ms=wall)
    found = desk.look()
    assert (found.stage, 40 <= found.silent_seconds < 70) == ("WARN", True)


@pytest.mark.parametrize("body", [None, b"", b"{", b'{"pid":"x","wall_ms":1}', b"another boot"])
def test_what_cannot_be_measured_counts_from_when_it_was_first_seen(desk, body):
    if body == b"another boot":
        desk.beat(boot="another boot", ago_seconds=-5_000)
    elif body is not None:
        desk.heartbeat.write_bytes(body)
    first = desk.look()
    assert (first.stage, first.silent_seconds < 5) == ("QUIET", True)
    memory = desk.folder / "memory/deadman.json"
    known = json.loads(memory.read_bytes())
    memory.write_text(json.dumps(known | {"since_ms": known["since_ms"] - 31_000}))
    second = desk.look()
    assert second.stage == "WARN"
    memory.write_text(json.dumps(known | {"boot": "the one before"}))
    assert desk.look().stage == "QUIET", "after a reboot the bot has its time again"


def test_what_cannot_be_remembered_counts_as_old(desk):
    man = desk.man()
    (desk.folder / "memory").rmdir()
    assert desk.look(man).silent_seconds > 5, "the machine has been up for longer than that"


def test_a_bot_that_beats_again_is_a_new_story(desk):
    desk.beat(ago_seconds=40)
    assert desk.look().stage == "WARN"
    assert json.loads((desk.folder / "memory/deadman.json").read_bytes())["told"]
    desk.beat()
    assert "beats again" in desk.look().sentence
    assert not json.loads((desk.folder / "memory/deadman.json").read_bytes())["told"]
    assert "beats again" not in desk.look().sentence


REST = {"process": "STOPPED", "entries": 0, "unprotected": 0, "positions": 0}


@pytest.mark.parametrize(
    ("left", "stage", "said"),
    [
        ({}, "QUIET", "stopped cleanly"),
        ({"positions": 2}, "QUIET", "2 positions are kept under their stops"),
        ({"entries": 1}, "WARN", "it stopped with entries 1"),
        ({"positions": 1, "unprotected": 1}, "WARN", "it stopped with unprotected 1"),
        ({"entries": None}, "WARN", "it stopped with entries None"),
        ({"process": "DRAINING"}, "WARN", "it was DRAINING"),
    ],
)
def test_only_a_stop_that_left_nothing_to_watch_is_at_rest(desk, left, stage, said):
    desk.beat(ago_seconds=40, **(REST | left))
    found = desk.look()
    assert (found.stage, said in found.sentence) == (stage, True), found.sentence


def test_people_who_cannot_be_told_stop_nothing_and_are_told_later(desk, channel):
    desk.urls = ("json://127.0.0.1:1",)
    desk.beat(ago_seconds=400)
    assert "People were not told" in desk.look().sentence
    desk.urls = (channel.url,)
    assert "not told" not in desk.look().sentence
    desk.look()
    (message,) = channel.messages
    assert message["type"] == "warning"
    assert "silent for 40" in message["message"]


def test_a_channel_that_never_answers_does_not_stop_the_rest(desk):
    import socket

    desk.patience = 0.2
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        desk.urls = (f"json://127.0.0.1:{deaf.getsockname()[1]}",)
        desk.beat(ago_seconds=40)
        found = desk.look()
    assert (found.stage, "People were not told: json-1: no answer" in found.sentence) == (
        "WARN",
        True,
    )


def test_one_dead_man_watches_a_folder(tmp_path):
    with alone(tmp_path), pytest.raises(LeaseHeld, match="another dead-man"), alone(tmp_path):
        raise AssertionError
    with alone(tmp_path):
        pass
    with pytest.raises(NotRunning), alone(tmp_path / "none"):
        raise AssertionError


def test_stages_come_one_after_the_other(desk):
    desk.limits = Deadman(30, 90, 600)
    man = desk.man()
    seconds = (0, 29, 30, 89, 90, 599, 600, 90_000)
    found = [man._stage(s) for s in seconds]
    assert found == sorted(found)
    assert [stage.name for stage in found[1::2]] == ["QUIET", "WARN", "CANCEL", "FLATTEN"]
    desk.limits = Deadman(30, 90)
    assert desk.man()._stage(90_000) is Stage.CANCEL, "positions are kept unless told otherwise"
