"""Brings a database to this code: numbered migrations with checksums, and the machines' rules."""

from __future__ import annotations

import importlib

import migrations
from bot.core.decide import TABLES
from bot.errors import SchemaMismatch
from bot.store.database import Connection


def applied(connection: Connection) -> dict[str, str]:
    """Return the migrations that ran, with their checksums; empty for a new file."""
    there = connection.execute(
        "SELECT 1 FROM sqlite_schema WHERE name = 'migration_sum'"
    ).fetchone()
    if not there:
        return {}
    return dict(connection.execute("SELECT name, sha256 FROM migration_sum"))


def pending(connection: Connection) -> list[str]:
    """Return the migrations still to run. Raises SchemaMismatch if file and code do not fit."""
    done, known = applied(connection), migrations.names()
    newer = sorted(set(done) - set(known))
    if newer:
        raise SchemaMismatch(f"the database is newer than this code: it has {', '.join(newer)}")
    for name, sha256 in done.items():
        if migrations.checksum(name) != sha256:
            raise SchemaMismatch(f"migration {name} was edited after it ran")
    todo = [name for name in known if name not in done]
    if done and todo and min(todo) < max(done):
        raise SchemaMismatch(f"migration {min(todo)} comes before {max(done)}, which ran already")
    return todo


def migrate(connection: Connection, now: int) -> list[str]:
    """Run what is pending, all of it or nothing, and project the rules. Return what ran.

    ``now`` (ms) is recorded as the time at which a rule left the tables.
    """
    todo = pending(connection)
    if todo:
        _run(connection, todo)
    project_rules(connection, now)
    return todo


def _run(connection: Connection, todo: list[str]) -> None:
    import sqlite_utils  # 180 ms, and only a new schema needs it
    from sqlite_utils.migrations import Migrations

    connection.execute("BEGIN IMMEDIATE")  # atomic() inside becomes a savepoint
    try:
        steps = Migrations("bot")
        for name in migrations.names():
            steps(name=name)(importlib.import_module(f"migrations.{name}").up)
        steps.apply(sqlite_utils.Database(connection))
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migration_sum"
            "(name TEXT PRIMARY KEY, sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID"
        )
        for name in todo:
            connection.execute(
                "INSERT INTO migration_sum VALUES(?, ?)", (name, migrations.checksum(name))
            )
        _refuse_broken_keys(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _refuse_broken_keys(connection: Connection) -> None:
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise SchemaMismatch("a migration left rows that break a foreign key")


def project_rules(connection: Connection, now: int) -> None:
    """Make the ``rule`` table say what the machines' tables say; rules that left are retired."""
    wanted = {rule for table in TABLES for rule in table.rules()}
    there = {
        tuple(row[:4]): row[4]
        for row in connection.execute("SELECT machine, source, trigger, dest, retired_at FROM rule")
    }
    new = sorted(wanted - set(there))
    back = sorted(rule for rule in wanted & set(there) if there[rule] is not None)
    gone = sorted(rule for rule, retired in there.items() if rule not in wanted and retired is None)
    if not (new or back or gone):
        return
    where = "WHERE machine = ? AND source = ? AND trigger = ? AND dest = ?"
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("INSERT INTO rule VALUES(?, ?, ?, ?, NULL)", new)
        connection.executemany(f"UPDATE rule SET retired_at = NULL {where}", back)
        connection.executemany(f"UPDATE rule SET retired_at = {now:d} {where}", gone)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def counted(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        for (name,) in names
    }
