"""Commands while the bot is stopped: the same core, without venue or feed, tightening only."""

from __future__ import annotations

import uuid
from pathlib import Path

from bot.core.events import Commanded
from bot.core.runs import VERBS
from bot.engine.boot import build_reactor, open_state, take_lease
from bot.errors import ConfigError, NotRunning, Refused
from bot.store.database import Connection

_left_open: list[Connection] = []
"""Closing would remove the -wal that read-only users need; the process ends with it open."""

OFFLINE = ("hold", "reduce", "kill")
"""What only tightens and needs no venue."""


def do_offline(
    state: Path, verb: str, args: dict[str, str], reason: str, operator: str
) -> tuple[str, str]:
    """Carry a tightening out on a stopped bot's database; return the run's state and reason.

    Raises NotRunning for anything that loosens or needs the venue, ConfigError if there is no
    database, Refused if the verb is unknown, LeaseHeld if a bot runs after all.
    """
    if verb not in VERBS:
        raise Refused(f"expected one of {', '.join(VERBS)}; found {verb!r}")
    if verb not in OFFLINE:
        raise NotRunning(f"{verb} needs the running bot: start it (python -m bot) and ask again")
    if not state.exists():
        raise ConfigError([f"state: expected a database at {state}, found none"])
    lease = take_lease(state)
    try:
        booted = open_state(state)
        reactor = build_reactor(booted, booted.world.base)
        run = uuid.uuid4().hex
        committed = reactor.turn(
            [
                Commanded(
                    at=booted.world.at,
                    id=run,
                    verb=verb,
                    args=args,
                    operator=operator,
                    identity="claimed",
                    reason=reason,
                    expires_at=0,
                )
            ]
        )
        booted.writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        _left_open.append(booted.writer.connection)
    finally:
        lease.release()
    moves = [entry.step for entry in committed.entries if entry.step.machine == "run"]
    return moves[-1].dest, moves[-1].reason
