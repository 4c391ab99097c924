"""The same stories with real processes, real sockets, and kill -9."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.simulation import sockets, workers

RUNS, FIRST, AT_ONCE = 20, 1001, 10  # most of a run is waiting


@pytest.mark.timeout(600)
def test_after_20_random_lives_of_real_processes_both_ledgers_are_equal(capsys, monkeypatch):
    for name, value in sockets.KEYS.items():
        monkeypatch.setenv(name, value)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        played = list(pool.map(sockets.play, range(FIRST, FIRST + RUNS)))
    with capsys.disabled():
        print("\n" + workers.summary("sockets", played))
    wrong = workers.failures(played, "--sockets")
    assert not wrong, f"{len(wrong)} of {RUNS} runs differ\n" + "\n".join(wrong)
    assert any(p.counts.restarts for p in played)
    assert any(p.counts.partial for p in played)
