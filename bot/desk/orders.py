"""Reads orders for people: what is on its way, and the whole story of one, or of a position."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from bot.core.orders import ORDER
from bot.store.database import Connection

ORDERS_MAX = 200
FILLS_MAX = 100
_OPEN = tuple(state for state in map(str, ORDER.states) if state not in ORDER.final)


class OrderRow(Struct, frozen=True):
    """An order: where it stands, why it was decided on; numbers are decimals as text."""

    order: str
    state: str
    since: int
    reason: str
    symbol: str
    side: str
    qty: str
    price: str
    stop: str
    take: str
    exit: bool
    decided: str


class FillRow(Struct, frozen=True):
    """An execution; market ms UTC, numbers are decimals as text, ``realised`` before fees."""

    at: int
    order: str
    side: str
    qty: str
    price: str
    fee: str
    realised: str
    closed_by: str


def underway(connection: Connection) -> list[OrderRow]:
    """Return the orders that are not at their end."""
    keys = connection.execute(
        "SELECT key FROM instance WHERE machine = 'order'"
        " AND state IN (SELECT value FROM json_each(?)) ORDER BY since DESC LIMIT ?",
        (json.dumps(_OPEN), ORDERS_MAX),
    ).fetchall()
    return [row for (key,) in keys if (row := found(connection, key))]


def found(connection: Connection, order: str) -> OrderRow | None:
    """Return an order by its id, None if there is none."""
    row = connection.execute(
        "SELECT i.state, i.since, i.reason, b.reason, b.seq FROM instance i"
        " JOIN transition b ON b.machine = 'order' AND b.key = i.key AND b.version = 1"
        " WHERE i.machine = 'order' AND i.key = ?",
        (order,),
    ).fetchone()
    if row is None:
        return None
    state, since, reason, decided, seq = row
    body = connection.execute(
        "SELECT body FROM outbox WHERE seq = ? AND json_extract(body, '$.order') = ?", (seq, order)
    ).fetchone()
    sent: dict[str, Any] = json.loads(body[0]) if body else {}
    names = ("symbol", "side", "qty", "price", "stop", "take")
    words = {name: _word(sent.get(name)) for name in names}
    leaving = bool(sent.get("reduce_only"))
    return OrderRow(order, state, since, reason, exit=leaving, decided=decided, **words)


def _word(value: Any) -> str:
    return "" if value is None else str(value)


def fills(connection: Connection, order: str) -> list[FillRow]:
    """Return the executions of an order, oldest first."""
    rows = connection.execute(
        "SELECT at, client_order, side, qty, price, fee, realised, closed_by FROM fill"
        " WHERE client_order = ? ORDER BY at, fill LIMIT ?",
        (order, FILLS_MAX),
    )
    return [FillRow(*row) for row in rows]


def opened_by(connection: Connection, symbol: str) -> tuple[list[OrderRow], list[FillRow]]:
    """Return the orders and executions that made an open position, oldest first."""
    row = connection.execute(
        "SELECT opened_at FROM position WHERE symbol = ? AND CAST(qty AS REAL) <> 0", (symbol,)
    ).fetchone()
    if row is None:
        return [], []
    made = [
        FillRow(*one)
        for one in connection.execute(
            "SELECT at, client_order, side, qty, price, fee, realised, closed_by FROM fill"
            " WHERE symbol = ? AND at >= ? ORDER BY at, fill LIMIT ?",
            (symbol, row[0], FILLS_MAX),
        )
    ]
    names = dict.fromkeys(one.order for one in made if one.order)
    return [order for name in names if (order := found(connection, name))], made


def marks(connection: Connection, symbols: tuple[str, ...], looked: int = 60) -> dict[str, float]:
    """Return the newest prices of the last so many ticks; a symbol not quoted is left out."""
    wanted, quoted = set(symbols), dict[str, float]()
    rows = connection.execute(
        "SELECT body FROM journal WHERE kind = 'Ticked' ORDER BY seq DESC LIMIT ?", (looked,)
    )
    for (body,) in rows:
        for symbol, price in json.loads(body).get("marks", {}).items():
            if symbol in wanted:
                quoted.setdefault(symbol, price)
        if wanted <= set(quoted):
            break
    return quoted
