"""The command that holds the bot against its own record: self-assess."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from bot.cli.options import config_option, json_option, state_option
from bot.cli.output import CODES, Exit, put, put_json, put_table
from bot.desk.text import share

if TYPE_CHECKING:
    from bot.desk.assessment import Assessment


@click.command("self-assess", epilog=CODES)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=30,
    show_default=True,
    help="Days of market time in which limits and controls are counted.",
)
@click.option(
    "--drill-days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="A drill longer ago than this is due.",
)
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE",
    help="Write it as a page, too.",
)
@state_option
@config_option
@json_option
def self_assess(
    state: Path,
    config_path: Path | None,
    *,
    days: int,
    drill_days: int,
    page: Path | None,
    as_json: bool,
) -> int:
    """Hold limits, controls, drills, checks, and alerts against what is on record; "never" is said.

    Exit 1 if anything is wrong; warnings alone are 0. Reads only, whether the bot runs or not.
    """
    from bot.config import load
    from bot.desk import assessment

    settings = load(config_path, os.environ, "").config.settings
    found = assessment.read(state, settings, days, drill_days)
    if page is not None:
        from bot.desk.assessment_page import html

        page.write_text(html(found))
    if as_json:
        put_json({"ok": found.ok, **asdict(found)})
    else:
        _show(found)
    return Exit.OK if found.ok else Exit.FAILED


def _show(found: Assessment) -> None:
    for verdict in found.verdicts:
        put(f"{verdict.verdict:8} {verdict.name:10} {verdict.said}")
        if verdict.cure:
            put(f"{'':19} → {verdict.cure}")
    tables = (
        (
            f"limits, since {found.since} market time",
            ("limit", "at", "came to", "of it", "refused or met", "last ever"),
            [
                (r.key, f"{r.limit:g}", share(r.nearest), share(r.share, "%"), r.met, r.last)
                for r in found.limits
            ],
        ),
        (
            "controls and states that lower",
            ("name", f"in {found.days} days", "ever", "last"),
            [(r.name, r.times, r.ever, r.last) for r in found.controls if r.ever],
        ),
        (
            "drills",
            ("drill", "times", "last", "how"),
            [(r.name, r.times, r.last, r.how) for r in found.drills],
        ),
    )
    for title, columns, rows in tables:
        put("")
        put(title)
        put_table(columns, rows)
