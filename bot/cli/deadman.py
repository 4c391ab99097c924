"""The command that watches the bot from outside: deadman."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bot.cli.options import config_option, json_option, state_option
from bot.cli.output import CODES, Exit, put, put_json, say

if TYPE_CHECKING:
    from bot.config import Loaded
    from bot.deadman import DeadMan, Report

LOOK_SECONDS = 5.0
AGAIN_SECONDS = 30.0  # between two tries of what is not verified


@click.command(epilog=CODES)
@click.option("--once", is_flag=True, help="Look once: what a timer does.")
@state_option
@config_option
@json_option
def deadman(state: Path, config_path: Path | None, *, once: bool, as_json: bool) -> int:
    """Watch the bot's heartbeat; when it stops, tell people, then make the account safe.

    A program of its own with a key of its own ([deadman] in bot.toml). What it did is printed
    and kept in panic.jsonl, which the next start of the bot reads and shows.
    """
    from bot.config import load
    from bot.deadman import alone

    loaded = load(config_path, os.environ, "deadman")
    if _same_key(loaded, os.environ):
        say("the dead-man has the bot's key: with one of its own it works when that is withdrawn")
    with alone(state.absolute().parent):
        man = _man(loaded, state.absolute())
        verified = True
        for report in _reports(man, once=once):
            _show(report, as_json=as_json)
            verified = report.verified
    return Exit.OK if verified else Exit.UNVERIFIED


def _man(loaded: Loaded, state: Path) -> DeadMan:
    from bot.deadman import DeadMan, Watched
    from bot.desk.files import Beside
    from bot.edge.clock import MarketClock
    from bot.edge.embedded import last_known
    from bot.edge.notify import Notifier
    from bot.edge.venues.bybit import Bybit

    config, beside = loaded.config, Beside(state)

    def venue() -> Bybit:
        rest, stream = config.venue.rest_url, config.venue.ws_url
        key, secret = config.deadman.key, config.deadman.secret
        if config.venue.env == "embedded":  # its port is another one after each start
            found = last_known(state.parent)
            rest, stream = found.rest_url, found.ws_url
            key, secret = key or found.key, secret or found.secret
        return Bybit(rest, stream, key, secret, clock=MarketClock())

    return DeadMan(
        Watched(state, beside.heartbeat, beside.halt, beside.panic_log, beside.deadman),
        config.deadman,
        venue,
        Notifier.of(config.notify),
        severity_min=config.settings.alerts.severity_min,
        wanted=config.venue,
    )


def _reports(man: DeadMan, *, once: bool) -> Iterator[Report]:
    """Look once, or again and again, and yield what is new."""
    import asyncio

    if once:
        yield asyncio.run(man.look())
        return
    said = None
    while True:
        report = asyncio.run(man.look())
        if (report.stage, report.verified) != said:
            said = report.stage, report.verified
            yield report
        time.sleep(LOOK_SECONDS if report.verified else AGAIN_SECONDS)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        plain = msgspec.to_builtins(report)
        put_json({**plain, "lines": [msgspec.json.decode(line) for line in report.lines]})
    else:
        put(f"{report.stage}: {report.sentence}")


def _same_key(loaded: Loaded, environ: Mapping[str, str]) -> bool:
    """Tell whether the dead-man's key is the bot's, as far as that can be seen from here."""
    from bot.config import bot_key

    key = loaded.config.deadman.key
    return bool(key) and key == bot_key(loaded, environ)
