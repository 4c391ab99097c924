"""The reactor's thread: takes what waits, turns, hands the effects over, and beats its heart.

It is only a shell: everything that decides is in the reactor. A transaction that failed cleanly
is tried again in order, with entries latched off; one whose outcome is unknown ends the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from msgspec import Struct

from bot.core.events import Event, Latched, StopAsked, StorageChecked
from bot.core.permission import entry_level, lowered
from bot.core.process import entries_open
from bot.core.world import World
from bot.edge.clock import monotonic_ns, wall_ms
from bot.engine.inbox import Inbox
from bot.engine.latch import Latch
from bot.engine.reactor import Committed, Point, Reactor
from bot.errors import StoreBusy
from bot.store import chain, snapshots
from bot.store.writer import Writer

BEAT_SECONDS = 1.0
NOT_MEASURED = 2**40  # MB: the fault speaks, not the space
RETRY_SECONDS = 0.2
GIVE_UP_SECONDS, GIVE_UP_STOPPING_SECONDS = 60.0, 5.0


class Hooks(Struct, frozen=True):
    """What the thread calls: after each COMMIT, at each heartbeat, and when it must end."""

    committed: Callable[[Committed], None]
    beat: Callable[[Mapping[str, Any]], None]
    fatal: Callable[[BaseException], None]


class Loop(threading.Thread):
    """Turns until ``finish``; then writes a snapshot and a checkpoint."""

    def __init__(
        self,
        reactor: Reactor,
        inbox: Inbox,
        latch: Latch,
        hooks: Hooks,
        *,
        batch_max: int,
        build: str,
    ) -> None:
        super().__init__(name="reactor", daemon=True)
        self.reactor, self.inbox, self.latch, self.hooks = reactor, inbox, latch, hooks
        self.batch_max, self.build = batch_max, build
        self.turns = 0
        self.events = 0
        self._ending = threading.Event()
        self._snapshot_seq = reactor.world.seq
        self._beat_ns = 0
        self._failing_since = 0
        self._longest_ns = 0
        self._asked: deque[tuple[Callable[[Writer], None], Future[None]]] = deque()

    @property
    def world(self) -> World:
        """The committed world; any thread may read it, because it is replaced, not changed."""
        return self.reactor.world

    def take_longest_ms(self) -> float:
        """Return how long the longest turn took since this was asked last, ms."""
        longest, self._longest_ns = self._longest_ns, 0
        return longest / 1e6

    def on_writer(self, work: Callable[[Writer], None]) -> Future[None]:
        """Have something done with the writer between two turns; it leaves no transaction open."""
        future: Future[None] = Future()
        self._asked.append((work, future))
        return future

    def finish(self) -> None:
        """End after the present turn, and wait for it."""
        self._ending.set()
        self.inbox.hurry()
        self.join()

    def run(self) -> None:
        """Turn, until asked to end or until going on would not be safe."""
        try:
            while not self._ending.is_set():
                batch = self.inbox.take(self.batch_max, BEAT_SECONDS / 2)
                if batch:
                    self._turn(batch)
                self._between()
                self._beat()
            self._leave()
        except BaseException as error:  # noqa: BLE001 a thread has nobody to raise to
            self.hooks.fatal(error)

    def _turn(self, batch: list[Event]) -> None:
        latched, began = self.latch.reason, monotonic_ns()
        try:
            committed = self.reactor.turn(_with_latch(latched, batch))
        except StoreBusy as error:
            self.latch.tighten(f"the database could not be written: {error}")
            self.inbox.put_back(batch)
            self._failing_since = self._failing_since or monotonic_ns()
            stopping = any(isinstance(event, StopAsked) for event in batch)
            patience = GIVE_UP_STOPPING_SECONDS if stopping else GIVE_UP_SECONDS
            if monotonic_ns() - self._failing_since > patience * 1e9:
                raise  # nothing can be decided: a new boot protects without the database
            self._ending.wait(RETRY_SECONDS)
            return
        self._failing_since = 0
        self._longest_ns = max(self._longest_ns, monotonic_ns() - began)
        self.turns += 1
        self.events += len(batch)
        self.latch.settle(committed.world, latched)
        self.hooks.committed(committed)
        if (
            committed.world.seq - self._snapshot_seq
            >= committed.world.settings.storage.snapshot_events
        ):
            self._snapshot()

    def _between(self) -> None:
        """Do what was asked for on this thread; a fault that is not the file's is the asker's."""
        while self._asked:
            work, future = self._asked.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work(self.reactor.writer))
            except Exception as error:
                future.set_exception(error)
                if self.reactor.writer.dead:
                    raise

    def _snapshot(self) -> None:
        world, wall = self.reactor.world, wall_ms()
        try:
            snapshots.save(self.reactor.writer, world, wall, self.build)
            self.reactor.probe(Point.SNAPSHOT)
            snapshots.prune(self.reactor.writer, wall, world.settings.storage.journal_days)
        except StoreBusy:
            return  # the journal has it all; the next turn tries again
        self._snapshot_seq = world.seq

    def _beat(self) -> None:
        now = monotonic_ns()
        if now - self._beat_ns < BEAT_SECONDS * 1e9:
            return
        self._beat_ns = now
        self.hooks.beat(vital_signs(self.reactor, self.latch))

    def _leave(self) -> None:
        """Write everything down and leave the file so that read-only users can open it."""
        self._snapshot()
        self.reactor.writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._beat_ns = 0
        self._beat()


def _with_latch(reason: str | None, batch: list[Event]) -> list[Event]:
    """Write the latch down first, as soon as anything can be written."""
    if reason is None:
        return batch
    at = batch[0].at
    fault = StorageChecked(at=at, free_mb=NOT_MEASURED, fault=reason)
    return [Latched(at=at, reason=reason), fault, *batch]


def vital_signs(reactor: Reactor, latch: Latch) -> dict[str, Any]:
    """Return what the heartbeat file says."""
    world, writer = reactor.world, reactor.writer
    held = [position for position in world.positions.values() if position.qty]
    return {
        "at": world.at,
        "seq": writer.seq,
        "head_id": writer.head_id,
        "head": chain.short(writer.head),
        "process": world.state("process"),
        "guard": world.state("guard"),
        "kill": world.state("kill"),
        "hold": world.state("hold"),
        "level": entry_level(world).name,
        "latch": latch.reason or "",
        "why": next((reason for _, reason in lowered(world)), "")[:200],
        "entries": len(entries_open(world)),
        "positions": len(held),
        "unprotected": sum(1 for position in held if not position.stop_held),
        "equity": f"{world.account.equity:f}",
        "speed": world.rate,
        "instance": world.instance,
        "epoch": world.epoch,
    }
