"""Streams speak the venue's frames: pongs, topics, books as deltas, and answers before pushes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.sync.client import connect

from exchange.assembly import open_exchange
from exchange.connection import idle_seconds
from exchange.options import Options
from tests.exchange.exchange_process import KEY, Exchange, Stream, sign

Start = Callable[..., Exchange]


def ask(stream: Stream, message: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request; pushes before it are passed over."""
    stream.send(message)
    return stream.next(lambda m: "op" in m, f"an answer to {message}")


def test_each_kind_of_stream_answers_pings_in_its_own_shape(start: Start) -> None:
    client = start().client
    private, linear, spot = (
        client.stream("private", "order"),
        client.stream("linear", "publicTrade.BTCUSDT"),
        client.stream("spot", "publicTrade.BTCUSDT"),
    )
    pong = ask(private, {"op": "ping", "req_id": "one"})
    assert set(pong) == {"req_id", "op", "args", "conn_id"}
    assert (pong["op"], pong["req_id"]) == ("pong", "one")
    pong = ask(linear, {"op": "ping"})
    assert set(pong) == {"success", "ret_msg", "conn_id", "req_id", "op"}
    assert (pong["op"], pong["ret_msg"], pong["req_id"]) == ("ping", "pong", "")
    pong = ask(spot, {"op": "ping", "req_id": 7})
    assert pong["req_id"] == 7, "a number comes back as a number"
    for stream in (private, linear, spot):
        stream.close()


def test_subscriptions_are_checked_and_answered_with_their_req_id(start: Start) -> None:
    client = start().client
    spot = client.stream("spot", "tickers.BTCUSDT")

    def subscribe(stream: Stream, *args: str, **more: Any) -> dict[str, Any]:
        return ask(stream, {"op": "subscribe", "args": list(args), **more})

    assert subscribe(spot, "orderbook.50.BTCUSDT", req_id=12)["req_id"] == 12
    eleven = [f"kline.{n}.BTCUSDT" for n in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720, "D")]
    assert not subscribe(spot, *eleven)["success"], "spot takes ten topics in a request"
    assert not subscribe(spot, "tickers.NOUSDT")["success"]
    linear = client.stream("linear", "tickers.BTCUSDT", *eleven)
    assert subscribe(linear, "allLiquidation.BTCUSDT")["success"]
    away = ask(linear, {"op": "unsubscribe", "args": ["tickers.BTCUSDT"], "req_id": "x"})
    assert (away["success"], away["op"], away["req_id"]) == (True, "unsubscribe", "x")
    private = client.stream("private", "wallet", "order")
    assert subscribe(private, "order.linear", "execution.linear", "wallet")["success"]
    mixed = subscribe(private, "order", "execution.linear")
    assert not mixed["success"], "all-in-one and categorised topics do not mix in one request"
    for stream in (spot, linear, private):
        stream.close()


def test_the_arguments_of_a_public_connection_are_at_most_21000_characters(start: Start) -> None:
    client = start("--symbols", "200").client
    names = [row["symbol"] for row in client.public("/v5/market/tickers?category=linear")["list"]]
    topics = [f"kline.{n}.{name}" for n in (1, 3, 5, 15, 30, 60, 120) for name in names]
    stream = client.stream("linear", *topics[:1000])
    refused = ask(stream, {"op": "subscribe", "args": topics[1000:]})
    assert len("".join(topics)) > 21_000
    assert not refused["success"]
    stream.close()


def test_a_book_is_a_snapshot_and_then_deltas_that_follow_one_another(start: Start) -> None:
    client = start("--speed", "10").client
    topic = "orderbook.50.BTCUSDT"
    stream = client.stream("linear", topic)
    first = stream.next(lambda m: m.get("topic") == topic, "a book")
    assert first["type"] == "snapshot"
    book = {side: dict(first["data"][side]) for side in ("b", "a")}
    last = first["data"]
    for _ in range(15):
        message = stream.next(lambda m: m.get("topic") == topic, "a change")
        data = message["data"]
        assert message["type"] == "delta"
        assert data["u"] == last["u"] + 1
        assert data["seq"] > last["seq"]
        for side in ("b", "a"):
            for price, qty in data[side]:
                if qty == "0":
                    del book[side][price]
                else:
                    book[side][price] = qty
        last = data
        assert max(map(float, book["b"])) < min(map(float, book["a"]))
        assert all(float(qty) > 0 for side in book.values() for qty in side.values())
    stream.close()


def test_the_best_prices_come_whole_and_again_after_a_quiet_time(start: Start) -> None:
    exchange = start()
    client, topic = exchange.client, "orderbook.1.BTCUSDT"
    stream = client.stream("linear", topic)
    client.control("fault", kind="stale_book", symbol="BTCUSDT")
    same = None
    for _ in range(50):
        message = stream.next(lambda m: m.get("topic") == topic, "the best prices")
        assert message["type"] == "snapshot"
        if same is not None and message["data"] == same:
            break
        same = message["data"]
    else:
        pytest.fail("expected the same best prices again within three seconds of quiet")
    stream.close()


def test_a_fill_is_told_before_its_order_and_makers_are_nameless_in_the_fast_topic(
    start: Start,
) -> None:
    client = start("--speed", "10").client
    stream = client.stream("private", "order", "execution", "execution.fast")
    client.order(orderLinkId="taker")
    topics = []
    fast = None
    while topics.count("order") < 2 or fast is None:
        message = stream.next(lambda m: "topic" in m, "the pushes of a fill")
        topics.append(message["topic"])
        if message["topic"] == "execution.fast":
            fast = message["data"][0]
    assert topics.index("execution") < len(topics) - 1 - topics[::-1].index("order")
    assert fast["orderLinkId"] == "taker"
    price = f"{client.last() * 0.97:.1f}"
    client.order(orderType="Limit", price=price, orderLinkId="maker")
    client.control("price", symbol="BTCUSDT", factor=0.9)
    row = stream.row("execution.fast", "the maker's fill", isMaker=True)
    assert row["orderLinkId"] == ""
    assert row["orderId"]
    stream.close()


def test_categorised_topics_carry_only_their_category(start: Start) -> None:
    client = start().client
    stream = client.stream("private", "order.spot", "execution.spot")
    client.order(orderLinkId="linear")
    client.order(category="spot", qty="100", orderLinkId="spot")
    row = stream.next(lambda m: "topic" in m, "the spot order")["data"][0]
    assert row["orderLinkId"] == "spot"
    stream.close()


def test_a_second_subscriber_gets_a_book_that_the_next_delta_fits(start: Start) -> None:
    client = start("--speed", "5").client
    topic = "orderbook.200.ETHUSDT"
    first = client.stream("linear", topic)
    first.next(lambda m: m.get("type") == "delta", "a change")
    second = client.stream("linear", topic)
    snapshot = second.next(lambda m: m.get("topic") == topic, "a book")
    delta = second.next(lambda m: m.get("topic") == topic, "a change")
    assert (snapshot["type"], delta["type"]) == ("snapshot", "delta")
    assert delta["data"]["u"] == snapshot["data"]["u"] + 1
    first.close()
    second.close()


def test_max_active_time_is_read_as_documented() -> None:
    assert [idle_seconds(text) for text in ("30s", "1m", "10m", "600s")] == [30, 60, 600, 600]
    assert [idle_seconds(text) for text in ("", "1s", "99m", "soon")] == [600, 30, 600, 600]


def test_a_silent_private_stream_is_closed_after_its_active_time(tmp_path: Path) -> None:
    asyncio.run(_let_streams_be_silent(tmp_path))


async def _let_streams_be_silent(folder: Path) -> None:
    """The exchange reads its real time from us, so that a minute passes at once."""
    skipped = [0.0]
    loop = asyncio.get_running_loop()
    options = Options(book=folder / "book.db")
    exchange = await open_exchange(options, real=lambda: loop.time() + skipped[0])
    path = str(folder / "socket")
    await exchange.start(lambda runner: web.UnixSite(runner, path))
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        short = await session.ws_connect("http://x/v5/private?max_active_time=30s")
        long = await session.ws_connect("http://x/v5/private?max_active_time=2m")
        skipped[0] = 29.0
        await short.send_json({"op": "ping"})
        assert (await short.receive_json())["op"] == "pong"
        skipped[0] = 65.0
        assert (await short.receive(timeout=8)).type is aiohttp.WSMsgType.CLOSE
        await long.send_json({"op": "ping"})
        assert (await long.receive_json())["op"] == "pong"
    await exchange.stop()


def test_nothing_private_without_a_login(start: Start) -> None:
    client = start().client
    url = client.url.replace("http", "ws") + "/v5/private"
    with connect(url, proxy=None) as socket:
        socket.send(json.dumps({"op": "subscribe", "args": ["order"]}))
        assert json.loads(socket.recv(timeout=8))["success"] is False
        late = client.now() - 1
        socket.send(json.dumps({"op": "auth", "args": [KEY, late, sign(f"GET/realtime{late}")]}))
        assert json.loads(socket.recv(timeout=8))["success"] is False
        soon = client.now() + 5000
        socket.send(json.dumps({"op": "auth", "args": [KEY, soon, "0" * 64]}))
        assert json.loads(socket.recv(timeout=8))["success"] is False


def test_a_liquidation_is_told_to_everyone(start: Start) -> None:
    client = start("--wallet", "1000", "--no-rate-limit").client
    topic = "allLiquidation.BTCUSDT"
    stream = client.stream("linear", topic)
    assert client.order(qty="0.1")["retCode"] == 0
    client.control("price", symbol="BTCUSDT", factor=0.8)
    row = stream.next(lambda m: m.get("topic") == topic, "the liquidation")["data"][0]
    assert set(row) == {"T", "s", "S", "v", "p"}
    assert (row["s"], row["S"]) == ("BTCUSDT", "Buy"), "S is the side of the position"
    stream.close()
