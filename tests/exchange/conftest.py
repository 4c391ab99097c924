"""Gives tests a way to start exchanges that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.exchange.exchange_process import Exchange
from tests.exchange.matching_world import World


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Exchange]]:
    """Starts an exchange with flags; every one is ended after the test."""
    running: list[Exchange] = []

    def begin(*flags: str) -> Exchange:
        folder = tmp_path / f"exchange-{len(running)}"
        folder.mkdir()
        running.append(Exchange(folder, flags))
        return running[-1]

    yield begin
    for exchange in running:
        exchange.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An engine without sockets whose prices the test writes."""
    world = World(tmp_path)
    yield world
    world.book.close()
