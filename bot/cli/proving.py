"""Commands that prove: audit verify, replay --check."""

from __future__ import annotations

from pathlib import Path

import click

from bot.cli.options import json_option, state_option
from bot.cli.output import CODES, Exit, patience, put, put_json, say
from bot.desk.text import moment


@click.group(epilog=CODES)
def audit() -> None:
    """Prove that the audit trail was not changed."""


@audit.command(epilog=CODES)
@click.option("--after", type=click.IntRange(0), default=0, help="Only transitions after this id.")
@click.option("--expect", default="", metavar="HEAD", help="A head noted elsewhere: is it there?")
@state_option
@json_option
def verify(after: int, expect: str, state: Path, as_json: bool) -> int:
    """Verify the hash chain, where machines stand, the database's own guards, and its pages.

    A chain cannot prove that its tail was not made anew: compare the head with one from a log line
    or a notification (--expect).
    """
    from bot.desk import audit as trail
    from bot.desk import files

    connection = files.open_state(state)
    with patience(connection, "verifying"):
        found = trail.verify(connection, after, expect)
    if as_json:
        put_json(found)
        return Exit.OK
    put(f"{found.checked} transitions verified; head #{found.head_id} {found.head}")
    if found.expected_at is not None:
        put(f"{expect} is the head of transition {found.expected_at}")
    for epoch in found.epochs:
        put(
            f"epoch {epoch.epoch} began at {moment(epoch.at)} with a restore from {epoch.backup} "
            f"by {epoch.operator}: {epoch.reason} (head before: {epoch.old_head[:12]})"
        )
    if found.pending_migrations:
        say(f"migrations pending ({', '.join(found.pending_migrations)}): guards not compared")
    return Exit.OK


@click.command(epilog=CODES)
@click.option("--check", is_flag=True, required=True, help="Compare; nothing is written.")
@state_option
@json_option
def replay(check: bool, state: Path, as_json: bool) -> int:
    """Decide the whole journal again into an empty database and compare byte for byte."""
    from bot.desk import files
    from bot.engine import replay as engine

    connection = files.open_state(state)
    connection.execute("BEGIN")  # one moment, even while the bot goes on
    with patience(connection, "replaying"):
        found = engine.check(connection)
    if as_json:
        put_json(found)
    else:
        put(
            f"replay equals: {found.events} events, {found.transitions} transitions, "
            f"{found.effects} effects; head {found.head}"
        )
    return Exit.OK
