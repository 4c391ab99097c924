"""The loop: what could not be written is tried again in order with entries latched off; or it ends."""

import threading
import time

import pytest

from bot.core.events import Filled
from bot.engine.inbox import Inbox
from bot.engine.latch import Latch
from bot.engine.loop import Hooks, Loop
from bot.engine.replay import recover
from bot.errors import StoreFatal
from bot.store.database import open_writer
from tests.given import BTC, a_fill, but, commanded, tuned
from tests.store.kept import kept, opened, rows


class Shell:
    """A loop with its hooks, on a database of its own."""

    def __init__(self, path):
        self.reactor = opened(path)
        self.reactor.writer.connection.execute("PRAGMA busy_timeout=10")
        self.inbox, self.latch = Inbox(1_000), Latch()
        self.committed, self.beats, self.fatal = [], [], []
        hooks = Hooks(self.committed.append, self.beats.append, self.fatal.append)
        self.loop = Loop(self.reactor, self.inbox, self.latch, hooks, batch_max=64, build="b")

    def put(self, *events):
        for event in events:
            self.inbox.put(event)

    def until(self, true):
        deadline = time.monotonic() + 10
        while not true():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.005)


@pytest.fixture
def shell(tmp_path):
    made = Shell(tmp_path / "state.db")
    yield made
    if made.loop.is_alive():
        made.loop.finish()


def fill(shell):
    return Filled(at=shell.reactor.world.at, fill=a_fill())


def test_what_waits_is_written_together_and_handed_over(shell):
    shell.put(*(fill(shell) for _ in range(30)))
    shell.loop.start()
    shell.until(lambda: shell.committed)
    assert shell.loop.world.positions[BTC].qty == 30
    assert (shell.loop.turns, shell.loop.events) == (1, 30)


def test_a_batch_is_not_larger_than_its_limit(shell):
    shell.put(*(fill(shell) for _ in range(150)))
    shell.loop.start()
    shell.until(lambda: shell.loop.events == 150)
    assert shell.loop.turns == 3


def test_while_nothing_can_be_written_entries_are_latched_off_and_nothing_is_lost(shell, tmp_path):
    other = open_writer(tmp_path / "state.db")
    other.execute("BEGIN IMMEDIATE")
    first, second = fill(shell), fill(shell)
    shell.put(first)
    shell.loop.start()
    shell.until(lambda: shell.latch.reason)
    assert shell.latch.reason == "the database could not be written: database is locked"
    assert not shell.committed
    shell.put(second)
    other.execute("ROLLBACK")
    shell.until(lambda: shell.loop.world.positions[BTC].qty == 2)
    shell.until(lambda: shell.latch.reason is None)
    assert shell.loop.world.state("hold") == "HELD"
    booked = rows(kept(tmp_path / "state.db"), "SELECT fill FROM fill ORDER BY seq")
    assert booked == [(first.fill.fill,), (second.fill.fill,)]
    kinds = rows(kept(tmp_path / "state.db"), "SELECT kind FROM journal ORDER BY seq")
    assert kinds.index(("Latched",)) < kinds.index(("Filled",))


def test_an_unknown_outcome_ends_the_process(shell):
    shell.reactor.writer.dead = True
    shell.put(fill(shell))
    shell.loop.start()
    shell.until(lambda: shell.fatal)
    assert isinstance(shell.fatal[0], StoreFatal)
    shell.loop.join(5)
    assert not shell.committed


def test_only_a_turning_reactor_looks_alive(shell):
    gate = threading.Event()
    shell.loop.start()
    shell.until(lambda: shell.beats)
    assert shell.beats[0]["process"] == "RUNNING"
    assert shell.beats[0]["level"] == "FULL"
    assert shell.beats[0]["head"] == shell.reactor.writer.head[:6].hex()
    shell.reactor.probe = lambda point: gate.wait(5)
    shell.put(fill(shell))
    time.sleep(0.05)
    beats = len(shell.beats)
    time.sleep(1.2)
    assert len(shell.beats) == beats
    gate.set()
    shell.until(lambda: shell.committed)


def test_it_leaves_a_snapshot_from_which_nothing_needs_to_be_replayed(shell, tmp_path):
    shell.put(commanded(shell.reactor.world, "hold"))
    shell.loop.start()
    shell.until(lambda: shell.committed)
    shell.loop.finish()
    world, _, tail, _ = recover(kept(tmp_path / "state.db").writer.connection)
    assert tail == 0
    assert world == shell.reactor.world


def test_a_snapshot_is_written_every_so_many_events(tmp_path):
    shell = Shell(tmp_path / "state.db")
    few = tuned(storage__snapshot_events=100)
    shell.reactor.world = but(shell.reactor.world, settings=few)
    shell.put(*(fill(shell) for _ in range(250)))
    shell.loop.start()
    shell.until(lambda: shell.loop.events == 250)
    shell.loop.finish()
    saved = rows(kept(tmp_path / "state.db"), "SELECT seq FROM snapshot")
    assert 2 <= len(saved) <= 4
