"""A terminal sees a live line, everything else gets lines of JSON; each state has its level."""

from __future__ import annotations

import io
import json

import pytest
from msgspec.structs import replace

from bot.config.sections import Config, Log, Venue
from bot.core.decide import TABLES
from bot.core.events import Halted
from bot.engine.lines import of as line_of
from bot.engine.screen import LEVELS, Lines, Screen, voice
from tests.given import commanded, measured
from tests.store.kept import opened


class Stream(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self.isatty = lambda: terminal


@pytest.fixture
def stderr(monkeypatch):
    def stderr(*, terminal=False):
        stream = Stream(terminal=terminal)
        monkeypatch.setattr("sys.stderr", stream)
        return stream

    return stderr


@pytest.mark.parametrize(
    ("form", "terminal", "kind"),
    [
        ("auto", True, Screen),
        ("auto", False, Lines),
        ("text", False, Screen),
        ("json", True, Lines),
    ],
)
def test_the_configuration_chooses_and_else_the_terminal(stderr, tmp_path, form, terminal, kind):
    stderr(terminal=terminal)
    assert type(voice(Config(log=Log(format=form)), tmp_path / "state.db")) is kind


def lines_of(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_transition_and_each_refusal_is_a_line(stderr, tmp_path):
    stream, reactor = stderr(), opened(tmp_path / "state.db")
    said = voice(Config(), tmp_path / "state.db")
    world = reactor.world
    halted = Halted(at=world.at, who="ben", reason="drill")
    committed = reactor.turn([commanded(world, "hold"), measured(world), halted])
    said.moved([line_of(entry) for entry in committed.entries], committed.refusals)
    lines = lines_of(stream)[1:]
    moved = [line for line in lines if "machine" in line]
    assert [line["id"] for line in moved] == [entry.id for entry in committed.entries]
    held = next(line for line in moved if line["machine"] == "hold")
    assert held == {
        "wall": held["wall"], "level": "warning", "id": held["id"], "seq": held["seq"],
        "at": world.at, "machine": "hold", "key": "account", "version": 2, "source": "FREE",
        "trigger": "Commanded", "dest": "HELD", "reason": held["reason"], "head": held["head"],
    }  # fmt: skip
    assert held["head"] == committed.entries[moved.index(held)].hash.hex()[:12]
    assert {line["level"] for line in moved if line["machine"] == "kill"} == {"critical"}
    refused = [line for line in lines if "refused" in line]
    assert len(refused) == len(committed.refusals) > 0
    assert refused[0]["refused"] == "BTCUSDT"
    assert refused[0]["seq"] == held["seq"] + 1
    assert "hold" in refused[0]["reason"]


def test_a_sentence_has_the_level_it_begins_with(stderr, tmp_path):
    stream = stderr()
    said = voice(Config(), tmp_path / "state.db")
    said.say("critical: the kill switch tripped")
    said.say("the venue does not answer")
    said.say("refused: the key may withdraw", "critical")
    assert [line["level"] for line in lines_of(stream)[1:]] == ["critical", "info", "critical"]


def broken(why):
    raise RuntimeError(why)


def test_a_death_is_one_line_with_its_traceback_and_without_secrets(stderr, tmp_path):
    stream = stderr()
    config = Config(venue=Venue(env="sim", key="canary-key", secret="canary-secret"))
    said = voice(config, tmp_path / "state.db")
    with pytest.raises(RuntimeError) as caught:
        broken("signed with canary-secret\x1b[2J")
    said.failed(caught.value)
    line = lines_of(stream)[-1]
    assert line["level"] == "critical"
    assert line["said"].startswith("ending: RuntimeError: signed with (hidden)")
    assert any("raise RuntimeError(why)" in one for one in line["traceback"])
    assert "canary" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_screen_says_the_same_in_text(stderr, tmp_path, capsys):
    stream = stderr()
    said = voice(Config(log=Log(format="text")), tmp_path / "state.db")
    said.moved([], [])
    said.failed(RuntimeError("broken"))
    said.ended("stopped: drained")
    assert stream.getvalue().splitlines()[-1] == "ending: RuntimeError: broken"
    assert capsys.readouterr().out == "stopped: drained\n"


def test_every_level_is_of_a_state_that_exists():
    states = {(table.name, str(state)) for table in TABLES for state in table.states}
    assert set(LEVELS) <= states
    assert set(LEVELS.values()) == {"warning", "error", "critical"}


def test_a_command_line_form_replaces_the_files(tmp_path):
    from bot.config import load, with_log_format

    file = tmp_path / "bot.toml"
    file.write_text('[log]\nformat = "json"\nqueue_max = 200\n')
    loaded = with_log_format(load(file), "text")
    assert loaded.config.log == replace(Log(), format="text", queue_max=200)
    assert loaded.origins["log.format"] == "command line"
