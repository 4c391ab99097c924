"""Contract VC-50 to VC-55: streams come back by themselves and never in a storm."""

from __future__ import annotations

import asyncio
import contextlib
import http
import itertools

import msgspec
import pytest
import websockets

from bot.core.events import CandleClosed, StreamLost, StreamUp
from bot.edge.backoff import backoff, chance_from
from bot.edge.venues.frames import Marks
from bot.edge.venues.stream import PRIVATE_TIMING, PUBLIC_TIMING, Timing, public_stream
from tests.edge.worlds import Recorder, running, venue_at
from tests.venues.world import Ear

QUICK = Timing(stale=5.0, data_only=True, backoff_min=0.02, flush=0.05)


@contextlib.asynccontextmanager
async def stream_to(serve, timing=QUICK, heard=None, symbols=("BTCUSDT",), **options):
    """Run a public stream against a server of our own."""
    post = Recorder()
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None, **options) as server:
        port = server.sockets[0].getsockname()[1]
        async with venue_at("http://127.0.0.1:1", f"ws://127.0.0.1:{port}") as venue:
            venue.rest.ear._heard = heard or (lambda _: None)
            async with running(public_stream(venue, symbols, Marks(), post, timing)):
                yield post


async def acknowledged(socket, count=1):
    asked = [msgspec.json.decode(await socket.recv()) for _ in range(count)]
    for _ in range(count):
        await socket.send('{"op":"subscribe","success":true}')
    return asked


async def test_vc50_sessions_that_are_accepted_and_closed_are_not_dialled_in_a_storm():
    dials, fifth = [], asyncio.Event()

    async def serve(socket):
        dials.append(asyncio.get_running_loop().time())
        await acknowledged(socket)
        await socket.close()
        if len(dials) == 5:
            fifth.set()

    with chance_from(lambda: 1.0):
        async with stream_to(serve, msgspec.structs.replace(QUICK, backoff_min=0.05)) as post:
            await fifth.wait()
    gaps = [later - earlier for earlier, later in itertools.pairwise(dials[:5])]
    assert all(gap >= 0.1 * 2**n for n, gap in enumerate(gaps)), gaps
    assert len(post.of(StreamLost)) >= 4


def test_vc50_the_pause_grows_by_full_jitter_over_a_smallest_gap():
    with chance_from(lambda: 1.0):
        longest = [backoff(n, 0.25, 30) for n in range(1, 12)]
    with chance_from(lambda: 0.0):
        assert {backoff(n, 0.25, 30) for n in range(1, 12)} == {0.25}
    assert longest == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    for timing in (PUBLIC_TIMING, PRIVATE_TIMING):
        assert timing.steady >= 60, "only a session that held starts anew"


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_vc51_a_handshake_that_is_refused_does_not_end_the_loop(status):
    tries, ear = [], Ear()

    def refuse(connection, _request):
        tries.append(1)
        if len(tries) < 3:
            return connection.respond(http.HTTPStatus(status), "no\n")
        return None

    async def serve(socket):
        await acknowledged(socket)
        await socket.wait_closed()

    async with stream_to(serve, heard=ear.append, process_request=refuse) as post:
        await post.count(StreamUp, 1)
        assert str(status) in post.of(StreamLost)[0].reason
    told = {403: ["banned"], 429: ["throttled"], 503: ["maintenance"]}
    assert ear.kinds == told.get(status, [])


async def test_vc52_a_redirect_is_not_followed():
    elsewhere = []

    async def other(socket):
        elsewhere.append(1)
        await socket.wait_closed()

    async with websockets.serve(other, "127.0.0.1", 0) as trap:
        target = f"ws://127.0.0.1:{trap.sockets[0].getsockname()[1]}/"

        def redirect(connection, _request):
            response = connection.respond(http.HTTPStatus.FOUND, "")
            response.headers["Location"] = target
            return response

        async with stream_to(other, process_request=redirect) as post:
            await post.count(StreamLost, 1)
    assert not elsewhere


async def test_vc53_topics_are_asked_for_in_tens_and_each_answer_is_waited_for():
    asked = []

    async def serve(socket):
        asked.extend(await acknowledged(socket, 3))
        await socket.wait_closed()

    symbols = [f"S{n:02}USDT" for n in range(12)]
    async with stream_to(serve, symbols=symbols) as post:
        await post.count(StreamUp, 1)
    assert [len(request["args"]) for request in asked] == [10, 10, 4]
    topics = {topic for request in asked for topic in request["args"]}
    assert topics == {f"{kind}.{s}" for s in symbols for kind in ("tickers", "kline.1")}


async def test_vc53_a_subscription_that_nobody_acknowledges_is_an_outage():
    async def serve(socket):
        await socket.wait_closed()

    quick = msgspec.structs.replace(QUICK, answer=0.2)
    async with stream_to(serve, quick) as post:
        (lost,) = await post.count(StreamLost, 1)
        assert "subscribe not acknowledged within 0.2 s" in lost.reason
        assert not post.of(StreamUp)


def candle(minute: int) -> str:
    row = {"start": minute * 60_000, "open": "1", "high": "1", "low": "1", "close": "1"}
    row |= {"volume": "1", "confirm": True}
    return msgspec.json.encode({"topic": "kline.1.BTCUSDT", "data": [row]}).decode()


async def test_vc54_no_candle_is_dropped_however_many_come_at_once():
    async def serve(socket):
        await socket.send(candle(1))  # before the answer to the subscription, too
        await acknowledged(socket)
        for minute in range(2, 3_001):
            await socket.send(candle(minute))
        await socket.wait_closed()

    async with stream_to(serve) as post:
        closed = await post.count(CandleClosed, 3_000)
        assert [event.candle.open_time // 60_000 for event in closed] == list(range(1, 3_001))


async def test_vc55_prices_are_never_queued():
    marks = Marks()
    for n in range(1_000):
        marks.put("BTCUSDT", float(n))
    assert marks.take() == {"BTCUSDT": 999.0}
    assert marks.take() == {}
