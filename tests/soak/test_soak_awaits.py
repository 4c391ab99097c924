"""Every await point of placing, amending, and cancelling with every fault: SOAK_SEED, SOAK_JOBS."""

import os
from dataclasses import asdict

import pytest

from tests.faults import jobs
from tests.faults.awaitfaults import pairs
from tests.faults.awaits import named, ways
from tests.faults.test_kill_awaits import PROGRAM, told

SEED = int(os.environ.get("SOAK_SEED", "20261122"))
KILLS_A_FOLDER = 40
ATTEMPTS = 3
ROUNDS = 3
SHARE_MIN = 0.9


@pytest.mark.soak
@pytest.mark.timeout(8 * 3600)
def test_every_await_point_with_every_fault_converges(tmp_path, capfd):
    wanted = {(t.operation, t.way, t.fault) for t in pairs(0)}
    left, results = set(wanted), []
    for round_ in range(ROUNDS):
        here = (t for t in pairs(round_) if (t.operation, t.way, t.fault) in left)
        targets = [asdict(target) for target in here]
        planned = [
            {
                "folder": str(tmp_path / f"{round_}-{n}"),
                "targets": targets[n : n + KILLS_A_FOLDER],
                "seed": SEED + round_ * 10_000 + n,
                "attempts": ATTEMPTS,
            }
            for n in range(0, len(targets), KILLS_A_FOLDER)
        ]
        for result in jobs.run_all(planned, 3600, PROGRAM):
            results.append(result)
            for target in result["struck"]:
                left.discard((target["operation"], target["way"], target["fault"]))
            with capfd.disabled():
                print(told(results), f"{len(left)} pairs left", flush=True)
            assert not jobs.violations(result)
    names = [f"{named(op, ways(op)[way])} with {fault or 'no fault'}" for op, way, fault in left]
    print(f"never met in {ROUNDS * ATTEMPTS} attempts: {names}")
    assert len(left) <= (1 - SHARE_MIN) * len(wanted), names
