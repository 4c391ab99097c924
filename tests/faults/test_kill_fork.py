"""Nearly two hundred deaths at random instants on a few databases: nothing is lost, nothing repeated."""

import pytest

from tests.faults import jobs

SEED = 20_260_601
FOLDERS, KILLS, AT_ONCE = 6, 31, 3  # most of a job is waiting for an instant


@pytest.mark.timeout(200)
def test_kills_at_random_instants_lose_nothing_and_repeat_no_order(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "AT_ONCE", AT_ONCE)
    planned = [
        {"folder": str(tmp_path / f"{n}"), "kills": KILLS, "seed": SEED + n} for n in range(FOLDERS)
    ]
    results = list(jobs.run_all(planned))
    counts = jobs.totals(results)
    print("\n" + "\n".join(f"{name:>30} {value}" for name, value in counts.items()))
    assert not [text for result in results for text in jobs.violations(result)]
    assert counts["kills"] >= 180
    assert all(counts[name] for name in (*jobs.COUNTS, "orders", "executions", "acknowledged"))
