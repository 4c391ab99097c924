"""The command that puts the bot into a system with systemd: install."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.options import json_option
from bot.cli.output import CODES, Exit, put, put_json, say
from bot.errors import Refused

if TYPE_CHECKING:
    from bot.edge.installation import Step

UNITS = "trading-bot.service trading-bot-deadman.timer trading-bot-backup.timer"
NEXT = (
    "look at /etc/trading-bot/bot.toml",
    "put people in: usermod -aG bot-view,bot-ops NAME",
    "put keys in: systemd-creds encrypt - /etc/credstore.encrypted/venue_key",
    f"start: systemctl enable --now {UNITS}",
)


@click.command(epilog=CODES)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option(
    "--prefix",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Install into the system below DIR, for a package or an image.",
)
@json_option
def install(dry_run: bool, prefix: Path | None, as_json: bool) -> int:
    """Write units, users, groups, and folders; bot.toml and keys are never overwritten.

    Whatever is right already is kept, so it may be run again, after an upgrade for example. Nothing
    is started or enabled. Needs root, except with --prefix, where owners are then left out.
    """
    from bot.edge.installation import Installation

    plan = Installation(prefix)
    why_not = plan.why_not()
    if why_not:
        raise Refused("\n".join(why_not))
    steps = plan.steps() if dry_run else plan.apply()
    if as_json:
        put_json({"dry_run": dry_run, "steps": steps, "next": NEXT})
        return Exit.OK
    for step in steps:
        put(_line(step))
    if not plan.chowns:
        say("not root: files keep this user's owner")
    if dry_run:
        say("nothing was done: --dry-run")
    else:
        for sentence in NEXT:
            say(f"next: {sentence}")
    return Exit.OK


def _line(step: Step) -> str:
    of = f" ({', '.join(part for part in (step.mode, step.owner) if part)})" if step.owner else ""
    return f"{step.act:<6} {step.what} {step.path}{of}".rstrip()
