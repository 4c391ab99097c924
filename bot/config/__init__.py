"""Reads ``bot.toml`` and the environment into one checked ``Config``, or says all that is wrong.

A value comes from, each over the one before: default, profile, ``bot.toml``, environment (secrets
only). A file may tighten what its profile allows, never widen it. Paths are relative to the
working directory. Nothing here prints a secret: errors, ``show``, ``explain``, ``repr``, and the
hash leave them out.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from bot.config.reading import Reading, credential, either, no_such_key
from bot.config.sections import (
    FIELDS,
    Config,
    Deadman,
    Exchange,
    Log,
    Notify,
    Store,
    Venue,
    is_secret,
)
from bot.core.limits import LOWER
from bot.core.settings import PROFILES, profile, value_of
from bot.errors import ConfigError

__all__ = [
    "FIELDS",
    "Config",
    "Deadman",
    "Exchange",
    "Explanation",
    "Loaded",
    "Notify",
    "Store",
    "Venue",
    "bot_key",
    "config_hash",
    "effective",
    "explain",
    "load",
    "show",
    "with_log_format",
]

DEFAULT_FILE = Path("bot.toml")


class Loaded(Struct, frozen=True):
    """A configuration, the file it came from if any, the origin of each value, and its hash."""

    config: Config
    file: Path | None
    origins: dict[str, str]
    hash: str


class Explanation(Struct, frozen=True):
    """What one key is: its effective value as text, where that came from, and what it may be."""

    key: str
    value: str
    origin: str
    meaning: str
    range: str
    tighter: str


def load(
    path: Path | None = None, environ: Mapping[str, str] | None = None, account: str = "venue"
) -> Loaded:
    """Return the effective configuration.

    ``path`` None means ``bot.toml`` in the working directory, or no file. ``account`` is the
    section whose key is read: ``venue`` for the bot, ``deadman`` for the dead-man, ``""`` for a
    program that needs no secret and reads none. Raises ConfigError with a sentence for each problem
    found.
    """
    file = path or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    reading = Reading(file.name if file else "configuration", account)
    reading.take_file(_parse(file) if file else {})
    reading.take_venue_defaults()
    reading.take_secrets(environ or {})
    config = reading.build()
    reading.check(config)
    if reading.problems:
        raise ConfigError(reading.problems)
    return Loaded(config, file, reading.origins, config_hash(config))


def with_log_format(loaded: Loaded, form: str) -> Loaded:
    """Return the configuration with ``log.format`` as the command line names it."""
    log = Log(**{**msgspec.structs.asdict(loaded.config.log), "format": form})
    config = msgspec.structs.replace(loaded.config, log=log)
    origins = {**loaded.origins, "log.format": "command line"}
    return msgspec.structs.replace(loaded, config=config, origins=origins)


def bot_key(loaded: Loaded, environ: Mapping[str, str]) -> str:
    """Return the bot's API key, or "" where this process may not read it, as it should be."""
    try:
        return (
            environ.get("BOT_VENUE_KEY", "").strip()
            or credential(loaded.config.venue.key_file, environ).read_text(encoding="utf-8").strip()
        )
    except (OSError, ValueError):
        return ""


def explain(loaded: Loaded, key: str) -> Explanation:
    """Return what a key is, means, and may be. ConfigError names the nearest key if unknown."""
    if key not in FIELDS:
        raise ConfigError([f"{key}: {no_such_key(key)}"])
    hint, meta = FIELDS[key]
    value = loaded.config.value(key)
    return Explanation(
        key=key,
        value="(hidden)" if is_secret(meta) and value else _toml(value),
        origin=loaded.origins.get(key, "default"),
        meaning=meta.description or "",
        range=_range(loaded.config.settings.profile, key, hint, meta),
        tighter=(meta.extra or {}).get("tighter", ""),
    )


def show(loaded: Loaded) -> str:
    """Return the effective configuration as a ``bot.toml`` with origins, its secrets left out."""
    lines = [f"# hash {loaded.hash}"]
    section = ""
    for key, (_, meta) in FIELDS.items():
        table, _, name = key.rpartition(".")
        if table != section:
            section = table
            lines += ["", f"[{section}]"]
        value, origin = loaded.config.value(key), loaded.origins.get(key, "default")
        if is_secret(meta):
            lines.append(f"# {name} = {'(hidden)' if value else '(none)'}  # {origin}")
        else:
            lines.append(f"{name} = {_toml(value)}  # {origin}")
    return "\n".join(lines) + "\n"


def effective(config: Config) -> dict[str, Any]:
    """Return every key and value but the secrets, numbers in their declared type."""
    return {
        key: msgspec.convert(config.value(key), hint)
        for key, (hint, meta) in FIELDS.items()
        if not is_secret(meta)
    }


def config_hash(config: Config) -> str:
    """Return the SHA-256 of the effective configuration; secrets do not change it."""
    return hashlib.sha256(msgspec.json.encode(effective(config), order="sorted")).hexdigest()


def _parse(file: Path) -> dict[str, Any]:
    """Read a TOML file; ConfigError says where it cannot be read."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:  # its text ends in (at line 3, column 7)
        raise ConfigError([f"{file.name}: expected TOML, found: {error}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            [f"{file.name}: expected UTF-8 text, found byte {error.start} that is not"]
        ) from error
    except OSError as error:
        raise ConfigError([f"{file}: expected a readable file, found: {error.strerror}"]) from error


def _range(profile_name: str, key: str, hint: Any, meta: Meta) -> str:
    """Say what a key may be, with the ceiling of the profile where it has one."""
    kind = get_args(hint)[0]
    if key == "profile":
        return either(PROFILES)
    if get_origin(kind) is Literal:
        return either(get_args(kind))
    if meta.ge is None:
        return {bool: "true or false", str: "text"}.get(kind, "a list of texts")
    tighter = (meta.extra or {}).get("tighter")
    span = f"{meta.ge:g} to {meta.le:g}"
    if not tighter:
        return span
    ceiling, side = value_of(profile(profile_name), key), "most" if tighter == LOWER else "least"
    return f"{span}, at {side} {ceiling:g} in profile {profile_name}"


def _toml(value: Any) -> str:
    """Return a value as TOML: JSON is TOML for what occurs here, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
