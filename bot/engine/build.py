"""Which code decided (build id: replay is exact within one), and which code runs (code id)."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import bot.core
import bot.learn
import migrations


@cache
def build_id() -> str:
    """Return twelve hex digits of the sources that decide and measure."""
    digest = hashlib.sha256()
    for package in (bot.core, bot.learn):
        for path in sorted(Path(str(package.__file__)).parent.glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def code_id() -> str:
    """Return twelve hex digits of every module of the bot and of the migrations."""
    digest = hashlib.sha256()
    for package in (bot, migrations):
        folder = Path(str(package.__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            name = str(path.relative_to(folder)).encode()
            digest.update(name + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
