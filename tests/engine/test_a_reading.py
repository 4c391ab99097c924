"""A reading says what it was asked about: its answer speaks of nothing else, and of nothing later."""

import asyncio

import pytest

from bot.core.effects import Reconcile
from bot.core.events import Delivered, Listed, Reconciled
from bot.engine import link
from tests.edge.worlds import carried_out, spawn_exchange, stop_exchange
from tests.given import BTC


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    process, exchange = spawn_exchange(tmp_path_factory.mktemp("venue"), "--speed", "60")
    yield exchange
    stop_exchange(process)


def test_a_reading_of_the_account_names_the_event_that_asked(exchange):
    async def read():
        async with exchange.venue() as venue:
            asked = Reconcile(orders=(), since=venue.clock.now())
            return await carried_out(asked, venue, key="77-3")

    found, done = asyncio.run(read())
    assert (type(found), type(done)) == (Reconciled, Delivered)
    assert found.question == 77


def test_what_is_listed_is_said_of_the_symbols_that_were_asked_for(exchange):
    async def listed():
        posted = asyncio.Queue()
        async with exchange.venue() as venue:
            asking = asyncio.create_task(
                link._relist(venue, [BTC, "GONEUSDT"], 0.01, posted.put_nowait)
            )
            found = await posted.get()
            asking.cancel()
        return found

    found = asyncio.run(listed())
    assert isinstance(found, Listed)
    assert found.symbols == (BTC, "GONEUSDT")
    assert [instrument.symbol for instrument in found.instruments] == [BTC]
