"""Plays simulated months in processes of their own, a few at once, and says what they came to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from tests.nursery import ROOT
from tests.simulation.month import Played

AT_ONCE = 2
A_DAY_SECONDS_MAX = 90
"""Far more than a day takes, on a machine that does much else."""


class Run(NamedTuple):
    """What to play: a seed, for how many days, with which mutation, under which hash seed.

    ``replayed``: at the end everything is decided again, and compared.
    """

    seed: int
    days: float
    mutation: str = ""
    hash_seed: int = 0
    replayed: bool = False

    @property
    def command(self) -> list[str]:
        """Return the arguments that play it alone."""
        flags = ["--days", f"{self.days:g}"]
        flags += ["--mutation", self.mutation] if self.mutation else []
        flags += ["--replayed"] if self.replayed else []
        return ["-m", "tests.simulation.month", *flags, str(self.seed)]

    def __str__(self) -> str:
        return f"PYTHONHASHSEED={self.hash_seed} .venv/bin/python {' '.join(self.command)}"


def play(run: Run) -> Played:
    """Play one. Raises AssertionError with what it said if it said nothing of use."""
    env = {**os.environ, "PYTHONHASHSEED": str(run.hash_seed), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *run.command, "--json"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + A_DAY_SECONDS_MAX * run.days,
    )
    assert done.stdout.startswith("{"), f"{run}\n{done.stderr[-3000:]}"
    return Played(**json.loads(done.stdout))


def play_all(runs: Iterable[Run]) -> list[Played]:
    """Play them, as many at once as there are processors to spare; return them in order."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(play, runs))


def failure(run: Run, played: Played) -> str:
    """Return how to repeat a month that went wrong, its last transitions, and what was wrong."""
    return "\n  ".join((f"SEED={run.seed}: {run}", *played.last, *played.wrong[:8]))


def told(played: Played, least: int) -> str:
    """Return what a month contained, in a few lines."""
    faults = ", ".join(f"{name} {count}" for name, count in played.counts.items())
    totals = ", ".join(f"{name} {count}" for name, count in played.totals.items())
    return (
        f"seed {played.seed}, {played.days:g} days: {sum(played.counts.values())} faults of"
        f" {len(played.counts)} kinds, at least {least} of each\n{faults}\n{totals}"
    )
