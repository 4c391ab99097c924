"""Figure ``memory``: resident memory of the running bot with 20 symbols, and what it never loads."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.bench.figures import Figure, say
from tests.bench.programs import program
from tests.bench.rig import SYMBOLS, folder

GOAL_MB, SAMPLES, STOP_SECONDS = 120.0, 6, 30
NEVER = ("pandas", "sklearn", "xgboost", "lightgbm", "textual", "lib-dynload/_sqlite3")


def measure(seconds: int | None = None) -> list[Figure]:
    """Return the figure after BENCH_SECONDS of trading at the embedded exchange."""
    seconds = seconds or int(os.environ.get("BENCH_SECONDS", "60"))
    say(f"memory: {seconds} s of trading")
    with folder() as where:
        names = ", ".join(f'"{symbol}"' for symbol in SYMBOLS)
        (where / "bot.toml").write_text(f"[exchange]\nsymbols = [{names}]\n")
        with program("bot", "run", "--for", f"{seconds + 60}s", cwd=where) as bot:
            samples = []
            for _ in range(SAMPLES):
                time.sleep(seconds / SAMPLES)
                samples.append(resident_mb(bot.pid))
            files = loaded(bot.pid)
            bot.send_signal(signal.SIGTERM)  # so that it ends its exchange, too
            bot.wait(STOP_SECONDS)
        said = (where / "log").read_text(errors="replace").strip().splitlines()[-1:]
    wrong = [name for name in NEVER if any(f"/{name}" in file for file in files)]
    course = ", ".join(f"{mb:.1f}" for mb in samples)
    found = f"LOADED: {', '.join(wrong)}" if wrong else "none is mapped"
    note = [
        f"every {seconds / SAMPLES:.0f} s: {course} MB",
        f"never loaded ({', '.join(NEVER)}): {found}",
        f"it ended with: {' '.join(said)}",
    ]
    how = f"VmRSS of python -m bot run after {seconds} s, {len(SYMBOLS)} symbols at 60×, all dependencies installed"
    return [Figure("memory", samples[-1], "MB", GOAL_MB, how, note=note)]


def resident_mb(pid: int) -> float:
    """Return a process's resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def loaded(pid: int) -> set[str]:
    """Return the files that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if len(line.split(maxsplit=5)) == 6}
