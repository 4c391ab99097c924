"""Measures how near the bot came to its limits, from the rows of its ledger. Statistics, so floats.

``since`` is market time, ms. A value is None where nothing is on record.
"""

from __future__ import annotations

from msgspec import Struct

from bot.core.world import DAY_MS
from bot.store.database import Connection

SECOND_MS, MINUTE_MS = 1_000, 60_000
_OF = "FROM outbox o JOIN journal j ON j.seq = o.seq WHERE j.at >= ?"


class Losses(Struct, frozen=True):
    """The worst of all reviews: fractions of 1, and the lowest equity, quote units."""

    day: float | None
    drawdown: float | None
    equity: float | None


class Exposure(Struct, frozen=True):
    """The most that was open after any execution: quote units at its price, and symbols."""

    gross: float | None
    net: float | None
    positions: int | None


def losses(connection: Connection, since: int) -> Losses:
    """Return the worst of the reviews."""
    row = connection.execute(
        "SELECT max(day_loss), max(drawdown), min(CAST(equity AS REAL)) FROM equity WHERE at >= ?",
        (since,),
    ).fetchone()
    return Losses(*row)


def exposure(connection: Connection, since: int) -> Exposure:
    """Return the most that was open: each symbol at the price of its last execution."""
    held: dict[str, float] = {}
    priced: dict[str, float] = {}
    found: list[tuple[float, float, int]] = []
    rows = connection.execute("SELECT at, symbol, side, qty, price FROM fill ORDER BY at, seq")
    for at, symbol, side, qty, price in rows:
        held[symbol] = held.get(symbol, 0.0) + (float(qty) if side == "Buy" else -float(qty))
        priced[symbol] = float(price)
        if at >= since:
            worth = [held[name] * priced[name] for name in held if abs(held[name]) > 1e-12]
            found.append((sum(map(abs, worth)), abs(sum(worth)), len(worth)))
    if not found:
        return Exposure(None, None, None)
    gross, net, positions = (max(column) for column in zip(*found, strict=True))
    return Exposure(gross, net, int(positions))


def largest_entry(connection: Connection, since: int) -> float | None:
    """Return the value of the largest entry, quote units at its limit."""
    value = "CAST(o.body ->> '$.qty' AS REAL) * CAST(o.body ->> '$.price' AS REAL)"
    row = connection.execute(
        f"SELECT max({value}) {_OF} AND o.kind = 'Submit' AND NOT o.body ->> '$.reduce_only'",
        (since,),
    ).fetchone()
    return row[0] if row else None


def messages(connection: Connection, since: int, span_ms: int) -> int:
    """Return the most orders, amendments, and cancels within a span of real time (a day: market).

    Spans begin at whole seconds, minutes, and days; what the outbox repeated is not counted.
    """
    clock = "j.at" if span_ms == DAY_MS else "j.wall"
    row = connection.execute(
        f"SELECT max(n) FROM (SELECT count(*) AS n {_OF}"
        f" AND o.kind IN ('Submit', 'Amend', 'Cancel') GROUP BY {clock} / {span_ms:d})",
        (since,),
    ).fetchone()
    return row[0] or 0


def losing_streak(connection: Connection, since: int) -> int:
    """Return the most losing trades in a row."""
    row = "SELECT CAST(pnl AS REAL) FROM trade WHERE shadow = 0 AND closed_at >= ? ORDER BY id"
    longest = streak = 0
    for (pnl,) in connection.execute(row, (since,)):
        streak = 0 if pnl > 0 else streak + 1
        longest = max(longest, streak)
    return longest
