"""Restores a backup: verified, given a new epoch in its own audit trail, then put in place.

Going back in time must not loosen: what the old database held down and the backup does not, and
an old database that cannot be read, set the HALT mark before the backup takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from bot.core.events import Restored
from bot.core.guard import GUARD
from bot.core.holds import HOLD
from bot.core.killswitch import KILL
from bot.core.turn import Question
from bot.desk.clock import wall_ms
from bot.desk.files import Beside
from bot.desk.views import Standing, standings
from bot.edge.files import Halt
from bot.engine.reactor import Reactor
from bot.engine.replay import recover
from bot.errors import BotError
from bot.store import backup, chain, schema
from bot.store.database import Connection, DriverError, open_reader, open_writer
from bot.store.writer import Writer

UNREADABLE = "unreadable"
MINUTE_MS = 60_000


class Done(Struct, frozen=True):
    """What a restore did; ``kept`` are the old database's files, ``halted`` why HALT was set."""

    transitions: int
    epoch: int
    old_head: str
    new_head: str
    kept: tuple[str, ...]
    halted: str


class _Old(Struct, frozen=True):
    """What is replaced: its head, its epoch, and the machines that held entries down."""

    head: str
    epoch: int
    tight: tuple[Standing, ...]


class _NoOracle:
    """A restore measures nothing."""

    def ask(self, question: Question, at: int, base: Any = None) -> tuple[Any | None, Any]:
        """Refuse: nothing that a restore decides asks anything."""
        raise AssertionError(question)

    def swap(self, states: dict[str, Any]) -> None:
        """Take nothing in."""


def restore(
    file: Path, state: Path, operator: str, reason: str, stamp: str, *, migrated: bool = True
) -> Done:
    """Put a backup in the database's place. The lease must be held.

    ``migrated``: brought to this code; if not, it stays as the build that made it can read it.
    Raises ChainBroken for a damaged backup, SchemaMismatch for one of newer code, Refused.
    """
    found = backup.verify(file)
    old = _old(state)
    prepared = backup.copy_aside(file, state)
    connection = open_writer(prepared)
    if migrated:
        schema.migrate(connection, wall_ms())
    epoch = max(old.epoch, _epoch(connection)) + 1
    new_head = _new_epoch(connection, epoch, (str(file), old.head, operator, reason))
    halted = _loosened(old, connection) if state.exists() else ""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()
    backup.sync(prepared)
    halt = Halt(Beside(state).halt)
    halt.create()
    if halted:
        halt.set(operator, f"restore: {halted}")
    kept = backup.put_back(prepared, state, stamp)
    return Done(found.transitions, epoch, old.head, new_head, tuple(map(str, kept)), halted)


def _old(state: Path) -> _Old:
    """Read what is replaced.

    If it cannot be read, its epoch cannot be known: the minute of now is above any that was
    counted, so no order id comes twice.
    """
    try:
        connection = open_reader(state, alive=False)
        head, epoch = chain.head(connection)[1].hex(), _epoch(connection)
        tight = tuple(_tight(connection))
        connection.close()
    except (BotError, *DriverError):
        return _Old(UNREADABLE, wall_ms() // MINUTE_MS, ())
    return _Old(head, epoch, tight)


def _tight(connection: Connection) -> Iterator[Standing]:
    for table in (HOLD, KILL, GUARD):
        for row in standings(connection, table.name):
            if row.state in table.lowers:
                yield row


def _loosened(old: _Old, connection: Connection) -> str:
    """Tell what the old database held down and this one does not, or nothing."""
    if old.head == UNREADABLE:
        return "the old database could not be read"
    now = {(row.machine, row.key, row.state) for row in _tight(connection)}
    lost = [row for row in old.tight if (row.machine, row.key, row.state) not in now]
    return "; ".join(f"{row.machine} {row.key} was {row.state}: {row.reason}" for row in lost)


def _epoch(connection: Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    return int(row[0]) if row else 0


def _new_epoch(connection: Connection, epoch: int, who: tuple[str, str, str, str]) -> str:
    """Make the restore the first event of its epoch; return the head before it."""
    name, old_head, operator, reason = who
    writer, world = Writer(connection), recover(connection)[0]
    before = writer.head.hex()
    writer.begin()
    writer.meta("epoch", str(epoch))
    writer.commit()
    event = Restored(
        at=world.at,
        epoch=epoch,
        backup=name,
        old_head=old_head,
        new_head=before,
        operator=operator,
        reason=reason,
    )
    Reactor(writer, world, _NoOracle(), wall=wall_ms).turn([event])
    return before
