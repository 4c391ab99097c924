"""Reads the equity curve in as many steps as there is room for; each keeps both its extremes."""

from __future__ import annotations

from msgspec import Struct

from bot.store.database import Connection

MARKS_MAX = 20_000
DAYS_MAX = 60


class Step(Struct, frozen=True):
    """Some marks of the account together: quote units, drawdown as a fraction of 1, ms UTC."""

    at: int
    low: float
    high: float
    drawdown: float


class Day(Struct, frozen=True):
    """A day's closed trades, quote units net of fees."""

    day: str
    trades: int
    wins: int
    pnl: float
    fees: float


class Curve(Struct, frozen=True):
    """The curve over its newest marks, oldest first, and the newest days, newest first."""

    steps: tuple[Step, ...]
    days: tuple[Day, ...]
    marks: int


def read(connection: Connection, steps: int, marks: int = MARKS_MAX) -> Curve:
    """Return the curve in at most so many steps."""
    last = connection.execute("SELECT max(id), min(id) FROM equity").fetchone()
    newest, oldest = last[0] or 0, last[1] or 0
    first = max(oldest, newest - marks + 1)
    count = newest - first + 1 if newest else 0
    size = max(1, -(-count // max(1, steps)))
    rows = connection.execute(
        "SELECT max(at), min(CAST(equity AS REAL)), max(CAST(equity AS REAL)), max(drawdown)"
        " FROM equity"
        " WHERE id >= ? GROUP BY (id - ?) / ? ORDER BY 1",
        (first, first, size),
    )
    days = connection.execute(
        "SELECT day, trades, wins, pnl, fees FROM daily_pnl ORDER BY day DESC LIMIT ?", (DAYS_MAX,)
    )
    return Curve(tuple(Step(*row) for row in rows), tuple(Day(*row) for row in days), count)
