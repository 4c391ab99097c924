"""What panic and the dead-man wrote down is read back as sentences, whatever state the file is in."""

from __future__ import annotations

import json

from bot.desk.panics import READ_BYTES, SHOWN_MAX, deeds


def line(action, outcome="done", detail="", who="deadman", wall=1_700_000_000_000):
    said = {"wall_ms": wall, "who": who, "action": action, "outcome": outcome, "detail": detail}
    return json.dumps(said, separators=(",", ":"))


def run(who="deadman", end="done", why="", wall=1_700_000_000_000):
    return [
        line("panic", "begun", "silence", who, wall),
        line("halt"),
        line("cancel entries", "failed", "attempt 1 of 5"),
        line("cancel entries", "done", "2 cancelled, none open"),
        line("verify stops", "done", "1 positions, all with a stop"),
        line("end", end, why),
    ]


def written(folder, *lines, name="panic.jsonl"):
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / "state.db"


def test_each_run_is_one_deed(tmp_path):
    state = written(tmp_path, *run(), *run("anna", "undone", "flatten: refused"))
    first, second = deeds(state)
    assert (first.who, first.reason, first.undone) == ("deadman", "silence", "")
    assert first.did == (
        "cancel entries: 2 cancelled, none open",
        "verify stops: 1 positions, all with a stop",
    )
    assert (second.who, second.undone) == ("anna", "flatten: refused")


def test_a_run_without_an_end_says_so_and_a_torn_line_is_left_out(tmp_path):
    state = written(tmp_path, *run()[:4], *run(), '{"action":"pa')
    first, second = deeds(state)
    assert first.undone == "it did not come to its end"
    assert second.undone == ""


def test_what_a_bot_has_read_is_told_until_there_is_something_newer(tmp_path):
    written(tmp_path, *run("old"), name="panic.jsonl.read-1700000000001")
    state = written(tmp_path, *run("older"), name="panic.jsonl.read-1700000000000")
    assert [deed.who for deed in deeds(state)] == ["old"]
    written(tmp_path, *run("new"))
    assert [deed.who for deed in deeds(state)] == ["new"]


def test_of_a_long_night_the_newest_is_told(tmp_path):
    lines = [text for n in range(1_500) for text in run(wall=n)]
    state = written(tmp_path, *lines)
    assert (tmp_path / "panic.jsonl").stat().st_size > 2 * READ_BYTES
    assert [deed.wall_ms for deed in deeds(state)] == [1_497, 1_498, 1_499]
    assert len(deeds(state)) == SHOWN_MAX


def test_nothing_was_done(tmp_path):
    assert deeds(tmp_path / "state.db") == ()
    (tmp_path / "panic.jsonl").write_bytes(b"\xff\x00[1]\n[1]\n")
    assert deeds(tmp_path / "state.db") == ()
