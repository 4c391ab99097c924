"""Commands on models: list, show, verify, promote, rollback, quarantine, retire, requalify."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from bot.cli.commanding import carried_out
from bot.cli.options import config_option, json_option, reason_option, state_option
from bot.cli.output import CODES, Exit, put, put_json, put_table
from bot.errors import Refused


@click.group(epilog=CODES)
def models() -> None:
    """Show trained models and say which is champion. No model gates a trade yet.

    A MODEL is named by its id or the beginning of it.
    """


@models.command("list", epilog=CODES)
@state_option
@json_option
def list_(state: Path, as_json: bool) -> int:
    """List every model: where it stands, how good, how old."""
    from bot.desk import files
    from bot.desk import models as desk

    connection = files.open_state(state)
    rows = desk.lineage(connection)
    connection.close()
    if as_json:
        put_json(rows)
    elif not rows:
        put("no model yet: `python -m bot train` makes one")
    else:
        put_table(
            ("model", "state", "since", "trained to", "rows", "AUC", "Brier skill", "reason"),
            [
                (
                    row.model[:12],
                    row.state,
                    row.since,
                    row.trained_to or "",
                    str(row.rows_fit or ""),
                    _number(row.auc, ".3f"),
                    _number(row.skill, "+.4f"),
                    row.reason,
                )
                for row in rows
            ],
        )
    return Exit.OK


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


@models.command(epilog=CODES)
@click.argument("model")
@state_option
@json_option
def show(model: str, state: Path, as_json: bool) -> int:
    """Show all that is known of one MODEL."""
    from msgspec.structs import asdict

    from bot.desk import files
    from bot.desk import models as desk

    connection = files.open_state(state)
    row = desk.found(connection, model)
    manifest = desk.manifest(connection, row.model)
    connection.close()
    if as_json:
        put_json({**asdict(row), "manifest": manifest})
        return Exit.OK
    for name, value in {**(manifest or {}), **asdict(row)}.items():
        if name != "golden":
            put(f"{name:15}{value}")
    return Exit.OK


@models.command(epilog=CODES)
@click.argument("model", required=False)
@state_option
@config_option
@json_option
def verify(model: str | None, state: Path, config_path: Path | None, as_json: bool) -> int:
    """Check the files of MODEL, or of all in use, as the bot does before it uses them.

    Reads only: hashes first, then the model's own test in a throw-away process.
    """
    from bot.config import load
    from bot.desk import files
    from bot.desk import models as desk
    from bot.edge import artefacts

    settings = load(config_path, os.environ).config.settings
    connection = files.open_state(state)
    names = [row.model for row in desk.in_use(connection)]
    if model:
        names = [desk.found(connection, model).model]
    connection.close()
    verdicts: dict[str, str] = {}
    for name in names:
        limit = settings.models.verify_real_seconds
        check = artefacts.verify(files.Beside(state).models, name, settings.strategy, limit)
        try:
            asyncio.run(check)
            verdicts[name] = ""
        except Refused as error:
            verdicts[name] = str(error)
    if as_json:
        put_json({"refused": verdicts})
    else:
        for name, why in verdicts.items():
            put(f"{name[:12]} {why or 'verified'}")
        if not verdicts:
            put("no model is in use")
    return Exit.FAILED if any(verdicts.values()) else Exit.OK


def _command(verb: str, *, of_model: bool) -> click.Command:
    """Return the command that gives a verb to the bot."""
    from bot.core.model_verbs import VERBS

    meaning = next(found.meaning for found in VERBS if found.name == verb)

    def act(state: Path, *, reason: str, as_json: bool, model: str = "") -> int:
        args = {"model": _full(state, model)} if of_model else {}
        return carried_out(state, verb, args, reason, as_json=as_json)

    act.__doc__ = meaning.replace(": model=ID", "")
    for decorate in (json_option, state_option, reason_option):
        act = decorate(act)
    if of_model:
        act = click.argument("model")(act)
    return click.command(verb, epilog=CODES)(act)


def _full(state: Path, prefix: str) -> str:
    from bot.desk import files
    from bot.desk import models as desk

    connection = files.open_state(state)
    row = desk.found(connection, prefix)
    connection.close()
    return row.model


for _verb, _of_model in (
    ("promote", True),
    ("rollback", False),
    ("quarantine", True),
    ("retire", True),
    ("requalify", True),
):
    models.add_command(_command(_verb, of_model=_of_model))
