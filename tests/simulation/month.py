"""Plays a simulated month: the real reactor, decisions, and store on a virtual clock, with seeded faults.

``python -m tests.simulation.month SEED…`` plays seeds alone and prints what each came to; ``--days``
sets for how long, ``--mutation NAME`` breaks the bot first, ``--replayed`` decides
everything once more at the end and compares, ``--json`` is for programs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch

import click

from bot.store.database import only_library

if __name__ == "__main__":  # who only asks what a month came to keeps pandas
    only_library()

from bot.edge.clock import time_from
from bot.engine import boot
from bot.engine.healing import healer
from bot.engine.healing.treatment import Treatment
from tests.simulation import month_faults, month_mutations, plays
from tests.simulation.month_stage import ROOM_MB, Month
from tests.simulation.town import ORIGIN_MS
from tests.simulation.virtual import START_S, VirtualLoop

STEPS_A_DAY = 2_000_000
TAIL = 60
"""Transitions that are told of a month that went wrong."""


class Played(NamedTuple):
    """What a seed came to: each kind's count, what was wrong, and the chain's head after each fault."""

    seed: int
    days: float
    counts: dict[str, int]
    wrong: list[str]
    totals: dict[str, int]
    last: list[str]
    heads: list[str]


@contextlib.contextmanager
def _worldly(loop: VirtualLoop, month: list[Month]) -> Iterator[None]:
    """Give the bot's edge the loop's time, and a disk that repeats."""

    def disk(path: object) -> SimpleNamespace:
        free = month[0].free_mb if month else ROOM_MB
        return SimpleNamespace(f_bavail=free << 8, f_frsize=1 << 12)

    def treatments() -> dict[str, Treatment]:
        return month[0].hands

    def wall_ns() -> int:
        step = month[0].watcher.wall_offset_ms if month else 0
        return (ORIGIN_MS + step) * 1_000_000 + round((loop.time() - START_S) * 1e9)

    with (
        time_from(lambda: round(loop.time() * 1e9), wall_ns),
        patch.object(os, "statvfs", disk),
        patch.object(boot, "treatments", treatments),
        patch.object(healer, "treatments", treatments),
    ):
        yield


def play(seed: int, days: float, *, replayed: bool = False) -> Played:
    """Play a seed from an empty folder."""
    folder = plays.folder_of(seed)
    stage: list[Month] = []
    wrong: list[str] = []

    async def main() -> None:
        stage.append(Month(folder, seed))
        month = stage[0]
        await month.open()
        await month.play(days)
        await month.close()

    loop = VirtualLoop(steps_max=round(STEPS_A_DAY * max(1.0, days)))
    try:
        plays.begin_with(folder / "state.db")
        asyncio.set_event_loop(loop)
        with _worldly(loop, stage):
            try:
                loop.run_until_complete(main())
                wrong = stage[0].watcher.end(stage[0].life, replayed=replayed)
            except Exception as error:  # noqa: BLE001 a month that breaks is what was looked for
                wrong = [*stage[0].watcher.log[-3:], _told(error)]
            watcher = stage[0].watcher
            counts = {**dict.fromkeys(month_faults.NAMES, 0), **stage[0].counts}
            last = watcher.last(TAIL) if wrong else []
            heads = [head[:16] for head in watcher.heads]
            return Played(seed, days, counts, wrong, watcher.totals(), last, heads)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        asyncio.set_event_loop(None)
        loop.close()
        shutil.rmtree(folder)


def _told(error: Exception) -> str:
    short = isinstance(error, AssertionError)
    return str(error) if short else "".join(traceback.format_exception(error))[-4000:]


@click.command()
@click.option("--days", default=7.0)
@click.option("--mutation", default="")
@click.option("--replayed", is_flag=True)
@click.option("--json", "as_json", is_flag=True)
@click.argument("seeds", nargs=-1, type=int)
def main(days: float, mutation: str, seeds: list[int], *, replayed: bool, as_json: bool) -> None:
    """Play each seed; exit 1 if anything was wrong."""
    month_mutations.apply(mutation)
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    failed = False
    for seed in seeds:
        played = play(seed, days, replayed=replayed)
        failed = failed or bool(played.wrong)
        if as_json:
            print(json.dumps(played._asdict()), flush=True)
            continue
        print(f"seed {seed}, {days:g} days: head {played.heads[-1:]}, {played.totals}")
        print(f"  {played.counts}")
        for text in (*played.last, *played.wrong):
            print(f"  {text}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
