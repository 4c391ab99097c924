"""The command that lists the flags: bot flags; `do set-parameter` switches one for a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.options import json_option, state_option
from bot.cli.output import CODES, Exit, put_json, put_table
from bot.desk.text import moment

if TYPE_CHECKING:
    from bot.desk.flags import FlagStanding


@click.command(epilog=CODES)
@state_option
@json_option
def flags(state: Path, as_json: bool) -> int:
    """List what may be switched on and off while the bot runs, how it stands, and by whom.

    Switch one for a time: do set-parameter name=NAME value=true --expires 2h --reason WHY.
    """
    from bot.desk import files
    from bot.desk.flags import read

    connection = files.open_state(state)
    try:
        found = read(connection)
    finally:
        connection.close()
    if as_json:
        put_json({"flags": found})
    else:
        columns = ("flag", "now", "configured", "set by", "expires", "meaning")
        put_table(columns, [_row(flag) for flag in found])
    return Exit.OK


def _row(flag: FlagStanding) -> tuple[str, ...]:
    told = {True: "on", False: "off"}
    by = f"{flag.by} until {moment(flag.until)}: {flag.reason}" if flag.until else ""
    return flag.name, told[flag.on], told[flag.configured], by, flag.expires, flag.meaning
