"""Runs fork servers, some at a time, and adds up what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.faults.places import ROOT

AT_ONCE = int(os.environ.get("SOAK_JOBS", "2"))  # most of a job is waiting: a soak takes more
COUNTS = (
    "kills",
    "commits",
    "kills_inside_transaction",
    "kills_in_boot",
    "kills_with_effects_in_flight",
    "effects_in_flight",
    "orders_in_doubt",
)
AWAIT_COUNTS = ("creates", "amends", "cancels", "unknown", "partial")

Result = dict[str, Any]


def run(
    job: dict[str, Any], seconds: float = 150, program: str = "tests.faults.forkserver"
) -> Result:
    """Run one job in a fork server of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", program, json.dumps(job)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{job}: {done.stderr[-3000:]}"
    found: Result = json.loads(done.stdout)
    return found


def run_all(
    jobs: Sequence[dict[str, Any]],
    seconds: float = 150,
    program: str = "tests.faults.forkserver",
    at_once: int = AT_ONCE,
) -> Iterator[Result]:
    """Yield the results of jobs in their order, as soon as they are there."""
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda job: run(job, seconds, program), jobs)


def totals(results: Sequence[Result]) -> Counter[str]:
    """Add up the counts, and those of the checker."""
    found: Counter[str] = Counter()
    for result in results:
        found.update({name: result.get(name, 0) for name in (*COUNTS, *AWAIT_COUNTS)})
        report = {k: v for k, v in result["report"].items() if k != "violations"}
        found.update(report)
    return found


def violations(result: Result) -> list[str]:
    """Return what the checker found, and children that ended by themselves, with seed and folder."""
    found = [*result["report"]["violations"], *result["problems"]]
    return [f"seed {result['seed']} in {result['folder']}: {text}" for text in found]
