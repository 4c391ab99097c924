"""Runs coroutine tests, and one exchange for all tests that share it."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from tests.edge.worlds import spawn_exchange, stop_exchange

LIMIT_SECONDS = 15


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs tests that are coroutines."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def limited():
        async with asyncio.timeout(LIMIT_SECONDS):
            await pyfuncitem.obj(**wanted)

    asyncio.run(limited())
    return True


@pytest.fixture(scope="session")
def running_exchange(tmp_path_factory):
    process, exchange = spawn_exchange(tmp_path_factory.mktemp("exchange"), "--speed", "60")
    yield exchange
    stop_exchange(process)


@pytest.fixture
def exchange(running_exchange):
    """The exchange at 60 times real time, without faults."""
    running_exchange.control("clear")
    yield running_exchange
    running_exchange.control("clear")
