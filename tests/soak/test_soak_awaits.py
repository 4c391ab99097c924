"""Every await point of placing, amending, and cancelling with every fault: SOAK_SEED, SOAK_JOBS, SOAK_TURN, SOAK_MET.

A run dies on one side of each await under each fault (before, during, after); SOAK_TURN=1 and =2
take the other sides. What was not met is tried on the next side, twice. SOAK_MET names a file that
keeps what was met, job by job: a soak that is broken off goes on from there.
"""

import json
import os
from pathlib import Path

import pytest

from tests.faults import jobs
from tests.faults.awaitfaults import SIDES, pairs
from tests.faults.awaits import named, ways
from tests.faults.test_kill_awaits import AT_ONCE, PROGRAM, met, planned, told

SEED = int(os.environ.get("SOAK_SEED", "20261122"))
JOBS = int(os.environ.get("SOAK_JOBS", AT_ONCE))
TURN = int(os.environ.get("SOAK_TURN", "0"))
ATTEMPTS, KILLS_A_FOLDER = 2, 20
SHARE_MIN = 0.95


@pytest.mark.soak
@pytest.mark.timeout(8 * 3600)
def test_every_await_point_with_every_fault_converges(tmp_path, capfd):
    every = {(t.operation, t.way, t.fault) for t in pairs()}
    kept = Path(os.environ.get("SOAK_MET", tmp_path / "met.jsonl"))
    results = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    left = every - met(results)
    for turn in range(TURN, TURN + len(SIDES)):
        targets = [t for t in pairs(turn) if (t.operation, t.way, t.fault) in left]
        seed = SEED + 1_000 * turn + len(results)
        plan = planned(tmp_path / f"{turn}", targets, seed, ATTEMPTS, KILLS_A_FOLDER)
        for result in jobs.run_all(plan, 3600, PROGRAM, JOBS):
            results.append(result)
            left = every - met(results)
            with capfd.disabled():
                print(told(results), f"{len(left)} pairs left", flush=True)
            assert not jobs.violations(result)
            with kept.open("a") as file:
                file.write(json.dumps(result) + "\n")
    names = [f"{named(op, ways(op)[way])} with {fault or 'no fault'}" for op, way, fault in left]
    print(f"never met in {len(SIDES) * ATTEMPTS} attempts: {names}")
    assert len(left) <= (1 - SHARE_MIN) * len(every), names
