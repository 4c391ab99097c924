"""Gives each test a told day: a database that the real reactor wrote, with or without its bot."""

from __future__ import annotations

import pytest

from bot.desk import status
from bot.edge.files import Halt
from tests.console.seen import NOW, Bot
from tests.desk.story import copied, tell, told_in


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """One told day for all tests of the folder."""
    return told_in(tmp_path_factory.mktemp("told"))


@pytest.fixture(autouse=True)
def same_time(monkeypatch):
    """Ages are counted from one moment."""
    monkeypatch.setattr(status, "wall_ms", lambda: NOW)


@pytest.fixture
def state(told, tmp_path):
    """The told day; no bot runs."""
    return copied(told, tmp_path)


@pytest.fixture
def bot(state):
    """A bot that runs on the told day."""
    found = Bot(state)
    yield found
    found.die()


@pytest.fixture
def held(tmp_path):
    """A day in which somebody paused the account and nobody resumed."""
    folder = tmp_path / "held"
    folder.mkdir()
    story = tell(folder / "state.db")
    story.command("hold", "ana", "CPI at 14:30")
    story.connection.close()
    Halt(folder / "HALT").create()
    bot = Bot(folder / "state.db")
    yield folder / "state.db"
    bot.die()
