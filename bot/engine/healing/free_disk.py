"""Deletes what was kept for a day without room: the ballast, old backups, old reports.

Invariants: the newest backups stay; of a database that may be damaged every backup stays.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bot.core.events import StorageChecked
from bot.core.remedy import MEDIUM, Remedy
from bot.edge.host import free_mb
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Refused
from bot.store import backup

if TYPE_CHECKING:
    from bot.engine.boot import Paths

BACKUPS_KEPT, REPORTS_KEPT = 3, 10
SHORT_OF_ROOM = ("LOW", "FULL")
"""What this is for: of a damaged file the backups are the cure."""


async def act(means: Means, subject: str) -> str:
    """Delete, and measure the disk anew. Raises Refused if there is nothing to delete."""
    storage = means.world().instance_of("storage")
    if storage is None or storage.state not in SHORT_OF_ROOM:
        found = storage.state if storage else "none"
        raise Refused(f"expected storage that is short of room, found {found}")
    said = await asyncio.to_thread(_free, means.paths)
    free = free_mb(means.paths.folder)
    means.post(StorageChecked(at=means.venue.clock.now(), free_mb=free))
    return said


def _free(paths: Paths) -> str:
    old = [
        *([paths.ballast] if paths.ballast.exists() else []),
        *backup.existing(paths.state, paths.backups)[:-BACKUPS_KEPT],
        *sorted(paths.reports.glob("*.md"), key=lambda path: path.stat().st_mtime)[:-REPORTS_KEPT],
    ]
    if not old:
        raise Refused("there is no ballast, no old backup, and no old report to delete")
    freed = sum(path.stat().st_size for path in old) / 1e6
    for path in old:
        path.unlink()
    names = ", ".join(path.name for path in old[:5])
    return f"deleted {names}{' …' if old[5:] else ''}: {freed:.1f} MB"


TREATMENT = Treatment(
    Remedy(
        name="free-disk",
        meaning="Delete the ballast, all but the newest backups, and old reports.",
        checks=("disk",),
        risk=MEDIUM,
        attempts=3,
        cool_real_seconds=3_600.0,
        within_real_seconds=30.0,
        backs_up="",
        verified="storage is OK again",
    ),
    act,
)
