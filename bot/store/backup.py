"""Backups of a database: made while it is written, verified before they count, and put back.

A backup is whole or not there: it is written aside, verified, synced, and only then renamed. A
restore keeps the old files aside and ends in one rename: whatever dies on the way, the database
is the old one or the new one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from msgspec import Struct

from bot.errors import BotError, ChainBroken, ConfigError, Refused
from bot.store import chain
from bot.store.database import Connection, DriverError, classify, open_reader, open_writer

KEPT = 14
DAMAGED_KEPT = 2


class Backup(Struct, frozen=True):
    """A verified copy: where it is, how large, and the head of its chain."""

    path: Path
    bytes: int
    transitions: int
    head: str


def make(source: Connection, state: Path, folder: Path, stamp: str, *, keep: int = KEPT) -> Backup:
    """Copy the database into ``folder`` as ``<name>.<stamp>.backup``, and drop the oldest ones.

    ``stamp`` orders the names. Raises StoreBusy or StoreFatal if it cannot be written, ChainBroken
    if the copy does not verify; then nothing is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{state.name}.{stamp}.backup"
    unfinished = target.with_suffix(".tmp")
    try:
        unfinished.unlink(missing_ok=True)
        source.execute("VACUUM INTO ?", (str(unfinished),))
        made = verify(unfinished)
        unfinished.chmod(0o640)
        sync(unfinished)
        unfinished.replace(target)
    except (*DriverError, OSError) as error:
        raise classify(error) from error
    finally:
        unfinished.unlink(missing_ok=True)
    sync(folder)
    rotate(state, folder, keep)
    return Backup(target, made.bytes, made.transitions, made.head)


def copy_damaged(source: Connection, state: Path, folder: Path, stamp: str) -> Path:
    """Copy a database that would not verify, for people to look at; it never counts as a backup.

    The newest copies are kept. Raises StoreBusy, StoreFatal, OSError if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{state.name}.{stamp}.damaged"
    try:
        source.execute("VACUUM INTO ?", (str(target),))
        target.chmod(0o640)
        sync(target)
    except (*DriverError, OSError) as error:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        raise classify(error) from error
    for path in sorted(folder.glob(f"{state.name}.*.damaged"))[:-DAMAGED_KEPT]:
        path.unlink()
    return target


def existing(state: Path, folder: Path) -> list[Path]:
    """Return the backups of a database, oldest first."""
    return sorted(folder.glob(f"{state.name}.*.backup"))


def rotate(state: Path, folder: Path, kept: int = KEPT) -> list[Path]:
    """Drop all but the newest backups; return what was dropped."""
    doomed = existing(state, folder)[:-kept]
    for path in doomed:
        path.unlink()
    return doomed


def verify(path: Path) -> Backup:
    """Check every page and the whole chain of a copy. Raises ChainBroken, ConfigError."""
    try:
        connection = open_reader(path, alive=False)
    except ConfigError:
        raise
    except BotError as error:
        raise ChainBroken(f"{path} is no database: {error}") from error
    try:
        found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        if found != ["ok"]:
            raise ChainBroken(f"{path} is damaged: {'; '.join(found)}")
        transitions, head = chain.verify(connection)
    except DriverError as error:
        raise ChainBroken(f"{path} is damaged: {error}") from error
    finally:
        connection.close()
    return Backup(path, path.stat().st_size, transitions, head.hex())


def copy_aside(backup: Path, state: Path) -> Path:
    """Copy a backup to where it can be prepared, beside the database; return that path."""
    if backup.resolve() == state.resolve():
        raise Refused(f"expected a backup, found the database itself: {backup}")
    prepared = Path(f"{state}.restoring")
    for path in family(prepared):
        path.unlink(missing_ok=True)
    shutil.copyfile(backup, prepared)
    prepared.chmod(0o640)
    sync(prepared)
    return prepared


def put_back(prepared: Path, state: Path, stamp: str) -> list[Path]:
    """Make the prepared copy the database; return where the old files are kept.

    The lease must be held and the copy closed. The old log is folded in first where the old file
    can still be opened, so that no instant has a database without its log.
    """
    kept = []
    _fold(state)
    for path in family(state)[1:]:
        if path.exists():
            aside = Path(f"{state}.before-restore-{stamp}{path.name.removeprefix(state.name)}")
            path.rename(aside)
            kept.append(aside)
    if state.exists():
        aside = Path(f"{state}.before-restore-{stamp}")
        aside.hardlink_to(state)
        kept.append(aside)
    prepared.replace(state)
    sync(state.parent)
    return sorted(kept)


def family(path: Path) -> list[Path]:
    """Return a database file and the two that SQLite keeps beside it."""
    return [path, Path(f"{path}-wal"), Path(f"{path}-shm")]


def sync(path: Path) -> None:
    """Sync a file or a folder to the disk. Never the file of an open database."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fold(state: Path) -> None:
    if not state.exists():
        return
    try:
        connection = open_writer(state)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    except (BotError, *DriverError):
        return  # it is damaged: its files are kept as they are
