"""The command group, and the one way out: errors become sentences and documented exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, NoReturn

import click

from bot.cli import (
    alerting,
    assessing,
    commanding,
    configuring,
    deadman,
    doctor,
    flags,
    installing,
    keeping,
    models,
    proving,
    training,
    upgrading,
    watching,
)
from bot.cli.output import CODES, Exit, put_json, say
from bot.desk.query import BadQuery
from bot.errors import BotError, ConfigError, NotRunning, OutcomeUnknown, Refused
from bot.store.database import DriverError, classify

_OWN_OPTIONS = ("--help", "-h", "--version")


class Group(click.Group):
    """A group whose default command is ``run``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Let ``python -m bot --for 60s`` mean ``python -m bot run --for 60s``."""
        if not args or (args[0].startswith("-") and args[0] not in _OWN_OPTIONS):
            named = next((n for n, arg in enumerate(args) if arg in self.commands), None)
            # options before the command are its own: `--state PATH status` is `status --state PATH`
            args = ["run", *args] if named is None else [args.pop(named), *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a person meets them."""
        return list(self.commands)


def _version(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    """Print which code decides here, and with which SQLite."""
    if wanted:
        from bot.engine.build import build_id
        from bot.store.database import open_memory

        sqlite = open_memory().execute("SELECT sqlite_version()").fetchone()[0]
        click.echo(f"bot, build {build_id()}, SQLite {sqlite}")
        ctx.exit()


@click.group(cls=Group, epilog=CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version)
def bot() -> None:
    """A trading bot that can always say what state it is in and why. Default command: run."""


for command in (
    commanding.run,
    watching.status,
    watching.metrics,
    commanding.do,
    alerting.alerts,
    flags.flags,
    watching.tail,
    watching.query,
    watching.machines,
    proving.audit,
    proving.replay,
    configuring.config,
    doctor.doctor,
    assessing.self_assess,
    keeping.migrate,
    keeping.backup,
    keeping.restore,
    upgrading.upgrade,
    training.train,
    models.models,
    commanding.panic,
    deadman.deadman,
    installing.install,
):
    bot.add_command(command)


def main() -> NoReturn:
    """Run the command line and leave without closing the database (DESIGN §5)."""
    code = _guarded(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        pass  # nobody reads any more
    os._exit(code)


def _guarded(args: list[str]) -> int:
    """Run one command; turn whatever it raises into a sentence and an exit code."""
    try:
        return _run(args)
    except BrokenPipeError:
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one way out
        known = classify(error) if isinstance(error, DriverError) else error
        if not isinstance(known, BotError | OSError):
            traceback.print_exc()
        return _tell(known, args)


def _run(args: list[str]) -> int:
    try:
        code: Any = bot.main(args, prog_name="python -m bot", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except click.Abort:
        return Exit.INTERRUPTED
    return int(code or Exit.OK)


def _tell(error: Exception, args: list[str]) -> int:
    code = exit_code(error, starting="run" in args[:1] or not args or args[0].startswith("-"))
    sentence = str(error) or type(error).__name__
    for line in sentence.splitlines():
        say(f"bot: {line}")
    if "--json" in args:
        put_json({"error": sentence, "exit": int(code)})
    return code


def exit_code(error: Exception, *, starting: bool = False) -> Exit:
    """Return the exit code by which a caller knows what to do about an error."""
    if isinstance(error, ConfigError):
        return Exit.CONFIG if starting else Exit.USAGE
    for kind, code in (
        (BadQuery, Exit.USAGE),
        (Refused, Exit.REFUSED),
        (NotRunning, Exit.NOT_RUNNING),
        (OutcomeUnknown, Exit.UNVERIFIED),
    ):
        if isinstance(error, kind):
            return code
    return Exit.FAILED
