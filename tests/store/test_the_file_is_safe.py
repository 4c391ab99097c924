"""The file: links, devices, and files open to everyone are refused; every commit is synced."""

import os

import pytest

from bot.errors import ConfigError, StoreFatal
from bot.store.database import open_reader, open_writer
from bot.store.schema import migrate


def test_a_link_is_refused(tmp_path):
    (tmp_path / "real.db").touch()
    (tmp_path / "state.db").symlink_to(tmp_path / "real.db")
    with pytest.raises(ConfigError, match="expected a plain file, found the link"):
        open_writer(tmp_path / "state.db")


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "state.db")
    with pytest.raises(ConfigError, match="found something else"):
        open_writer(tmp_path / "state.db")


def test_a_file_that_everyone_may_write_is_refused_with_the_cure(tmp_path):
    path = tmp_path / "state.db"
    path.touch()
    path.chmod(0o666)
    with pytest.raises(ConfigError, match=f"cure: chmod o-w {path}"):
        open_writer(path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a folder .*nowhere, found none"):
        open_writer(tmp_path / "nowhere" / "state.db")


def test_what_is_no_database_is_fatal(tmp_path):
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(StoreFatal, match="not a database"):
        open_writer(path)


def test_every_commit_is_synced(tmp_path):
    connection = open_writer(tmp_path / "state.db")
    found = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "mmap_size")
    }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "mmap_size": 0,
    }


def test_a_reader_cannot_write(tmp_path):
    path = tmp_path / "state.db"
    migrate(open_writer(path), 1)
    reader = open_reader(path, alive=True)
    with pytest.raises(Exception, match="readonly"):
        reader.execute("DELETE FROM meta")
    with pytest.raises(ConfigError, match="expected a database at"):
        open_reader(tmp_path / "none.db", alive=False)
