"""An hour at speed 60 with 20 symbols: resident memory is flat after warm-up, and at most 120 MB.

SOAK_SECONDS changes the duration; samples are taken a minute apart, or sixty over a shorter run.
"""

import os
import time
from pathlib import Path

import pytest

from tests.faults.places import Place

SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
LIMIT_MB = 120.0
LIMIT_AFTER_SECONDS = 600.0
WARM_UP = 1 / 6
SLOPE_MB_AN_HOUR_MAX = 4.0
CONFIG = {
    "exchange": {"speed": 60, "seed": 7},
    "market": {"warmup_candles": 1000},
    "storage": {"snapshot_events": 2000},
}


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + 300)
def test_memory_is_flat_over_an_hour_of_twenty_symbols(tmp_path, capfd):
    place = Place(tmp_path / "p", CONFIG)
    samples: list[tuple[float, float]] = []
    try:
        place.start_exchange("--symbols", "20")
        bot = place.start_bot("--config", str(place.file))
        place.until_state("process", "RUNNING", seconds=60)
        started, every = time.monotonic(), min(60.0, SECONDS / 60)
        while (age := time.monotonic() - started) < SECONDS:
            assert bot.poll() is None, place.said()[-3000:]
            samples.append((age, resident_mb(bot.pid)))
            with capfd.disabled():
                print(f"{age:7.0f} s {samples[-1][1]:7.1f} MB", flush=True)
            time.sleep(every)
        live = place.rows("SELECT count(*) FROM instance WHERE machine = 'feed' AND state = 'LIVE'")
        assert live == [(20,)]
        bot.terminate()
        assert bot.wait(60) == 0, place.said()[-3000:]
    finally:
        place.close()
    settled = [sample for sample in samples if sample[0] >= SECONDS * WARM_UP]
    assert (
        max(mb for age, mb in samples if age >= min(LIMIT_AFTER_SECONDS, SECONDS / 2)) <= LIMIT_MB
    )
    grown = slope(settled) * (settled[-1][0] - settled[0][0])  # MB, over the part that is judged
    allowed = max(1.0, SLOPE_MB_AN_HOUR_MAX * SECONDS / 3600)
    assert grown <= allowed, f"grew by {grown:.1f} MB, allowed {allowed:.1f}: {samples}"


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, by the kernel's word."""
    with Path(f"/proc/{pid}/status").open() as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise AssertionError(f"expected VmRSS of {pid}, found none")


def slope(samples: list[tuple[float, float]]) -> float:
    """Return the least-squares slope, MB a second."""
    n = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / n, sum(y for _, y in samples) / n
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread
