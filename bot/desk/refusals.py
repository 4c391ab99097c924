"""Reads why nothing is traded: what refused a symbol's newest signals, and what was measured."""

from __future__ import annotations

import json

from msgspec import Struct

from bot.store.database import Connection

LOOKED_MAX = 2_000


class Refused(Struct, frozen=True):
    """A control that refused: how often among the newest refusals, and what it said last."""

    symbol: str
    control: str
    times: int
    at: int
    side: str
    reason: str
    seq: int


class Measure(Struct, frozen=True):
    """What the newest closed candle of a symbol measured; ``cross_age`` in candles."""

    symbol: str
    at: int
    close: float | None
    adx: float | None
    ema_fast: float | None
    ema_slow: float | None
    cross_age: int | None


def newest(connection: Connection, symbol: str = "", looked: int = LOOKED_MAX) -> list[Refused]:
    """Return what refused of late, by symbol, the newest first; counted over so many refusals."""
    rows = connection.execute(
        "SELECT symbol, control, count(*), max(at), side, reason, max(seq) FROM"
        " (SELECT id, at, symbol, side, control, reason, seq FROM refusal ORDER BY id DESC LIMIT ?)"
        " WHERE ? IN ('', symbol) GROUP BY symbol, control ORDER BY symbol, max(id) DESC",
        (looked, symbol),
    )
    return [Refused(*row) for row in rows]


def last(connection: Connection, symbol: str, count: int = 50) -> list[Refused]:
    """Return a symbol's newest refusals one by one, newest first."""
    rows = connection.execute(
        "SELECT symbol, control, 1, at, side, reason, seq FROM"
        " (SELECT * FROM refusal ORDER BY id DESC LIMIT ?) WHERE symbol = ? LIMIT ?",
        (LOOKED_MAX, symbol, count),
    )
    return [Refused(*row) for row in rows]


def measures(connection: Connection, looked: int = 200) -> dict[str, Measure]:
    """Return what was measured last of each symbol, among so many measurements."""
    found: dict[str, Measure] = {}
    rows = connection.execute(
        "SELECT at, body FROM journal WHERE kind = 'Measured' ORDER BY seq DESC LIMIT ?", (looked,)
    )
    for at, body in rows:
        told = json.loads(body)
        names = ("close", "adx", "ema_fast", "ema_slow", "cross_age")
        one = Measure(told["symbol"], at, *(told.get(name) for name in names))
        found.setdefault(one.symbol, one)
    return found
