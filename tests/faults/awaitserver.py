"""Forks the service again and again; each child kills itself at one await point, under one fault.

A program of its own like ``forkserver``: ``python -m tests.faults.awaitserver '{"folder": …}'``
prints one JSON line. A child's fault is armed before it boots where a boot can come through it, so
that the recovery from one death runs under the fault of the next; after the last one all faults
are cleared, and the bot has to converge by itself. The market runs away from entries, so that they
rest, are amended, and are cancelled.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import mmap
import os
import random
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

from tests.faults import awaitfaults, awaits, checker  # noqa: E402
from tests.faults.awaitfaults import Target  # noqa: E402
from tests.faults.forkserver import FINAL, Child, Counters  # noqa: E402
from tests.faults.places import Config, Place, merged, toml, until  # noqa: E402

REACH_SECONDS = 8.0
LIFT_SECONDS, AFTER_LIFT_SECONDS = 3.0, 8.0
"""A fault that struck and keeps a child from its await point is lifted: the way out belongs to it."""
CONVERGE_SECONDS = 25.0
STEP_SECONDS = 0.01
FLEE_FOR_SECONDS = 1.6
FLEE_FIRST, FLEE_STEP = 0.001, 0.0001
STAY = 0.3
RESTING: Config = {
    "orders": {
        "slippage_max": 0.0001,
        "rest_real_seconds": 0.5,
        "moves_max": 1,
        "breaker_real_seconds": 1,
        "silent_real_seconds": 1,
        "reconcile_real_seconds": 5,
    },
    "strategy": {"stop_atr": 10.0, "take_atr": 20.0},  # an amended entry stays inside its bracket
    "shutdown": {"drain_real_seconds": 15},
}
FLAGS = ("--liquidity", "400", "--symbols", "6")
ASK_EVERY, RELEASE_EVERY, ORDER_EVERY = 4, 20, 52
ORDERS = {"place": "flatten", "cancel": "hold"}
"""What the operator orders now and then, so that there are many exits and many cancels."""
STRIKE_SECONDS = 0.2
LOG = "exchange.db.log"
LIVE = "('INTENDED', 'SENT', 'UNKNOWN', 'OPEN', 'PARTIAL')"


@dataclass
class Job:
    """What to do, in this order."""

    folder: str
    targets: list[dict[str, Any]] = field(default_factory=list)
    seed: int = 1
    speed: float = 300
    mutation: str = ""
    attempts: int = 1
    config: Config = field(default_factory=dict)


class Campaign:
    """One folder's deaths."""

    def __init__(self, job: Job) -> None:
        self.job, self.random = job, random.Random(job.seed)
        exchange = {"exchange": {"speed": job.speed, "seed": job.seed}}
        self.place = Place(Path(job.folder), merged(RESTING, exchange, job.config))
        self.final = self.place.folder / "final.toml"
        self.flag = mmap.mmap(-1, 1)
        self.counters, self.found = Counters(), Counter[str]()
        self.problems: list[str] = []
        self.struck: list[dict[str, Any]] = []
        self.fault: list[dict[str, Any]] = []
        self.provoke: list[dict[str, Any]] = []
        self.when, self.rests, self.lifted = "", False, False
        self.fleeing: dict[str, tuple[float, float]] = {}
        self.read = 0

    def run(self) -> dict[str, Any]:
        """Start the exchange, kill as asked, let the bot converge, end clean, and check."""
        started = time.monotonic()
        venue = {"venue": self.place.start_relay(self.place.start_exchange(*FLAGS))}
        config = merged(self.place.config, venue)
        self.place.file.write_text(toml(config))
        self.final.write_text(toml(merged(config, FINAL)))
        try:
            for one in self.job.targets:
                tried = (self.kill(Target(**one)) for _ in range(self.job.attempts))
                any(tried)
                if self.problems:
                    break
            killed = time.monotonic()
            self.converge()
            self.finish()
        finally:
            self.place.close()
        done = time.monotonic()
        report = checker.check(self.place.folder, finished=True, speed=self.job.speed)
        return {
            **self.found,
            "seconds": round(time.monotonic() - started, 1),
            "kill_seconds": round(killed - started, 1),
            "check_seconds": round(time.monotonic() - done, 1),
            **self.counted(),
            "seen": sorted(self.seen()),
            "struck": self.struck,
            "report": dataclasses.asdict(report),
            "problems": self.problems,
            "seed": self.job.seed,
            "folder": self.job.folder,
        }

    # -- one death ---------------------------------------------------------------------------------

    def kill(self, target: Target) -> bool:
        """Let one child kill itself; tell whether it did, and its fault had struck."""
        way, seed = target.steps, self.random.randrange(1 << 30)
        self.fault = awaitfaults.bodies(
            target.fault, target.operation, way, speed=self.job.speed, seed=seed
        )
        self.when = awaitfaults.when(target.fault, target.operation, way)
        self.flag[0] = self.rests = self.lifted = False
        self.arm("boot", target)
        child = self.child(self.suicide(target))
        alive = child.until_running()
        self.provoke = awaitfaults.provoking(target.operation, way, seed + 9)
        for body in self.provoke:
            self.place.control("fault", **body)
        self.arm("running", target)
        reached = not alive or self.live(child, target)
        status = child.wait() if reached else child.end()
        self.keep(child)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            said = self.place.said()[-1500:]
            self.problems.append(f"a child ended by itself with {status}: {said}")
        struck = self.has_struck(STRIKE_SECONDS)
        self.place.control("clear")
        self.found["kills"] += 1
        self.found["missed"] += not reached
        self.found["fault did not strike"] += reached and not struck
        if reached and struck:
            self.struck.append(dataclasses.asdict(target))
        return reached and struck

    def lift(self, from_: float) -> bool:
        """Lift the fault from that moment on if it has struck; tell whether that was now."""
        due = self.fault and not self.lifted and not self.when and time.monotonic() > from_
        if not due or not self.has_struck(0):
            return False
        self.lifted = self.flag[0] = True
        self.place.control("clear")
        for body in self.provoke:
            self.place.control("fault", **body)
        return True

    def arm(self, now: str, target: Target) -> None:
        """Arm the fault if its time is now; what strikes the answer itself may be met at once."""
        if now == self.when:
            self.when = ""
            for body in self.fault:
                self.place.control("fault", **body)
            self.flag[0] = awaitfaults.strikes_at_once(target.fault, target.side, target.steps)

    def child(self, inside: Callable[[], None] = lambda: None, **more: Any) -> Child:
        """Fork a service."""
        self.read = 0
        config = more.pop("config", self.place.file)
        mutation = self.job.mutation
        return Child(self.place, config, self.counters, mutation=mutation, inside=inside, **more)

    def suicide(self, target: Target) -> Callable[[], None]:
        """Return what a child does before it is the bot: it will see itself wait, and die there."""
        wanted, flag = target.steps, self.flag
        path = self.place.folder / "awaits.jsonl"

        def arrange() -> None:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            told: set[Any] = set()

            def seen(operation: str, way: awaits.Way, side: str) -> None:
                if (operation, way) not in told:
                    told.add((operation, way))
                    known = awaits.ways(operation)
                    number = known.index(way) if way in known else -1
                    line = {"operation": operation, "way": number}
                    os.write(file, json.dumps(line).encode() + b"\n")
                if (operation, way) != (target.operation, wanted) or not flag[0]:
                    return
                if side == target.side or (side, target.side) == (awaits.CONNECTING, "before"):
                    die()
                elif (side, target.side) == ("before", "during"):
                    loop = asyncio.get_running_loop()  # what it wrote leaves in the next round
                    loop.call_soon(loop.call_soon, die)

            def die() -> None:
                os.kill(os.getpid(), signal.SIGKILL)

            awaits.watch(seen)
            awaitfaults.hasten(target.operation, wanted)

        return arrange

    def has_struck(self, seconds: float) -> bool:
        """Tell whether the fault strikes within a time; none at all, and one that was lifted, have."""
        if self.lifted:
            return True
        ours = {(body["kind"], body["seed"]) for body in self.fault}
        deadline = time.monotonic() + seconds
        while ours:
            armed = self.place.control("state")["faults"]
            if any(row["hits"] for row in armed if (row["kind"], row["seed"]) in ours):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def live(self, child: Child, target: Target) -> bool:
        """Be market and operator until the child is gone; False if it lives on at the deadline.

        It may die from now on if its fault strikes its own answer, else as soon as that has struck.
        """
        deadline = time.monotonic() + REACH_SECONDS
        for step in itertools.count():
            if self.rests:
                self.arm("order", target)
            if not self.flag[0] and not self.when and step % ASK_EVERY == 0:
                self.flag[0] = self.has_struck(0)
            if self.lift(deadline - REACH_SECONDS + LIFT_SECONDS):
                deadline = time.monotonic() + AFTER_LIFT_SECONDS
            if not child.pump(STEP_SECONDS):
                return True
            if time.monotonic() > deadline:
                return False
            if step % ORDER_EVERY == ORDER_EVERY - 1 and target.operation in ORDERS:
                self.place.ask(ORDERS[target.operation])
            elif step % RELEASE_EVERY == 0:
                self.release()
            self.flee(child, step)
        return False

    def flee(self, child: Child, step: int) -> None:
        """Let the market run away from most entries, so that they rest."""
        now = time.monotonic()
        whole = child.raw[self.read : child.raw.rfind(b"\n") + 1]
        self.read += len(whole)
        for raw in whole.splitlines():
            if b'"position"' not in raw:
                continue
            line = json.loads(raw)
            self.fleeing.pop(line["key"], None)
            self.rests = self.rests or line["dest"] in ("OPENING", "OPEN")
            if line["dest"] == "OPENING" and self.random.random() > STAY:
                sign = 1 if "cross up" in line["reason"] else -1
                self.fleeing[line["key"]] = (sign, now + FLEE_FOR_SECONDS)
                self.move(line["key"], sign * FLEE_FIRST)
        for symbol, (sign, until_) in list(self.fleeing.items()):
            if now > until_:
                del self.fleeing[symbol]
            elif step % ASK_EVERY == 0:
                self.move(symbol, sign * FLEE_STEP)

    def move(self, symbol: str, share: float) -> None:
        """Move the price of a symbol by a share of it."""
        self.place.control("price", symbol=symbol, factor=1 + share)

    def release(self) -> None:
        """Release what a control holds, as the operator: many entries are what is wanted here."""
        sql = "SELECT key FROM instance WHERE machine = 'hold' AND state = 'HELD'"
        for (key,) in self.place.rows(sql):
            self.place.ask("release", **({} if key == "account" else {"symbol": key}))

    def keep(self, child: Child) -> None:
        """Keep what a child acknowledged."""
        with (self.place.folder / "acks.jsonl").open("ab") as acks:
            acks.write(child.raw[: child.raw.rfind(b"\n") + 1])

    def seen(self) -> set[tuple[str, int]]:
        """Return every way on which an effect was seen to suspend."""
        lines = checker.lines(self.place.folder / "awaits.jsonl")
        return {(line["operation"], line["way"]) for line in lines}

    def counted(self) -> dict[str, int]:
        """Count what the exchange took and what the database knows of it."""
        kinds = Counter(line["kind"] for line in checker.lines(self.place.folder / LOG))
        sql = "SELECT count(DISTINCT key) FROM transition WHERE machine = 'order' AND dest = ?"
        states = {s: self.place.rows(sql, s, alive=False)[0][0] for s in ("UNKNOWN", "PARTIAL")}
        return {
            "creates": kinds["create"],
            "amends": kinds["amend"],
            "cancels": kinds["cancel"],
            "unknown": states["UNKNOWN"],
            "partial": states["PARTIAL"],
        }

    # -- the end -----------------------------------------------------------------------------------

    def converge(self) -> None:
        """Boot once more, without faults and without new entries: every order comes to its end."""
        sql = f"SELECT key, state FROM instance WHERE machine = 'order' AND state IN {LIVE}"
        child = self.child()
        child.until_running()
        self.place.ask("hold")
        left: list[Any] = []

        def quiet() -> bool:
            left[:] = self.place.rows(sql)
            return child.pump(0.05) and not left

        try:
            until(
                quiet,
                lambda: f"no order of ours is open or in doubt, found {left}",
                CONVERGE_SECONDS,
            )
        except AssertionError as error:
            self.problems.append(str(error))
        child.end()
        self.keep(child)

    def finish(self) -> None:
        """Let one child close its positions and end clean."""
        child = self.child(seconds=0.8, config=self.final)
        status = child.wait()
        self.keep(child)
        if os.waitstatus_to_exitcode(status) != 0:
            self.problems.append(f"the last run ended with {status}: {self.place.said()[-1500:]}")


def main() -> None:
    """Run one job."""
    job = Job(**json.loads(sys.argv[1]))
    print(json.dumps(Campaign(job).run()))


if __name__ == "__main__":
    main()
