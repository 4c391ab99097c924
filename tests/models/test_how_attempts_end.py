"""How a learning process ended becomes a cause and a sentence; what less can cure is tried again."""

import pytest

from bot.cli.trainer import Result, Task, _is_memory
from bot.cli.training import LESS_MAY_DO, _ending
from bot.config.sections import Training
from bot.core.settings import Settings

NOTHING = Result()


@pytest.mark.parametrize(
    ("code", "result", "late", "cause", "says"),
    [
        (0, Result("a" * 64, 50), 0, "ok", "made model aaaaaaaaaaaa from 50 candles"),
        (0, NOTHING, 0, "failed", "no result"),
        (75, Result(why="MemoryError: x"), 0, "memory", "ran out of its memory: MemoryError: x"),
        (-9, NOTHING, 0, "killed", "out of memory, or somebody ended it"),
        (-11, NOTHING, 0, "crashed", "signal 11"),
        (-6, NOTHING, 0, "crashed", "signal 6"),
        (-9, NOTHING, 600.0, "timeout", "longer than 600 s"),
        (-24, NOTHING, 0, "timeout", "processor time"),
        (3, Result(why="expected 1 found 0"), 0, "refused", "expected 1 found 0"),
        (1, Result(why="ValueError: x"), 0, "failed", "ValueError: x"),
    ],
)
def test_an_end_has_a_cause_and_a_sentence(code, result, late, cause, says):
    found, sentence = _ending(code, result, late)
    assert found == cause
    assert says in sentence
    assert (cause in LESS_MAY_DO) == (cause in ("memory", "killed", "crashed", "timeout"))


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (ImportError("libx.so: failed to map segment from shared object"), True),
        (RuntimeError("std::bad_alloc"), True),
        (ImportError("No module named x"), False),
        (ValueError("x"), False),
    ],
)
def test_memory_that_runs_out_has_many_names(error, memory):
    assert _is_memory(error, 0.5) is memory


@pytest.mark.parametrize(("taken", "memory"), [(0.87, False), (0.9, True)])
def test_what_goes_wrong_with_nearly_all_memory_taken_is_the_want_of_it(taken, memory):
    """CPython says this of an import for which there is no room."""
    assert _is_memory(SystemError("error return without exception set"), taken) is memory


def test_a_task_reaches_the_process_as_it_was_given():
    import msgspec

    task = Task("s", "r", 9, ("BTCUSDT",), Settings(), Training())
    assert msgspec.json.decode(msgspec.json.encode(task), type=Task) == task
