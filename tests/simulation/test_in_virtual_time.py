"""Random operations with random faults and deaths, then quiet: the bot's ledger is the exchange's."""

import pytest

from tests.simulation import workers
from tests.simulation.mutations import MUTATIONS

RUNS, FIRST = 480, 1
WHOLE_SHARE_MIN = 0.2


@pytest.mark.timeout(900)
def test_after_480_random_lives_both_ledgers_are_equal(capsys):
    played = workers.play_all(range(FIRST, FIRST + RUNS))
    with capsys.disabled():
        print("\n" + workers.summary("virtual time", played))
    wrong = workers.failures(played)
    assert not wrong, f"{len(wrong)} of {RUNS} runs differ\n" + "\n".join(wrong[:20])
    assert sum(p.counts.whole for p in played) >= WHOLE_SHARE_MIN * RUNS


def test_a_seed_repeats_to_the_last_hash():
    seeds = [3, 9, 20]  # in 3 and 20 the network is cut, and its errors are in the journal
    once, again = workers.play_all(seeds), workers.play_all(seeds)
    assert all(played.head for played in once)
    assert once == again


RED = {
    "resend on UNKNOWN": (5, "was sent again"),
    "forget a fill": (1, "the bot None"),
    "count a fill twice": (1, "the exchange has"),
    "drop fees": (1, "fill: the exchange has"),
    "ignore foreign fills": (1, "('manual-"),
    "declare LOST too early": (33, "the bot LOST"),
}
"""The seed that showed each when this was written, from which the search begins; and its words."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_bot_that_keeps_other_books_is_found_out(name):
    found: list[str] = []
    first, words = RED[name]
    for seed in range(first, first + 80, workers.AT_ONCE):  # few seeds are enough for most
        played = workers.play_all(range(seed, seed + workers.AT_ONCE), name)
        found = [text for p in played for text in p.differences]
        if any(words in text for text in found):
            return
    pytest.fail(f"expected {words!r}, found {found[:10]}")
