"""The ledger's rows: how each fact that a decision leaves is written, one function a kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from bot.core import facts

Execute = Callable[[str, tuple[Any, ...]], None]


def _fill(execute: Execute, seq: int, at: int, fact: facts.FillBooked) -> None:
    fill = fact.fill
    execute(
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


def _trade(execute: Execute, seq: int, at: int, fact: facts.TradeClosed) -> None:
    numbers = (fact.qty, fact.entry, fact.exit, fact.pnl, fact.fees)
    execute(
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


def _equity(execute: Execute, seq: int, at: int, fact: facts.EquityMarked) -> None:
    execute(
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


def _candle(execute: Execute, seq: int, at: int, fact: facts.CandleStored) -> None:
    c = fact.candle
    execute(
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


def _position(execute: Execute, seq: int, at: int, fact: facts.PositionMarked) -> None:
    execute(
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


def _refusal(execute: Execute, seq: int, at: int, fact: facts.OrderRefused) -> None:
    execute(
        "INSERT INTO refusal(seq, at, symbol, side, control, reason) VALUES(?, ?, ?, ?, ?, ?)",
        (seq, at, fact.symbol, str(fact.side), fact.control, fact.reason),
    )


def _move(execute: Execute, seq: int, at: int, fact: facts.CashMoved) -> None:
    move = fact.move
    execute(
        "INSERT OR IGNORE INTO cash_move VALUES(?, ?, ?, ?, ?, ?)",
        (move.move, seq, move.at, move.kind, move.symbol, f"{move.change:f}"),
    )


def _compared(execute: Execute, seq: int, at: int, fact: facts.AccountCompared) -> None:
    counts = (fact.positions, fact.fills, fact.moves)
    execute(
        "INSERT INTO comparison(seq, at, depth, wallet, cash, positions, fills, moves, differs)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (seq, at, fact.depth, f"{fact.wallet:f}", f"{fact.cash:f}", *counts, fact.differs),
    )


def _check(execute: Execute, seq: int, at: int, fact: facts.CheckMarked) -> None:
    execute(
        "INSERT OR REPLACE INTO finding VALUES(?, ?, ?, ?, ?, ?, ?)",
        (fact.check, seq, at, int(fact.well), fact.value, fact.limit, fact.said),
    )


def _objective(execute: Execute, seq: int, at: int, fact: facts.ObjectiveMarked) -> None:
    numbers = (fact.counted_hours, fact.good, fact.spent, fact.burn)
    execute(
        "INSERT OR REPLACE INTO objective VALUES(?, ?, ?, ?, ?, ?, ?)",
        (fact.objective, seq, at, *numbers),
    )


def _remedies(execute: Execute, seq: int, at: int, fact: facts.RemediesDeclared) -> None:
    execute("DELETE FROM remedy", ())
    for remedy in fact.remedies:
        execute(
            "INSERT INTO remedy VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                remedy.name,
                remedy.meaning,
                " ".join(remedy.checks),
                remedy.risk,
                remedy.attempts,
                remedy.cool_real_seconds,
                remedy.within_real_seconds,
                remedy.backs_up,
                remedy.verified,
            ),
        )


def _attempted(execute: Execute, seq: int, at: int, fact: facts.AttemptMarked) -> None:
    execute(
        "INSERT INTO healing_attempt VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(run) DO UPDATE SET state = excluded.state, said = excluded.said,"
        " last = excluded.last",
        (fact.run, seq, at, at, fact.remedy, fact.check, fact.risk, fact.state, fact.said),
    )


def _escalated(execute: Execute, seq: int, at: int, fact: facts.Escalated) -> None:
    tried = msgspec.json.encode(fact.tried).decode()
    execute(
        "INSERT INTO escalation(seq, at, name, said, tried, file) VALUES(?, ?, ?, ?, ?, ?)",
        (seq, at, fact.check, fact.said, tried, fact.file),
    )


def _alert(execute: Execute, seq: int, at: int, fact: facts.AlertNoted) -> None:
    said = fact.notify
    execute(
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


def _recorded(execute: Execute, seq: int, at: int, fact: facts.ModelRecorded) -> None:
    execute(
        "INSERT OR IGNORE INTO model VALUES(?, ?, ?, ?, ?)",
        (fact.model, seq, at, fact.run, fact.manifest),
    )


def _attempt(execute: Execute, seq: int, at: int, fact: facts.AttemptEnded) -> None:
    columns = msgspec.structs.asdict(fact)
    columns |= {"seq": seq, "at": at}
    execute(
        f"INSERT OR IGNORE INTO training_attempt({', '.join(columns)})"
        f" VALUES({', '.join('?' * len(columns))})",
        tuple(columns.values()),
    )


def _score(execute: Execute, seq: int, at: int, fact: facts.ScoreKept) -> None:
    execute(
        "INSERT INTO model_score(seq, at, model, symbol, open_time, score, fault)"
        " VALUES(?, ?, ?, ?, ?, ?, ?)",
        (seq, at, fact.model, fact.symbol, fact.open_time, fact.score, fact.fault),
    )
    execute(
        "DELETE FROM model_score WHERE id <= (SELECT max(id) FROM model_score) - ?", (fact.keep,)
    )


ROWS_OF: dict[type, Callable[[Execute, int, int, Any], None]] = {
    facts.FillBooked: _fill,
    facts.CheckMarked: _check,
    facts.ObjectiveMarked: _objective,
    facts.RemediesDeclared: _remedies,
    facts.AttemptMarked: _attempted,
    facts.Escalated: _escalated,
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
"""How each kind of fact is written: ``(execute, seq, at, fact)``."""
