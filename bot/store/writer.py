"""Writes decisions: journal, transitions, outbox, and ledger, in one transaction for many events.

The writer knows nothing of deciding. ``begin`` … ``commit`` hold a turn. The chain's head advances
only when COMMIT has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from bot.core import events, facts
from bot.core.decide import Decision
from bot.core.machine import Step
from bot.core.turn import Dispatch
from bot.errors import BotError, StoreFatal
from bot.store import chain
from bot.store.database import Connection, DriverError, IntegrityError, classify

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
            _FACTS[type(fact)](self, seq, at, fact)
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


# -- facts: one function a kind ------------------------------------------------------------------


def _fill(writer: Writer, seq: int, at: int, fact: facts.FillBooked) -> None:
    fill = fact.fill
    writer._execute(
        "INSERT OR IGNORE INTO fill VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fill.fill,
            seq,
            fill.at,
            fill.order,
            fill.symbol,
            str(fill.side),
            f"{fill.qty:f}",
            f"{fill.price:f}",
            f"{fill.fee:f}",
            f"{fact.realised:f}",
            fill.by,
        ),
    )


def _trade(writer: Writer, seq: int, at: int, fact: facts.TradeClosed) -> None:
    numbers = (fact.qty, fact.entry, fact.exit, fact.pnl, fact.fees)
    writer._execute(
        "INSERT INTO trade(seq, symbol, side, qty, entry, exit, pnl, fees, opened_at, closed_at,"
        " shadow, reason) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            seq,
            fact.symbol,
            str(fact.side),
            *(f"{n:f}" for n in numbers),
            fact.opened_at,
            fact.closed_at,
            int(fact.shadow),
            fact.reason,
        ),
    )


def _equity(writer: Writer, seq: int, at: int, fact: facts.EquityMarked) -> None:
    writer._execute(
        "INSERT INTO equity(seq, at, equity, cash, peak, day_start, drawdown, day_loss, why)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            seq,
            at,
            *(f"{n:f}" for n in (fact.equity, fact.cash, fact.peak, fact.day_start)),
            fact.drawdown,
            fact.day_loss,
            fact.why,
        ),
    )


def _candle(writer: Writer, seq: int, at: int, fact: facts.CandleStored) -> None:
    c = fact.candle
    writer._execute(
        "INSERT OR REPLACE INTO candle VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fact.symbol,
            c.open_time,
            c.open,
            c.high,
            c.low,
            c.close,
            c.volume,
            fact.source,
            at,
            fact.how,
        ),
    )


def _position(writer: Writer, seq: int, at: int, fact: facts.PositionMarked) -> None:
    writer._execute(
        "INSERT OR REPLACE INTO position VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fact.symbol,
            seq,
            f"{fact.qty:f}",
            f"{fact.entry:f}",
            None if fact.stop is None else f"{fact.stop:f}",
            None if fact.take is None else f"{fact.take:f}",
            int(fact.stop_held),
            fact.opened_at,
        ),
    )


def _refusal(writer: Writer, seq: int, at: int, fact: facts.OrderRefused) -> None:
    writer._execute(
        "INSERT INTO refusal(seq, at, symbol, side, control, reason) VALUES(?, ?, ?, ?, ?, ?)",
        (seq, at, fact.symbol, str(fact.side), fact.control, fact.reason),
    )


def _move(writer: Writer, seq: int, at: int, fact: facts.CashMoved) -> None:
    move = fact.move
    writer._execute(
        "INSERT OR IGNORE INTO cash_move VALUES(?, ?, ?, ?, ?, ?)",
        (move.move, seq, move.at, move.kind, move.symbol, f"{move.change:f}"),
    )


def _compared(writer: Writer, seq: int, at: int, fact: facts.AccountCompared) -> None:
    counts = (fact.positions, fact.fills, fact.moves)
    writer._execute(
        "INSERT INTO comparison(seq, at, depth, wallet, cash, positions, fills, moves, differs)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (seq, at, fact.depth, f"{fact.wallet:f}", f"{fact.cash:f}", *counts, fact.differs),
    )


def _check(writer: Writer, seq: int, at: int, fact: facts.CheckMarked) -> None:
    writer._execute(
        "INSERT OR REPLACE INTO finding VALUES(?, ?, ?, ?, ?, ?, ?)",
        (fact.check, seq, at, int(fact.well), fact.value, fact.limit, fact.said),
    )


def _objective(writer: Writer, seq: int, at: int, fact: facts.ObjectiveMarked) -> None:
    numbers = (fact.counted_hours, fact.good, fact.spent, fact.burn)
    writer._execute(
        "INSERT OR REPLACE INTO objective VALUES(?, ?, ?, ?, ?, ?, ?)",
        (fact.objective, seq, at, *numbers),
    )


def _alert(writer: Writer, seq: int, at: int, fact: facts.AlertNoted) -> None:
    said = fact.notify
    writer._execute(
        "INSERT INTO alert(id, seq, key, severity, since, last, count, latch, runbook, text)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET last = excluded.last,"
        " since = excluded.since, count = excluded.count, text = excluded.text",
        (
            said.alert,
            seq,
            said.key,
            said.severity,
            said.since,
            at,
            said.count,
            int(said.latch),
            said.runbook,
            said.text,
        ),
    )


def _recorded(writer: Writer, seq: int, at: int, fact: facts.ModelRecorded) -> None:
    writer._execute(
        "INSERT OR IGNORE INTO model VALUES(?, ?, ?, ?, ?)",
        (fact.model, seq, at, fact.run, fact.manifest),
    )


def _attempt(writer: Writer, seq: int, at: int, fact: facts.AttemptEnded) -> None:
    columns = msgspec.structs.asdict(fact)
    columns |= {"seq": seq, "at": at}
    writer._execute(
        f"INSERT OR IGNORE INTO training_attempt({', '.join(columns)})"
        f" VALUES({', '.join('?' * len(columns))})",
        tuple(columns.values()),
    )


def _score(writer: Writer, seq: int, at: int, fact: facts.ScoreKept) -> None:
    writer._execute(
        "INSERT INTO model_score(seq, at, model, symbol, open_time, score, fault)"
        " VALUES(?, ?, ?, ?, ?, ?, ?)",
        (seq, at, fact.model, fact.symbol, fact.open_time, fact.score, fact.fault),
    )
    writer._execute(
        "DELETE FROM model_score WHERE id <= (SELECT max(id) FROM model_score) - ?", (fact.keep,)
    )


_FACTS: dict[type, Callable[[Writer, int, int, Any], None]] = {
    facts.FillBooked: _fill,
    facts.CheckMarked: _check,
    facts.ObjectiveMarked: _objective,
    facts.TradeClosed: _trade,
    facts.EquityMarked: _equity,
    facts.CandleStored: _candle,
    facts.PositionMarked: _position,
    facts.OrderRefused: _refusal,
    facts.CashMoved: _move,
    facts.AccountCompared: _compared,
    facts.AlertNoted: _alert,
    facts.ModelRecorded: _recorded,
    facts.AttemptEnded: _attempt,
    facts.ScoreKept: _score,
}
