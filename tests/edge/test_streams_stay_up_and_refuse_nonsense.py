"""Streams connect anew, subscribe anew, and count what cannot be true."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import websockets

from bot.core.events import (
    CandleClosed,
    Filled,
    FramesRefused,
    OrderReported,
    PositionReported,
    StreamLost,
    StreamUp,
)
from bot.core.values import OrderStatus, Side
from bot.edge.venues.frames import Marks
from bot.edge.venues.send import send_order
from bot.edge.venues.stream import Timing, private_stream, public_stream
from bot.errors import Retryable
from tests.edge.worlds import Recorder, entry, running, venue_at

QUICK = Timing(stale=5.0, data_only=True, backoff_min=0.02, flush=0.05)
SYMBOLS = ("BTCUSDT", "SOLUSDT")


class Signalled(Marks):
    """Marks that also wake a waiting test."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder
        self.seen = {}

    def put(self, symbol, price):
        super().put(symbol, price)
        self.seen[symbol] = price
        self.recorder._news.set()


async def test_prices_and_closed_candles_arrive(exchange):
    post = Recorder()
    marks = Signalled(post)
    async with exchange.venue() as venue, running(public_stream(venue, SYMBOLS, marks, post)):
        await post.until(lambda: len(marks.seen) == len(SYMBOLS))
        fresh = marks.take()
        assert set(fresh) == set(SYMBOLS)
        assert all(price > 0 for price in fresh.values())
        candles = await post.count(CandleClosed, 3)
        assert all(c.symbol in SYMBOLS and c.source == "bybit" for c in candles)
        by_rest = await venue.candles(candles[0].symbol, candles[0].candle.open_time - 60_000, 1)
        assert by_rest == (candles[0].candle,)
    assert post.of(StreamUp)[0].stream == "public"
    assert not post.of(FramesRefused)


async def test_an_order_is_reported_filled_and_its_stop_seen(exchange):
    post = Recorder()
    async with exchange.venue() as venue, running(private_stream(venue, SYMBOLS, post)):
        await post.count(StreamUp, 1)
        (instrument,) = await venue.instruments(["SOLUSDT"])
        mark = await venue.mark("SOLUSDT")
        stop = instrument.round_price(mark * 0.9)
        submit = entry("2", "SOLUSDT", Side.BUY, stop=stop)
        await send_order(venue, submit)
        await post.until(
            lambda: any(
                e.row.order == submit.order and e.row.status is OrderStatus.FILLED
                for e in post.of(OrderReported)
            )
        )
        await post.until(lambda: any(e.position.stop == stop for e in post.of(PositionReported)))
        fills = [e.fill for e in post.of(Filled) if e.fill.order == submit.order]
        assert sum(fill.qty for fill in fills) == 2
        assert not any(fill.by for fill in fills)
        exchange.control("price", symbol="SOLUSDT", factor=0.8)
        await post.until(lambda: any(e.fill.by == "StopLoss" for e in post.of(Filled)))
        stopped = next(e.fill for e in post.of(Filled) if e.fill.by)
        assert (stopped.order, stopped.side) == ("", Side.SELL)
        await post.until(lambda: not post.of(PositionReported)[-1].position.qty)
        exchange.control("price", symbol="SOLUSDT", factor=1.25)


async def test_a_cut_stream_comes_back_and_subscribes_again(exchange):
    post = Recorder()
    marks = Signalled(post)
    async with exchange.venue() as venue:
        stream = public_stream(venue, SYMBOLS, marks, post, QUICK)
        async with running(stream):
            await post.until(lambda: marks.seen)
            exchange.fault("drop", match="tickers")
            await post.count(StreamUp, 2)
            marks.seen.clear()
            await post.until(lambda: len(marks.seen) == len(SYMBOLS))
    assert len(post.of(StreamLost)) == 1
    assert [type(e) for e in post.events if isinstance(e, StreamUp | StreamLost)] == [
        StreamUp,
        StreamLost,
        StreamUp,
    ]
    assert stream.connects == 2


async def test_each_attempt_to_connect_is_told():
    enough, attempts = asyncio.Event(), []

    def tried():
        attempts.append(1)
        if len(attempts) == 3:
            enough.set()

    async with (
        venue_at("http://127.0.0.1:1") as venue,
        running(public_stream(venue, SYMBOLS, Marks(), Recorder(), QUICK, tried=tried)),
    ):
        await asyncio.wait_for(enough.wait(), 10)


async def test_a_mute_stream_is_left(exchange):
    post = Recorder()
    quick = msgspec.structs.replace(QUICK, stale=0.5)
    async with (
        exchange.venue() as venue,
        running(public_stream(venue, SYMBOLS, Marks(), post, quick)),
    ):
        await post.count(StreamUp, 1)
        exchange.fault("mute")
        (lost,) = await post.count(StreamLost, 1)
        assert "0.5 s" in lost.reason
        exchange.control("clear")
        await post.count(StreamUp, 2)


@pytest.mark.parametrize("how", ["nan", "inf", "zero", "negative", "json", "truncate"])
async def test_garbled_prices_are_counted_not_raised(exchange, how):
    post = Recorder()
    marks = Signalled(post)
    async with (
        exchange.venue() as venue,
        running(public_stream(venue, SYMBOLS, marks, post, QUICK)),
    ):
        await post.until(lambda: "BTCUSDT" in marks.seen)
        exchange.fault("garble", match="tickers.BTCUSDT", how=how, count=3)
        await post.until(lambda: sum(e.count for e in post.of(FramesRefused)) >= 3)
        assert {e.symbol for e in post.of(FramesRefused)} == {"BTCUSDT"}
        marks.seen.clear()
        await post.until(lambda: "BTCUSDT" in marks.seen)
    assert not post.of(StreamLost)


async def test_pongs_alone_are_no_prices():
    """A venue that answers but sends no data is left, unless quiet is normal there."""

    async def serve(socket):
        await socket.recv()
        await socket.send('{"op":"auth","success":true}')
        await socket.send('{"op":"subscribe","success":true}')
        async for _ in socket:
            await socket.send('{"op":"pong"}')

    public, private = Recorder(), Recorder()
    chatty = msgspec.structs.replace(QUICK, stale=0.4, ping=0.05)
    patient = msgspec.structs.replace(chatty, data_only=False)
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with (
            venue_at("http://127.0.0.1:1", f"ws://127.0.0.1:{port}") as venue,
            running(public_stream(venue, ["BTCUSDT"], Marks(), public, chatty)),
            running(private_stream(venue, ["BTCUSDT"], private, patient)),
        ):
            await public.count(StreamUp, 3)
    assert len(private.of(StreamUp)) == 1
    assert not private.of(StreamLost)


NONSENSE = [
    b"",
    b"\xff\xfe\x00",
    b"[]",
    b"1",
    b'{"topic":7}',
    b'{"topic":"tickers.BTCUSDT","data":null}',
    b'{"topic":"tickers.BTCUSDT","data":{"symbol":"SOLUSDT","markPrice":"1"}}',
    b'{"topic":"tickers.BTCUSDT","data":{"symbol":"BTCUSDT","markPrice":1}}',
    b'{"topic":"tickers.BTCUSDT","data":{"symbol":"BTCUSDT","markPrice":"1_0"}}',
    b'{"topic":"tickers.BTCUSDT","data":{"symbol":"BTCUSDT","markPrice":"1e99"}}',
    b'{"topic":"tickers.NOPEUSDT","data":{"symbol":"NOPEUSDT","markPrice":"1"}}',
    (
        b'{"topic":"kline.1.BTCUSDT","data":[{"start":61,"open":"1","high":"1","low":"1","close":"1",'
        b'"volume":"1","confirm":true}]}'
    ),
    (
        b'{"topic":"kline.1.BTCUSDT","data":[{"start":60000,"open":"1","high":"1","low":"2","close":'
        b'"1","volume":"1","confirm":true}]}'
    ),
    b'{"topic":"weather.BTCUSDT","data":[]}',
    b'{"topic":"' + b"[" * 100_000,
    b'{"data":' + b"[" * 100_000,
    b'{"topic":"tickers.BTCUSDT","data":"' + b"x" * 300_000 + b'"}',
]


async def test_no_frame_whatever_ends_the_stream():
    """A server of our own sends each kind of nonsense, then one good frame."""
    good = b'{"topic":"tickers.BTCUSDT","data":{"symbol":"BTCUSDT","markPrice":"65000.5"}}'

    async def serve(socket):
        await socket.recv()
        await socket.send('{"op":"subscribe","success":true,"ret_msg":""}')
        for frame in (*NONSENSE, good):
            await socket.send(frame)
        await socket.wait_closed()

    post = Recorder()
    marks = Signalled(post)
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with (
            venue_at("http://127.0.0.1:1", f"ws://127.0.0.1:{port}") as venue,
            running(public_stream(venue, ["BTCUSDT"], marks, post, QUICK)),
        ):
            await post.until(lambda: marks.seen == {"BTCUSDT": 65000.5})
            await post.until(lambda: sum(e.count for e in post.of(FramesRefused)) == len(NONSENSE))
    assert not post.of(StreamLost)
    assert not post.of(CandleClosed)


async def test_one_bad_row_hides_no_other():
    row = (
        b'{"category":"linear","execId":"%s","orderLinkId":"a-1","symbol":"%s","side":"Buy",'
        b'"execQty":"%s","execPrice":"10","execTime":"1700000000000","execFee":"0.1",'
        b'"execType":"%s","stopOrderType":""}'
    )
    rows = [
        row % (b"1", b"BTCUSDT", b"NaN", b"Trade"),
        row % (b"2", b"nope usdt", b"1", b"Trade"),
        row % (b"3", b"BTCUSDT", b"1", b"Funding"),
        b'{"half":',
        row % (b"4", b"BTCUSDT", b"1", b"Trade"),
    ]
    frames = [
        b'{"topic":"execution","data":[' + b",".join(rows[:3] + rows[4:]) + b"]}",
        b'{"topic":"execution","data":[' + rows[3] + b"]}",
    ]

    async def serve(socket):
        await socket.recv()
        await socket.send('{"op":"auth","success":true}')
        await socket.recv()
        await socket.send('{"op":"subscribe","success":true}')
        for frame in frames:
            await socket.send(frame)
        await socket.wait_closed()

    post = Recorder()
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with (
            venue_at("http://127.0.0.1:1", f"ws://127.0.0.1:{port}") as venue,
            running(private_stream(venue, ["BTCUSDT"], post, QUICK)),
        ):
            await post.until(lambda: sum(e.count for e in post.of(FramesRefused)) == 3)
    assert [event.fill.fill for event in post.of(Filled)] == ["4"]


async def test_a_refused_subscription_is_an_outage_told_once():
    tries = asyncio.Semaphore(0)

    async def serve(socket):
        await socket.recv()
        await socket.send('{"op":"subscribe","success":false,"ret_msg":"no\\u001b[2J such topic"}')
        tries.release()
        await socket.wait_closed()

    post = Recorder()
    async with websockets.serve(serve, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with (
            venue_at("http://127.0.0.1:1", f"ws://127.0.0.1:{port}") as venue,
            running(public_stream(venue, ["BTCUSDT"], Marks(), post, QUICK)),
        ):
            for _ in range(3):
                await tries.acquire()
    (lost,) = post.of(StreamLost)
    assert "no\N{REPLACEMENT CHARACTER}[2J such topic" in lost.reason
    assert not post.of(StreamUp)


async def test_a_stream_that_is_dropped_is_up_anew_at_once(exchange):
    post = Recorder()
    async with exchange.venue() as venue:
        stream = public_stream(venue, SYMBOLS, Marks(), post, QUICK)
        async with running(stream):
            await post.count(StreamUp, 1)
            await asyncio.gather(*(stream.anew(f"it is silent, says {n}") for n in range(2)))
    assert (stream.connects, stream.ends) == (2, 1)
    assert [lost.reason for lost in post.of(StreamLost)] == ["it is silent, says 1"]


async def test_a_stream_that_waits_to_be_dialed_is_dialed_at_once_and_says_why_it_is_not_up():
    patient = msgspec.structs.replace(QUICK, backoff_min=60.0, backoff_max=60.0)
    async with venue_at("http://127.0.0.1:1") as venue:
        stream = public_stream(venue, SYMBOLS, Marks(), Recorder(), patient)
        async with running(stream):
            with pytest.raises(Retryable, match="did not come up: ConnectionRefused"):
                await asyncio.wait_for(stream.anew("now"), 10)
            with pytest.raises(Retryable, match="did not come up"):
                await asyncio.wait_for(stream.anew("once more"), 10)
    assert stream.tries == 2
