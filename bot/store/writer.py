"""Writes decisions: journal, transitions, outbox, and ledger, in one transaction for many events.

The writer knows nothing of deciding. ``begin`` … ``commit`` hold a turn. The chain's head advances
only when COMMIT has returned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from bot.core import events
from bot.core.decide import Decision
from bot.core.machine import Step
from bot.core.turn import Dispatch
from bot.errors import BotError, StoreFatal
from bot.store import chain
from bot.store.database import Connection, DriverError, IntegrityError, classify
from bot.store.ledger import ROWS_OF

_encoder = msgspec.json.Encoder(decimal_format="string")
_decoder = msgspec.json.Decoder(events.Journaled)

Stored = tuple[int, int, int, str, str, int, str, str, str, str]
"""The hashed columns: id, seq, at, machine, key, version, source, trigger, dest, reason."""


def encode(event: events.Event) -> str:
    """Return an event's body as the journal keeps it."""
    return _encoder.encode(event).decode()


def decode(body: str | bytes) -> Any:
    """Return the event of a journal body. Raises msgspec.ValidationError if it is none."""
    return _decoder.decode(body)


JournalRow = tuple[int, int, int, str, int | None, str]
"""An event as the journal keeps it: seq, at, wall, kind, cause (an answer's question), body."""


class Written(msgspec.Struct, frozen=True):
    """A transition as it was written."""

    id: int
    seq: int
    at: int
    step: Step
    hash: bytes


class IllegalWrite(Exception):
    """SQLite refused a row of a decision: an illegal move, a broken chain, a lost race."""


class Writer:
    """The one writer of a database. Not thread-safe: it belongs to the reactor's thread."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.head_id, self.head = chain.head(connection)
        row = connection.execute("SELECT max(seq) FROM journal").fetchone()
        self.seq: int = row[0] or 0
        self._next = (self.seq, self.head_id, self.head)
        self.dead = False

    # -- the turn ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a transaction. Raises StoreBusy if another writer holds the file, StoreFatal."""
        if self.dead:
            raise StoreFatal("the outcome of an earlier commit is not known")
        self._next = (self.seq, self.head_id, self.head)
        self._execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit and sync. StoreBusy: nothing was written. StoreFatal: the process must end."""
        try:
            self.connection.execute("COMMIT")
        except DriverError as error:
            found = classify(error)
            self.dead = isinstance(found, StoreFatal)
            self.rollback()
            raise found from error
        self.seq, self.head_id, self.head = self._next

    def rollback(self) -> None:
        """Drop the turn; after an error SQLite may have done so already."""
        self._next = (self.seq, self.head_id, self.head)
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except DriverError:
                self.dead = True  # nothing more can be said of this connection

    @property
    def candidate_head(self) -> bytes:
        """The head as it will be if the turn commits."""
        return self._next[2]

    # -- rows --------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        """Return the journal number that the next event will have."""
        return self._next[0] + 1

    def append(self, row: JournalRow) -> None:
        """Append an event to the journal."""
        self._execute("INSERT INTO journal VALUES(?, ?, ?, ?, ?, ?)", row)
        self._next = (row[0], self._next[1], self._next[2])

    def decision(self, seq: int, body: str, decision: Decision) -> list[Written]:
        """Append what follows from an event: its steps, effects, and facts; return the steps."""
        at = decision.world.at
        written = self._steps(seq, at, body.encode(), decision.steps)
        self._effects(seq, decision.emitted)
        for fact in decision.facts:
            ROWS_OF[type(fact)](self._execute, seq, at, fact)
        return written

    def _steps(self, seq: int, at: int, body: bytes, steps: Iterable[Step]) -> list[Written]:
        written = []
        for step in steps:
            _, head_id, head = self._next
            row: Stored = (
                head_id + 1,
                seq,
                at,
                step.machine,
                step.key,
                step.version,
                step.source,
                step.trigger,
                step.dest,
                step.reason,
            )
            hash_ = chain.link(head, row, body)
            self._execute(
                "INSERT INTO transition(id, seq, at, machine, key, version, source, trigger, dest,"
                " reason, hash) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, hash_),
            )
            self._next = (seq, head_id + 1, hash_)
            written.append(Written(head_id + 1, seq, at, step, hash_))
        return written

    def _effects(self, seq: int, emitted: Iterable[Dispatch]) -> None:
        for dispatch in emitted:
            effect = dispatch.effect
            self._execute(
                "INSERT INTO outbox VALUES(?, ?, ?, ?, ?)",
                (
                    dispatch.id,
                    seq,
                    type(effect).__name__,
                    _encoder.encode(effect).decode(),
                    effect.expires_at,
                ),
            )

    def meta(self, name: str, value: str) -> None:
        """Set one entry of ``meta``."""
        self._execute("INSERT OR REPLACE INTO meta VALUES(?, ?)", (name, value))

    def _execute(self, sql: str, values: tuple[Any, ...] = ()) -> None:
        try:
            self.connection.execute(sql, values)
        except IntegrityError as error:
            raise IllegalWrite(f"{error}: {values[:10]}") from error
        except DriverError as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> BotError:
        found = classify(error)
        self.dead = isinstance(found, StoreFatal)
        self.rollback()
        return found
