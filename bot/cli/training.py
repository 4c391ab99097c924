"""The command `train`: sees to a process that learns, tries again with less, tells the bot all.

The bot writes the rows; this process only reports. Whatever ends the one that learns, this one is
left to say so.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from bot.cli.options import config_option, json_option, operator, state_option
from bot.cli.output import CODES, Exit, put, put_json, say
from bot.cli.trainer import NO_USE, OUT_OF_MEMORY, Result, Task
from bot.core.model_events import Report, TrainingEnded, TrainingQueued, TrainingStarted
from bot.core.text import safe_text
from bot.errors import LeaseHeld, NotRunning, Refused

if TYPE_CHECKING:
    from bot.store.lease import Lease

REPORT_SECONDS = 15.0
RESTART_SECONDS = 60.0  # a bot that restarts is waited for
QUIET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
}
"""Threads that spin made training up to 14 times slower on a busy machine of two cores."""
LESS_MAY_DO = ("memory", "killed", "crashed", "timeout")


class Attempt(Struct, frozen=True):
    """How an attempt ended: its cause, in a word and a sentence, and what it took."""

    cause: str
    reason: str
    rows: int
    seconds: float
    peak_mb: int
    exit_code: int
    signal: int
    model: str = ""


@click.command(epilog=CODES)
@click.option("--symbol", "symbols", multiple=True, help="Only this symbol; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Say what it would learn from, and begin nothing.")
@state_option
@config_option
@json_option
def train(
    symbols: tuple[str, ...],
    state: Path,
    config_path: Path | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make a model from the recorded candles, in a process of its own, and hand it to the bot.

    The bot verifies it and lets it score in shadow. It decides nothing. Works beside the running
    bot, and without it.
    """
    from bot.config import load

    config = load(config_path, os.environ, "").config
    limits = config.training
    run = uuid.uuid4().hex[:12]
    task = Task(
        str(state), run, limits.rows_max, symbols, config.settings, limits, trainer=os.getpid()
    )
    seen = _seen(task)
    if dry_run or seen["refused"]:
        return _would(seen, as_json=as_json)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end that can be reported
    lease = _alone(state, run)
    attempts = _attempts(task)
    lease.release()  # not before its last report: without it the bot takes it for dead
    done = attempts[-1]
    if as_json:
        put_json({"run": run, "model": done.model, "attempts": attempts, **_metrics(state, done)})
    elif done.model:
        put(f"model {done.model[:12]} is a candidate: the bot verifies it and lets it score")
    else:
        say(f"training {run} FAILED: {done.reason}")
    return Exit.OK if done.model else Exit.FAILED


def _alone(state: Path, run: str) -> Lease:
    """Be the one trainer of a database, which shows the bot that this process lives."""
    from bot.desk.files import Beside
    from bot.store.lease import Lease

    try:
        return Lease(Beside(state).training, {"pid": os.getpid(), "run": run})
    except LeaseHeld as error:
        why = f"expected no other training of {state}, found one: {error}"
        raise Refused(why) from error


def _seen(task: Task) -> dict[str, Any]:
    """Return what there is to learn from, and why that is of no use, if it is not."""
    from bot.desk import files
    from bot.desk.candles import stored
    from bot.learn.training import warmup

    state, limits = Path(task.state), task.training
    counts = {name: len(found) for name, found in stored(state, task.symbols, task.rows).items()}
    lost = warmup(task.settings.strategy) + limits.horizon
    usable, free = sum(max(0, n - lost) for n in counts.values()), files.free_mb(state)
    why = ""
    if usable < limits.rows_min:
        why = f"expected at least {limits.rows_min} usable candles, found {usable}"
    elif free < limits.free_mb:
        why = f"expected {limits.free_mb} MB of free disk space, found {free}"
    return {"candles": counts, "usable": usable, "free_mb": free, "refused": why}


def _would(seen: dict[str, Any], *, as_json: bool) -> int:
    if as_json:
        put_json(seen)
    else:
        for symbol, count in seen["candles"].items():
            put(f"{symbol:12}{count} candles")
        put(f"usable      {seen['usable']} candles; {seen['free_mb']} MB free")
    if not seen["refused"]:
        return Exit.OK
    say(f"no model can be made: {seen['refused']}")
    return Exit.REFUSED


def _metrics(state: Path, done: Attempt) -> dict[str, Any]:
    from bot.edge.artefacts import MANIFEST, folder_of

    if not done.model:
        return {}
    body = (folder_of(state) / done.model / MANIFEST).read_bytes()
    return {"metrics": msgspec.json.decode(body)["metrics"]}


# -- attempts --------------------------------------------------------------------------------------


def _attempts(task: Task) -> list[Attempt]:
    """Try until there is a model or another attempt is no use; every attempt is reported."""
    state, limits, done = Path(task.state), task.training, []
    _tell(state, TrainingQueued(at=0, run=task.run, rows=task.rows))
    for number in range(1, limits.retries + 2):
        rows = task.rows >> (number - 1)
        say(f"training {task.run}, attempt {number}: at most {rows} candles")
        attempt = _attempt(msgspec.structs.replace(task, rows=rows), number)
        done.append(attempt)
        again = attempt.cause in LESS_MAY_DO and number <= limits.retries
        reduced = f"half the candles: {rows // 2} instead of {rows}" if again else ""
        say(f"attempt {number}: {attempt.reason}{f'; again with {reduced}' * again}")
        ended = TrainingEnded(
            at=0,
            run=task.run,
            attempt=number,
            again=again,
            reduced=reduced,
            **msgspec.structs.asdict(attempt),
        )
        _tell(state, ended)
        if not again:
            break
    return done


def _attempt(task: Task, number: int) -> Attempt:
    """Let one process learn; return how it ended, whatever ended it."""
    child = subprocess.Popen(
        [sys.executable, "-m", "bot.cli.trainer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **QUIET},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    limit, late = task.training.attempt_real_seconds, threading.Event()

    def end() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(limit, end)
    began, said = time.perf_counter(), b""
    try:
        say(f"attempt {number} is process {child.pid}")
        started = TrainingStarted(at=0, run=task.run, attempt=number, rows=task.rows, pid=child.pid)
        _tell(Path(task.state), started)
        timer.start()
        try:
            child.stdin.write(msgspec.json.encode(task))
            child.stdin.close()
        except BrokenPipeError:
            pass  # it is dead already, as its status will tell
        said = child.stdout.read()
        interrupted = False
    except KeyboardInterrupt:
        child.kill()
        interrupted = True
    except BaseException:
        child.kill()
        raise
    finally:
        timer.cancel()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    from bot.edge import artefacts

    artefacts.sweep(artefacts.folder_of(Path(task.state)), child.pid)
    result = _result(said)
    cause, reason = _ending(child.returncode, result, limit if late.is_set() else 0.0)
    if interrupted:
        cause, reason = "interrupted", "it was interrupted by a person or a shutdown"
    return Attempt(
        cause=cause,
        reason=reason,
        rows=result.rows,
        seconds=round(time.perf_counter() - began, 3),
        peak_mb=used.ru_maxrss // 1024,
        exit_code=max(0, child.returncode),
        signal=max(0, -child.returncode),
        model=result.model if cause == "ok" else "",
    )


def _result(said: bytes) -> Result:
    try:
        return msgspec.json.decode(said, type=Result)
    except msgspec.MsgspecError:
        return Result()


def _ending(code: int, result: Result, timed_out: float) -> tuple[str, str]:
    """Return the cause of an attempt's end, in a word and as a sentence."""
    why = safe_text(result.why, 300)
    if timed_out:
        return "timeout", f"it took longer than {timed_out:g} s and was ended"
    if code == -signal.SIGKILL:
        return "killed", "it was ended by signal 9: out of memory, or somebody ended it"
    if code == -signal.SIGXCPU:
        return "timeout", "it used up its processor time"
    if code < 0:
        return "crashed", f"it crashed with signal {-code}: a library that ran out of memory does"
    if code == OUT_OF_MEMORY:
        return "memory", f"it ran out of its memory: {why}"
    if code == NO_USE:
        return "refused", why
    if code or not result.model:
        return "failed", why or f"it ended with code {code} and no result"
    return "ok", f"made model {result.model[:12]} from {result.rows} candles"


# -- reports ---------------------------------------------------------------------------------------


def _tell(state: Path, report: Report) -> None:
    """Have the bot write a report down; if none runs, write it down as the bot would.

    Raises Refused, OutcomeUnknown, and NotRunning if a bot holds the database and does not answer.
    """
    from bot.desk import client, files
    from bot.desk.clock import seconds

    body = msgspec.to_builtins(report)
    deadline = seconds() + RESTART_SECONDS
    while True:
        try:
            client.report(state, body, REPORT_SECONDS)
            return
        except NotRunning:
            if seconds() > deadline:
                raise
        try:
            if files.holder(state) is None:
                from bot.engine.offline import report_offline

                report_offline(state, body, operator())
                return
        except LeaseHeld:
            pass  # it just started: ask it
        time.sleep(0.5)
