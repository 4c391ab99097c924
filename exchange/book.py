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
    amend      an order was changed; triggerPrice, takeProfit, stopLoss
    amend      an open order was changed; triggerPrice, takeProfit, stopLoss
    cancel     an order was cancelled; cancelType
    order      an order ended or fired without a request; status, reason
    fill       one execution; execId, execType, fee, feeCurrency, isMaker, stopOrderType, pnl. What
               the exchange itself closed (BustTrade, AdlTrade) has no create line
    stop       take-profit or stop-loss changed; stopOrderType, triggerPrice ("0" = removed)
    leverage   leverage changed; leverage
    funding    funding was paid or received; execId, rate, fee (positive was paid), price (mark)
    liquidation  margin was short, so positions were taken over; balance, maintenance, symbols
    adl        a position (side) was reduced by auto-deleveraging; qty, price
    transfer   money came from outside or left; coin, amount (negative left), reason
    fault      a requested fault was injected; fault, where, seed
    control    a control request was carried out; what

A line is committed in the book with what it tells, then appended to the file; lines that a killed
process did not get to write are written at the next start.

The book forgets what Bybit forgets (`forget`): orders that ended without a fill after a day, and
executions, closed positions, and transactions after two years. An orderLinkId is never forgotten.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, Literal

import msgspec

from exchange.errors import BadStart
from exchange.orders import Order

_VERSION = 2  # of the schema; a book of another version is refused
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    n INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE, link_id TEXT UNIQUE,
    category TEXT NOT NULL, symbol TEXT NOT NULL, status TEXT NOT NULL, is_open INTEGER NOT NULL,
    is_stop INTEGER NOT NULL, has_fills INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS orders_open ON orders (n) WHERE is_open;
CREATE INDEX IF NOT EXISTS orders_updated ON orders (category, updated_ms);
CREATE INDEX IF NOT EXISTS orders_unfilled ON orders (updated_ms)
    WHERE NOT is_open AND NOT has_fills;
CREATE TABLE IF NOT EXISTS used_links (link_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS executions (
    n INTEGER PRIMARY KEY, exec_id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL,
    link_id TEXT NOT NULL, category TEXT NOT NULL, symbol TEXT NOT NULL, exec_type TEXT NOT NULL,
    at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS executions_order ON executions (order_id);
CREATE INDEX IF NOT EXISTS executions_time ON executions (at_ms);
CREATE TABLE IF NOT EXISTS closed (
    n INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE, symbol TEXT NOT NULL,
    at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS closed_time ON closed (at_ms);
CREATE TABLE IF NOT EXISTS transactions (
    n INTEGER PRIMARY KEY, category TEXT NOT NULL, currency TEXT NOT NULL, symbol TEXT NOT NULL,
    type TEXT NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS transactions_time ON transactions (at_ms);
CREATE TABLE IF NOT EXISTS log (slot INTEGER PRIMARY KEY, lines BLOB NOT NULL);
"""
_UNFILLED_MS = 24 * 3_600_000
_HISTORY_MS = 730 * 24 * 3_600_000
Row = dict[str, Any]
Table = Literal["executions", "closed", "transactions"]


class Book:
    """The exchange's file; nothing is answered before `commit` has returned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_path = path.with_name(path.name + ".log")
        try:
            self._db = sqlite3.connect(path, timeout=0.5, isolation_level=None)
            self._open()
        except sqlite3.Error as error:
            raise BadStart(
                f"--book: expected a book of this exchange that no other process holds at {path}, "
                f"found: {error}"
            ) from None
        self._stored: dict[str, bytes] = {}  # what `state` holds, as far as it was put
        self._log = _LogFile(self.log_path)
        self._lines: list[tuple[int, bytes]] = []  # not yet in the log file
        self._firm = 0  # how many of them are committed
        for (lines,) in self._db.execute("SELECT lines FROM log"):
            self._lines = [(msgspec.json.decode(line)["n"], line) for line in lines.splitlines()]
        self._firm = len(self._lines)
        self._deliver()
        self._n = self._log.last_n
        self._db.execute("BEGIN IMMEDIATE")
        self._clean = self._db.total_changes

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        # The book outlives this process, not a power cut: the operating system has every commit.
        self._db.execute("PRAGMA synchronous=OFF")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and version != _VERSION:
            raise BadStart(f"--book: expected version {_VERSION} at {self.path}, found {version}")
        self._db.executescript(f"{_SCHEMA}PRAGMA user_version = {_VERSION};")

    def get(self, key: str) -> Any:
        """A remembered value, or None."""
        row = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def put(self, key: str, value: Any) -> None:
        """Remembers a value that JSON can hold."""
        encoded = msgspec.json.encode(value)
        if self._stored.get(key) != encoded:
            self._db.execute("REPLACE INTO state VALUES (?, ?)", (key, encoded))
            self._stored[key] = encoded

    def log(self, kind: str, market_ms: int, **fields: Any) -> None:
        """Adds a line to the log, to be written with the next commit."""
        self._n += 1
        line = {"n": self._n, "kind": kind, "market_ms": market_ms, **fields}
        self._lines.append((self._n, msgspec.json.encode(line)))

    def commit(self) -> None:
        """Makes everything since the last commit durable, then writes the log lines."""
        if not self._lines and self._db.total_changes == self._clean:
            return
        if self._lines:
            lines = b"\n".join(line for _, line in self._lines)
            self._db.execute("REPLACE INTO log VALUES (1, ?)", (lines,))
        self._db.execute("COMMIT")
        self._firm = len(self._lines)
        self._deliver()
        self._db.execute("BEGIN IMMEDIATE")
        self._clean = self._db.total_changes

    def rollback(self) -> None:
        """Forgets everything since the last commit."""
        self._db.execute("ROLLBACK")
        del self._lines[self._firm :]
        self._n = self._lines[-1][0] if self._lines else self._log.last_n
        self._stored.clear()
        self._db.execute("BEGIN IMMEDIATE")
        self._clean = self._db.total_changes

    def close(self) -> None:
        """Commits and closes the file."""
        self.commit()
        self._db.execute("COMMIT")
        self._db.close()
        self._log.close()

    def _deliver(self) -> None:
        """Writes the committed lines; one that a killed process had written is not repeated."""
        self._log.append([row for row in self._lines[: self._firm] if row[0] > self._log.last_n])
        del self._lines[: self._firm]
        self._firm = 0

    def forget(self, now_ms: int) -> None:
        """Drops the rows that Bybit no longer tells at market time `now_ms`."""
        gone = "NOT is_open AND NOT has_fills AND updated_ms < ?"
        before = (now_ms - _UNFILLED_MS,)
        self._db.execute(
            "INSERT OR IGNORE INTO used_links SELECT link_id FROM orders"
            f" WHERE {gone} AND link_id IS NOT NULL",
            before,
        )
        self._db.execute(f"DELETE FROM orders WHERE {gone}", before)
        for table in ("executions", "closed", "transactions"):
            self._db.execute(f"DELETE FROM {table} WHERE at_ms < ?", (now_ms - _HISTORY_MS,))

    def save_order(self, order: Order) -> None:
        """Stores the order as it now is."""
        self._db.execute(
            "INSERT INTO orders (order_id, link_id, category, symbol, status, is_open, is_stop,"
            " has_fills, created_ms, updated_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (order_id) DO UPDATE SET status = excluded.status,"
            " is_open = excluded.is_open, has_fills = excluded.has_fills,"
            " updated_ms = excluded.updated_ms, body = excluded.body",
            (
                order.order_id,
                order.link_id or None,
                order.category,
                order.symbol,
                order.status,
                order.is_open,
                order.is_stop,
                bool(order.filled),
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
        found = self._db.execute(
            "SELECT 1 FROM orders WHERE link_id = ?1"
            " UNION ALL SELECT 1 FROM used_links WHERE link_id = ?1",
            (link_id,),
        )
        return found.fetchone() is not None

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
            "INSERT INTO executions (exec_id, order_id, link_id, category, symbol, exec_type,"
            " at_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row["execId"],
                row["orderId"],
                row["orderLinkId"],
                row["category"],
                row["symbol"],
                row["execType"],
                int(row["execTime"]),
                msgspec.json.encode(row),
            ),
        )

    def executions(
        self, where: str, values: list[Any], limit: int, before: int
    ) -> list[tuple[int, Row]]:
        """Executions that `where` selects, newest first, with their numbers."""
        return self.rows("executions", where, values, limit, before)

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
        return self.rows("closed", where, values, limit, before)

    def last_number(self, table: Table) -> int:
        """The number of the table's newest row, 0 if it has none."""
        return int(self._db.execute(f"SELECT max(n) FROM {table}").fetchone()[0] or 0)

    def save_transaction(self, row: Row) -> None:
        """Stores one row of the transaction log."""
        self._db.execute(
            "INSERT INTO transactions (category, currency, symbol, type, at_ms, body)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                row["category"],
                row["currency"],
                row["symbol"],
                row["type"],
                int(row["transactionTime"]),
                msgspec.json.encode(row),
            ),
        )

    def rows(
        self, table: Table, where: str, values: list[Any], limit: int, before: int
    ) -> list[tuple[int, Row]]:
        """Rows that `where` (SQL with ? marks) selects, newest first, with their numbers."""
        rows = self._db.execute(
            f"SELECT n, body FROM {table} WHERE {where} AND n < ? ORDER BY n DESC LIMIT ?",
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
