"""Gives each test a copy of one told day."""

from __future__ import annotations

import shutil

import pytest

from tests.desk.story import tell


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """One told day, closed cleanly; tests that change anything copy it."""
    path = tmp_path_factory.mktemp("told") / "state.db"
    story = tell(path)
    story.connection.close()
    return path


@pytest.fixture
def state(told, tmp_path):
    """A copy of the told day, with a clear HALT mark beside it."""
    from bot.edge.files import Halt

    path = tmp_path / "state.db"
    shutil.copyfile(told, path)
    Halt(tmp_path / "HALT").create()
    return path
