"""Options that several commands share, and durations such as 75s, 5m, 2h."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from bot.desk.files import DEFAULT_STATE

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A duration as text; its value is in seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds that a text such as 90s, 5m, 2h, or 1d stands for."""
        if isinstance(value, int | float):
            return float(value)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(value))
        if found is None or float(found[1]) == 0:
            self.fail(f"expected a duration above 0 such as 75s, 5m, or 2h; found {value!r}")
        return float(found[1]) * _UNITS[found[2]]


DURATION = Duration()

state_option = click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_STATE,
    show_default=True,
    metavar="PATH",
    help="The bot's database.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE",
    help="Configuration; default: bot.toml if there is one.",
)
reason_option = click.option("--reason", required=True, help="Why; it goes into the audit trail.")


def operator() -> str:
    """Return who the kernel says is asking."""
    import os
    import pwd

    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
