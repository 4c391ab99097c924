"""Commands for what people are told: alerts test, list, ack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.commanding import ENDS, PATIENCE_SECONDS
from bot.cli.options import config_option, json_option, state_option
from bot.cli.output import CODES, Exit, put, put_json, put_table, say
from bot.core.text import safe_text
from bot.desk.text import age
from bot.errors import ConfigError

if TYPE_CHECKING:
    from bot.desk.alerts import Told
    from bot.edge.notify import Notifier


@click.group(epilog=CODES)
def alerts() -> None:
    """What people are told: test the channels, list alerts, acknowledge one."""


@alerts.command("test", epilog=CODES)
@click.option(
    "--severity",
    type=click.Choice(("info", "warning", "critical")),
    default="info",
    show_default=True,
    help="How the test message looks.",
)
@state_option
@config_option
@json_option
def test_channels(state: Path, config_path: Path | None, *, severity: str, as_json: bool) -> int:
    """Send a test message through every channel, and say channel by channel what happened.

    Needs no running bot. Ends with 1 if a channel did not take it.
    """
    import asyncio

    from bot.config import load
    from bot.edge.notify import Notifier

    notifier = Notifier.of(load(config_path, os.environ).config.notify)
    if not (notifier.first or notifier.second):
        raise ConfigError(
            ["notify.urls: expected a channel to test, found none; see docs/alerts.md"]
        )
    found = asyncio.run(_tested(notifier, severity))
    if state.exists() and all(row["taken"] for row in found):
        mark(state, "alerts test")
    if as_json:
        put_json({"channels": found})
    else:
        for row in found:
            said = row["why"] or f"took it in {row['seconds']:.2f} s"
            put(f"{row['channel']} ({row['group']}): {said}")
    return Exit.OK if all(row["taken"] for row in found) else Exit.FAILED


def mark(state: Path, drill: str) -> None:
    """Remember when a drill was done that leaves no row; `bot self-assess` tells of it."""
    import msgspec

    from bot.desk.clock import wall_ms
    from bot.desk.files import Beside, marks
    from bot.edge.files import replace_file
    from bot.errors import Retryable

    done = {**marks(state), drill: wall_ms()}
    try:
        replace_file(Beside(state).drills, msgspec.json.encode(done))
    except Retryable as error:
        say(f"that it was tested is not remembered: {error}")


async def _tested(notifier: Notifier, severity: str) -> list[dict[str, Any]]:
    """Send to all channels at once; return for each what happened and how long it took."""
    import asyncio

    from bot.core.effects import Notify
    from bot.desk.clock import seconds

    notify = Notify(severity=severity, text="this is a test of `bot alerts test`: nothing is wrong")

    async def one(name: str) -> dict[str, Any]:
        began = seconds()
        why = await notifier.tried(name, notify, "test")
        group = "second" if name in notifier.second else "first"
        took = round(seconds() - began, 3)
        return {"channel": name, "group": group, "taken": not why, "why": why, "seconds": took}

    return await asyncio.gather(*(one(name) for name in (*notifier.first, *notifier.second)))


@alerts.command("list", epilog=CODES)
@click.option("-n", "closed_max", default=20, show_default=True, help="Closed ones, at most.")
@state_option
@json_option
def list_alerts(state: Path, *, closed_max: int, as_json: bool) -> int:
    """Show open and recent alerts: where each stands, how old it is, and whom it reached."""
    from bot.desk import alerts as desk
    from bot.desk import files

    connection = files.open_state(state)
    try:
        found = desk.read(connection, max(0, closed_max))
    finally:
        connection.close()
    if as_json:
        put_json({"alerts": found})
    elif not found:
        put("no alerts")
    else:
        put_table(
            ("id", "severity", "state", "age", "times", "key", "text", "channels", "why"),
            [
                (
                    told.id,
                    told.severity,
                    told.state,
                    age(told.age_seconds),
                    told.count,
                    told.key,
                    told.text,
                    _reached(told),
                    told.reason if told.state != "RAISED" else "",
                )
                for told in found
            ],
        )
    return Exit.OK


def _reached(told: Told) -> str:
    """Return each channel with the state of its newest message, and why where it is not SENT."""
    newest = {message.channel: message for message in told.messages}
    return ", ".join(
        f"{name} {message.state}" + ("" if message.state == "SENT" else f" ({message.reason})")
        for name, message in newest.items()
    )


@alerts.command("ack", epilog=CODES)
@click.argument("alert")
@click.option("--reason", default="seen", show_default=True, help="Goes into the audit trail.")
@state_option
@json_option
def ack(alert: str, state: Path, *, reason: str, as_json: bool) -> int:
    """Acknowledge ALERT, an id or a key of `alerts list`: it is not sent again. Needs the bot."""
    from bot.core.runs import VERBS
    from bot.desk.client import Ask, command

    ask = Ask("ack", {"alert": alert}, safe_text(reason, 500))
    moves = list(command(state, ask, VERBS["ack"].within_seconds + PATIENCE_SECONDS))
    last = moves[-1]
    if as_json:
        put_json({"run": last.run, "state": last.state, "reason": last.reason, "moves": moves})
    else:
        put(f"{last.state}: {last.reason}")
    return ENDS.get(last.state, Exit.UNVERIFIED)
