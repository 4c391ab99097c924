"""The build id: which code decided. Replay is exact within one build."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import bot.core
import bot.learn


@cache
def build_id() -> str:
    """Return twelve hex digits of the sources that decide and measure."""
    digest = hashlib.sha256()
    for package in (bot.core, bot.learn):
        for path in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
