"""Runs a person's SQL where it can only read: no writing, no attaching, no waiting for ever.

``mode=ro`` alone is no sandbox: ``ATTACH`` creates files and a recursive query never ends
(research/reliability.md L9). So an authorizer allows reading and nothing else, a deadline and a
heap limit end what is too much, and rows and bytes are cut. The heap limit holds for the whole
process and cannot be raised again: so a query has a process of its own (`python -m bot query`),
never the trading process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from bot.desk.catalogue import VIEWS
from bot.desk.clock import seconds
from bot.desk.files import open_state
from bot.errors import BotError, Refused, Retryable
from bot.store.database import Connection, DriverError

DEADLINE_SECONDS = 5.0
ROWS_MAX = 10_000
BYTES_MAX = 16_000_000
HEAP_BYTES_MAX = 64_000_000
SQL_CHARACTERS_MAX = 100_000

# Codes of SQLite's C interface (sqlite3.h), which never change.
_OK, _DENY = 0, 1
_READ, _SELECT, _FUNCTION, _RECURSIVE = 20, 21, 31, 33
_ALLOWED = frozenset((_READ, _SELECT, _FUNCTION, _RECURSIVE))
_NAMES = {9: "DELETE", 18: "INSERT", 19: "PRAGMA", 22: "BEGIN", 23: "UPDATE", 24: "ATTACH"}
_FORBIDDEN_FUNCTIONS = frozenset(
    (
        "load_extension",
        "randomblob",
        "zeroblob",
        "edit",
        "readfile",
        "writefile",
        "fts3_tokenizer",
        "sqlite_dbpage",
        "sqlite_dbdata",
    )
)
_STEPS_BETWEEN_LOOKS = 10_000


class Limits(Struct, frozen=True):
    """How much a query may take: real seconds, rows, bytes of text, bytes of heap (0: any)."""

    seconds: float = DEADLINE_SECONDS
    rows: int = ROWS_MAX
    bytes: int = BYTES_MAX
    heap_bytes: int = HEAP_BYTES_MAX


class Result(Struct, frozen=True):
    """What a query found; ``cut`` says why there is no more of it, empty if that is all."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: str = ""


class BadQuery(BotError):
    """The SQL is not understood."""


def run(state: Path, sql: str, limits: Limits | None = None) -> Result:
    """Return what the SQL, or the view of that name, finds.

    Raises BadQuery, Refused if it would do more than read, Retryable if it takes too long.
    """
    limits = limits or Limits()
    text = sql.strip()
    if text in VIEWS:
        text = f'SELECT * FROM "{text}"'
    if len(text) > SQL_CHARACTERS_MAX:
        raise Refused(f"expected at most {SQL_CHARACTERS_MAX} characters of SQL, found {len(text)}")
    connection = open_state(state)
    try:
        denied = _fence(connection, limits)
        return _fetch(connection, text, limits, denied)
    finally:
        connection.close()


def _fence(connection: Connection, limits: Limits) -> list[str]:
    """Put the fence up; return the list in which it will name what it denied."""
    denied: list[str] = []
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA query_only=ON")
    connection.execute(f"PRAGMA hard_heap_limit={limits.heap_bytes}")

    def authorize(action: int, first: Any, second: Any, database: Any, inside: Any) -> int:
        function = action == _FUNCTION and str(second).lower() in _FORBIDDEN_FUNCTIONS
        table = action == _READ and str(first).lower() in _FORBIDDEN_FUNCTIONS
        if action in _ALLOWED and not function and not table:
            return _OK
        denied.append(str(second) if function else _NAMES.get(action, f"SQLite action {action}"))
        return _DENY

    deadline = seconds() + limits.seconds
    connection.set_authorizer(authorize)
    connection.set_progress_handler(lambda: int(seconds() > deadline), _STEPS_BETWEEN_LOOKS)
    return denied


def _fetch(connection: Connection, sql: str, limits: Limits, denied: list[str]) -> Result:
    try:
        cursor = connection.execute(sql)
        columns = tuple(column[0] for column in cursor.description or ())
        return _take(cursor, columns, limits)
    except MemoryError:
        needed = f"expected at most {limits.heap_bytes:,} bytes of memory, it needs more"
        raise Refused(needed) from None
    except (*DriverError, connection.Warning, ValueError) as error:
        if denied:
            raise Refused(f"a query may only read; found {denied[0]}") from error
        if "interrupted" in str(error):
            raise Retryable(f"cut after {limits.seconds:g} s; ask for less") from error
        raise BadQuery(f"{error}") from error


def _take(cursor: Any, columns: tuple[str, ...], limits: Limits) -> Result:
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
        if len(rows) == limits.rows:
            return Result(columns, tuple(rows), f"cut after {limits.rows:,} rows")
        if size > limits.bytes:
            return Result(columns, tuple(rows), f"cut after {limits.bytes:,} bytes")
        rows.append(tuple(row))
    return Result(columns, tuple(rows))
