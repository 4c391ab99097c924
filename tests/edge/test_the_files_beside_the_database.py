"""HALT, the heartbeat, and panic.jsonl."""

from __future__ import annotations

import os
import stat

import pytest

from bot.core.heartbeat import newest
from bot.edge.files import (
    HALT_BYTES,
    HEARTBEAT_BYTES,
    Halt,
    Heartbeat,
    append_panic_line,
    read_panic_lines,
    retire_panic_lines,
)
from bot.errors import Refused


@pytest.fixture
def halt(tmp_path):
    halt = Halt(tmp_path / "HALT")
    halt.create()
    yield halt
    halt.close()


def test_halt_is_set_and_cleared_and_seen_by_others(halt):
    assert halt.is_set() is None
    other = Halt(halt.path)
    other.set("anna", "the \x1b[2Jnews")
    assert halt.is_set() == ("anna", "the \N{REPLACEMENT CHARACTER}[2Jnews")
    halt.create()  # leaves it as it is
    assert halt.is_set() is not None
    halt.clear()
    assert other.is_set() is None
    other.close()
    assert halt.path.stat().st_size == HALT_BYTES
    assert stat.S_IMODE(halt.path.stat().st_mode) == 0o664


@pytest.mark.parametrize("body", [b"", b"x" * HALT_BYTES, b'{"halt":false}', b" " * HALT_BYTES])
def test_a_halt_that_cannot_be_understood_is_set(halt, body):
    halt.path.write_bytes(body)
    _, reason = halt.is_set()
    assert "HALT" in reason
    halt.clear()
    assert halt.is_set() is None


def test_a_halt_that_is_missing_is_set(halt):
    assert halt.is_set() is None
    halt.path.unlink()
    _, reason = halt.is_set()
    assert "No such file" in reason


def test_a_halt_that_is_replaced_is_read_anew(halt, tmp_path):
    assert halt.is_set() is None
    fresh = Halt(tmp_path / "other")
    fresh.set("ben", "moved into place")
    fresh.path.rename(halt.path)
    assert halt.is_set() == ("ben", "moved into place")


def test_setting_halt_needs_no_space(halt):
    blocks = halt.path.stat().st_blocks
    halt.set("anna", "r" * 5_000)
    assert halt.path.stat().st_blocks == blocks
    assert halt.is_set()[0] == "anna"


def test_the_heartbeat_is_rewritten_in_place(tmp_path):
    path = tmp_path / "heartbeat"
    assert newest(path.read_bytes) is None
    heartbeat = Heartbeat(path)
    heartbeat.write({"seq": 1, "head": "ab12", "process": "RUNNING"})
    inode = path.stat().st_ino
    heartbeat.write({"seq": 2, "head": "cd", "process": "RUNNING"})
    found = newest(path.read_bytes)
    assert (found.fields["seq"], found.pid, found.fields["process"]) == (2, os.getpid(), "RUNNING")
    assert found.silent_seconds(found.boot, found.mono_ms + 1_500) == 1.5
    assert found.silent_seconds("another boot", found.mono_ms) is None
    assert (path.stat().st_ino, path.stat().st_size) == (inode, HEARTBEAT_BYTES)
    path.write_bytes(path.read_bytes()[:40])
    assert newest(path.read_bytes) is None
    path.unlink()
    heartbeat.write({"seq": 3})
    assert newest(path.read_bytes).fields["seq"] == 3
    with pytest.raises(Refused):
        heartbeat.write({"head": "x" * HEARTBEAT_BYTES})
    heartbeat.close()


def test_panic_lines_are_read_until_they_are_put_aside(tmp_path):
    path = tmp_path / "panic.jsonl"
    assert read_panic_lines(path) == retire_panic_lines(path) == ()
    append_panic_line(path, '{"action":"halt"}')
    append_panic_line(path, '{"action":"\x1b[2J"}')
    lines = ('{"action":"halt"}', '{"action":"\N{REPLACEMENT CHARACTER}[2J"}')
    assert read_panic_lines(path) == lines
    assert retire_panic_lines(path) == lines, "what came in between is not lost"
    assert read_panic_lines(path) == ()
    (kept,) = tmp_path.glob("panic.jsonl.read-*")
    assert kept.read_text().startswith('{"action":"halt"}\n')
