"""Commands that make the bot do something: run, do, panic."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.options import (
    DURATION,
    config_option,
    json_option,
    operator,
    reason_option,
    state_option,
)
from bot.cli.output import CODES, Exit, put, put_json, say
from bot.core.roles import ADMIN
from bot.core.text import safe_text
from bot.errors import ConfigError, NotRunning

if TYPE_CHECKING:
    from bot.core.verb import Verb
    from bot.desk.client import Ask, Moved

PATIENCE_SECONDS = 5.0  # on top of the time in which a command must verify itself

ENDS = {
    "DONE": Exit.OK,
    "REFUSED": Exit.REFUSED,
    "EXPIRED": Exit.REFUSED,
    "FAILED": Exit.UNVERIFIED,  # a loosening that did not verify in time
    "ESCALATED": Exit.UNVERIFIED,  # a tightening that did not verify in time
}


@click.command(epilog=CODES)
@click.option("--for", "for_seconds", type=DURATION, default=None, help="Stop safely after this.")
@click.option(
    "--log",
    "log_format",
    type=click.Choice(["json", "text"]),
    default=None,
    help="What stderr gets, in place of log.format: one JSON object a line, or text.",
)
@state_option
@config_option
@json_option
def run(
    for_seconds: float | None,
    log_format: str | None,
    state: Path,
    config_path: Path | None,
    *,
    as_json: bool,
) -> int:
    """Run the bot until it is stopped (the default command).

    Without a configuration it trades on paper at an exchange that it starts itself.
    """
    from bot.config import load, with_log_format
    from bot.engine import service

    loaded = load(config_path, os.environ)
    if log_format:
        loaded = with_log_format(loaded, log_format)
    if not as_json:
        return service.run(loaded, state, for_seconds)
    with contextlib.redirect_stdout(sys.stderr):
        code = service.run(loaded, state, for_seconds)
    from bot.desk.status import read

    put_json(read(state))
    return code


class _Do(click.Command):
    """Its help lists every command that there is, from the table that the bot itself reads."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from bot.core.runs import VERBS

        with formatter.section("Commands (tightening ones marked ↓)"):
            formatter.write_dl(
                [(f"{v.name}{' ↓' if v.tightens else ''}", _meaning(v)) for v in VERBS.values()]
            )
        super().format_epilog(ctx, formatter)


def _meaning(verb: Verb) -> str:
    return f"{verb.meaning} (admins)" if verb.least == ADMIN else verb.meaning


@click.command(cls=_Do, epilog=CODES)
@click.argument("command")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@reason_option
@click.option("--symbol", default=None, help="One symbol in place of the account.")
@click.option("--expires", type=DURATION, default=None, help="How long a parameter holds: 2h.")
@click.option("--timeout", type=DURATION, default=None, help="How long to wait for the end.")
@click.option("--ttl", type=DURATION, default="30s", show_default=True, help="Good for this long.")
@state_option
@json_option
def do(
    command: str,
    arguments: tuple[str, ...],
    state: Path,
    *,
    reason: str,
    symbol: str | None,
    expires: float | None,
    timeout: float | None,
    ttl: float,
    as_json: bool,
) -> int:
    """Have the bot do COMMAND and wait until it is seen to have worked.

    Without a running bot only what tightens and needs no venue is carried out: hold, reduce, kill,
    rollback, quarantine, retire.
    """
    from bot.core.runs import VERBS

    if command not in VERBS:
        raise click.UsageError(f"expected one of {', '.join(VERBS)}; found {command!r}")
    args = _arguments(arguments, symbol, expires)
    return carried_out(state, command, args, reason, ttl=ttl, timeout=timeout, as_json=as_json)


def carried_out(
    state: Path,
    verb: str,
    args: dict[str, str],
    reason: str,
    *,
    ttl: float = 30,
    timeout: float | None = None,
    as_json: bool,
) -> int:
    """Give a command, print each state that it comes to, and return the exit code of the last.

    One that needs a second person is left waiting for it, unless ``timeout`` says how long to wait.
    """
    from bot.core.runs import VERBS
    from bot.desk.client import Ask

    ask = Ask(verb, args, safe_text(reason, 500), max(1, round(ttl)))
    patience = timeout or VERBS[verb].within_seconds + PATIENCE_SECONDS
    moves = []
    for moved in _carry_out(state, ask, patience):
        moves.append(moved)
        if not as_json:
            put(f"{moved.state}: {moved.reason}")
        if timeout is None and [m.state for m in moves] == ["PROPOSED", "PROPOSED"]:
            say("nothing is done yet; see `status`. --timeout would wait for the second person")
            break
    last = moves[-1]
    if as_json:
        put_json({"run": last.run, "state": last.state, "reason": last.reason, "moves": moves})
    return ENDS.get(last.state, Exit.UNVERIFIED)


def _arguments(pairs: tuple[str, ...], symbol: str | None, expires: float | None) -> dict[str, str]:
    args = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (equals and key):
            raise click.UsageError(f"expected KEY=VALUE, found {pair!r}")
        args[key] = value
    if symbol:
        args["symbol"] = symbol
    if expires:
        args["seconds"] = str(round(expires))
    return args


def _carry_out(state: Path, ask: Ask, patience: float) -> Iterator[Moved]:
    """Let the running bot do it; where none runs, tighten on its database."""
    from bot.desk import client, files

    try:
        for moved in client.command(state, ask, patience):
            yield moved
        if ask.verb == "approve" and moved.state == "DONE":
            yield from client.became(state, ask.args["run"])  # what matters is what came of it
    except NotRunning:
        if files.holder(state) is not None:
            raise
        from bot.engine.offline import do_offline

        end, why = do_offline(state, ask.verb, ask.args, ask.reason, operator())
        say("no bot is running: it was carried out on its database")
        yield client.Moved(ask.id, end, why)
        if end not in client.FINAL:
            say(f"it is {end}; the next start of the bot sees it through")


@click.command(epilog=CODES)
@reason_option
@click.option("--flatten", is_flag=True, help="Close every position too.")
@click.option("--end-bot", is_flag=True, help="End the process that holds the lease.")
@state_option
@config_option
@json_option
def panic(
    state: Path,
    config_path: Path | None,
    *,
    reason: str,
    flatten: bool,
    end_bot: bool,
    as_json: bool,
) -> int:
    """Make the account safe without the bot: HALT, cancel entries, see to the stops.

    Needs neither the bot nor its database. What it did is printed and kept in panic.jsonl.
    """
    import asyncio

    from bot.config import load
    from bot.desk import files

    beside = files.Beside(state)
    try:
        loaded = load(config_path, os.environ)
    except ConfigError as error:
        _halt_at_least(beside, reason)  # whatever the configuration says: nothing new is opened
        raise ConfigError(
            [*error.problems, "HALT is set; the venue is not known: mend the file and panic again"]
        ) from error
    if not state.exists():
        say(f"{state} does not exist: no bot ran here, is --state right? Acting all the same.")
    holder = files.holder(state) if end_bot else None
    pid = (holder or {}).get("pid")
    lines = asyncio.run(
        _panic(
            loaded,
            beside,
            flatten=flatten,
            reason=reason,
            end_pid=pid if isinstance(pid, int) else None,
        )
    )
    return _show_panic(lines, as_json=as_json)


def _halt_at_least(beside: Any, reason: str) -> None:
    from bot.edge.files import Halt

    Halt(beside.halt).set(operator(), reason)


async def _panic(
    loaded: Any, beside: Any, *, flatten: bool, reason: str, end_pid: int | None
) -> list[str]:
    from bot.edge.clock import MarketClock
    from bot.edge.files import Halt
    from bot.edge.venues.bybit import Bybit
    from bot.panic import panic as act

    rest, stream, key, secret = _address(loaded.config.venue, beside.state.parent)
    venue = Bybit(rest, stream, key, secret, clock=MarketClock())
    await venue.open()
    try:
        who, halt = operator(), Halt(beside.halt)
        return await act(venue, halt, beside.panic_log, flatten, who, reason, end_pid)
    finally:
        await venue.close()


def _address(venue: Any, folder: Path) -> tuple[str, str, str, str]:
    """Return the venue's address and the key."""
    from bot.edge import embedded

    if venue.env != "embedded":
        return venue.rest_url, venue.ws_url, venue.key, venue.secret
    found = embedded.last_known(folder)
    return found.rest_url, found.ws_url, found.key, found.secret


def _show_panic(lines: list[str], *, as_json: bool) -> int:
    import msgspec

    found = [msgspec.json.decode(line) for line in lines]
    undone = str(found[-1]["detail"]) if found[-1]["outcome"] != "done" else ""
    if as_json:
        put_json({"lines": found, "undone": undone})
    else:
        for line in found:
            put(f"{line['action']}: {line['outcome']} {line['detail']}".rstrip())
    if undone:
        say(f"a person must still see to: {undone}")
    return Exit.FAILED if undone else Exit.OK
