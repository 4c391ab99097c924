"""Opens ``state.db``. The one importer of the driver; nothing else here opens the file.

A plain ``open()`` of the file by the process that writes it, or a second SQLite library on it,
loses committed rows: POSIX drops all locks of a process when any descriptor of the file is closed.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pysqlite3 import dbapi2 as sqlite3

from bot.errors import BotError, ConfigError, StoreBusy, StoreFatal

if TYPE_CHECKING:  # the driver has the standard library's shape, and no types of its own
    from sqlite3 import Connection as Connection  # noqa: PLC0414 exported to the store
else:
    Connection = sqlite3.Connection

DriverError: tuple[type[Exception], type[Exception]] = (sqlite3.Error, UnicodeDecodeError)
"""What the driver raises; of a damaged file it may not even be able to decode the message."""

IntegrityError = sqlite3.IntegrityError
SQLITE_VERSION: str = sqlite3.sqlite_version

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA trusted_schema=OFF",
)


def only_library() -> None:
    """Make ``import sqlite3`` mean this driver, and pandas absent, for every library loaded later.

    Two SQLite libraries on one file lose committed rows; pandas costs the bot 60 MB for nothing.
    """
    sys.modules["sqlite3"] = sys.modules["pysqlite3"]
    sys.modules["sqlite3.dbapi2"] = sqlite3
    sys.modules["pandas"] = None  # type: ignore[assignment]


def why_affected(version: tuple[int, int, int]) -> str | None:
    """Tell why a SQLite version may lose committed rows (the WAL-reset bug), or None."""
    fixed = (
        (version >= (3, 51, 3) and version[:2] != (3, 52))
        or (3, 50, 7) <= version < (3, 51, 0)
        or (3, 44, 6) <= version < (3, 45, 0)
    )
    if fixed:
        return None
    found = ".".join(map(str, version))
    return (
        f"SQLite {found} can lose committed rows (WAL-reset bug): expected 3.51.3 or newer; "
        f"cure: install the locked dependencies (pysqlite3 0.6.1 brings 3.53)"
    )


def refuse_affected(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> None:
    """Raise ConfigError if this SQLite is affected."""
    why = why_affected(version)
    if why:
        raise ConfigError([why])


def refuse_unsafe_file(path: Path) -> None:
    """Raise ConfigError if the database is a link, a device, or writable by everyone."""
    if not path.parent.is_dir():
        raise ConfigError([f"state: expected a folder {path.parent}, found none"])
    if path.is_symlink():
        raise ConfigError([f"state: expected a plain file, found the link {path}"])
    if not path.exists():
        return
    info = path.stat()
    if not stat.S_ISREG(info.st_mode):
        raise ConfigError([f"state: expected a plain file, found something else at {path}"])
    if info.st_mode & stat.S_IWOTH:
        raise ConfigError([f"state: {path} is writable by everyone; cure: chmod o-w {path}"])


def open_writer(path: Path) -> Connection:
    """Open the one writing connection: WAL, every commit synced. Raises StoreFatal, StoreBusy."""
    refuse_affected()
    refuse_unsafe_file(path)
    try:
        connection: Connection = sqlite3.connect(
            str(path), isolation_level=None, check_same_thread=False
        )
        for pragma in PRAGMAS:
            connection.execute(pragma)
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        sync = connection.execute("PRAGMA synchronous").fetchone()[0]
    except DriverError as error:
        raise classify(error) from error
    if (mode, sync) != ("wal", 2):
        raise StoreFatal(f"expected journal_mode wal and synchronous 2, found {mode} and {sync}")
    return connection


def open_memory() -> Connection:
    """Open an empty database in memory, for replay and rehearsal."""
    connection: Connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def open_reader(path: Path, *, alive: bool) -> Connection:
    """Open for reading only. ``alive``: whether a writer holds the lease.

    After a stop that removed the -wal file, a folder that may not be written allows only
    ``immutable=1``; it is used exactly then, because it ignores a -wal that is there.
    """
    if not path.exists():
        raise ConfigError([f"state: expected a database at {path}, found none"])
    quoted = str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    mode = "mode=ro"
    if not alive and not Path(f"{path}-wal").exists() and not os.access(path.parent, os.W_OK):
        mode = "mode=ro&immutable=1"
    try:
        connection: Connection = sqlite3.connect(
            f"file:{quoted}?{mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA busy_timeout=2000")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except DriverError as error:
        raise classify(error) from error
    return connection


def classify(error: Exception) -> BotError:
    """Return what the caller should do about a driver's error.

    Locked, full, and read-only fail cleanly before anything is written; an I/O error or a damaged
    file leaves the outcome of a commit unknown, and the process must end.
    """
    text = str(error)
    clean = ("locked", "busy", "full", "readonly", "read-only", "interrupted", "constraint")
    if any(word in text for word in clean):
        return StoreBusy(text)
    return StoreFatal(text)
