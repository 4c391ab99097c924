"""Keeps a database open for a reader that stays: whatever becomes of file and writer, it reads on.

It never holds a transaction between two looks, so that it pins no log; it opens anew when a restore
put another file in the place, and when a writer came or went (files.open_state differs then).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bot.desk import files
from bot.desk.clock import seconds
from bot.errors import StoreBusy, StoreFatal
from bot.store.database import Connection as Connection  # noqa: PLC0414 a reader's callers name it
from bot.store.database import DriverError, classify

BUSY_MS = 250
READ_SECONDS = 2.0
STEPS_BETWEEN_LOOKS = 10_000

Version = tuple[int, ...]
"""Something that is another when anything was committed, or when the file is another."""


class Reader:
    """Reads one database for as long as it likes. For one thread."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._connection: Connection | None = None
        self._opened: tuple[int, ...] = ()

    def version(self) -> Version:
        """Return what changes with every commit. Raises ConfigError, StoreBusy, StoreFatal."""
        connection = self._open()
        with self._classified():
            row = connection.execute("PRAGMA data_version").fetchone()
        return (*self._opened, int(row[0]))

    @contextmanager
    def moment(self) -> Iterator[Connection]:
        """Give one moment of the database, for so long that nobody thinks it dead.

        Raises ConfigError, StoreFatal, and StoreBusy: locked, or longer than READ_SECONDS.
        """
        connection, deadline = self._open(), seconds() + READ_SECONDS
        connection.set_progress_handler(lambda: int(seconds() > deadline), STEPS_BETWEEN_LOOKS)
        with self._classified():
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    def close(self) -> None:
        """Close; the next look opens anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*DriverError):  # what cannot be closed is not read any more
                connection.close()

    def _open(self) -> Connection:
        there = self._there()
        if self._connection is None or there != self._opened:
            self.close()
            connection = files.open_state(self.state)
            connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
            self._connection, self._opened = connection, there
        return self._connection

    def _there(self) -> tuple[int, ...]:
        try:
            found = self.state.stat()
        except OSError:
            self.close()
            return ()
        return (found.st_dev, found.st_ino, int(files.holder(self.state) is not None))

    @contextmanager
    def _classified(self) -> Iterator[None]:
        """Turn what the driver raises into our errors; after any of them it is opened anew."""
        try:
            yield
        except DriverError as error:
            self.close()
            if "interrupted" in str(error):
                too_much = f"reading took more than {READ_SECONDS:g} s: filter for something newer"
                raise StoreBusy(too_much) from error
            raise classify(error) from error
        except MemoryError as error:
            self.close()
            raise StoreFatal("SQLite has no memory left") from error
