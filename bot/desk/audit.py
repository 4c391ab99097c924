"""Verifies the audit trail: the chain, the machines' places, the guards of SQLite, the pages.

The chain proves that no row was changed; it cannot prove that its tail was not made anew. So a
head that was written down elsewhere (a log line, a notification) can be looked for here.
"""

from __future__ import annotations

from msgspec import Struct

from bot.desk import views
from bot.desk.views import Epoch
from bot.errors import ChainBroken
from bot.store import chain, schema
from bot.store.database import Connection, open_memory


class Verified(Struct, frozen=True):
    """What was verified: transitions checked, the newest one's id and hash, and restores."""

    checked: int
    head_id: int
    head: str
    expected_at: int | None
    epochs: tuple[Epoch, ...]
    pending_migrations: tuple[str, ...]


def verify(connection: Connection, after: int = 0, expect: str = "") -> Verified:
    """Verify everything in one moment of the database; raise ChainBroken with what is wrong.

    ``expect``: the first digits of a head that must be in the chain.
    """
    connection.execute("BEGIN")
    try:
        quick_check(connection)
        checked, head = chain.verify(connection, after)
        pending = tuple(schema.pending(connection))
        if not pending:
            _guards_in_place(connection)
        return Verified(
            checked=checked,
            head_id=views.head_id(connection),
            head=head.hex(),
            expected_at=_find(connection, expect) if expect else None,
            epochs=tuple(views.epochs(connection)),
            pending_migrations=pending,
        )
    finally:
        connection.execute("COMMIT")


def quick_check(connection: Connection) -> None:
    """Have SQLite check its pages; raise ChainBroken with what it found."""
    found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    if found != ["ok"]:
        raise ChainBroken(f"the file is damaged: {'; '.join(found)}")


def _guards_in_place(connection: Connection) -> None:
    """Check that tables, indexes, triggers, and views are those that the migrations make."""
    fresh = open_memory()
    schema.migrate(fresh, 0)
    wanted, there = _objects(fresh), _objects(connection)
    fresh.close()
    for name in sorted(set(wanted) | set(there)):
        if name not in there:
            raise ChainBroken(f"{name} is missing")
        if name not in wanted:
            raise ChainBroken(f"{name} was added; the migrations do not make it")
        if wanted[name] != there[name]:
            raise ChainBroken(f"{name} was changed")


def _objects(connection: Connection) -> dict[str, str]:
    rows = connection.execute(
        "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'"
    )
    return {name: sql or "" for name, sql in rows}


def _find(connection: Connection, expect: str) -> int:
    """Return the id of the transition whose hash begins so; raise ChainBroken if there is none."""
    found = connection.execute(
        "SELECT id FROM transition WHERE lower(hex(hash)) LIKE ? || '%' LIMIT 1", (expect.lower(),)
    ).fetchone()
    if found is None:
        raise ChainBroken(f"the head {expect} is not in the chain: the tail was made anew")
    return int(found[0])
