"""`bot upgrade check` rehearses on a copy: what it finds is told, and the database stays as it is."""

from __future__ import annotations

import migrations
from bot.core.decide import ON
from bot.core.events import Commanded, Ticked
from bot.edge import upgrades
from bot.engine import rehearsal
from bot.store import schema
from bot.store.database import open_reader, open_writer
from tests.store.kept import child
from tests.upgrade.releases import NEWEST


def verdict(found, name):
    return next(row for row in found["verdicts"] if row["name"] == name)


def kept(state):
    return state.read_bytes(), sorted(path.name for path in state.parent.iterdir())


def test_it_tells_builds_migrations_rows_and_what_each_step_took(upgrade, state):
    before = state.read_bytes()
    code, found = upgrade("check")
    assert (code, found["ok"]) == (0, True)
    assert (found["before"], found["migrations"]) == ("0ldbu11d0ldb", [NEWEST])
    rows = found["rows"]
    assert rows["migration_sum"][1] == rows["migration_sum"][0] + 1
    assert rows["transition"][0] == rows["transition"][1] > 0
    assert set(found["seconds"]) == {row["name"] for row in found["verdicts"]}
    assert state.read_bytes() == before
    assert not (state.parent / "state.db.rehearsal").exists()
    assert len(list((state.parent / "backups").iterdir())) == 1


def test_a_failing_migration_is_found_on_the_copy_and_nothing_changes(upgrade, state, monkeypatch):
    def fails(db):
        db.execute("DELETE FROM equity")
        raise RuntimeError("the disk of the author was larger")

    monkeypatch.setattr(f"migrations.{NEWEST}.up", fails)
    before = state.read_bytes()
    code, found = upgrade("check")
    assert (code, found["ok"]) == (1, False)
    assert verdict(found, "migrate")["verdict"] == "wrong"
    assert "the disk of the author was larger" in verdict(found, "migrate")["said"]
    assert state.read_bytes() == before
    assert upgrade("apply", "--reason", "anyway")[0] == 3


def test_a_migration_that_drops_rows_is_a_warning_with_their_number(upgrade, monkeypatch):
    monkeypatch.setattr(f"migrations.{NEWEST}.up", lambda db: db.execute("DELETE FROM candle"))
    monkeypatch.setattr(rehearsal.audit, "_guards_in_place", lambda connection: None)
    found = upgrade("check")[1]
    assert verdict(found, "migrate")["verdict"] == "warning"
    assert "rows go: candle " in verdict(found, "migrate")["said"]


def test_events_that_are_decided_otherwise_are_told_one_by_one(upgrade, monkeypatch):
    monkeypatch.setitem(ON, Commanded, ())
    code, found = upgrade("check")
    assert code == 0, "another build may decide otherwise; a person reads what"
    assert verdict(found, "replay")["verdict"] == "warning"
    assert found["redecided"]["differ"] == 2
    assert "Commanded: recorded run " in found["redecided"]["first"][0]
    assert "hold account" in found["redecided"]["first"][0]
    assert found["redecided"]["first"][0].endswith("now nothing more")


def test_an_event_that_cannot_be_decided_any_more_is_wrong(upgrade, monkeypatch):
    def broken(turn, event):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setitem(ON, Ticked, (broken,))
    code, found = upgrade("check")
    assert code == 1
    assert "ZeroDivisionError" in verdict(found, "replay")["said"]


def test_a_wrong_configuration_is_named_and_nothing_is_copied(upgrade, state):
    (state.parent / "bot.toml").write_text("[guard]\nwindw = 3\n")
    code, found = upgrade("check")
    assert code == 1
    assert [row["name"] for row in found["verdicts"]] == ["config"]
    assert "windw" in verdict(found, "config")["said"]
    assert not (state.parent / "backups").exists()


def test_a_broken_chain_is_found_in_the_backup(upgrade, state):
    connection = open_writer(state)
    connection.execute("DROP TRIGGER transition_kept_u")
    connection.execute("UPDATE transition SET reason = 'another' WHERE id = 3")
    connection.close()
    code, found = upgrade("check")
    assert code == 1
    assert "the row or its event was changed" in verdict(found, "backup")["said"]


def test_a_kill_in_the_middle_leaves_the_database_and_the_next_check_sweeps(upgrade, state):
    before = state.read_bytes()
    program = """
import os, signal, sys
from pathlib import Path
from bot.engine import rehearsal
rehearsal.Rehearsal._audit = lambda self: os.kill(os.getpid(), signal.SIGKILL)
rehearsal.rehearse(None, Path(sys.argv[1]), {}, "stamp")
"""
    process = child(program, state)
    process.communicate()
    assert process.returncode == -9
    assert state.read_bytes() == before
    assert (state.parent / "state.db.rehearsal").exists()
    assert upgrade("check")[0] == 0
    assert not (state.parent / "state.db.rehearsal").exists()


REACHES_OUT = """
import sys, pathlib
from bot.engine import rehearsal
OUTWARD, reached = ("socket.connect", "socket.sendto", "socket.getaddrinfo"), []
sys.addaudithook(lambda event, args: reached.append(event) if event in OUTWARD else None)
report = rehearsal.rehearse(None, pathlib.Path(sys.argv[1]), {}, "stamp")
assert report.ok, report.verdicts
assert not reached, reached
import socket
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect_ex("/nowhere")
assert reached, "the hook hears what reaches out"
"""


def test_a_rehearsal_reaches_out_to_nobody(state):
    process = child(REACHES_OUT, state)
    said = process.communicate()[1]
    assert process.returncode == 0, said


def test_without_a_database_nothing_is_made(tmp_path, step):
    code, said = step(tmp_path / "state.db", "check")
    assert code == 2
    assert "expected a database" in said["error"]
    assert not list(tmp_path.iterdir())


def test_the_shadow_boot_hears_what_a_start_hears(state, monkeypatch):
    heard = []
    whole = rehearsal.boot.build_reactor

    def listening(booted, settings):
        reactor = whole(booted, settings)
        turn = reactor.turn
        reactor.turn = lambda events: heard.extend(events) or turn(events)
        return reactor

    monkeypatch.setattr(rehearsal.boot, "build_reactor", listening)
    report = rehearsal.rehearse(None, state, {}, "stamp")
    assert [type(event).__name__ for event in heard] == ["Started", "Recovered"]
    assert "process RECOVERING" in next(v.said for v in report.verdicts if v.name == "boot")


def test_the_older_database_is_one(state):
    reader = open_reader(state, alive=False)
    assert schema.pending(reader) == [NEWEST] == migrations.names()[-1:]
    reader.close()
    assert upgrades.read(state) is None
