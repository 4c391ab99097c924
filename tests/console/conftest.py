"""Gives each test a told day: a database that the real reactor wrote, with or without its bot."""

from __future__ import annotations

import pytest

from bot.desk import status
from tests.console.seen import NOW, Bot
from tests.desk.story import copied, told_in


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
