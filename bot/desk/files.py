"""Finds and reads what lies beside a database: lease, heartbeat, HALT, socket, backups."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bot.core.heartbeat import LifeSign, newest
from bot.errors import ConfigError
from bot.store import backup, lease
from bot.store.database import Connection, open_reader

DEFAULT_STATE = Path("state.db")
SMALL_FILE_BYTES = 8_192
HALT_BYTES = 4_096


class Beside(Struct, frozen=True):
    """The paths that belong to one database."""

    state: Path

    @property
    def socket(self) -> Path:
        """Where the running bot takes commands."""
        return Path(f"{self.state}.sock")

    @property
    def heartbeat(self) -> Path:
        """What the running bot rewrites each second."""
        return Path(f"{self.state}.heartbeat")

    @property
    def halt(self) -> Path:
        """The mark that means reduce-only."""
        return self.state.parent / "HALT"

    @property
    def panic_log(self) -> Path:
        """What ``bot panic`` and the dead-man did while the bot was not looking."""
        return self.state.parent / "panic.jsonl"

    @property
    def deadman(self) -> Path:
        """What the dead-man remembers from one look to the next."""
        return self.state.parent / "deadman.json"

    @property
    def drills(self) -> Path:
        """When people tried what leaves no row: computer's clock, ms, by name."""
        return Path(f"{self.state}.drills")

    @property
    def training(self) -> Path:
        """What is leased by the trainer that works on this database: one at a time."""
        return Path(f"{self.state}.training")

    @property
    def models(self) -> Path:
        """The folder of trained models."""
        return self.state.absolute().parent / "models"

    @property
    def backups(self) -> Path:
        """Where backups go unless another folder is named."""
        return self.state.parent / "backups"


class HaltMark(Struct, frozen=True):
    """The HALT file: ``set``, with who and why. What cannot be read counts as set."""

    set: bool
    who: str = ""
    reason: str = ""


def heartbeat(state: Path) -> LifeSign | None:
    """Return the newest heartbeat, or None if there is none that can be read."""
    return newest(Beside(state).heartbeat.read_bytes)


def halt(state: Path) -> HaltMark:
    """Return what the HALT file says."""
    path = Beside(state).halt
    found = _small_json(path)
    if found is None and not path.exists():
        return HaltMark(True, "HALT file", "it is missing, which counts as set")
    if not isinstance(found, dict) or path.stat().st_size != HALT_BYTES:
        return HaltMark(True, "HALT file", "it cannot be read, which counts as set")
    if found.get("halt") is False:
        return HaltMark(False)
    return HaltMark(True, str(found.get("who", "")), str(found.get("reason", "")))


def holder(state: Path) -> dict[str, object] | None:
    """Return who holds the lease, or None if it is free. A lease of others counts as held."""
    try:
        return lease.holder(state)
    except PermissionError:
        return {"process": "unknown: its lease may not be read"}


def open_state(state: Path) -> Connection:
    """Open a database for reading, in whatever way its writer left it.

    Raises ConfigError if there is none, StoreBusy or StoreFatal if it cannot be read.
    """
    if not state.exists():
        raise ConfigError(
            [f"state: expected a database at {state}, found none; `python -m bot` makes one"]
        )
    return open_reader(state, alive=holder(state) is not None)


def wal_bytes(state: Path) -> int:
    """Return the size of the log beside a database, 0 if there is none."""
    try:
        return Path(f"{state}-wal").stat().st_size
    except OSError:
        return 0


def free_mb(state: Path) -> int:
    """Return the free space of the disk that holds the database, MB."""
    return free_bytes(state) // 1_000_000


def free_bytes(state: Path) -> int:
    """Return the free space of the disk that holds the database."""
    found = os.statvfs(state.parent)
    return found.f_bavail * found.f_frsize


def marks(state: Path) -> dict[str, int]:
    """Return when people tried what leaves no row: computer's clock, ms, by name."""
    found = _small_json(Beside(state).drills)
    if not isinstance(found, dict):
        return {}
    return {str(name): at for name, at in found.items() if isinstance(at, int)}


def _small_json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(SMALL_FILE_BYTES))
    except (OSError, msgspec.DecodeError):
        return None


def newest_backup(state: Path) -> float | None:
    """Return when the newest backup beside a database was made (s UTC), None if there is none."""
    made = [path.stat().st_mtime for path in backup.existing(state, Beside(state).backups)]
    return max(made, default=None)
