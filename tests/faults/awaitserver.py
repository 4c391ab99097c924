"""Forks the service again and again; each child kills itself at one await point, under one fault.

A program of its own like ``forkserver``: ``python -m tests.faults.awaitserver '{"folder": …}'``
prints one JSON line. The exchange's faults are armed before a child boots, so that each recovery
from a death runs under the next fault; after the last one all faults are cleared.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.store.database import only_library

only_library()

from bot.edge.venues import asking  # noqa: E402
from bot.engine import effects  # noqa: E402
from tests.faults import awaits, checker, mutations  # noqa: E402
from tests.faults.forkserver import Child, Counters  # noqa: E402
from tests.faults.places import Config, Place, merged, toml, until  # noqa: E402

REACH_SECONDS = 8.0
RESTING: Config = {
    "orders": {
        "slippage_max": 0.0001,
        "rest_real_seconds": 0.5,
        "moves_max": 1,
        "breaker_real_seconds": 1,
        "silent_real_seconds": 1,
        "reconcile_real_seconds": 5,
    },
    "shutdown": {"drain_real_seconds": 15},
}
FLAGS = ("--spread-bps", "4", "--liquidity", "400")


@dataclass
class Target:
    """Where a child kills itself: the operation, its way, before or after suspending there."""

    operation: str
    way: int
    side: str
    fault: str
    visit: int = 1


@dataclass
class Job:
    """What to do."""

    folder: str
    targets: list[dict[str, Any]] = field(default_factory=list)
    seed: int = 1
    speed: float = 300


class Campaign:
    """One folder's deaths."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.place = Place(
            Path(job.folder),
            merged(RESTING, {"exchange": {"speed": job.speed, "seed": job.seed}}),
        )
        self.counters = Counters()
        self.found: Counter[str] = Counter()

    def run(self) -> dict[str, Any]:
        started = time.monotonic()
        self.place.start_exchange(*FLAGS)
        try:
            for one in self.job.targets:
                self.kill(Target(**one))
        finally:
            self.place.close()
        return {**self.found, "seconds": time.monotonic() - started}

    def kill(self, target: Target) -> None:
        t0 = time.monotonic()
        inside = _suicide(target, self.place.folder)
        child = Child(self.place, self.place.file, self.counters, inside=inside)
        child.until_running()
        t1 = time.monotonic()
        self.operate()
        deadline = time.monotonic() + REACH_SECONDS
        while child.pump(0.02) and time.monotonic() < deadline:
            pass
        missed = time.monotonic() >= deadline
        status = child.end() if missed else child.wait()
        self.found["missed" if missed else "kills"] += 1
        with (self.place.folder / "acks.jsonl").open("ab") as acks:
            acks.write(child.raw[: child.raw.rfind(b"\n") + 1])
        print(target, "missed" if missed else status, round(t1 - t0, 2), round(time.monotonic() - t1, 2),
          self.place.rows("select state, count(*) from instance where machine='order' group by 1", alive=False), file=sys.stderr)

    def operate(self) -> None:
        for machine, states, verb in (("hold", ("HELD",), "release"),):
            for key, state in self.place.rows("SELECT key, state FROM instance WHERE machine = ?", machine):
                if state in states:
                    self.place.ask(verb, **({} if key == "account" else {"symbol": key}))


def _suicide(target: Target, folder: Path) -> Callable[[], None]:
    """Return what a child does before it is the bot."""
    wanted = awaits.ways(target.operation)[target.way]

    def arrange() -> None:
        file = os.open(folder / "awaits.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        visits: Counter[Any] = Counter()

        def seen(operation: str, way: awaits.Way, side: str) -> None:
            here = operation, way, side
            visits[here] += 1
            dies = here == (target.operation, wanted, side) and side == target.side
            dies = dies and visits[here] >= target.visit
            if visits[here] == 1 or dies:
                number = awaits.ways(operation).index(way)
                line = {"operation": operation, "way": number, "side": side, "dies": dies}
                os.write(file, json.dumps(line).encode() + b"\n")
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)

        awaits.watch(seen)

    return arrange


def main() -> None:
    """Run one job."""
    job = Job(**json.loads(sys.argv[1]))
    print(json.dumps(Campaign(job).run()))


if __name__ == "__main__":
    main()
