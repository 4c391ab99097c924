"""The edge runs over a Unix socket, in a time and by a chance that are not the machine's."""

from __future__ import annotations

import contextlib

import pytest
import websockets
from aiohttp import web

from bot.core.events import StreamUp
from bot.edge.backoff import backoff, chance_from
from bot.edge.clock import MarketClock, monotonic_ns, time_from, wall_ms
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.cache import Cache
from bot.edge.venues.frames import Marks
from bot.edge.venues.stream import public_stream
from tests.edge.worlds import Recorder, running


class Time:
    """A time that stands until it is moved."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        return self.ns


@contextlib.asynccontextmanager
async def http_socket(path):
    async def market_time(_request):
        return web.json_response({"retCode": 0, "result": {"timeNano": "1700000000000000000"}})

    app = web.Application()
    app.router.add_get("/v5/market/time", market_time)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_requests_go_over_a_socket_of_the_file_system(tmp_path):
    address = f"unix:{tmp_path / 'x'}"
    async with http_socket(tmp_path / "x"):
        venue = Bybit(address, address, "k", "s", clock=MarketClock())
        await venue.open()
        try:
            await venue.sync_clock()
            assert abs(venue.clock.venue_ms() - 1_700_000_000_000) < 60_000
        finally:
            await venue.close()


async def test_streams_go_over_a_socket_of_the_file_system(tmp_path):
    paths = []

    async def serve(socket):
        paths.append(socket.request.path)
        await socket.recv()
        await socket.send('{"op":"subscribe","success":true}')
        await socket.wait_closed()

    address, post = f"unix:{tmp_path / 'x'}", Recorder()
    venue = Bybit(address, address, "k", "s", clock=MarketClock())
    async with (
        websockets.unix_serve(serve, str(tmp_path / "x"), compression=None),
        running(public_stream(venue, ["BTCUSDT"], Marks(), post)),
    ):
        await post.count(StreamUp, 1)
    assert paths == ["/v5/public/linear"]


def test_all_time_comes_from_one_source_that_can_be_replaced():
    time = Time()
    with time_from(time, time):
        clock, cache = MarketClock(), Cache(seconds=60.0, most=2)
        cache.put("a", 1)
        before = clock.now(), monotonic_ns(), wall_ms()
        assert (clock.now(), monotonic_ns(), wall_ms()) == before
        time.ns += 59_000_000_000
        assert clock.now() - before[0] == wall_ms() - before[2] == 59_000
        assert (cache.get("a"), cache.age_seconds("a")) == (1, 59.0)
        time.ns += 1_000_000_000
        assert (cache.get("a"), cache.age_seconds("a")) == (None, 60.0)
    assert monotonic_ns() != time.ns


def test_chance_comes_from_one_source_that_can_be_replaced():
    with chance_from(lambda: 0.5):
        assert backoff(1, 1, 30) == 1.5
        assert backoff(3, 1, 30) == pytest.approx(4.5)
    with chance_from(lambda: 1.0):
        assert backoff(10**9, 1, 30) == 30


def test_a_cache_is_bounded_and_can_be_emptied():
    cache = Cache(seconds=60.0, most=2)
    for n in range(3):
        cache.put(n, n)
    assert [cache.get(n) for n in range(3)] == [None, 1, 2]
    cache.clear()
    assert cache.get(2) is cache.age_seconds(2) is None


async def test_slow_facts_are_asked_for_once_and_anew_when_told(tmp_path):
    from tests.venues.world import Scripted

    scripted = Scripted()
    row = {"symbol": "BTCUSDT", "status": "Trading", "contractType": "LinearPerpetual"}
    row |= {"settleCoin": "USDT", "priceFilter": {"tickSize": "0.1"}}
    row |= {"lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001"}}
    scripted.ok("/v5/market/instruments-info", list=[row])
    scripted.ok("/v5/account/fee-rate", list=[{"symbol": "BTCUSDT", "takerFeeRate": "0.0006"}])
    async with scripted.venue() as venue:
        first, second = await venue.instruments(), await venue.instruments(["BTCUSDT"])
        assert first == second
        assert len(scripted.asked) == 2
        venue.forget()
        await venue.instruments()
        assert len(scripted.asked) == 4
