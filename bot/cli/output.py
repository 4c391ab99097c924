"""Writes results: data on stdout, sentences for people on stderr; and the exit codes."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import msgspec

from bot.core.text import safe_text
from bot.desk.clock import seconds
from bot.desk.text import CELL_MAX, shown
from bot.store.database import Connection

PIPE_WIDTH = 100_000
STEPS_BETWEEN_LOOKS = 200_000
QUIET_SECONDS = 2.0


class Exit(IntEnum):
    """What the exit code of every command means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNVERIFIED = 4
    NOT_RUNNING = 5
    CONFIG = 78
    INTERRUPTED = 130


CODES = (
    "Exit codes: 0 ok · 1 failed · 2 usage or config · 3 refused · 4 not verified in time · "
    "5 bot not running · 78 config at start"
)


def say(text: str) -> None:
    """Tell a person something, on stderr."""
    print(safe_text(text, CELL_MAX), file=sys.stderr, flush=True)


def put(text: str) -> None:
    """Print one line of data, cleaned."""
    print(safe_text(text, 1_000_000), flush=True)


def put_json(value: Any) -> None:
    """Print one JSON document on one line; bytes as hex."""
    plain = msgspec.to_builtins(value, builtin_types=(bytes,))
    print(msgspec.json.encode(plain, enc_hook=str).decode(), flush=True)


def put_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as CSV with a header."""
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows([shown(value) for value in row] for row in rows)
    sys.stdout.flush()


def put_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as a table; in a pipe as wide as it needs to be. Nothing is read as markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else PIPE_WIDTH, markup=False, highlight=False)
    console.print(table)


@contextmanager
def patience(connection: Connection, doing: str) -> Iterator[None]:
    """While a long read goes on, say so on stderr each few seconds."""
    started = told = seconds()

    def look() -> int:
        nonlocal told
        now = seconds()
        if now - told >= QUIET_SECONDS:
            told = now
            say(f"{doing} … {now - started:.0f} s")
        return 0

    connection.set_progress_handler(look, STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
