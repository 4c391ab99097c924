"""Backups are whole or not there, and a damaged one is refused."""

from __future__ import annotations

import pytest

from bot.desk import files
from bot.errors import BotError, ChainBroken, ConfigError, Refused
from bot.store import backup
from bot.store.database import open_writer
from tests.desk.story import Story


def make(state, folder, stamp="1"):
    connection = files.open_state(state)
    try:
        return backup.make(connection, state, folder, stamp)
    finally:
        connection.close()


def test_a_backup_is_whole_verified_and_leaves_nothing_else(state, tmp_path):
    made = make(state, tmp_path / "b")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["state.db.1.backup"]
    assert made.transitions > 100
    assert backup.verify(made.path).head == made.head
    assert made.path.stat().st_mode & 0o777 == 0o640


def test_a_backup_is_made_while_the_writer_writes(tmp_path):
    story = Story(tmp_path / "state.db")
    story.start()
    made = make(tmp_path / "state.db", tmp_path)
    assert made.transitions == story.reactor.writer.head_id
    story.minute()
    assert make(tmp_path / "state.db", tmp_path, "2").head == story.reactor.writer.head.hex()


def test_the_newest_are_kept(state, tmp_path):
    folder = tmp_path / "b"
    folder.mkdir()
    for n in range(20):
        (folder / f"state.db.{n:02}.backup").touch()
    (folder / "other.db.00.backup").touch()
    make(state, folder, "99")
    names = [path.name for path in backup.existing(state, folder)]
    assert len(names) == backup.KEPT
    assert (names[0], names[-1]) == ("state.db.07.backup", "state.db.99.backup")
    assert (folder / "other.db.00.backup").exists()


def test_a_backup_of_a_spoilt_chain_is_not_kept(state, tmp_path):
    connection = open_writer(state)
    connection.execute("DROP TRIGGER transition_kept_u")
    connection.execute("UPDATE transition SET reason = 'nothing' WHERE id = 9")
    connection.close()
    with pytest.raises(ChainBroken, match="transition 9"):
        make(state, tmp_path / "b")
    assert list((tmp_path / "b").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(state, tmp_path):
    (tmp_path / "b").write_text("a file")
    with pytest.raises((BotError, FileExistsError)):
        make(state, tmp_path / "b")


def test_every_damaged_page_or_byte_is_refused_or_harmless(state, tmp_path):
    made = make(state, tmp_path / "b")
    body = made.path.read_bytes()
    refused = 0
    for place in range(100, len(body), len(body) // 40):
        bad = tmp_path / "bad.backup"
        bad.write_bytes(body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :])
        try:
            assert backup.verify(bad).head == made.head, "what verifies has the same history"
        except BotError:
            refused += 1
    assert refused > 5, "most pages carry the trail"
    short = tmp_path / "short.backup"
    short.write_bytes(body[: len(body) // 2])
    with pytest.raises(ChainBroken):
        backup.verify(short)


def test_what_is_no_backup_is_refused(state, tmp_path):
    (tmp_path / "text").write_text("hello" * 100)
    with pytest.raises(ChainBroken, match="no database"):
        backup.verify(tmp_path / "text")
    with pytest.raises(ConfigError, match="found none"):
        backup.verify(tmp_path / "none")
    with pytest.raises(Refused, match="the database itself"):
        backup.copy_aside(state, state)


def test_putting_back_keeps_the_old_files_and_always_has_a_database(state, tmp_path, monkeypatch):
    made = make(state, tmp_path / "b")
    writer = open_writer(state)
    writer.execute("INSERT INTO meta VALUES('after', 'the backup')")  # lies in the log only
    reader = files.open_state(state)  # a console that stays
    reader.execute("SELECT 1 FROM meta").fetchone()
    writer.close()
    prepared = backup.copy_aside(made.path, state)
    kept = backup.put_back(prepared, state, "7")
    assert tmp_path / "state.db.before-restore-7" in kept
    old = open_writer(tmp_path / "state.db.before-restore-7")
    assert old.execute("SELECT value FROM meta WHERE name = 'after'").fetchone() == ("the backup",)
    new = open_writer(state)
    assert new.execute("SELECT value FROM meta WHERE name = 'after'").fetchone() is None
    new.execute("INSERT INTO meta VALUES('new', 'epoch')")
    seen = dict(reader.execute("SELECT name, value FROM meta"))
    assert seen.get("after") == "the backup", "the console still looks at the old files"
    assert "new" not in seen


def test_dying_in_the_middle_leaves_the_whole_old_database(state, tmp_path, monkeypatch):
    made = make(state, tmp_path / "b")
    writer = open_writer(state)
    writer.execute("INSERT INTO meta VALUES('after', 'the backup')")
    reader = files.open_state(state)  # so that closing the writer leaves the log
    reader.execute("SELECT 1 FROM meta").fetchone()
    writer.close()
    prepared = backup.copy_aside(made.path, state)

    def die(path, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(state), "replace", die)
        with pytest.raises(KeyboardInterrupt):
            backup.put_back(prepared, state, "7")
    found = open_writer(state).execute("SELECT value FROM meta WHERE name = 'after'").fetchone()
    assert found == ("the backup",)
