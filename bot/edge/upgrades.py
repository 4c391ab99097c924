"""Remembers, in a file beside the database, how far an upgrade of it is.

Not in the database: that is what a roll back puts back. A build that was rolled back is refused
there until it is checked anew, or a service manager would start it, and migrate, once more.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bot.edge.files import replace_file
from bot.errors import ConfigError


class Stage(StrEnum):
    """How far an upgrade is."""

    CHECKED = "CHECKED"
    APPLYING = "APPLYING"
    APPLIED = "APPLIED"
    CONFIRMED = "CONFIRMED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"


class Record(Struct, frozen=True):
    """An upgrade of one database. ``code`` checked it, ``before`` is the build that it replaces.

    ``instance``, ``head_id``, ``head``: the database that was checked. ``ok``: nothing was wrong.
    ``checked_at``: computer's clock, ms. ``backup``: how the database was right before it was
    migrated; ``applied_id``: its newest transition then. ``why``: of a roll back.
    """

    stage: Stage
    code: str
    build: str
    before: str
    instance: str
    head_id: int
    head: str
    config: str
    checked_at: int
    ok: bool
    report: dict[str, Any]
    backup: str = ""
    applied_id: int = 0
    why: str = ""


def path_of(state: Path) -> Path:
    """Return the file of a database's upgrade."""
    return Path(f"{state}.upgrade")


def read(state: Path) -> Record | None:
    """Return how far an upgrade is, or None if there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path_of(state).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError):
        return None


def write(state: Path, record: Record) -> None:
    """Remember it, synced. Raises Retryable."""
    replace_file(path_of(state), msgspec.json.encode(record) + b"\n")


def refuse_rolled_back(state: Path, code: str) -> None:
    """Raise ConfigError if this code was rolled back on this database."""
    found = read(state)
    if found is None or found.code != code:
        return
    if found.stage in (Stage.ROLLING_BACK, Stage.ROLLED_BACK):
        why = (
            f"state: build {found.build} was rolled back here ({found.why}): start build"
            f" {found.before}; `bot upgrade check` of a mended build lifts this"
        )
        raise ConfigError([why])
