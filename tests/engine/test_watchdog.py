"""The watchdog: each part has its own patience, and a venue that is away is no reason to be ended."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bot.config.sections import Watchdog as Patience
from bot.core.events import CandleClosed, StreamLost, VenueTroubled
from bot.core.machine import Instance
from bot.engine.watchdog import Part, Watchdog, ask_for_time
from tests.given import BTC, T, a_candle, a_world, but, reconciled, ticked

PATIENCE = Patience()
WORLD = a_world()
RUNNING = "RUNNING"


class Clock:
    """Monotonic time that goes on when told."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns

    def wait(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def dog(clock, told):
    return Watchdog(PATIENCE, told=told.append, now=clock)


@pytest.fixture
def heard(tmp_path, monkeypatch):
    """Return what the service manager heard since the last call."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listener.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

    def read():
        found = []
        try:
            while True:
                found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found

    yield read
    listener.close()


def all_but(dog, *left_out):
    for part in set(Part) - set(left_out):
        dog.moved(part)


def begun(coroutine):
    """Run a coroutine as far as its first wait."""

    async def run():
        task = asyncio.create_task(coroutine)
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(run())


def standing(machine, state):
    """A running world in which one machine stands elsewhere."""
    machines = {**WORLD.machines, machine: {"account": Instance(state, 2, T, "told")}}
    return but(WORLD, machines=machines)


@pytest.mark.parametrize(
    ("part", "limit"),
    [
        (Part.LOOP, PATIENCE.loop_real_seconds),
        (Part.REACTOR, PATIENCE.reactor_real_seconds),
        (Part.COMMIT, PATIENCE.commit_real_seconds),
        (Part.FEED, PATIENCE.feed_real_seconds),
        (Part.STOPS, PATIENCE.stops_real_seconds),
    ],
)
def test_each_part_is_late_after_its_own_patience_and_not_before(dog, clock, part, limit):
    clock.wait(limit)
    all_but(dog, part)
    assert dog.late() == {}
    clock.wait(1)
    all_but(dog, part)
    sentence = f"{part} has not moved for {limit + 1:.0f} s (limit {limit:g} s)"
    assert dog.late() == {part: sentence}
    dog.moved(part)
    assert dog.late() == {}


@pytest.mark.parametrize("part", set(Part) - {Part.REACTOR})
def test_one_late_part_is_enough_for_silence_and_is_told_once(dog, clock, told, heard, part):
    clock.wait(1_000)
    all_but(dog, part)
    for _ in range(3):
        dog.beat(WORLD, RUNNING)
    assert all(message.startswith(f"STATUS=late: {part} has not") for message in heard())
    assert [sentence[: len(part)] for sentence in told] == [part]
    dog.moved(part)
    dog.beat(WORLD, RUNNING)
    assert heard() == ["WATCHDOG=1\nSTATUS=RUNNING"]
    assert told[1:] == [""], "and it is told that it moves again"


def test_the_loop_names_a_reactor_that_hangs_and_never_feeds_for_it(dog, clock, told, heard):
    clock.wait(PATIENCE.reactor_real_seconds + 1)
    all_but(dog, Part.REACTOR)
    begun(dog.follow_loop())
    (message,) = heard()
    assert message.startswith("STATUS=late: reactor has not moved")
    assert told == [message.removeprefix("STATUS=late: ")]


@pytest.mark.parametrize("state", ["BOOT", "RECOVERING", "RECONCILING", "DRAINING"])
def test_a_bot_that_starts_or_drains_asks_for_time(dog, heard, state):
    dog.beat(standing("process", state), state)
    assert heard() == [f"WATCHDOG=1\nSTATUS={state}\nEXTEND_TIMEOUT_USEC=30000000"]


def test_quotes_candles_and_every_attempt_to_connect_are_movement_and_an_empty_tick_is_not(
    dog, clock
):
    late = PATIENCE.feed_real_seconds + 1
    for event in (
        ticked(WORLD, BTC=1.0),
        CandleClosed(at=T, symbol=BTC, candle=a_candle(T), source="s"),
        StreamLost(at=T, stream="public", reason="gone"),
    ):
        clock.wait(late)
        assert Part.FEED in dog.late()
        dog.heard(event)
        assert Part.FEED not in dog.late()
    clock.wait(late)
    dog.heard(but(ticked(WORLD), marks={}))
    assert Part.FEED in dog.late()


def test_a_position_check_that_was_tried_has_moved(dog, clock):
    for event in (reconciled(WORLD), VenueTroubled(at=T, kind="unreachable", reason="no route")):
        clock.wait(PATIENCE.stops_real_seconds + 1)
        assert Part.STOPS in dog.late()
        dog.heard(event)
        assert Part.STOPS not in dog.late()


@pytest.mark.parametrize(
    ("machine", "state"), [("breaker", "OPEN"), ("process", "RECONCILING"), ("process", "DRAINING")]
)
def test_no_position_check_is_due_while_nothing_may_be_asked(dog, clock, machine, state):
    clock.wait(PATIENCE.stops_real_seconds + 1)
    dog.beat(standing(machine, state), state)
    assert Part.STOPS not in dog.late()


def test_a_market_slower_than_real_time_is_waited_for(dog, clock):
    slow = but(WORLD, rate=0.1)
    dog.beat(slow, RUNNING)
    clock.wait(PATIENCE.stops_real_seconds * 9)
    dog.moved(Part.LOOP)
    dog.moved(Part.REACTOR)
    assert Part.STOPS not in dog.late()
    clock.wait(PATIENCE.stops_real_seconds * 2)
    assert {Part.STOPS, Part.LOOP} <= dog.late().keys()


def test_a_long_boot_asks_for_time_until_its_own_limit(heard):
    begun(ask_for_time("BOOT opening state.db", 60))
    assert heard() == ["STATUS=BOOT opening state.db, 0 s\nEXTEND_TIMEOUT_USEC=30000000"]
    asyncio.run(ask_for_time("BOOT opening state.db", 0))
    assert heard() == []
