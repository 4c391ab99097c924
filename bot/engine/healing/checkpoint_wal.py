"""Moves the database's log into the database and cuts it, when it grew and nobody else did that."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.core.remedy import LOW, Remedy
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Retryable
from bot.store.database import open_writer

WAIT_MS = 100
"""A checkpoint that cuts keeps every writer waiting while it waits for readers: at most so long."""


async def act(means: Means, subject: str) -> str:
    """Run a checkpoint that cuts the log. Raises Retryable while a reader holds it."""
    return await asyncio.to_thread(_checkpoint, means.paths.state)


def _checkpoint(state: Path) -> str:
    connection = open_writer(state)
    try:
        connection.execute(f"PRAGMA busy_timeout={WAIT_MS}")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # most of it, and nobody waits
        busy, pages, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.close()
    if busy:
        raise Retryable(f"a reader holds the log: {moved} of {pages} pages could be moved")
    return f"the log was moved into the database and cut ({max(pages, 0)} pages were left)"


TREATMENT = Treatment(
    Remedy(
        name="checkpoint-wal",
        meaning="Move the database's log into the database and cut it.",
        checks=("wal",),
        risk=LOW,
        attempts=6,
        cool_real_seconds=600.0,
        within_real_seconds=30.0,
        backs_up="",
        verified="the log is small again",
    ),
    act,
)
