"""Commands that keep the database: migrate, backup, restore."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.options import json_option, operator, reason_option, state_option
from bot.cli.output import CODES, Exit, patience, put, put_json, say
from bot.errors import Refused

if TYPE_CHECKING:
    from bot.store.backup import Backup
    from bot.store.database import Connection
    from bot.store.lease import Lease


_LEFT_OPEN: list[Connection] = []
"""A writer leaves without closing: the log stays for those who may only read (DESIGN §5)."""


def _take_lease(state: Path) -> Lease:
    from bot.store.lease import Lease

    return Lease(state, {"pid": os.getpid(), "command": " ".join(sys.argv)[:200]})


def stamp() -> str:
    """Return the time as part of a file's name; names sort as the times do."""
    from bot.desk.clock import wall_ms

    now = wall_ms()
    return f"{datetime.fromtimestamp(now / 1000, UTC):%Y%m%dT%H%M%S}{now % 1000:03d}Z"


def _make_backup(state: Path, folder: Path, keep: int | None = None) -> Backup:
    from bot.desk import files
    from bot.store import backup as store

    connection = files.open_state(state)
    try:
        with patience(connection, "copying"):
            return store.make(connection, state, folder, stamp(), keep=keep or store.KEPT)
    finally:
        connection.close()


@click.command(epilog=CODES)
@state_option
@json_option
def migrate(state: Path, as_json: bool) -> int:
    """Bring the database to this code; a backup is made first. The bot must be stopped."""
    from bot.desk import files
    from bot.desk.clock import wall_ms
    from bot.edge import upgrades
    from bot.engine.build import code_id
    from bot.store import schema
    from bot.store.database import open_writer

    lease = _take_lease(state)
    upgrades.refuse_rolled_back(state, code_id())
    connection = open_writer(state)
    _LEFT_OPEN.append(connection)
    pending, before = schema.pending(connection), None
    if pending and schema.applied(connection):
        before = _make_backup(state, files.Beside(state).backups)
    done = schema.migrate(connection, wall_ms())
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    lease.release()
    if as_json:
        put_json({"ran": done, "backup": str(before.path) if before else None})
        return Exit.OK
    if before:
        put(f"backup {before.path}")
    put(f"ran {', '.join(done)}" if done else "nothing to do")
    return Exit.OK


@click.command(epilog=CODES)
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=None)
@click.option(
    "--keep",
    type=click.IntRange(1, 10_000),
    default=None,
    help="How many backups stay once the new one is verified; default 14.",
)
@state_option
@json_option
def backup(folder: Path | None, keep: int | None, state: Path, as_json: bool) -> int:
    """Make a verified copy while the bot runs or not, and drop the oldest."""
    from bot.desk import files

    made = _make_backup(state, folder or files.Beside(state).backups, keep)
    if as_json:
        put_json({**_as_json(made), "verified": True})
    else:
        put(f"{made.path}: {made.bytes:,} bytes, {made.transitions} transitions verified")
        put(f"head {made.head}")
    return Exit.OK


def _as_json(made: Backup) -> dict[str, object]:
    return {
        "path": str(made.path),
        "bytes": made.bytes,
        "transitions": made.transitions,
        "head": made.head,
    }


@click.command(epilog=CODES)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@reason_option
@state_option
@json_option
def restore(file: Path, reason: str, state: Path, as_json: bool) -> int:
    """Put a backup in the database's place; the old files are kept aside.

    The bot must be stopped. The restored database begins a new epoch of order ids and says so in
    its audit trail. A hold or kill that the backup does not know becomes a HALT.
    """
    from bot.engine import restoring

    if not reason.strip():
        raise Refused("expected a reason, found none")
    lease = _take_lease(state)
    done = restoring.restore(file, state, operator(), reason, stamp())
    lease.release()
    if as_json:
        put_json(done)
        return Exit.OK
    put(f"restored {file}: {done.transitions} transitions verified; epoch {done.epoch}")
    put(f"old head {done.old_head}, new head {done.new_head}")
    for path in done.kept:
        put(f"kept {path}")
    if done.halted:
        say(f"HALT is set, re-arm after looking: {done.halted}")
    return Exit.OK
