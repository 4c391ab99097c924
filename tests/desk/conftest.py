"""Gives each test a copy of one told day."""

from __future__ import annotations

import pytest

from tests.desk.story import copied, told_in


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """One told day for all tests of the folder."""
    return told_in(tmp_path_factory.mktemp("told"))


@pytest.fixture
def state(told, tmp_path):
    """A copy of the told day, with a clear HALT mark beside it."""
    return copied(told, tmp_path)
