"""Replay: decide the journal again into an empty database, and compare byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from bot.core.decide import TABLES, decide
from bot.core.world import World
from bot.errors import ReplayMismatch
from bot.store import snapshots
from bot.store.database import Connection, open_memory
from bot.store.schema import migrate
from bot.store.writer import Writer

COLUMNS = "id, seq, at, machine, key, version, source, trigger, dest, reason, hash"


class Checked(Struct, frozen=True):
    """What a replay compared."""

    events: int
    transitions: int
    effects: int
    head: str


def recover(connection: Connection) -> tuple[World, int, int]:
    """Rebuild memory from the newest snapshot and the tail: ``(world, snapshot seq, tail)``.

    Answers of the oracle are in the journal, so nothing is measured again.
    """
    world = snapshots.newest(connection)
    first, count = world.seq, 0
    for seq, _, _, event in snapshots.tail(connection, first):
        world = decide(world, event, seq).world
        count += 1
    return world, first, count


def check(connection: Connection) -> Checked:
    """Recompute the journal and compare; raise ReplayMismatch with the first difference."""
    start = snapshots.oldest(connection)
    fresh = open_memory()
    migrate(fresh, 0)
    fresh.execute("BEGIN")
    _copy_past(connection, fresh, start.seq)
    writer = Writer(fresh)
    world, events = start, 0
    for seq, cause, body, event in snapshots.tail(connection, start.seq):
        writer.append((seq, event.at, 0, type(event).__name__, cause, body))
        decision = decide(world, event, seq)
        writer.decision(seq, body, decision)
        world, events = decision.world, events + 1
    transitions = _compare(connection, fresh, "transition", COLUMNS, "id")
    effects = _compare(connection, fresh, "outbox", "id, seq, kind, body, expires_at", "seq, id")
    return Checked(events, transitions, effects, writer.candidate_head.hex())


def _copy_past(connection: Connection, fresh: Connection, seq: int) -> None:
    """Take over, unchecked, what happened before the oldest kept snapshot."""
    if not seq:
        return
    fresh.execute("PRAGMA defer_foreign_keys=ON")
    for machine, source, trigger, dest, _ in connection.execute("SELECT * FROM rule"):
        fresh.execute(
            "INSERT OR IGNORE INTO rule VALUES(?, ?, ?, ?, NULL)", (machine, source, trigger, dest)
        )
    columns = {"journal": "seq, at, wall, kind, cause, body", "transition": COLUMNS, "outbox": "*"}
    for table, names in columns.items():
        cursor = connection.execute(
            f"SELECT {names} FROM {table} WHERE seq <= ? ORDER BY 1", (seq,)
        )
        for row in cursor:
            target = "" if names == "*" else f"({names})"
            marks = ", ".join("?" * len(row))
            fresh.execute(f"INSERT INTO {table}{target} VALUES({marks})", row)


def _compare(live: Connection, fresh: Connection, table: str, columns: str, order: str) -> int:
    query = f"SELECT {columns} FROM {table} ORDER BY {order}"
    count = 0
    for mine, theirs in _zip(live.execute(query), fresh.execute(query)):
        if mine != theirs:
            raise ReplayMismatch(f"{table}: stored {_show(mine)}, recomputed {_show(theirs)}")
        count += 1
    return count


def _zip(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    while True:
        mine, theirs = a.fetchone(), b.fetchone()
        if mine is None and theirs is None:
            return
        yield mine, theirs


def _show(row: tuple[Any, ...] | None) -> str:
    return (
        "nothing"
        if row is None
        else repr(tuple(v.hex()[:12] if isinstance(v, bytes) else v for v in row))
    )


MACHINES = {table.name: table for table in TABLES}
"""Every machine by name."""
