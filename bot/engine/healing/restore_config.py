"""Puts the configuration file back as it was when it was last good, once no start could use it.

A file that can be used and says something else is a person's change that waits for a restart: it
is never touched.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from bot import config
from bot.config import Loaded
from bot.core.remedy import MEDIUM, Remedy
from bot.edge.clock import wall_ms
from bot.edge.files import replace_file
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import ConfigError, Refused, Retryable

PRIVATE = 0o600
BAD_KEPT = 10
"""Broken files that are kept, the newest ones."""


async def act(means: Means, subject: str) -> str:
    """Put the last good file back. Raises Refused, Retryable, OSError."""
    return await asyncio.to_thread(_restore, means.loaded, means.paths.good)


def _restore(loaded: Loaded, good: Path) -> str:
    file = loaded.file
    if file is None:
        raise Refused("expected a configuration file, found that the bot started without one")
    body = _last_good(good, loaded.hash)
    try:
        bad = _set_aside(file)
        replace_file(file, body, file.stat().st_mode & 0o777 if bad else PRIVATE)
    except (Retryable, OSError) as error:
        raise Retryable(f"{error}; the last good file is {good}") from error
    return f"{file.name} is what is in force again; the broken one is {bad or 'gone'}"


def _last_good(good: Path, wanted: str) -> bytes:
    """Return the last good file. Raises Refused if it is not what is in force, or no good now."""
    try:
        found = config.load(good, os.environ).hash
        body = good.read_bytes()
    except (ConfigError, OSError) as error:
        why = str(error).replace("\n", "; ")
        raise Refused(f"the last good file cannot be used either: {why}") from error
    if found != wanted:
        raise Refused(f"expected {good.name} to be what is in force, found another configuration")
    return body


def _set_aside(file: Path) -> str:
    """Keep a copy of the broken file and return its name, "" if there is no file at all."""
    if not file.exists():
        return ""
    bad = file.with_name(f"{file.name}.bad-{wall_ms()}")
    replace_file(bad, file.read_bytes(), PRIVATE)
    for old in sorted(file.parent.glob(f"{file.name}.bad-*"))[:-BAD_KEPT]:
        old.unlink()
    return bad.name


TREATMENT = Treatment(
    Remedy(
        name="restore-config",
        meaning="Put the last good bot.toml back, which is what is in force.",
        checks=("config file",),
        risk=MEDIUM,
        attempts=3,
        cool_real_seconds=3_600.0,
        within_real_seconds=30.0,
        backs_up="copies the broken file to bot.toml.bad-<time>",
        verified="bot.toml can be used and says what is in force",
    ),
    act,
)
