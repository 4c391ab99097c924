"""Simulated months of many seeds, 30 days each, and every mutation: SOAK_SEED, SOAK_RUNS, SOAK_DAYS, SOAK_JOBS.

A month takes about two minutes of one processor. The seed of one that went wrong is printed with the
command that plays it alone.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.simulation import month_runs
from tests.simulation.month_mutations import MUTATIONS
from tests.simulation.month_runs import Run

SEED = int(os.environ.get("SOAK_SEED", "20261201"))
RUNS = int(os.environ.get("SOAK_RUNS", "20"))
DAYS = float(os.environ.get("SOAK_DAYS", "30"))
JOBS = int(os.environ.get("SOAK_JOBS", str(month_runs.AT_ONCE)))
LEAST_A_DAY = 0.5
"""Of every kind of fault."""
MUTATED_DAYS = 10.0
BY_CHANCE = "decide by chance"


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_months_of_many_seeds(capfd):
    least, wrong = max(1, int(LEAST_A_DAY * DAYS)), []
    runs = [Run(seed, DAYS, replayed=True) for seed in range(SEED, SEED + RUNS)]
    with ThreadPoolExecutor(JOBS) as pool:
        for run, played in zip(runs, pool.map(month_runs.play, runs), strict=True):
            rare = {name: count for name, count in played.counts.items() if count < least}
            if played.wrong:
                wrong.append(month_runs.failure(run, played))
            elif rare:
                wrong.append(f"{run}: expected at least {least} of each, found {rare}")
            with capfd.disabled():
                print(month_runs.told(played, least), *wrong[-1:], sep="\n", flush=True)
    assert not wrong, "\n".join(wrong)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", sorted(set(MUTATIONS) - {BY_CHANCE}))
def test_every_mutation_turns_a_month_red(name):
    (played,) = month_runs.play_all([Run(SEED, MUTATED_DAYS, name)])
    assert played.wrong


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_bot_that_decides_by_chance_is_another_one_each_time():
    once, again = month_runs.play_all([Run(SEED, 1.0, BY_CHANCE)] * 2)
    assert once.heads != again.heads
