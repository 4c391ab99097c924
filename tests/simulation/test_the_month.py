"""Seven simulated days with every kind of fault in CI; `make soak` plays months of many seeds."""

import pytest

from tests.simulation import month_runs
from tests.simulation.month_runs import Run

SEED, DAYS = 20261121, 7.0
LEAST = 3
"""Of every kind of fault in so many days."""
TWIN_DAYS = 1.0


@pytest.mark.timeout(900)
def test_seven_days_of_every_fault_and_the_same_seed_gives_the_same_transitions(capsys):
    run, again = Run(SEED, DAYS), Run(SEED, TWIN_DAYS, hash_seed=1, replayed=True)
    played, twin = month_runs.play_all((run, again))
    with capsys.disabled():
        print("\n" + month_runs.told(played, LEAST))
    assert not played.wrong, month_runs.failure(run, played)
    assert not twin.wrong, month_runs.failure(again, twin)
    rare = {name: count for name, count in played.counts.items() if count < LEAST}
    assert not rare, f"expected at least {LEAST} of each, found {rare}"
    assert len(twin.heads) >= LEAST
    assert twin.heads == played.heads[: len(twin.heads)], f"{run} and {again} differ"


RED = {
    "forget messages at a start": (1, 0.5, "was forgotten"),
    "tell nobody": (1, 0.3, "nobody was told"),
    "resend on UNKNOWN": (1, 0.3, "was sent to the venue again"),
    "starts buy attempts": (1, 0.3, "was tried on"),
    "escalate without report": (1, 0.3, "0 reports"),
    "never be well again": (1, 0.3, "s after"),
}
"""The seed and days that showed each when this was written, and the words by which it is found."""


@pytest.mark.timeout(600)
def test_a_bot_that_breaks_its_promises_turns_the_month_red():
    runs = {name: Run(seed, days, name) for name, (seed, days, _) in RED.items()}
    played = month_runs.play_all(runs.values())
    for (name, run), found in zip(runs.items(), played, strict=True):
        words = RED[name][2]
        assert any(words in text for text in found.wrong), f"{run}: {words!r}, {found.wrong}"
