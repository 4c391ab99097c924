"""Numbered, frozen migrations of ``state.db``. Each is a module ``mNNNN_name`` with ``up(db)``.

A migration that was released is never edited: its checksum is stored beside the fact that it ran.
This package imports nothing of the bot.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of all migrations, oldest first."""
    return sorted(path.stem for path in FOLDER.glob("m[0-9]*_*.py"))


def checksum(name: str) -> str:
    """Return the SHA-256 of a migration's source."""
    return hashlib.sha256((FOLDER / f"{name}.py").read_bytes()).hexdigest()
