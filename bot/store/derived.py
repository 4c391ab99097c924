"""The table ``instance`` as what it is: derived from ``transition``, row by row, and so restorable.

A machine's row says what its newest transition says. SQLite's trigger keeps it so; what differs was
written past it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bot.store.database import Connection

if TYPE_CHECKING:
    from bot.store.writer import Writer

Key = tuple[str, str]
"""A machine and its key."""
Difference = tuple[str, str, str | None, str]
"""A machine, its key, the state that its row says, and the state that its transitions say."""

NOTHING = "nothing"
_NEWEST = (
    "SELECT t.machine, t.key, i.state, t.dest FROM transition t LEFT JOIN instance i"
    " ON i.machine = t.machine AND i.key = t.key WHERE NOT EXISTS(SELECT 1 FROM transition n"
    " WHERE n.machine = t.machine AND n.key = t.key AND n.version = t.version + 1)"
    " AND (i.state IS NOT t.dest OR i.version IS NOT t.version OR i.since IS NOT t.at"
    " OR i.reason IS NOT t.reason)"
)
_STRANGERS = (
    f"SELECT machine, key, state, '{NOTHING}' FROM instance i WHERE NOT EXISTS("
    "SELECT 1 FROM transition t WHERE t.machine = i.machine AND t.key = i.key)"
)


def differences(connection: Connection) -> Iterable[Difference]:
    """Yield every row that differs; it reads the whole table of transitions."""
    yield from connection.execute(f"{_NEWEST} UNION ALL {_STRANGERS}")


def differing(connection: Connection, newest: int, keys: Iterable[Key]) -> set[Key]:
    """Return which differ among the machines of the newest transitions and those named by key."""
    head = connection.execute("SELECT max(id) FROM transition").fetchone()[0] or 0
    found = connection.execute(f"{_NEWEST} AND t.id > ?", (head - newest,)).fetchall()
    for key in keys:
        found += connection.execute(f"{_NEWEST} AND t.machine = ? AND t.key = ?", key)
    return {(machine, key) for machine, key, *_ in found}


def restore(writer: Writer, keys: Iterable[Key]) -> None:
    """Derive these rows anew, all of them or none. Raises StoreBusy, StoreFatal, the driver's."""
    writer.begin()
    try:
        for key in keys:
            writer.connection.execute("DELETE FROM instance WHERE machine = ? AND key = ?", key)
        for key in keys:
            writer.connection.execute(
                "INSERT INTO instance(machine, key, state, version, since, reason)"
                " SELECT machine, key, dest, version, at, reason FROM transition"
                " WHERE machine = ? AND key = ? ORDER BY version DESC LIMIT 1",
                key,
            )
    except BaseException:
        writer.rollback()
        raise
    writer.commit()
