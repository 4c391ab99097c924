"""The book survives every end of the process, and every requested fault happens and is logged."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests import nursery
from tests.exchange.exchange_process import Exchange, until

Start = Callable[..., Exchange]
TIME = "/v5/market/time"


def test_the_book_survives_kill_9(start: Start) -> None:
    exchange = start("--speed", "60")
    client = exchange.client
    last = client.last()
    client.order(qty="0.5", stopLoss=f"{last * 0.5:.1f}", orderLinkId="a")
    client.order(orderType="Limit", price=f"{last * 0.6:.1f}", orderLinkId="b")
    before = client.last("ETHUSDT")
    client.control("price", symbol="ETHUSDT", factor=2)
    until(lambda: client.last("ETHUSDT") > 1.5 * before, "the next second has the new price")
    eth = client.last("ETHUSDT")
    fills = client.rows("/v5/execution/list", "category=linear")
    orders = client.rows("/v5/order/realtime", "category=linear&settleCoin=USDT")
    position, money, seen = client.position(), client.usdt(), client.now()
    exchange.kill()
    exchange.start()
    client = exchange.client
    assert seen <= client.now() < seen + 600_000, "market time goes on and never back"
    assert client.rows("/v5/execution/list", "category=linear") == fills
    assert client.rows("/v5/order/realtime", "category=linear&settleCoin=USDT") == orders
    again = client.position()
    for name in ("size", "avgPrice", "stopLoss", "cumRealisedPnl"):
        assert again[name] == position[name]
    assert client.usdt() == money
    assert abs(client.last("ETHUSDT") / eth - 1) < 0.2
    numbers = [line["n"] for line in exchange.log()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_kill_9_in_a_storm_of_orders_loses_no_answered_order(start: Start) -> None:
    exchange = start("--no-rate-limit")
    client = exchange.client
    links = [f"storm-{n}" for n in range(60)]
    answered = [
        link for link in links if client.order(qty="0.001", orderLinkId=link)["retCode"] == 0
    ]
    exchange.kill()
    with exchange.log_path.open("a") as log:
        log.write('{"n": 999, "torn')
    exchange.start()
    created = [line["orderLinkId"] for line in exchange.log() if line["kind"] == "create"]
    assert created == answered
    assert exchange.client.position()["size"] == "0.06"


def test_a_clean_stop_exits_0_and_market_time_stands_still_meanwhile(start: Start) -> None:
    exchange = start("--speed", "100")
    seen = exchange.client.now()
    assert exchange.stop() == 0
    exchange.start()
    assert seen <= exchange.client.now() < seen + 200_000
    exchange.client.control("stop")
    assert exchange.process is not None
    assert exchange.process.wait(5) == 0


def test_without_clients_it_exits_by_itself(start: Start) -> None:
    exchange = start("--idle-exit", "0.5")
    assert exchange.process is not None
    assert exchange.process.wait(5) == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--host", "0.0.0.0"), "expected a loopback address"),
        (("--symbols", "btc"), "expected names like BTCUSDT, found 'BTC'"),
        (("--wallet", "lots"), "expected an amount of USDT, found 'lots'"),
        (("--speed", "0"), "--speed"),
        (("--loop",), "--loop: expected --replay"),
        (("--fault", '{"kind": "fire"}'), "found 'fire'"),
        (("--live", "bybit", "--speed", "2"), "expected --speed 1, found 2"),
    ],
)
def test_a_bad_flag_is_refused_with_exit_2(
    tmp_path: Path, flags: tuple[str, ...], sentence: str
) -> None:
    result = nursery.run("exchange", "--book", str(tmp_path / "b.db"), *flags, cwd=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr


def test_signatures_clocks_and_rates_are_checked(start: Start) -> None:
    client = start("--speed", "10").client
    path = "/v5/order/realtime"
    query = "category=linear&settleCoin=USDT"

    def code(headers: dict[str, str]) -> int:
        return json.loads(client.raw("GET", f"{path}?{query}", None, headers)[2])["retCode"]

    good = client.headers(query)
    assert code(good) == 0
    assert code({**good, "X-BAPI-SIGN": "0" * 64}) == 10004
    assert code({**good, "X-BAPI-API-KEY": "stranger"}) == 10003
    assert code(client.headers(query, stamp=client.now() - 700_000)) == 10002
    assert code(client.headers(query, stamp=client.now() + 60_000)) == 10002
    codes = [client.get("/v5/account/fee-rate", "category=linear")["retCode"] for _ in range(12)]
    assert 10006 in codes
    _, headers, _ = client.raw("GET", f"/v5/account/fee-rate?{query}", None, client.headers(query))
    assert int(headers["X-Bapi-Limit-Reset-Timestamp"]) >= int(headers["Timenow"])


def test_a_connection_dropped_after_processing_leaves_the_order_behind(start: Start) -> None:
    exchange = start()
    client = exchange.client
    client.control("fault", kind="drop", match="/v5/order/create", when="after", seed=5)
    with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
        client.order(orderLinkId="unknown")
    [row] = client.rows("/v5/order/realtime", "category=linear&orderLinkId=unknown")
    assert row["orderStatus"] == "Filled"
    client.control("fault", kind="drop", match="/v5/order/create")
    with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
        client.order(orderLinkId="never")
    assert client.rows("/v5/order/realtime", "category=linear&orderLinkId=never") == []
    faults = [line for line in exchange.log() if line["kind"] == "fault"]
    assert [(f["fault"], f["where"], f["seed"]) for f in faults] == [
        ("drop", "/v5/order/create", 5),
        ("drop", "/v5/order/create", 0),
    ]


def test_answers_can_be_replaced_delayed_and_garbled(start: Start) -> None:
    client = start(
        "--fault", json.dumps({"kind": "http_status", "status": 502, "match": TIME})
    ).client
    assert client.raw("GET", TIME)[0] == 502
    assert client.raw("GET", TIME)[0] == 200
    client.control("fault", kind="ret_code", code=10016, match="/v5/order/create")
    assert client.order(orderLinkId="later")["retCode"] == 10016
    assert client.order(orderLinkId="later")["retCode"] == 0
    client.control("fault", kind="garble", how="truncate", match=TIME)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(client.raw("GET", TIME)[2])
    client.control("fault", kind="garble", how="nan", match="/v5/market/kline")
    rows = client.public("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1")["list"]
    assert rows[0][1:5] == ["NaN"] * 4
    client.control("fault", kind="delay", ms=400, match=TIME)
    sent = client.now()  # at speed 1 market milliseconds are real ones
    assert client.now() - sent < 300
    status, _, text = client.raw("POST", "/control/fault", b'{"kind": "delay", "speed": 3}')
    assert status == 400
    assert b"unknown field `speed`" in text


def test_stream_frames_are_duplicated_swapped_muted_and_cut(start: Start) -> None:
    exchange = start("--speed", "480")
    client = exchange.client
    topic = "kline.1.BTCUSDT"
    stream = client.stream("linear", topic)

    def closed() -> int:
        frame = stream.next(lambda m: "data" in m and m["data"][0]["confirm"], "a closed candle")
        return int(frame["data"][0]["start"])

    closed()
    client.control("fault", kind="duplicate", match="kline", count=50)
    starts = [closed() for _ in range(4)]
    assert len(set(starts)) < len(starts)
    client.control("clear")
    client.control("skip_candle", symbol="BTCUSDT")
    until(lambda: not client_state(client)["skipped"], "the candle that was not pushed")
    skipped = {closed() for _ in range(4)}
    everything = set(range(min(starts), max(skipped) + 60_000, 60_000))
    missing = everything - skipped - set(starts)
    assert missing, "expected a hole in the pushed candles"
    client.control("fault", kind="mute", symbol="BTCUSDT")
    until(lambda: any(line.get("fault") == "mute" for line in exchange.log()), "the mute")
    stream.send({"op": "ping", "req_id": "7"})
    pong = stream.next(lambda m: m.get("op") == "ping", "a pong in the silence")
    assert pong["ret_msg"] == "pong"
    assert pong["req_id"] == "7"
    with pytest.raises(TimeoutError):
        stream.frame(seconds=0.6)
    client.control("clear")
    closed()
    client.control("fault", kind="reorder", match="kline")
    pair = [closed() for _ in range(6)]
    assert pair != sorted(pair) or any(line.get("fault") == "reorder" for line in exchange.log())
    client.control("fault", kind="garble", how="negative", match="kline")
    row = stream.next(lambda m: "data" in m and m["data"][0]["close"] == "-1", "a negative price")
    assert row["topic"] == topic
    client.control("fault", kind="drop", match="kline")
    with pytest.raises(ConnectionClosed):
        stream.next(lambda m: m == {}, "the end of the stream")
    stream.close()


def client_state(client: object) -> dict[str, object]:
    return json.loads(client.raw("GET", "/control/state")[2])  # type: ignore[attr-defined]


def test_the_same_seed_hits_the_same_requests(start: Start) -> None:
    def hits(seed: int) -> list[int]:
        client = start("--no-rate-limit").client
        client.control("fault", kind="http_status", probability=0.3, seed=seed, match=TIME)
        return [client.raw("GET", TIME)[0] for _ in range(40)]

    first = hits(3)
    assert first == hits(3)
    assert first != hits(4)
    assert 4 < first.count(503) < 25


def test_a_second_exchange_on_the_same_book_is_refused(start: Start, tmp_path: Path) -> None:
    exchange = start()
    result = nursery.run("exchange", "--book", str(exchange.book), cwd=tmp_path)
    assert result.returncode == 2
    assert "no other process holds" in result.stderr


def test_the_port_file_holds_the_start_line(start: Start, tmp_path: Path) -> None:
    exchange = start("--port-file", str(tmp_path / "port.json"))
    assert json.loads((tmp_path / "port.json").read_text()) == exchange.hello
    host, port = exchange.hello["url"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=2):
        assert host == "127.0.0.1"
