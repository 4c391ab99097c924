"""Tapes the SQL of production, and plays the tape over a VFS that records what reaches the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from bot.store.database import Connection, sqlite3
from tests.faults.power.images import (
    Ack,
    Create,
    Operation,
    Sync,
    SyncFolder,
    Truncate,
    Unlink,
    Write,
)

NEW_ENTRY = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
FULL = "PRAGMA synchronous=FULL"


class Opened(NamedTuple):
    pass


class Closed(NamedTuple):
    pass


class Ran(NamedTuple):
    """A statement and its values."""

    sql: str
    values: tuple[Any, ...] = ()


Entry = Opened | Closed | Ran | Ack


def taped(tape: list[Entry]) -> type[Connection]:
    """Return the driver's connection, made to write down every statement that succeeds."""

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
            super().execute(sql, values)
            tape.append(Ran(sql, tuple(values)))
            return self

        def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> Any:
            for row in rows:
                self.execute(sql, row)
            return self

        def executescript(self, script: str) -> Any:
            raise NotImplementedError("the driver commits before a script: production uses none")

    class Taped(Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            tape.append(Opened())

        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:
            return self.cursor().executescript(*args)

        def close(self) -> None:
            super().close()
            tape.append(Closed())

    return Taped


class Recorder(apsw.VFS):
    """The system's own VFS, which tells ``hear`` of every change to a disk."""

    def __init__(self, name: str, hear: Callable[[Operation], None]) -> None:
        self.hear = hear
        self.name = name
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is None:  # a temporary file: lost with the power, and not missed
            return super().xOpen(name, flags)
        return RecordedFile(self.hear, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(name, syncdir)
        self.hear(Unlink(Path(name).name))
        if syncdir:
            self.hear(SyncFolder())


class RecordedFile(apsw.VFSFile):
    """One open file of a ``Recorder``."""

    def __init__(self, hear: Callable[[Operation], None], name: Any, flags: list[int]) -> None:
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self.hear, self.name = hear, path.name
        created = not path.exists()
        self.entry_unsynced = created and bool(flags[0] & NEW_ENTRY)
        super().__init__("", name, flags)
        if created:
            hear(Create(self.name))

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self.hear(Write(self.name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        super().xTruncate(size)
        self.hear(Truncate(self.name, size))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self.hear(Sync(self.name))
        if self.entry_unsynced:  # the unix VFS syncs the folder with a new journal's first sync
            self.hear(SyncFolder())
            self.entry_unsynced = False


def play(
    tape: Sequence[Entry], state: Path, *, synchronous: str = "FULL", pages: int = 1000
) -> list[Operation]:
    """Run a tape on a new database, checkpointing every ``pages``; return the disk's operations."""
    operations: list[Operation] = []
    recorder = Recorder(f"recorder-{id(operations)}", operations.append)
    connection: Any = None
    try:
        for entry in tape:
            match entry:
                case Opened():
                    connection = apsw.Connection(str(state), vfs=recorder.name)
                    connection.wal_autocheckpoint(pages)
                case Closed():
                    connection.close()
                case Ack():
                    operations.append(entry)
                case Ran(sql, values):
                    chosen = f"PRAGMA synchronous={synchronous}" if sql == FULL else sql
                    list(connection.execute(chosen, values or None))
    finally:
        recorder.unregister()
    return operations
