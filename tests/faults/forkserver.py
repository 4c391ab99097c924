"""Forks the real service on one database and exchange again and again, and kills every child.

A program of its own, so that the parent has no threads: ``python -m tests.faults.forkserver
'{"folder": …, "kills": …, "seed": …}'`` prints one JSON line with its counts and the checker's
findings. The parent imports everything once; a child is a boot of the whole service. Each child
sends what it acknowledges through a pipe, and counts the points it passes in shared memory, so
that the parent knows at which instant a kill hit.
"""

from __future__ import annotations

import dataclasses
import json
import mmap
import os
import random
import select
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.store.database import only_library, sqlite3

only_library()

import sqlite_utils  # noqa: E402, F401

import bot.config  # noqa: E402
from bot.engine import service  # noqa: E402
from bot.engine.reactor import Point  # noqa: E402
from bot.errors import BotError  # noqa: E402
from tests.faults import checker, mutations  # noqa: E402
from tests.faults.places import Place, merged, toml  # noqa: E402

POINTS = list(Point)
RUN_SECONDS = 60.0
BOOT_SECONDS = 20.0
AIM_SECONDS = 0.6
VERBS = ("hold", "reduce", "kill")
AIMS = ("any", "any", "any", "transaction", "order")
FINAL = {"shutdown": {"flatten": True, "drain_real_seconds": 60}}
"""The last run closes everything; a machine that is busy with other things gets the time it takes."""
LATENCY = [
    {"kind": "delay", "match": "/v5/order/create", "probability": 0.4, "ms": 60, "when": when}
    for when in ("before", "after")
]
"""A venue answers late: an order is often on the wire, or accepted and not yet acknowledged."""


@dataclass
class Job:
    """What to do. A ``plan`` names the point and hit at which each child kills itself."""

    folder: str
    kills: int = 0
    seed: int = 1
    plan: list[tuple[str, int]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    mutation: str = ""
    speed: float = 300
    finish: bool = True
    delay_max: float = 0.5


class Counters:
    """How often each point was passed, in memory that outlives the child."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * len(POINTS))

    def add(self, point: Point) -> int:
        """Count a point; each is passed by one thread only. Return its count."""
        offset = 8 * POINTS.index(point)
        count: int = struct.unpack_from("q", self._memory, offset)[0] + 1
        struct.pack_into("q", self._memory, offset, count)
        return count

    def take(self) -> Counter[str]:
        """Return the counts and set them to zero."""
        found = self.read()
        self._memory[:] = bytes(8 * len(POINTS))
        return found

    def read(self) -> Counter[str]:
        """Return the counts."""
        values = struct.unpack_from(f"{len(POINTS)}q", self._memory)
        return Counter({point.value: n for point, n in zip(POINTS, values, strict=True)})

    def in_transaction(self) -> bool:
        """Tell whether a transaction was begun and has not returned from COMMIT."""
        hits = self.read()
        return hits[Point.BEGUN.value] > hits[Point.COMMITTED.value]


class Child:
    """A forked service. ``suicide``: the point and hit at which it kills itself.

    ``inside`` is called in the child before it is the bot.
    """

    def __init__(
        self,
        place: Place,
        config: Path,
        counters: Counters,
        *,
        suicide: Any = None,
        mutation: str = "",
        seconds: float = RUN_SECONDS,
        inside: Callable[[], None] = lambda: None,
    ) -> None:
        self.raw = b""
        self.read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.read)

            def arrange() -> None:
                mutations.apply(mutation)
                inside()

            _serve(place, config, _probe(counters, suicide), write, arrange, seconds)
        os.close(write)

    def pump(self, seconds: float) -> bool:
        """Take in what was acknowledged for so long; False once the child is gone."""
        deadline = time.monotonic() + seconds
        while True:
            left = max(0.0, deadline - time.monotonic())
            if select.select([self.read], [], [], left)[0]:
                part = os.read(self.read, 1 << 16)
                if not part:
                    return False
                self.raw += part
            if left == 0:
                return True

    def until_running(self) -> bool:
        """Wait until the process machine of this child is RUNNING; False if it died before."""
        deadline = time.monotonic() + BOOT_SECONDS
        while b'"dest":"RUNNING"' not in self.raw:
            if not self.pump(0.005):
                return False
            if time.monotonic() > deadline:
                return True  # the kill finds it in its boot
        return True

    def until_order(self, seconds: float) -> None:
        """Wait until another order is decided on: its commit is acknowledged, its request leaves."""
        deadline, before = time.monotonic() + seconds, self.raw.count(b'"dest":"INTENDED"')
        while self.raw.count(b'"dest":"INTENDED"') == before and time.monotonic() < deadline:
            if not self.pump(0.001):
                return

    def end(self, number: int = signal.SIGKILL) -> int:
        """Kill it, read the pipe to its end, and return the wait status."""
        os.kill(self.pid, number)
        return self.wait()

    def wait(self, seconds: float = 90.0) -> int:
        """Read the pipe to its end and return the wait status."""
        deadline = time.monotonic() + seconds
        while self.pump(0.05):
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                deadline += 10
        os.close(self.read)
        return os.waitpid(self.pid, 0)[1]


def _probe(counters: Counters, suicide: Any) -> Callable[[Point], None]:
    def probe(point: Point) -> None:
        if counters.add(point) == (suicide or {}).get(point.value):
            os.kill(os.getpid(), signal.SIGKILL)

    return probe


def _serve(
    place: Place,
    config: Path,
    probe: Callable[[Point], None],
    pipe: int,
    arrange: Callable[[], None],
    seconds: float,
) -> None:
    """Be the bot, in the child."""
    code = 99
    try:
        os.chdir(place.folder)
        out = os.open("bot.out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)

        class Piped(service.Commands):
            def publish(self, lines: list[dict[str, Any]]) -> None:
                os.write(
                    pipe,
                    b"".join(
                        json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines
                    ),
                )
                super().publish(lines)

        service.Commands = Piped  # type: ignore[misc]
        arrange()
        code = service.run(bot.config.load(config), place.state, seconds, probe)
    except BaseException:  # noqa: BLE001 a child has nobody to raise to
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


class Campaign:
    """One folder's series of kills, and what they hit."""

    def __init__(self, job: Job) -> None:
        self.job, self.random = job, random.Random(job.seed)
        self.place = Place(Path(job.folder), {"exchange": {"speed": job.speed, "seed": job.seed}})
        self.final = self.place.folder / "final.toml"
        self.final.write_text(toml(merged(self.place.config, FINAL)))
        self.counters, self.hits = Counters(), Counter[str]()
        self.found: Counter[str] = Counter()
        self.problems: list[str] = []
        self.reached: dict[str, int] = {}

    def run(self) -> dict[str, Any]:
        """Start the exchange, kill as asked, end clean, and check."""
        started = time.monotonic()
        self.place.start_exchange()
        for fault in LATENCY:
            self.place.control("fault", seed=self.job.seed, **fault)
        try:
            for point, hit in self.job.plan:
                self.kill_at(point, hit)
            for _ in range(self.job.kills):
                self.kill()
            if self.job.finish:
                self.finish()
        finally:
            self.place.close()
        report = checker.check(self.place.folder, finished=self.job.finish)
        return {
            **self.found,
            "seconds": round(time.monotonic() - started, 1),
            "commits": self.hits[Point.COMMITTED.value],
            "hits": dict(self.hits),
            "reached": self.reached,
            "report": dataclasses.asdict(report),
            "problems": self.problems,
            "seed": self.job.seed,
            "folder": self.job.folder,
        }

    def kill(self) -> None:
        """Kill a child at a random instant: one in six in its boot, the others while it runs.

        Two in five of the latter wait, after the random time, for a transaction to be under way
        or for an order to leave, so that those instants are met often enough.
        """
        aim = "boot" if self.random.random() < 1 / 6 else self.random.choice(AIMS)
        delay = self.random.random() * (0.2 if aim == "boot" else self.job.delay_max)
        child = self._child()
        alive = aim == "boot" or child.until_running()
        if aim != "boot":
            self._operate()
        alive = alive and child.pump(delay)
        if alive and aim == "transaction":
            self._spin(self.counters.in_transaction)
            time.sleep(self.random.random() * 0.0008)
        elif alive and aim == "order":
            child.until_order(AIM_SECONDS)
            time.sleep(self.random.random() * 0.06)
        self.found[f"aimed_at_{aim}"] += 1
        self._count(child, child.end() if alive else child.wait())

    def _spin(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + AIM_SECONDS
        while not holds() and time.monotonic() < deadline:
            pass

    def kill_at(self, point: str, hit: int) -> None:
        """Let a child kill itself at the n-th hit of a point."""
        child = self._child({point: hit})
        if child.until_running():
            for verb in self.job.commands:
                self.place.ask(verb)
        status = child.wait(BOOT_SECONDS)
        self.reached[point] = self.counters.read()[point]
        self._count(child, status)

    def finish(self) -> None:
        """Let one child live, close its positions, and end clean."""
        child = Child(
            self.place, self.final, self.counters, mutation=self.job.mutation, seconds=0.8
        )
        status = child.wait()
        self._keep(child)
        if os.waitstatus_to_exitcode(status) != 0:
            self.problems.append(f"the last run ended with {status}: {self.place.said()[-1500:]}")

    def _child(self, suicide: Any = None) -> Child:
        return Child(
            self.place, self.place.file, self.counters, suicide=suicide, mutation=self.job.mutation
        )

    def _operate(self) -> None:
        """Now and then send a command that fits the state: tighten rarely, loosen soon."""
        chance = self.random.random()
        if self.place.state_of("hold") == "HELD":
            if chance < 0.5:
                self.place.ask("release")
        elif self.place.state_of("kill") != "ARMED":
            if chance < 0.5:
                self.place.ask("rearm")
        elif chance < 0.12:
            self.place.ask(self.random.choice(VERBS))

    def _count(self, child: Child, status: int) -> None:
        """See where the kill hit."""
        hits = self._keep(child)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            self.problems.append(
                f"a child ended by itself with {status}: {self.place.said()[-1500:]}"
            )
            return
        self.found["kills"] += 1
        self.found["kills_inside_transaction"] += (
            hits[Point.BEGUN.value] > hits[Point.COMMITTED.value]
        )
        self.found["kills_in_boot"] += b'"dest":"RUNNING"' not in child.raw
        flying = hits[Point.SENDING.value] - hits[Point.OUTCOME.value]
        self.found["effects_in_flight"] += flying
        self.found["kills_with_effects_in_flight"] += flying > 0
        if self.place.state.exists():
            sql = "SELECT count(*) FROM instance WHERE machine = 'order' AND state = 'INTENDED'"
            try:
                self.found["orders_in_doubt"] += self.place.rows(sql, alive=False)[0][0]
            except (BotError, sqlite3.Error):  # killed before the schema was there
                self.found["kills_before_schema"] += 1

    def _keep(self, child: Child) -> Counter[str]:
        whole = child.raw[: child.raw.rfind(b"\n") + 1]
        with (self.place.folder / "acks.jsonl").open("ab") as acks:
            acks.write(whole)
        hits = self.counters.take()
        self.hits += hits
        return hits


def main() -> None:
    """Run one job."""
    job = Job(**json.loads(sys.argv[1]))
    print(json.dumps(Campaign(job).run()))


if __name__ == "__main__":
    main()
