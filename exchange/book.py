"""Remembers everything that must outlive this process: orders, fills, money, clock, and the log.

One SQLite file holds the state. Beside it grows `<book>.log`, an append-only file of JSON lines for
outside checkers. Every line has

    n          running number; a line is written once, and gaps never occur
    kind       what the line tells, see below
    market_ms  market time in milliseconds

and, where they apply, orderId, orderLinkId, category, symbol, side, orderType, qty, price.

    create     an order was accepted; also timeInForce, reduceOnly, takeProfit, stopLoss
    duplicate  a create was refused because its orderLinkId was used before; retCode
    refused    a create was refused for another reason; retCode, reason
    cancel     an order was cancelled; cancelType
    order      an order ended or fired without a request; status, reason
    fill       one execution; execId, fee, feeCurrency, isMaker, stopOrderType, pnl
    stop       take-profit or stop-loss changed; stopOrderType, triggerPrice ("0" = removed)
    leverage   leverage changed; leverage
    fault      a requested fault was injected; fault, where, seed
    control    a control request was carried out; what

A line is committed in the book with what it tells, then appended to the file; lines that a killed
process did not get to write are written at the next start.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from exchange.errors import BadStart
from exchange.orders import Order

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    n INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE, link_id TEXT UNIQUE,
    category TEXT NOT NULL, symbol TEXT NOT NULL, status TEXT NOT NULL, is_open INTEGER NOT NULL,
    is_stop INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS orders_open ON orders (n) WHERE is_open;
CREATE INDEX IF NOT EXISTS orders_updated ON orders (category, updated_ms);
CREATE TABLE IF NOT EXISTS executions (
    n INTEGER PRIMARY KEY, exec_id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL,
    link_id TEXT NOT NULL, category TEXT NOT NULL, symbol TEXT NOT NULL, at_ms INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS executions_order ON executions (order_id);
CREATE INDEX IF NOT EXISTS executions_time ON executions (category, at_ms);
CREATE TABLE IF NOT EXISTS closed (
    n INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE, symbol TEXT NOT NULL,
    at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS log (n INTEGER PRIMARY KEY, line BLOB NOT NULL);
"""
Row = dict[str, Any]


class Book:
    """The exchange's file; nothing is answered before `commit` has returned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_path = path.with_name(path.name + ".log")
        try:
            self._db = sqlite3.connect(path, timeout=0.5, isolation_level=None)
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise BadStart(
                f"--book: expected a book of this exchange that no other process holds at {path}, "
                f"found: {error}"
            ) from None
        self._log = _LogFile(self.log_path)
        self._n = self._log.last_n
        self._db.execute("BEGIN IMMEDIATE")
        self._deliver_log()

    def get(self, key: str) -> Any:
        """A remembered value, or None."""
        row = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def put(self, key: str, value: Any) -> None:
        """Remembers a value that JSON can hold."""
        self._db.execute("REPLACE INTO state VALUES (?, ?)", (key, msgspec.json.encode(value)))

    def log(self, kind: str, market_ms: int, **fields: Any) -> None:
        """Adds a line to the log, to be written with the next commit."""
        self._n += 1
        line = {"n": self._n, "kind": kind, "market_ms": market_ms, **fields}
        self._db.execute("INSERT INTO log VALUES (?, ?)", (self._n, msgspec.json.encode(line)))

    def commit(self) -> None:
        """Makes everything since the last commit durable, then writes the log lines."""
        self._db.execute("COMMIT")
        self._db.execute("BEGIN IMMEDIATE")
        if self._n > self._log.last_n:
            self._deliver_log()

    def rollback(self) -> None:
        """Forgets everything since the last commit."""
        self._db.execute("ROLLBACK")
        row = self._db.execute("SELECT max(n) FROM log").fetchone()
        self._n = max(self._log.last_n, row[0] or 0)
        self._db.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Commits and closes the file."""
        self.commit()
        self._db.execute("COMMIT")
        self._db.close()
        self._log.close()

    def _deliver_log(self) -> None:
        rows = self._db.execute("SELECT n, line FROM log ORDER BY n").fetchall()
        if not rows:
            return
        self._log.append([(n, line) for n, line in rows if n > self._log.last_n])
        self._n = max(self._n, self._log.last_n)
        self._db.execute("DELETE FROM log WHERE n <= ?", (self._log.last_n,))

    def save_order(self, order: Order) -> None:
        """Stores the order as it now is."""
        self._db.execute(
            "INSERT INTO orders (order_id, link_id, category, symbol, status, is_open, is_stop,"
            " created_ms, updated_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (order_id) DO UPDATE SET status = excluded.status,"
            " is_open = excluded.is_open, updated_ms = excluded.updated_ms, body = excluded.body",
            (
                order.order_id,
                order.link_id or None,
                order.category,
                order.symbol,
                order.status,
                order.is_open,
                order.is_stop,
                order.created_ms,
                order.updated_ms,
                msgspec.json.encode(order),
            ),
        )

    def open_orders(self) -> list[Order]:
        """All open orders, oldest first."""
        rows = self._db.execute("SELECT body FROM orders WHERE is_open ORDER BY n").fetchall()
        return [msgspec.json.decode(body, type=Order) for (body,) in rows]

    def link_used(self, link_id: str) -> bool:
        """True if any order ever had this orderLinkId."""
        found = self._db.execute("SELECT 1 FROM orders WHERE link_id = ?", (link_id,)).fetchone()
        return found is not None

    def orders(
        self, where: str, values: list[Any], limit: int, before: int
    ) -> list[tuple[int, Order]]:
        """Orders that `where` (SQL with ? marks) selects, newest first, with their numbers."""
        rows = self._db.execute(
            f"SELECT n, body FROM orders WHERE {where} AND n < ? ORDER BY n DESC LIMIT ?",
            (*values, before, limit),
        ).fetchall()
        return [(n, msgspec.json.decode(body, type=Order)) for n, body in rows]

    def save_execution(self, row: Row) -> None:
        """Stores one execution row."""
        self._db.execute(
            "INSERT INTO executions (exec_id, order_id, link_id, category, symbol, at_ms, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                row["execId"],
                row["orderId"],
                row["orderLinkId"],
                row["category"],
                row["symbol"],
                int(row["execTime"]),
                msgspec.json.encode(row),
            ),
        )

    def executions(
        self, where: str, values: list[Any], limit: int, before: int
    ) -> list[tuple[int, Row]]:
        """Executions that `where` selects, newest first, with their numbers."""
        rows = self._db.execute(
            f"SELECT n, body FROM executions WHERE {where} AND n < ? ORDER BY n DESC LIMIT ?",
            (*values, before, limit),
        ).fetchall()
        return [(n, msgspec.json.decode(body)) for n, body in rows]

    def closed_of(self, order_id: str) -> Row | None:
        """What an order has closed so far, or None."""
        row = self._db.execute("SELECT body FROM closed WHERE order_id = ?", (order_id,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def save_closed(self, row: Row) -> None:
        """Stores what one order has closed so far."""
        self._db.execute(
            "INSERT INTO closed (order_id, symbol, at_ms, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (order_id) DO UPDATE SET at_ms = excluded.at_ms, body = excluded.body",
            (
                row["orderId"],
                row["symbol"],
                int(row["updatedTime"]),
                msgspec.json.encode(row),
            ),
        )

    def closed(
        self, where: str, values: list[Any], limit: int, before: int
    ) -> list[tuple[int, Row]]:
        """Closed parts of positions that `where` selects, newest first, with their numbers."""
        rows = self._db.execute(
            f"SELECT n, body FROM closed WHERE {where} AND n < ? ORDER BY n DESC LIMIT ?",
            (*values, before, limit),
        ).fetchall()
        return [(n, msgspec.json.decode(body)) for n, body in rows]


class _LogFile:
    """The append-only file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.last_n = 0
        self._file = path.open("ab+", buffering=0)
        self._cut_torn_line()

    def _cut_torn_line(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        tail_from = max(0, size - 65_536)
        self._file.seek(tail_from)
        tail = self._file.read()
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            self._file.truncate(tail_from + whole)
        lines = tail[:whole].splitlines()
        if lines:
            self.last_n = int(msgspec.json.decode(lines[-1])["n"])

    def append(self, lines: list[tuple[int, bytes]]) -> None:
        if lines:
            self._file.write(b"".join(line + b"\n" for _, line in lines))
            self.last_n = lines[-1][0]

    def close(self) -> None:
        self._file.close()
