"""Reads the alerts for people: what is open, what was lately, and whom it reached."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from bot.core.alerts import OPEN
from bot.store.database import Connection


class Message(Struct, frozen=True):
    """One message of an alert to one channel; ``delay_ms`` is real, None unless it is SENT."""

    channel: str
    state: str
    delay_ms: int | None
    reason: str


class Told(Struct, frozen=True):
    """An alert and its messages; times in market ms UTC, its age in market seconds."""

    id: str
    key: str
    severity: str
    state: str
    since: int
    last: int
    age_seconds: float
    count: int
    text: str
    runbook: str
    reason: str
    seq: int
    latch: bool
    messages: tuple[Message, ...] = ()

    @property
    def open(self) -> bool:
        """Whether it is not closed."""
        return self.state in OPEN


def read(connection: Connection, closed_max: int) -> list[Told]:
    """Return the open alerts and so many of those closed last, oldest first."""
    now = connection.execute("SELECT at FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    rows = connection.execute(
        "SELECT a.id, a.key, a.severity, i.state, a.since, a.last, (? - a.since) / 1000.0, a.count,"
        " a.text, a.runbook, i.reason, a.seq, a.latch"
        " FROM alert a JOIN instance i ON i.machine = 'alert' AND i.key = a.id"
        " WHERE i.state IN (SELECT value FROM json_each(?)) OR a.id IN (SELECT c.id FROM alert c"
        " JOIN instance s ON s.machine = 'alert' AND s.key = c.id AND s.state = 'CLOSED'"
        " ORDER BY c.seq DESC LIMIT ?) ORDER BY a.seq, a.id",
        (now[0] if now else 0, json.dumps(OPEN), closed_max),
    )
    return [_told(connection, row) for row in rows.fetchall()]


def open_now(connection: Connection) -> list[Told]:
    """Return the open alerts without their messages, oldest first."""
    rows = connection.execute(
        "SELECT a.id, a.key, a.severity, i.state, a.since, a.last, (a.last - a.since) / 1000.0,"
        " a.count, a.text, a.runbook, i.reason, a.seq, a.latch"
        " FROM instance i JOIN alert a ON a.id = i.key WHERE i.machine = 'alert'"
        " AND i.state IN (SELECT value FROM json_each(?)) ORDER BY a.seq, a.id",
        (json.dumps(OPEN),),
    )
    fields = Told.__struct_fields__
    return [
        Told(**{**dict(zip(fields, row, strict=False)), "latch": bool(row[-1])}) for row in rows
    ]


def _told(connection: Connection, row: tuple[Any, ...]) -> Told:
    found = dict(zip(Told.__struct_fields__, row, strict=False))
    return Told(**{**found, "latch": bool(row[-1])}, messages=_messages(connection, row[0]))


def _messages(connection: Connection, alert: str) -> tuple[Message, ...]:
    """Return the messages of an alert in the order in which they were decided on."""
    rows = connection.execute(
        "SELECT channel, state, delay_ms, reason FROM alert_delays WHERE alert = ?"
        " ORDER BY seq, id",
        (alert,),
    )
    return tuple(Message(*row) for row in rows)
