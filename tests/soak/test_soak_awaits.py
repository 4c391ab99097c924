"""Every await point of placing, amending, and cancelling, with every fault, on every side: SOAK_SEED, SOAK_JOBS."""

import os

import pytest

from tests.faults import jobs
from tests.faults.awaitfaults import SIDES, pairs
from tests.faults.awaits import named, ways
from tests.faults.test_kill_awaits import AT_ONCE, PROGRAM, met, planned, told

SEED = int(os.environ.get("SOAK_SEED", "20261122"))
JOBS = int(os.environ.get("SOAK_JOBS", AT_ONCE))
ATTEMPTS = 2
SHARE_MIN = 0.9


@pytest.mark.soak
@pytest.mark.timeout(8 * 3600)
def test_every_await_point_with_every_fault_converges(tmp_path, capfd):
    results, every = [], {(t.operation, t.way, t.fault) for t in pairs()}
    for turn in range(len(SIDES)):
        plan = planned(tmp_path / f"{turn}", pairs(turn), SEED + 1_000 * turn, ATTEMPTS)
        for result in jobs.run_all(plan, 3600, PROGRAM, JOBS):
            results.append(result)
            with capfd.disabled():
                print(told(results), flush=True)
            assert not jobs.violations(result)
    left = every - met(results)
    names = [f"{named(op, ways(op)[way])} with {fault or 'no fault'}" for op, way, fault in left]
    print(f"never met in {len(SIDES) * ATTEMPTS} attempts: {names}")
    assert len(left) <= (1 - SHARE_MIN) * len(every), names
