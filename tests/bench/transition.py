"""Figure ``transition``: one durable transition by the reactor against the same rows by plain SQL."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bot.core.events import Delivered, Event, StorageChecked
from bot.engine.reactor import Point
from bot.engine.timings import Timings
from bot.store.database import Connection
from tests.bench.figures import Figure, middle, say
from tests.bench.rig import T0, Rig, folder, running

WARM, ROUNDS = 50, 1_000
Statement = tuple[str, tuple[Any, ...]]
SKIPPED = ("BEGIN", "COMMIT", "SELECT")


class Recorder:
    """A connection that notes every statement the writer gives it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.said: list[Statement] = []

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        """Note a statement that writes, and execute it."""
        if not sql.startswith(SKIPPED):
            self.said.append((sql, values))
        return self.connection.execute(sql, values)

    @property
    def in_transaction(self) -> bool:
        """As the connection says."""
        return bool(self.connection.in_transaction)


class Cost:
    """Wall and CPU ns of each turn, and of its COMMIT apart."""

    def __init__(self) -> None:
        self.wall: list[int] = []
        self.cpu: list[int] = []
        self.sync: list[int] = []

    def add(self, work: Callable[[], tuple[int, int]]) -> None:
        """Measure a turn; ``work`` returns the wall and CPU ns of its COMMIT."""
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        commit_wall, commit_cpu = work()
        self.wall.append(time.perf_counter_ns() - wall)
        self.cpu.append(time.thread_time_ns() - cpu)
        self.sync.append(max(0, commit_wall - commit_cpu))

    def line(self, name: str) -> str:
        """Say the medians."""
        wall, cpu, sync = (middle(v) / 1e3 for v in (self.wall, self.cpu, self.sync))
        return f"{name}: wall {wall:.0f} µs, CPU {cpu:.0f} µs, waiting for the sync {sync:.0f} µs"


class CommitClock:
    """A probe that measures COMMIT: its wall and this thread's CPU."""

    def __init__(self) -> None:
        self.began = self.took = (0, 0)

    def __call__(self, point: Point) -> None:
        """Note the instants around COMMIT."""
        if point is Point.COMMITTING:
            self.began = (time.perf_counter_ns(), time.thread_time_ns())
        elif point is Point.COMMITTED:
            wall, cpu = self.began
            self.took = (time.perf_counter_ns() - wall, time.thread_time_ns() - cpu)


def cycle(n: int, seq: int) -> list[Event]:
    """Return one cycle: an alarm (three rows more), and then two events of exactly one transition."""
    at = T0 + 1_000 + n
    return [
        StorageChecked(at=at, free_mb=400),  # OK → LOW, with a notification to deliver
        StorageChecked(at=at, free_mb=9_000),  # LOW → OK
        Delivered(at=at, effect=f"{seq + 1}-0"),  # PENDING → SENT
    ]


def measure(rounds: int = WARM + ROUNDS) -> list[Figure]:
    """Return the figures of wall and CPU."""
    with folder() as where:
        captured, plain = capture(where / "captured.db", rounds), replayed(where / "plain.db")
        clock = CommitClock()
        rig = running(where / "reactor.db", probe=Timings().around(clock))
        mine, theirs = Cost(), Cost()
        say(f"transition: {rounds} rounds of both, in random order")
        chance = random.Random(1)
        gc.collect()
        gc.freeze()
        for n, turns in enumerate(captured):
            events = cycle(n, rig.reactor.writer.seq)
            for kind, (event, rows) in enumerate(zip(events, turns, strict=True)):
                jobs = [
                    (mine, lambda e=event: by_reactor(rig, clock, e)),
                    (theirs, lambda r=rows: by_sql(plain, r)),
                ]
                chance.shuffle(jobs)
                for cost, work in jobs:
                    (cost if kind and n >= WARM else Cost()).add(work)
        gc.unfreeze()
        same(rig.connection, plain)
    return figures(mine, theirs)


def figures(mine: Cost, theirs: Cost) -> list[Figure]:
    """Compare the medians."""
    note = [mine.line("reactor"), theirs.line("plain SQL")]
    how = (
        f"{len(mine.wall)} events of exactly one transition (StorageChecked LOW→OK, Delivered "
        "PENDING→SENT; 20 symbols live), one turn each, against BEGIN IMMEDIATE, the same rows, COMMIT; "
        "ratio of medians"
    )
    wall, cpu = (
        middle(a) / middle(b) for a, b in ((mine.wall, theirs.wall), (mine.cpu, theirs.cpu))
    )
    off = [middle(c.wall) - middle(c.sync) for c in (mine, theirs)]
    note.append(f"without the wait for the sync: {off[0] / off[1]:.2f} ×")
    return [
        Figure("transition.wall", wall, "×", 1.3, how, note=note),
        Figure("transition.cpu", cpu, "×", 3.0, "the same turns, CPU time of the thread"),
    ]


def by_reactor(rig: Rig, clock: CommitClock, event: Event) -> tuple[int, int]:
    """Make one event durable."""
    rig.turn(event)
    return clock.took


def by_sql(connection: Connection, rows: Sequence[Statement]) -> tuple[int, int]:
    """Write the same rows."""
    connection.execute("BEGIN IMMEDIATE")
    for sql, values in rows:
        connection.execute(sql, values)
    wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
    connection.execute("COMMIT")
    return time.perf_counter_ns() - wall, time.thread_time_ns() - cpu


def capture(path: Path, rounds: int) -> list[list[list[Statement]]]:
    """Run the events once and return the statements of each turn, cycle by cycle."""
    say("transition: capturing the writer's statements")
    rig = running(path, wrap=Recorder)
    rig.connection.execute("PRAGMA synchronous=OFF")
    recorder: Any = rig.reactor.writer.connection
    found = []
    for n in range(rounds):
        turns = []
        for event in cycle(n, rig.reactor.writer.seq):
            recorder.said = []
            rig.turn(event)
            turns.append(recorder.said)
        found.append(turns)
    return found


def replayed(path: Path) -> Connection:
    """Return a connection to a file in the same state as a rig's, with the same pragmas."""
    return running(path).connection


def same(mine: Connection, theirs: Connection) -> None:
    """Check that both files have the same chain: the comparison was of the same work."""
    query = "SELECT count(*), max(id), (SELECT hash FROM transition ORDER BY id DESC LIMIT 1) FROM transition"
    assert mine.execute(query).fetchone() == theirs.execute(query).fetchone()
