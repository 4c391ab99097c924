"""The command client, against a bot that answers well, badly, or not at all."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager

import pytest

from bot.desk import client
from bot.desk.client import Ask
from bot.errors import NotRunning, OutcomeUnknown, Refused


@contextmanager
def bot(folder, *lines, name="state.db.sock", stay=False):
    """A bot that answers each connection with these lines; yields what it heard."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    server, heard, done = socket.socket(socket.AF_UNIX), [], threading.Event()
    server.bind(f"/proc/self/fd/{fd}/{name}")
    server.listen()

    def serve():
        connection, _ = server.accept()
        with connection:
            heard.append(json.loads(connection.makefile().readline()))
            for line in lines:
                connection.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")
            if stay:
                done.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield heard
    finally:
        done.set()
        thread.join()
        server.close()
        os.close(fd)


def moved(state, reason="because"):
    return json.dumps({"run": "r", "state": state, "reason": reason})


ASK = Ask("hold", {"symbol": "BTCUSDT"}, "news", id="r")


def test_a_command_is_one_line_and_its_states_come_as_they_happen(tmp_path):
    with bot(tmp_path, moved("PROPOSED"), moved("VERIFYING"), moved("DONE"), stay=True) as heard:
        found = list(client.command(tmp_path / "state.db", ASK, 10))
    assert [m.state for m in found] == ["PROPOSED", "VERIFYING", "DONE"]
    assert heard == [
        {
            "op": "do",
            "id": "r",
            "verb": "hold",
            "args": {"symbol": "BTCUSDT"},
            "reason": "news",
            "ttl": 30,
        }
    ]


def test_half_lines_are_put_together(tmp_path):
    line = moved("DONE").encode()
    with bot(tmp_path, line[:7], line[7:] + b"\n"):
        assert [m.state for m in client.command(tmp_path / "state.db", ASK, 10)] == ["DONE"]


def test_a_very_long_path_works(tmp_path):
    folder = tmp_path.joinpath(*(["a" * 60] * 4))
    folder.mkdir(parents=True)
    assert len(str(folder)) > 200
    with bot(folder, moved("DONE")):
        assert [m.state for m in client.command(folder / "state.db", ASK, 10)] == ["DONE"]


def test_an_error_is_a_refusal(tmp_path):
    with bot(tmp_path, '{"error": "expected a reason"}'), pytest.raises(Refused, match="a reason"):
        list(client.command(tmp_path / "state.db", ASK, 10))


@pytest.mark.parametrize("line", ["junk", "[]", '{"run": 1}', '"x"'])
def test_an_answer_that_is_not_understood_leaves_the_outcome_unknown(tmp_path, line):
    with bot(tmp_path, line), pytest.raises(OutcomeUnknown, match="not understood"):
        list(client.command(tmp_path / "state.db", ASK, 10))


def test_a_line_without_end_is_cut(tmp_path):
    with bot(tmp_path, b"x" * 100_000), pytest.raises(OutcomeUnknown, match="at most 65536"):
        list(client.command(tmp_path / "state.db", ASK, 10))


def test_a_mute_bot_is_not_waited_for_for_ever(tmp_path):
    with bot(tmp_path, moved("RUNNING"), stay=True):
        states = client.command(tmp_path / "state.db", ASK, 0.2)
        assert next(states).state == "RUNNING"
        with pytest.raises(OutcomeUnknown, match="in time"):
            next(states)


def test_a_bot_that_dies_leaves_the_answer_in_its_database(state):
    known = Ask("hold", {}, "news at noon", id="r1")
    with bot(state.parent):
        found = list(client.command(state, known, 10))
    assert [(m.state, m.reason) for m in found] == [("DONE", "hold is HELD")]


def test_a_bot_that_dies_before_it_began_leaves_the_outcome_unknown(state):
    with bot(state.parent), pytest.raises(OutcomeUnknown, match="had not begun"):
        list(client.command(state, ASK, 10))


def test_no_bot_is_not_running(tmp_path):
    with pytest.raises(NotRunning):
        list(client.command(tmp_path / "state.db", ASK, 1))
    with pytest.raises(NotRunning):
        list(client.command(tmp_path / "no" / "folder" / "state.db", ASK, 1))
    (tmp_path / "state.db.sock").touch()
    with pytest.raises(NotRunning):
        list(client.command(tmp_path / "state.db", ASK, 1))


def test_watching_yields_every_move(tmp_path):
    line = {
        "id": 7,
        "at": 1,
        "machine": "hold",
        "key": "account",
        "version": 2,
        "source": "FREE",
        "trigger": "Commanded",
        "dest": "HELD",
        "reason": "ana: news",
    }
    with bot(tmp_path, json.dumps(line)) as heard:
        (move,) = client.watch(tmp_path / "state.db", 6)
    assert (move.id, move.dest, heard[0]) == (7, "HELD", {"op": "watch", "after": 6})
