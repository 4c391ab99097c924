"""The command that checks everything before money is at risk: doctor."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot.cli.options import config_option, json_option, state_option
from bot.cli.output import CODES, Exit, put, put_json

if TYPE_CHECKING:
    from bot.desk.verdict import Verdict


@click.command(epilog=CODES)
@config_option
@state_option
@json_option
def doctor(config_path: Path | None, state: Path, as_json: bool) -> int:
    """Check everything that can be checked before money is at risk; each with a verdict and a cure.

    Exit 1 if anything is wrong; warnings alone are 0. It changes nothing.
    """
    from bot.engine.doctor import examine

    async def all_of_them() -> list[Verdict]:
        found = []
        async for verdict in examine(config_path, state, os.environ):
            found.append(verdict)
            if not as_json:
                _show(verdict)
        return found

    found = asyncio.run(all_of_them())
    wrong = [verdict.name for verdict in found if verdict.verdict == "wrong"]
    if as_json:
        put_json({"ok": not wrong, "verdicts": found})
    else:
        put(f"wrong: {', '.join(wrong)}" if wrong else "nothing is wrong")
    return Exit.FAILED if wrong else Exit.OK


def _show(verdict: Verdict) -> None:
    put(f"{verdict.verdict:8} {verdict.name:10} {verdict.said}")
    if verdict.cure:
        put(f"{'':19} → {verdict.cure}")
