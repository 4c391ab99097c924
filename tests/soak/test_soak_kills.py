"""Two thousand deaths with the harness of tests/faults: SOAK_KILLS and SOAK_SEED change number and seed."""

import os

import pytest

from tests.faults import jobs

KILLS = int(os.environ.get("SOAK_KILLS", "2000"))
SEED = int(os.environ.get("SOAK_SEED", "20260604"))
KILLS_A_FOLDER = 50


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_two_thousand_kills_lose_nothing_and_repeat_no_order(tmp_path, capfd):
    folders = -(-KILLS // KILLS_A_FOLDER)
    planned = [
        {
            "folder": str(tmp_path / f"{n}"),
            "kills": KILLS_A_FOLDER,
            "seed": SEED + n,
            "delay_max": 1.0,
        }
        for n in range(folders)
    ]
    results = []
    for result in jobs.run_all(planned, seconds=900):
        results.append(result)
        counts = jobs.totals(results)
        with capfd.disabled():
            print(
                f"{counts['kills']}/{KILLS} kills, {counts['commits']} commits, "
                f"{counts['kills_inside_transaction']} inside a transaction, "
                f"{counts['effects_in_flight']} effects in flight, "
                f"{counts['orders_in_doubt']} orders in doubt, {counts['orders']} orders, "
                f"{sum(len(jobs.violations(r)) for r in results)} violations",
                flush=True,
            )
        assert not jobs.violations(result)
    assert counts["kills"] >= KILLS
    assert all(counts[name] for name in jobs.COUNTS)
