"""The worlds that the contract is held against; a second venue is one more of them."""

from __future__ import annotations

import pytest

from tests.edge.conftest import pytest_pyfunc_call  # noqa: F401 - runs tests that are coroutines
from tests.venues.world import BybitWorld

WORLDS = (BybitWorld,)


@pytest.fixture(scope="session", params=WORLDS, ids=lambda kind: kind.name)
def running_world(request, tmp_path_factory):
    world = request.param(tmp_path_factory.mktemp("venue"))
    yield world
    world.close()


@pytest.fixture
def world(running_world):
    """A venue without faults."""
    running_world.clear()
    yield running_world
    running_world.clear()
