"""Every kind of fault happens as its sentence says, is logged with a trace, and can be cleared."""

from __future__ import annotations

import http.client
import json
import urllib.error
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from exchange.errors import Refused
from exchange.faults import KINDS, LASTING, Faults
from tests.exchange.exchange_process import Client, Exchange, until

Start = Callable[..., Exchange]
CUT = (urllib.error.URLError, ConnectionError, http.client.HTTPException)
TIME = "/v5/market/time"
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


def hits(exchange: Exchange, kind: str) -> list[dict[str, Any]]:
    return [line for line in exchange.log() if line.get("fault") == kind]


def armed(client: Client) -> dict[str, Any]:
    return json.loads(client.raw("GET", "/control/state")[2])["faults"][0]


def rest(client: Client, link: str, **more: Any) -> dict[str, Any]:
    """A resting order far below the market."""
    price = f"{client.last() * 0.8:.1f}"
    return client.order(orderType="Limit", price=price, orderLinkId=link, **more)


def cancel(client: Client, link: str) -> int:
    return client.post("/v5/order/cancel", {**LINEAR, "orderLinkId": link})["retCode"]


def test_every_kind_has_a_sentence_and_a_fault_without_probability_ends(start: Start) -> None:
    client = start().client
    told = json.loads(client.raw("GET", "/control/faults")[2])
    assert set(told) == set(KINDS)
    assert all(len(sentence) > 20 for sentence in told.values())
    faults = Faults(lambda **_: None)
    faults.act = lambda _: None
    for kind in KINDS:
        fault = faults.arm({"kind": kind, "symbol": "BTCUSDT"})
        assert (fault.count is None) == (kind in LASTING), kind
    with pytest.raises(Refused, match="expected one of"):
        faults.arm({"kind": "fire"})


def test_the_same_seed_draws_the_same_hits_with_the_same_traces() -> None:
    def drawn(seed: int) -> list[str]:
        faults = Faults(lambda **_: None)
        fault = faults.arm({"kind": "ret_code", "probability": 0.4, "seed": seed})
        return [fault.trace for _ in range(30) if faults.draw("rest", ("ret_code",), "/v5/x")]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert 3 < len(drawn(1)) < 25


def test_a_struck_answer_carries_the_trace_of_the_log(start: Start) -> None:
    exchange = start()
    client = exchange.client
    for kind in ("ret_code", "http_status", "garble"):
        client.control("fault", kind=kind, match=TIME, how="truncate")
        _, headers, _ = client.raw("GET", TIME)
        assert headers["Traceid"] == hits(exchange, kind)[0]["trace"]


def test_a_used_up_rate_says_when_it_is_free_again(start: Start) -> None:
    client = start().client
    client.control("fault", kind="exhaust", match="/v5/order/cancel", ms=5000)
    text = json.dumps({**LINEAR, "orderLinkId": "x"})
    headers = client.headers(text)
    _, answered, body = client.raw("POST", "/v5/order/cancel", text.encode(), headers)
    assert json.loads(body)["retCode"] == 10006
    assert answered["X-Bapi-Limit-Status"] == "0"
    wait = int(answered["X-Bapi-Limit-Reset-Timestamp"]) - int(answered["Timenow"])
    assert 4000 < wait <= 5001
    assert cancel(client, "x") == 110001


def test_a_latency_lasts_and_varies_with_its_spread(start: Start) -> None:
    client = start().client
    client.control("fault", kind="latency", match=TIME, ms=150, seed=3)
    before = client.now()
    after = [client.now() for _ in range(3)][-1]
    assert after - before >= 3 * 150
    client.control("clear")
    faults = Faults(lambda **_: None)
    fault = faults.arm({"kind": "latency", "ms": 100, "spread": 0.5})
    seen = []
    for _ in range(50):
        faults.draw("rest", ("latency",), "/v5/x")
        seen.append(faults.latency_s(fault))
    assert 0.05 < sorted(seen)[25] < 0.2
    assert max(seen) > 2 * min(seen)


def test_a_half_open_path_never_answers_until_cleared(start: Start) -> None:
    client = start().client
    stream = client.stream("private", "order")
    client.control("fault", kind="half_open", match="/v5/")
    stream.send({"op": "ping"})
    with pytest.raises(TimeoutError):
        stream.frame(0.5)
    address = client.url.removeprefix("http://")
    caller = http.client.HTTPConnection(address, timeout=0.5)
    caller.request("GET", TIME)
    with pytest.raises(TimeoutError):
        caller.getresponse()
    caller.close()
    with pytest.raises(TimeoutError):
        connect(f"ws://{address}/v5/private", proxy=None, open_timeout=0.5)
    waiting = http.client.HTTPConnection(address, timeout=8)
    before = armed(client)["hits"]
    waiting.request("GET", TIME)
    until(lambda: armed(client)["hits"] > before, "the request hangs")
    client.control("clear")
    with pytest.raises(CUT):
        waiting.getresponse()
    assert client.now()
    stream.send({"op": "ping"})
    assert stream.frame()["op"] == "pong"
    stream.close()


def test_streams_are_refused_hung_up_and_cut(start: Start) -> None:
    client = start().client
    url = client.url.replace("http", "ws") + "/v5/private"
    client.control("fault", kind="http_status", status=429, match="/v5/private")
    with pytest.raises(InvalidStatus):
        connect(url, proxy=None)
    client.control("fault", kind="hang_up", status=1001, match="/v5/private")
    with connect(url, proxy=None) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=8)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001
    private, public = client.stream("private", "order"), client.stream("linear", "tickers.BTCUSDT")
    client.control("fault", kind="cut", match="/v5/private")
    with pytest.raises(ConnectionClosed):
        private.next(lambda m: m == {}, "the cut")
    public.next(lambda m: m.get("topic") == "tickers.BTCUSDT", "the other stream lives")
    public.close()


def test_maintenance_closes_streams_with_1012_and_answers_10016(start: Start) -> None:
    client = start().client
    status = client.url.replace("http", "ws") + "/v5/public/misc/status"
    private = client.stream("private", "order")
    with connect(status, proxy=None) as news:
        news.send(json.dumps({"op": "subscribe", "args": ["system.status"]}))
        assert json.loads(news.recv(timeout=8))["success"]
        client.control("fault", kind="maintenance")
        with pytest.raises(ConnectionClosed) as closed:
            private.next(lambda m: m == {}, "the end")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        told = json.loads(news.recv(timeout=8))
        assert (told["topic"], told["data"][0]["state"]) == ("system.status", "ongoing")
        assert client.get("/v5/account/info")["retCode"] == 10016
        assert client.now()
        client.control("clear")
        assert json.loads(news.recv(timeout=8))["data"][0]["state"] == "completed"
    assert client.get("/v5/account/info")["retCode"] == 0


def test_a_wrong_clock_refuses_good_timestamps_and_shows_its_error(start: Start) -> None:
    client = start().client
    right = client.now()
    client.control("fault", kind="clock")
    assert 3000 <= client.now() - right < 6000
    stale = client.headers("", stamp=right, window=2000)
    answer = json.loads(client.raw("GET", "/v5/account/info?", None, stale)[2])
    assert answer["retCode"] == 10002
    client.order(orderLinkId="booked")
    [row] = client.rows("/v5/order/realtime", "category=linear&orderLinkId=booked")
    assert int(row["createdTime"]) < client.now() - 2000, "what is booked has the right time"
    client.control("clear")
    assert client.now() - right < 6000


def test_frames_are_lost_and_rows_come_in_the_wrong_order(start: Start) -> None:
    client = start("--no-rate-limit").client
    stream = client.stream("private", "order", "execution")
    client.control("fault", kind="lose", match="execution")
    client.order(qty="0.001", orderLinkId="lost")
    client.order(qty="0.001", orderLinkId="told")
    fill = stream.next(lambda m: m.get("topic") == "execution", "the second fill")
    assert fill["data"][0]["orderLinkId"] == "told"
    stream.next(lambda m: str(m).count("'Filled'") > 0, "the end of the second order")
    client.control("fault", kind="reorder", match="execution")
    client.order(qty="0.001", orderLinkId="late")
    topics: list[str] = []
    while "execution" not in topics:
        message = stream.next(lambda m: "topic" in m, "the fill")
        topics += [message["topic"]]
        if message["topic"] == "order":
            last_status = message["data"][-1]["orderStatus"]
    assert last_status == "Filled", "the order row came first"
    stream.close()


def test_a_gap_keeps_a_closed_candle_from_the_stream_and_not_from_rest(start: Start) -> None:
    exchange = start("--speed", "240")
    client, topic = exchange.client, "kline.1.BTCUSDT"
    stream = client.stream("linear", topic)

    def closed() -> int:
        told = stream.next(lambda m: "data" in m and m["data"][0]["confirm"], "a closed candle")
        return int(told["data"][0]["start"])

    seen = [closed()]
    client.control("fault", kind="gap", symbol="BTCUSDT", count=2)
    until(lambda: len(hits(exchange, "gap")) == 2, "two candles that were not pushed")
    while seen[-1] < client.now() - 120_000:
        seen.append(closed())
    steps = [after - before for before, after in pairwise(seen)]
    assert sum(step // 60_000 - 1 for step in steps) == 2, "two candles are missing"
    page = client.public("/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1")["list"]
    starts = [int(row[0]) for row in page]
    assert all(a - b == 60_000 for a, b in pairwise(starts))
    stream.close()


def book(client: Client) -> tuple[float, float]:
    row = client.public("/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=1")
    return float(row["b"][0][0]), float(row["a"][0][0])


def test_a_book_is_crossed_or_stands_still_until_it_is_healed(start: Start) -> None:
    client = start("--speed", "20").client
    client.control("fault", kind="crossed_book", symbol="BTCUSDT")
    bid, ask = book(client)
    assert bid > ask
    client.control("clear")
    bid, ask = book(client)
    assert bid < ask
    client.control("fault", kind="stale_book", symbol="BTCUSDT")
    still, last = book(client), client.last()
    until(lambda: client.last() != last, "the market moves on")
    assert book(client) == still
    client.control("clear")
    until(lambda: book(client) != still, "the book follows again")


def test_one_order_of_a_batch_fails(start: Start) -> None:
    client = start().client
    price = f"{client.last() * 0.8:.1f}"
    row = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price}
    client.control("fault", kind="batch_item", code=110007, probability=0.5, seed=4, count=1)
    orders = [{**row, "orderLinkId": f"b{n}"} for n in range(6)]
    answer = client.post("/v5/order/create-batch", {"category": "linear", "request": orders})
    codes = [code["code"] for code in answer["retExtInfo"]["list"]]
    assert sorted(codes) == [0] * 5 + [110007]
    assert len(client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT")) == 5


def test_a_fill_wins_the_race_against_its_cancel(start: Start) -> None:
    client = start().client
    stream = client.stream("private", "order")
    rest(client, "race")
    client.control("fault", kind="race")
    assert cancel(client, "race") == 0, "the cancel was acked"
    row = stream.row("order", "the second row", rejectReason="EC_OrigClOrdIDDoesNotExist")
    assert (row["orderStatus"], row["cumExecQty"]) == ("Filled", "0.01")
    assert client.position()["size"] == "0.01"
    stream.close()


def test_an_order_is_filled_in_part_and_then_rejected(start: Start) -> None:
    client = start().client
    client.control("fault", kind="reject_rest", share=0.4)
    assert client.order(qty="0.01", orderLinkId="half")["retCode"] == 0
    [row] = client.rows("/v5/order/realtime", "category=linear&orderLinkId=half")
    assert (row["orderStatus"], row["cumExecQty"]) == ("Rejected", "0.004")
    assert client.position()["size"] == "0.004"


def instrument(client: Client) -> dict[str, Any]:
    path = "/v5/market/instruments-info?category=linear&symbol=BTCUSDT"
    return client.public(path)["list"][0]


def test_an_instrument_is_delisted_and_listed_again(start: Start) -> None:
    client = start().client
    rest(client, "open")
    client.control("fault", kind="delist", symbol="BTCUSDT")
    [row] = client.rows("/v5/order/history", "category=linear&orderLinkId=open")
    assert row["cancelType"] == "CancelByAdmin"
    assert client.order()["retCode"] == 110074
    listed = client.public("/v5/market/instruments-info?category=linear")["list"]
    assert "BTCUSDT" not in [row["symbol"] for row in listed if row["status"] == "Trading"]
    client.control("clear")
    assert client.order()["retCode"] == 0


def test_a_delisted_instrument_may_not_be_subscribed_to(start: Start) -> None:
    client = start().client
    client.control("fault", kind="delist", symbol="BTCUSDT")
    stream = client.stream("linear", "tickers.ETHUSDT")
    stream.send({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
    answer = stream.next(lambda frame: frame.get("op") == "subscribe", "the answer")
    assert "handler not found" in answer["ret_msg"]


def test_a_forgotten_topic_brings_nothing_and_the_others_go_on(start: Start) -> None:
    client = start().client
    stream = client.stream("linear", "tickers.BTCUSDT", "tickers.ETHUSDT")
    client.control("fault", kind="forget", match="tickers.BTCUSDT")
    stream.send({"op": "ping"})
    stream.next(lambda frame: frame.get("op") == "ping", "the answer to a ping")
    after = [stream.frame(5)["topic"] for _ in range(4)]
    assert set(after) == {"tickers.ETHUSDT"}


def test_the_filters_of_an_instrument_change(start: Start) -> None:
    client = start().client
    before = instrument(client)
    client.control("fault", kind="filters", symbol="BTCUSDT", tick="5", step="0.05")
    changed = instrument(client)
    assert changed["priceFilter"]["tickSize"] == "5"
    assert changed["lotSizeFilter"]["qtyStep"] == "0.05"
    assert client.order(qty="0.01")["retCode"] == 10001
    client.control("clear")
    assert instrument(client) == before


def test_an_outsider_moves_the_balance(start: Start) -> None:
    exchange = start("--no-rate-limit")
    client = exchange.client
    stream = client.stream("private", "wallet")
    client.control("fault", kind="balance", coin="USDT", amount="-1234.5")
    row = stream.row("wallet", "the wallet", accountType="UNIFIED")
    assert row["coin"][0]["walletBalance"] == client.usdt() == "98765.5"
    [entry] = client.rows("/v5/account/transaction-log", "accountType=UNIFIED&type=TRANSFER_OUT")
    assert entry["change"] == "-1234.5"
    stream.close()


def test_a_position_is_deleveraged(start: Start) -> None:
    exchange = start("--no-rate-limit")
    client = exchange.client
    stream = client.stream("private", "execution")
    client.order(qty="0.01")
    client.control("fault", kind="adl", symbol="BTCUSDT", share=0.5)
    row = stream.row("execution", "the forced fill", execType="AdlTrade")
    assert row["execQty"] == "0.005"
    assert client.position()["size"] == "0.005"
    answer = client.raw(
        "POST", "/control/fault", b'{"kind": "adl", "symbol": "ETHUSDT", "share": 1}'
    )
    assert answer[0] == 400, "there is no position"
    assert len(hits(exchange, "adl")) == 1
    stream.close()


def test_a_dropped_answer_is_logged_with_its_trace_and_the_order_stands(start: Start) -> None:
    exchange = start()
    client = exchange.client
    client.control("fault", kind="drop", when="after", match="/v5/order/create")
    with pytest.raises(CUT):
        client.order(orderLinkId="unknown")
    assert client.rows("/v5/order/realtime", "category=linear&orderLinkId=unknown")
    [line] = hits(exchange, "drop")
    assert len(line["trace"]) == 32
