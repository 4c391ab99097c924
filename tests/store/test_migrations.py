"""Migrations: run once, all or nothing, never edited; a newer database is refused."""

import signal
from pathlib import Path

import pytest

import migrations
from bot.errors import SchemaMismatch
from bot.store.database import open_memory, open_writer
from bot.store.schema import applied, migrate, pending
from tests.store.kept import child

DIE = """
import os, signal, sys
from pathlib import Path
from bot.store.database import open_writer
from bot.store.schema import migrate

def die(sql):
    if sys.argv[2] in sql:
        os.kill(os.getpid(), signal.SIGKILL)

connection = open_writer(Path(sys.argv[1]))
connection.set_trace_callback(die)
migrate(connection, 1)
"""


def tables(connection):
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}


def test_a_new_file_gets_everything_and_a_second_run_does_nothing(tmp_path):
    connection = open_writer(tmp_path / "state.db")
    assert migrate(connection, 1) == migrations.names()
    before = tables(connection), list(connection.execute("SELECT * FROM rule"))
    assert migrate(connection, 2) == []
    assert (tables(connection), list(connection.execute("SELECT * FROM rule"))) == before
    assert applied(connection) == {name: migrations.checksum(name) for name in migrations.names()}


def test_an_edited_migration_is_refused():
    connection = open_memory()
    migrate(connection, 1)
    connection.execute("UPDATE migration_sum SET sha256 = 'another'")
    with pytest.raises(
        SchemaMismatch, match=f"migration {migrations.names()[0]} was edited after it ran"
    ):
        migrate(connection, 2)


def test_a_newer_database_is_refused():
    connection = open_memory()
    migrate(connection, 1)
    connection.execute("INSERT INTO migration_sum VALUES('m9999_future', 'x')")
    with pytest.raises(SchemaMismatch, match="newer than this code: it has m9999_future"):
        pending(connection)


def test_a_migration_that_comes_before_one_that_ran_is_refused(monkeypatch):
    connection, known = open_memory(), migrations.names()
    migrate(connection, 1)
    monkeypatch.setattr(migrations, "names", lambda: ["m0000_early", *known])
    with pytest.raises(SchemaMismatch, match=f"m0000_early comes before {known[-1]}"):
        pending(connection)


@pytest.mark.parametrize(
    "where", ["CREATE TABLE outbox", "CREATE VIEW why_no_trade", "migration_sum VALUES"]
)
def test_kill_9_in_the_middle_leaves_nothing(tmp_path, where):
    state = tmp_path / "state.db"
    process = child(DIE, state, where)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    connection = open_writer(state)
    assert tables(connection) == set()
    assert migrate(connection, 1) == migrations.names()


def test_migrations_import_nothing_of_the_bot():
    for path in Path(migrations.__file__).parent.glob("*.py"):
        assert "import bot" not in path.read_text()
        assert "from bot" not in path.read_text()
