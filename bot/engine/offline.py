"""What is told to a stopped bot: commands that only tighten, and a trainer's reports.

The same core decides, without venue or feed; what follows outside waits for the next start.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.core.events import Commanded, Event, Latched
from bot.core.roles import OPERATOR
from bot.core.runs import VERBS
from bot.core.world import World
from bot.engine.boot import build_reactor, open_state, take_lease
from bot.engine.models import heard
from bot.engine.reactor import Committed
from bot.errors import ConfigError, NotRunning, Refused
from bot.store.database import Connection

_left_open: list[Connection] = []
"""Closing would remove the -wal that read-only users need; the process ends with it open."""

OFFLINE = ("hold", "reduce", "kill", "rollback", "quarantine", "retire")
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
    run = uuid.uuid4().hex
    committed = _turn(
        state,
        lambda world: Commanded(
            at=world.at,
            id=run,
            verb=verb,
            args=args,
            operator=operator,
            identity="claimed",
            role=OPERATOR,
            uid=os.getuid(),
            reason=reason,
            expires_at=0,
        ),
    )
    moves = [entry.step for entry in committed.entries if entry.step.machine == "run"]
    return moves[-1].dest, moves[-1].reason


def report_offline(state: Path, report: dict[str, Any], operator: str) -> tuple[str, str]:
    """Write a trainer's report down on a stopped bot's database; return state and reason.

    Raises Refused if the report cannot be taken, LeaseHeld if a bot runs after all.
    """
    committed = _turn(state, lambda world: heard(report, world, world.at, operator))
    moves = [entry.step for entry in committed.entries if entry.step.machine == "training"]
    return moves[-1].dest, moves[-1].reason


def _turn(state: Path, event: Callable[[World], Event]) -> Committed:
    """Become the writer, let the core decide one event, and leave."""
    lease = take_lease(state)
    try:
        return decide_held(state, event)
    finally:
        lease.release()


def decide_held(state: Path, event: Callable[[World], Event]) -> Committed:
    """Open a database as a boot does, and let the core decide one event; the lease must be held."""
    booted = open_state(state)
    reactor = build_reactor(booted, booted.world.base)
    doubt = (Latched(at=booted.world.at, reason=booted.doubt),) if booted.doubt else ()
    committed = reactor.turn([event(booted.world), *doubt])  # the next boot will not doubt any more
    booted.writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    _left_open.append(booted.writer.connection)
    return committed
