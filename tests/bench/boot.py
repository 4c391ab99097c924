"""Figure ``boot``: from exec to "protecting positions" with a million transitions in the file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.core.settings import Settings
from bot.edge.files import Halt
from bot.engine import boot, replay
from bot.learn.indicators import Oracle
from bot.store import chain, snapshots
from bot.store.database import open_reader, open_writer
from bot.store.schema import migrate
from tests.bench import million
from tests.bench.figures import Figure, middle, say
from tests.bench.programs import KEY, ROOT, SECRET, exchange, moves, program
from tests.bench.rig import MINUTE, SYMBOLS, T0, folder

TRANSITIONS, RUNS, GOAL_SECONDS = 1_000_000, 5, 1.5
STARTED_AT = T0 + MINUTE * million.TAIL_MINUTES + 30_000
MILESTONES = ("Started", "VenueConnected", "Reconciled")


def measure(transitions: int = TRANSITIONS, runs: int = RUNS) -> list[Figure]:
    """Return the figure: the median of some boots, each of a bot that was killed."""
    seconds, milestones = [], []
    for n in range(runs):
        with folder() as where:
            head = million.database(where / "state.db", transitions)
            say(f"boot {n + 1} of {runs}: {head:,} transitions")
            took, marks = run(where, head)
            seconds.append(took)
            milestones.append(marks)
            if n == runs - 1:
                note = [*stages(milestones, seconds), *inside(where / "state.db")]
    how = (
        f"median of {runs} boots of a killed bot, {head:,} transitions, {len(SYMBOLS)} symbols: exec of"
        " python -m bot run → RUNNING after reconcile read from the command socket (file in page cache);"
        f" longest {max(seconds):.2f} s"
    )
    return [Figure("boot", middle(seconds), "s", GOAL_SECONDS, how, note=note)]


def run(where: Path, head: int) -> tuple[float, dict[str, float]]:
    """Boot once; return the seconds to RUNNING, and when each milestone was journaled."""
    Halt(where / "HALT").create()
    with exchange(where, STARTED_AT) as url:
        lines = (
            "[venue]",
            'env = "sim"',
            f'rest_url = "{url}"',
            f'ws_url = "{url.replace("http", "ws")}"',
        )
        (where / "bot.toml").write_text("\n".join(lines) + "\n")
        wall, began = time.time_ns(), time.perf_counter_ns()
        with program("bot", "run", cwd=where, BOT_VENUE_KEY=KEY, BOT_VENUE_SECRET=SECRET):
            for move in moves(where / "state.db.sock", head):
                if (move["machine"], move["dest"]) == ("process", "RUNNING"):
                    break
            took = (time.perf_counter_ns() - began) / 1e9
    return took, journaled(where / "state.db", wall / 1e6)


def journaled(state: Path, since: float) -> dict[str, float]:
    """Return after how many ms the turns of the milestones began."""
    reader = open_reader(state, alive=False)
    rows = reader.execute(
        "SELECT kind, min(wall) FROM journal WHERE wall >= ? GROUP BY kind", (int(since),)
    ).fetchall()
    reader.close()
    return {kind: wall - since for kind, wall in rows if kind in MILESTONES}


def stages(milestones: list[dict[str, float]], seconds: list[float]) -> list[str]:
    """Say how long each stage took, as seen from outside."""
    started, connected, reconciled = (middle(m[kind] for m in milestones) for kind in MILESTONES)
    began = time.perf_counter_ns()
    imports = (
        "from bot.store.database import only_library; only_library();"
        " import bot.cli.app, bot.engine.service"
    )
    subprocess.run([sys.executable, "-c", imports], cwd=ROOT, check=True)
    imported = (time.perf_counter_ns() - began) / 1e6
    return [
        f"exec → first turn (interpreter, imports, open, recover, clock): {started:.0f} ms",
        f"… → venue connected (instruments, fees): {connected - started:.0f} ms",
        f"… → account read: {reconciled - connected:.0f} ms",
        f"… → RUNNING committed and told: {middle(seconds) * 1e3 - reconciled:.0f} ms",
        f"a process that only starts and imports: {imported:.0f} ms",
    ]


def inside(state: Path) -> list[str]:
    """Time the steps of opening the database again, in this process."""
    found: list[str] = []

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter_ns()
        result = work()
        found.append(f"{name} {(time.perf_counter_ns() - began) / 1e6:.0f} ms")
        return result

    connection = timed("open", lambda: open_writer(state))
    timed("migrate", lambda: migrate(connection, 1))
    last = chain.head(connection)[0] - boot.CHAIN_ROWS_AT_BOOT
    timed("chain of the newest 1,000", lambda: chain.verify(connection, last, instances=False))
    world, _, tail, _ = timed("snapshot and tail", lambda: replay.recover(connection))
    timed("agree", lambda: replay.disagreement(connection, world))
    market = Settings().market
    oracle = Oracle(Settings().strategy, market.warmup_candles)

    def rebuild() -> None:
        for symbol, feed in world.feeds.items():
            stored = snapshots.candles(connection, symbol, feed.last, market.warmup_candles)
            oracle.rebuild(symbol, stored)

    timed("indicators", rebuild)
    connection.close()
    return [f"inside: {', '.join(found)} (tail of {tail} events)"]
