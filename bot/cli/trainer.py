"""The process that learns: bounded in memory and processor time, read-only on the database.

Reads one JSON task on stdin, tells its progress on stderr, and ends with one JSON result on stdout:
the id of the model it wrote, or why there is none. Exit codes: 0 made, 3 refused, 75 out of memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from bot.config.sections import Training
from bot.core.settings import Settings
from bot.errors import BotError, Refused

OUT_OF_MEMORY, NO_USE = 75, 3
NEARLY_ALL = 7 / 8
PR_SET_PDEATHSIG = 1  # prctl(2)


class Task(Struct, frozen=True):
    """What to learn from, and within which limits; ``rows`` candles of all symbols at most.

    ``trainer``: the process that waits for the result; without it nobody learns.
    """

    state: str
    run: str
    rows: int
    symbols: tuple[str, ...]
    settings: Settings
    training: Training
    trainer: int = 0


class Result(Struct, frozen=True):
    """What came of it; ``why`` is a sentence where there is no model."""

    model: str = ""
    rows: int = 0
    why: str = ""


def confine(limits: Training) -> None:
    """Take no more memory and processor time than allowed; be last in line, first to be killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody learns for nobody
    os.nice(limits.nice)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")
    memory, seconds = limits.memory_mb << 20, int(limits.attempt_real_seconds) + 1
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def learn(task: Task) -> Result:
    """Read, fit, measure, and write. Raises Refused, Retryable, Broken."""
    from bot.desk.candles import stored
    from bot.edge import artefacts
    from bot.edge.clock import wall_ms
    from bot.engine.build import build_id
    from bot.learn import training
    from bot.learn.indicators import Oracle
    from bot.learn.manifest import encode

    sys.modules.pop("pandas", None)  # kept from TA-Lib; scikit-learn stumbles over the block
    limits = task.training
    plan = training.Plan(
        limits.horizon, limits.cost, limits.holdout, limits.penalty, limits.rows_min
    )
    found = stored(Path(task.state), task.symbols, task.rows)
    parts = []
    for symbol, candles in found.items():
        oracle = Oracle(task.settings.strategy, training.warmup(task.settings.strategy))
        parts.append(training.examples(oracle, symbol, candles, plan))
        _say(f"{symbol}: {len(parts[-1].times)} usable of {len(candles)} candles")
    if not parts:
        raise Refused("expected recorded candles, found none: run the bot first")
    rows = training.together(parts)
    made = training.make(rows, plan, task.settings.strategy, tuple(found))
    metrics = made.manifest.metrics
    _say(
        f"fitted on {made.manifest.rows_fit} rows; on {made.manifest.rows_held_out} held out: "
        f"AUC {metrics.auc:.3f}, Brier {metrics.brier:.4f}, skill {metrics.skill:+.4f}"
    )
    manifest = msgspec.structs.replace(
        made.manifest,
        run=task.run,
        created_at=wall_ms(),
        build=build_id(),
        libraries=_libraries(),
    )
    folder = artefacts.folder_of(Path(task.state))
    return Result(
        artefacts.publish(folder, encode(manifest), made.graph, limits.free_mb), len(rows.times)
    )


def _libraries() -> dict[str, str]:
    from importlib.metadata import version

    names = ("numpy", "onnx", "onnxruntime", "scikit-learn", "TA-Lib")
    return {name: version(name) for name in names}


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _is_memory(error: BaseException, taken: float) -> bool:
    """Tell whether an error means that memory ran out; ``taken`` is the share taken at most.

    Libraries say so in more than one way, and CPython itself sometimes with a bare ``SystemError``:
    whatever goes wrong with nearly all of the memory taken, goes wrong for want of it.
    """
    text = str(error).lower()
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or any(word in text for word in ("cannot allocate memory", "failed to map", "bad_alloc"))
        or taken >= NEARLY_ALL
    )


def _taken(limit_mb: int) -> float:
    """Return the share of its limit that this process's address space had at its largest."""
    try:
        found = re.search(r"VmPeak:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except MemoryError:
        return 1.0
    return int(found[1]) / 1024 / limit_mb if found else 0.0


def main() -> NoReturn:
    """Do one task, and leave with the code that tells how."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    confine(task.training)
    if task.trainer and os.getppid() != task.trainer:
        os._exit(NO_USE)  # it died before its death could end this process
    code = 0
    try:
        result = learn(task)
    except BotError as error:
        code, result = NO_USE, Result(why=str(error))
    except BaseException as error:  # noqa: BLE001 the one way out
        memory = _is_memory(error, _taken(task.training.memory_mb))
        code = OUT_OF_MEMORY if memory else 1
        if not memory:
            traceback.print_exc()
        result = Result(why=f"{type(error).__name__}: {error}"[:300])
    sys.stdout.buffer.write(msgspec.json.encode(result))
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    from bot.store.database import only_library

    only_library()
    main()
