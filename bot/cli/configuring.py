"""Commands about the configuration: config check, explain, show."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bot.cli.options import config_option, json_option
from bot.cli.output import CODES, Exit, put, put_json


@click.group(epilog=CODES)
def config() -> None:
    """Check, explain, and show the configuration; secrets are never shown."""


@config.command(epilog=CODES)
@config_option
@json_option
def check(config_path: Path | None, as_json: bool) -> int:
    """Read the configuration and say everything that is wrong with it (exit 2)."""
    from bot.config import load

    loaded = load(config_path, os.environ)
    name = str(loaded.file) if loaded.file else "no file: defaults"
    if as_json:
        put_json({"ok": True, "file": name, "hash": loaded.hash})
    else:
        put(f"the configuration is sound ({name}); hash {loaded.hash}")
    return Exit.OK


@config.command(epilog=CODES)
@click.argument("key")
@config_option
@json_option
def explain(key: str, config_path: Path | None, as_json: bool) -> int:
    """Say what KEY is now, where that comes from, what it means, and what it may be."""
    from bot.config import explain as explained
    from bot.config import load

    found = explained(load(config_path, os.environ), key)
    if as_json:
        put_json(found)
        return Exit.OK
    put(f"{found.key} = {found.value}  ({found.origin})")
    put(found.meaning)
    put(f"may be: {found.range}" + (f"; {found.tighter} is tighter" if found.tighter else ""))
    return Exit.OK


@config.command(epilog=CODES)
@config_option
@json_option
def show(config_path: Path | None, as_json: bool) -> int:
    """Print the effective configuration as TOML, with the origin of each value."""
    from bot.config import effective, load
    from bot.config import show as shown

    loaded = load(config_path, os.environ)
    if as_json:
        values = effective(loaded.config)
        put_json({"hash": loaded.hash, "values": values, "origins": loaded.origins})
    else:
        print(shown(loaded), end="")
    return Exit.OK
