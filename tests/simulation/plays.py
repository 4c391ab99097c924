"""Plays one seed in virtual time and compares the ledgers."""

from __future__ import annotations

import atexit
import contextlib
import io
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bot.config import load
from bot.store.database import open_writer
from bot.store.schema import migrate
from tests.faults.places import BUSY, merged, toml
from tests.simulation import ledger, story
from tests.simulation.town import ORIGIN_MS, Town, run

RATE = 60.0
SECONDS = 11.0
CONFIG = merged(
    BUSY,
    {
        "risk": {"base_size": 0.02},
        "orders": {"reconcile_real_seconds": 5},
        "market": {"symbols": list(story.SYMBOLS)},
    },
)
FLAGS = {"symbols": ",".join(story.SYMBOLS), "no_rate_limit": True}
LIQUIDITY = (4_000.0, 20_000.0, 60_000.0, 60_000.0)
"""USDT a second: an entry of 2,000 takes many levels, and sometimes more than a second."""
MEMORY = Path("/dev/shm")


class Played(NamedTuple):
    """What a seed came to."""

    seed: int
    counts: ledger.Counts
    differences: list[str]
    head: str
    said: str = ""


NOTHING = ledger.Counts(0, 0, 0, 0, 0, 0, 0.0)


def folder_of(seed: int) -> Path:
    """Return a new folder, in memory where there is some."""
    where = MEMORY if MEMORY.is_dir() else None
    return Path(tempfile.mkdtemp(prefix=f"simulation-{seed}-", dir=where))


@cache
def template() -> Path:
    """Return a database that is migrated and named, made once: every run begins with a copy."""
    path = Path(tempfile.mkdtemp(prefix="simulation-template-")) / "state.db"
    atexit.register(shutil.rmtree, path.parent)
    connection = open_writer(path)
    migrate(connection, ORIGIN_MS)
    connection.execute("INSERT INTO meta VALUES('instance', 'abcdef'), ('epoch', '1')")
    connection.close()
    return path


def begin_with(state: Path) -> None:
    """Put an empty database of a fixed name there, so that order ids are the seed's alone."""
    shutil.copyfile(template(), state)


def play(seed: int, *, replayed: bool = False, keep: bool = False) -> Played:
    """Play a seed from an empty folder and compare both sides."""
    folder = folder_of(seed)
    try:
        (folder / "bot.toml").write_text(toml(CONFIG))
        town = Town(folder, load(folder / "bot.toml", {}), seed=seed, rate=RATE)

        async def main() -> None:
            await town.open(liquidity=LIQUIDITY[seed % len(LIQUIDITY)], **FLAGS)
            await story.play(town, story.story(seed, SECONDS), SECONDS)
            await town.close()

        begin_with(folder / "state.db")
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.chdir(folder):
            run(main)
        books = ledger.Ledger(folder, town.blocked, RATE)
        try:
            head = books.db.execute(
                "SELECT lower(hex(hash)) FROM transition ORDER BY id DESC LIMIT 1"
            ).fetchone()[0]
            found = ledger.check(books, replayed=replayed)
            return Played(seed, books.counts(), found, head, said.getvalue())
        finally:
            books.db.close()
    finally:
        if not keep:
            shutil.rmtree(folder)
