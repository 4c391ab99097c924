"""Derives rows of ``instance`` anew where they are not what the transitions say.

It writes past the reactor's turns, so it waits for a person. What differs is found beside the
writer, which is kept only for the rows that are written.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bot.core.remedy import HIGH, Remedy
from bot.edge.clock import wall_ms
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Refused
from bot.store import backup, derived
from bot.store.database import open_reader

if TYPE_CHECKING:
    from bot.engine.boot import Paths


async def act(means: Means, subject: str) -> str:
    """Copy the database, then restore. Raises Refused if nothing differs, StoreBusy, StoreFatal."""
    copy, keys = await asyncio.to_thread(_prepared, means.paths)
    await means.on_writer(partial(derived.restore, keys=keys))
    return f"{len(keys)} rows are what the transitions say again; before that: {copy}"


def _prepared(paths: Paths) -> tuple[str, list[derived.Key]]:
    """Copy the database as it is; return the copy's name and the rows that differ."""
    reader = open_reader(paths.state, alive=True)
    try:
        keys = [(machine, key) for machine, key, *_ in derived.differences(reader)]
        if not keys:
            raise Refused("every row of instance is what the transitions say")
        copy = backup.copy_damaged(reader, paths.state, paths.backups, f"{wall_ms()}")
    finally:
        reader.close()
    return copy.name, keys


TREATMENT = Treatment(
    Remedy(
        name="restore-table",
        meaning="Derive the rows of `instance` that differ from the transitions anew.",
        checks=("tables",),
        risk=HIGH,
        attempts=3,
        cool_real_seconds=600.0,
        within_real_seconds=120.0,
        backs_up="copies the database, as it is, to backups/state.db.<time>.damaged",
        verified="no row differs from its newest transition",
    ),
    act,
)
