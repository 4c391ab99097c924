"""A child process of figure ``group``: 20 waiting events in one turn, and in one turn each."""

from __future__ import annotations

import ctypes
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from bot.store.database import only_library

only_library()

from bot.core.events import Delivered, Event, StorageChecked  # noqa: E402
from tests.bench.figures import middle  # noqa: E402
from tests.bench.rig import T0, Rig, folder, running  # noqa: E402
from tests.bench.transition import CommitClock  # noqa: E402

WAITING, WARM = 20, 3


def counter() -> Callable[[], int] | None:
    """Return the preloaded counter of real syncs, or None where there is no compiler."""
    if not os.environ.get("LD_PRELOAD"):
        return None
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    library.bench_syncs.restype = ctypes.c_long
    return library.bench_syncs


def waiting_events(rig: Rig) -> list[Event]:
    """Return 20 events of one transition each: outcomes of notifications that were handed out."""
    alarms = []
    for _ in range(WAITING):
        rig.turn(StorageChecked(at=T0 + 1_000, free_mb=400))
        alarms.append(f"{rig.reactor.writer.seq}-0")
        rig.turn(StorageChecked(at=T0 + 1_000, free_mb=9_000))
    return [Delivered(at=T0 + 1_000, effect=alarm) for alarm in alarms]


class Trial:
    """Wall and CPU of one way to write the waiting events, and the syncs that it took."""

    def __init__(self, rig: Rig, clock: CommitClock, *, together: bool) -> None:
        self.rig, self.clock, self.together = rig, clock, together
        self.wall: list[int] = []
        self.cpu: list[int] = []
        self.sync: list[int] = []
        self.syncs: list[int] = []

    def run(self, syncs: Callable[[], int]) -> None:
        """Write 20 waiting events."""
        events = waiting_events(self.rig)
        batches = [events] if self.together else [[event] for event in events]
        before, slept = syncs(), 0
        cpu, wall = time.thread_time_ns(), time.perf_counter_ns()
        for batch in batches:
            self.rig.turn(*batch)
            slept += self.clock.took[0] - self.clock.took[1]
        self.wall.append(time.perf_counter_ns() - wall)
        self.cpu.append(time.thread_time_ns() - cpu)
        self.sync.append(slept // len(batches))
        self.syncs.append(syncs() - before)


def run(where: Path, rounds: int) -> dict[str, float | bool]:
    """Return the medians."""
    clock = CommitClock()
    rig = running(where / "state.db", probe=clock)
    rig.connection.execute(
        "PRAGMA wal_autocheckpoint=0"
    )  # a checkpoint's own syncs are not a turn's
    commits: list[str] = []
    rig.connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    syncs = counter() or (lambda: len(commits))
    if counter():
        rig.connection.set_trace_callback(None)
    trials = [Trial(rig, clock, together=True), Trial(rig, clock, together=False)]
    chance = random.Random(1)
    for n in range(WARM + rounds):
        for trial in chance.sample(trials, 2):
            trial.run(syncs)
        if n == WARM - 1:
            for trial in trials:
                trial.wall, trial.cpu, trial.sync, trial.syncs = [], [], [], []
    group, single = trials
    return {
        "real": counter() is not None,
        "syncs": max(group.syncs),
        "syncs_single": middle(single.syncs),
        "group_us": middle(group.wall) / 1e3,
        "single_us": middle(single.wall) / 1e3,
        "sync_us": middle(single.sync) / 1e3,
        "row_us": middle(group.cpu) / WAITING / 1e3,
    }


if __name__ == "__main__":
    with folder() as temporary:
        print(json.dumps(run(temporary, int(os.environ.get("BENCH_ROUNDS", "40")))))
