"""The status document is true while a writer runs, after kill -9, and after a stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.core.machine import Level
from bot.core.permission import entry_level, lowered
from bot.core.text import safe_text
from bot.desk import files, status
from bot.desk.text import age, moment
from bot.edge.files import Halt, Heartbeat
from bot.store.database import open_writer
from bot.store.lease import Lease
from tests.desk.story import Story, tell

WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture
def writer(tmp_path):
    """A running writer of tmp_path/state.db in another process."""
    Halt(tmp_path / "HALT").create()
    process = subprocess.Popen(
        [sys.executable, WRITER, tmp_path / "state.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def tell_writer(process, word):
    process.stdin.write(f"{word}\n")
    return process.stdout.readline().strip()


def test_it_is_true_while_the_bot_runs(writer, tmp_path):
    found = status.read(tmp_path / "state.db")
    assert found.bot.state == "running"
    assert found.bot.lease["pid"] == writer.pid
    assert found.level == "REDUCED"
    assert found.why == ("guard account is REDUCED: win rate 33% under 40% over 6 trades",)
    before = found.head_id
    assert tell_writer(writer, "minute") == "done"
    after = status.read(tmp_path / "state.db")
    assert after.head_id >= before
    assert after.storage.database_mb > 0


def test_it_is_true_after_kill_9(writer, tmp_path):
    writer.kill()
    writer.wait()
    found = status.read(tmp_path / "state.db")
    assert found.bot.state == "crashed"
    assert found.level == "NONE"
    assert found.why[0].startswith("no bot is running")
    assert found.bot.heartbeat.pid == writer.pid
    assert Path(f"{tmp_path}/state.db-wal").stat().st_size > 0, "reading left the log in place"


def test_it_is_true_after_a_clean_stop(writer, tmp_path):
    assert tell_writer(writer, "leave") == "left"
    writer.wait()
    found = status.read(tmp_path / "state.db")
    assert [row.state for row in found.account if row.machine == "guard"] == ["REDUCED"]
    assert Path(f"{tmp_path}/state.db-wal").exists(), "a writer leaves without closing"


def test_a_stopped_process_is_stopped_and_a_new_database_is_new(tmp_path):
    story = Story(tmp_path / "state.db")
    assert status.read(tmp_path / "state.db").bot.state == "new"
    story.start()
    assert status.read(tmp_path / "state.db").bot.state == "crashed"
    story.command("stop", "ana", "night")
    story.minute()
    assert status.read(tmp_path / "state.db").bot.sentence.startswith("stopped cleanly: drained")


def test_its_level_and_reasons_are_those_of_the_gate(tmp_path):
    story = tell(tmp_path / "state.db")
    story.command("release", "ana", "nothing to release")
    order = story.doubt() if story.reactor.world.positions["BTCUSDT"].qty == 0 else None
    assert order is None, "the day ends with a position"
    world = story.reactor.world
    connection = files.open_state(tmp_path / "state.db")
    remembered = status.remembered(connection)
    for symbol in ("", "BTCUSDT"):
        assert lowered(remembered, symbol) == lowered(world, symbol)
        assert entry_level(remembered, symbol) == entry_level(world, symbol)


def test_an_order_in_doubt_holds_its_symbol_down_and_says_so(tmp_path):
    story = Story(tmp_path / "state.db")
    story.start()
    order = story.doubt()
    found = status.read(tmp_path / "state.db")
    assert found.symbols[0].why == (f"order {order} is UNKNOWN",)
    connection = files.open_state(tmp_path / "state.db")
    remembered = status.remembered(connection)
    assert lowered(remembered, "BTCUSDT") == lowered(story.reactor.world, "BTCUSDT")
    assert entry_level(remembered, "BTCUSDT") < Level.FULL


def test_a_hold_of_one_symbol_lowers_that_symbol(tmp_path):
    story = Story(tmp_path / "state.db")
    story.start()
    story.command("hold", "ana", "odd prints", symbol="BTCUSDT")
    found = status.read(tmp_path / "state.db")
    assert found.symbols[0].hold == "HELD"
    assert found.symbols[0].why == ("hold BTCUSDT is HELD: ana: odd prints",)


def test_the_halt_mark_and_the_latch_are_reasons_too(state):
    lease = Lease(state, {"pid": os.getpid()})
    beat = Heartbeat(Path(f"{state}.heartbeat"))
    beat.write({"level": "REDUCED"})
    assert status.read(state).level == "REDUCED"
    beat.write({"level": "REDUCE_ONLY", "why": "the private stream is down: reset"})
    allowed = "the bot allows only REDUCE_ONLY: "
    assert status.read(state).why[0] == f"{allowed}the private stream is down: reset"
    beat.write({"level": "REDUCE_ONLY", "latch": "disk is full", "why": "other"})
    assert status.read(state).why[0] == f"{allowed}disk is full"
    Halt(state.parent / "HALT").set("ben", "smoke")
    found = status.read(state)
    assert found.level == "REDUCE_ONLY"
    assert "HALT is set by ben: smoke" in found.why
    lease.release()


def test_a_holder_that_does_not_beat_is_silent_or_busy(state):
    lease = Lease(state, {"pid": os.getpid()})
    assert status.read(state).bot.state == "busy"
    beat = {"pid": os.getpid(), "wall_ms": 1_700_000_000_000}
    Path(f"{state}.heartbeat").write_text(json.dumps(beat))
    found = status.read(state)
    assert found.bot.state == "silent"
    assert found.level == "REDUCE_ONLY"
    lease.release()


@pytest.mark.parametrize("body", [b"", b"{", b'{"halt":fal', b'{"halt":false}', b"\xff" * 4096])
def test_a_halt_mark_that_cannot_be_read_counts_as_set(state, body):
    (state.parent / "HALT").write_bytes(body)
    assert files.halt(state).set
    assert Halt(state.parent / "HALT").is_set(), "the bot reads it the same way"


def test_a_halt_mark_that_is_missing_counts_as_set(state):
    (state.parent / "HALT").unlink()
    assert files.halt(state).set


@pytest.mark.parametrize(
    "body", [b"", b"\0" * 100, b'{"pid":1', b"[1]", b'{"pid":"x","wall_ms":1}']
)
def test_a_torn_heartbeat_is_none(state, body):
    Path(f"{state}.heartbeat").write_bytes(body)
    assert files.heartbeat(state) is None


def test_a_reader_does_not_take_the_log_away(state):
    writer = open_writer(state)
    writer.execute("INSERT INTO meta VALUES('x', 'y')")
    for _ in range(3):
        files.open_state(state).close()
    assert Path(f"{state}-wal").stat().st_size > 0
    assert files.open_state(state).execute("SELECT value FROM meta WHERE name='x'").fetchone()


def test_text_from_outside_cannot_move_the_cursor_or_hide():
    assert safe_text("a\x1b[31mb\n\u202ec\u200bd") == "a\ufffd[31mb\ufffd\ufffdc\ufffdd"
    assert safe_text("ü€✓ plain") == "ü€✓ plain"
    assert safe_text("x" * 50, 10) == "xxxxxxxxx…"


def test_times_and_ages_are_what_people_write():
    assert moment(1_700_006_400_000) == "2023-11-15 00:00:00"
    assert moment(10**20) == str(10**20)
    assert [age(s) for s in (0.44, 119, 600, 7_200, 200_000)] == [
        "0.4 s",
        "119.0 s",
        "10 min",
        "2 h",
        "2 d",
    ]
