"""Orders go over /v5/trade as over REST: same codes, same rates, answers by request id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.exchange.exchange_process import KEY, Client, Exchange, sign

Start = Callable[..., Exchange]
Json = dict[str, Any]


class Desk:
    """One socket of /v5/trade."""

    def __init__(self, client: Client, socket: Any) -> None:
        self.client, self.socket = client, socket

    def ask(self, **request: Any) -> Json:
        self.socket.send(json.dumps(request))
        return json.loads(self.socket.recv(timeout=8))

    def log_in(self) -> Json:
        expires = self.client.now() + 5000
        return self.ask(op="auth", args=[KEY, expires, sign(f"GET/realtime{expires}")], reqId="a")

    def order(self, op: str, body: Json, **more: Any) -> Json:
        header = {"X-BAPI-TIMESTAMP": str(self.client.now()), "X-BAPI-RECV-WINDOW": "60000"}
        return self.ask(**{"op": op, "header": header, "args": [body], **more})


@contextmanager
def desk(client: Client) -> Iterator[Desk]:
    with connect(client.url.replace("http", "ws") + "/v5/trade", proxy=None) as socket:
        yield Desk(client, socket)


def entry(client: Client, link: str, **more: Any) -> Json:
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.01",
        "price": f"{client.last() * 0.7:.1f}",
        "orderLinkId": link,
        **more,
    }


def test_an_order_is_created_changed_and_cancelled(start: Start) -> None:
    client = start("--no-rate-limit").client
    with desk(client) as trade:
        assert trade.order("order.create", entry(client, "early"))["retCode"] == 10007
        hello = trade.log_in()
        assert (hello["retCode"], hello["op"], hello["reqId"]) == (0, "auth", "a")
        assert trade.log_in()["retCode"] == 20001
        made = trade.order("order.create", entry(client, "one"), reqId="r1")
        assert (made["reqId"], made["retCode"], made["op"]) == ("r1", 0, "order.create")
        assert made["data"]["orderLinkId"] == "one"
        assert made["retExtInfo"] == {}
        assert {"X-Bapi-Limit", "X-Bapi-Limit-Status", "Traceid", "Timenow"} <= set(made["header"])
        name = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "one"}
        assert trade.order("order.amend", {**name, "qty": "0.02"})["retCode"] == 0
        [row] = client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
        assert row["qty"] == "0.02"
        gone = trade.order("order.cancel", name)
        assert "reqId" not in gone
        assert trade.order("order.cancel", name)["retCode"] == 110001
        rows = [entry(client, "two"), entry(client, "two")]
        batch = {"category": "linear", "request": rows}
        made = trade.order("order.create-batch", batch)
        assert [row["code"] for row in made["retExtInfo"]["list"]] == [0, 110072]
        assert trade.ask(op="ping")["op"] == "pong"


def test_requests_are_checked_before_they_are_orders(start: Start) -> None:
    client = start("--no-rate-limit").client
    with desk(client) as trade:
        bad = trade.ask(op="auth", args=[KEY, client.now() + 5000, "0" * 64])
        assert bad["retCode"] == 10004
        trade.log_in()
        body = entry(client, "x")
        assert trade.order("order.create", body, reqId="same")["retCode"] == 0
        assert trade.order("order.create", body, reqId="same")["retCode"] == 20006
        old = {"X-BAPI-TIMESTAMP": str(client.now() - 10_000)}
        assert trade.ask(op="order.create", header=old, args=[body])["retCode"] == 10002
        assert trade.order("order.dream", body)["retCode"] == 10404
        assert trade.order("order.create", {**body, "category": "bonds"})["retCode"] == 10404
        assert trade.order("order.create", body, args=[body, body])["retCode"] == 10001
        assert trade.order("order.create", body, reqId="i" * 37)["retCode"] == 10001


def test_the_rate_of_rest_and_stream_is_one(start: Start) -> None:
    client = start().client
    with desk(client) as trade:
        trade.log_in()
        name = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "none"}
        header = {"X-BAPI-TIMESTAMP": str(client.now()), "X-BAPI-RECV-WINDOW": "60000"}
        for _ in range(10):
            trade.ask(op="order.cancel", header=header, args=[name])
        assert client.post("/v5/order/cancel", name)["retCode"] == 10006


def test_the_answer_leaves_before_the_pushes(start: Start) -> None:
    client = start("--no-rate-limit").client
    private = client.stream("private", "order", "execution")
    with desk(client) as trade:
        trade.log_in()
        order = entry(client, "taker", orderType="Market")
        answer = trade.order("order.create", order)
        push = private.next(lambda m: "topic" in m, "the push")
        assert push["creationTime"] >= int(answer["header"]["Timenow"])
    private.close()


def test_faults_strike_the_stream_as_they_strike_rest(start: Start) -> None:
    client = start("--no-rate-limit").client
    with desk(client) as trade:
        trade.log_in()
        client.control("fault", kind="ret_code", code=10429, match="/v5/trade")
        assert trade.order("order.create", entry(client, "no"))["retCode"] == 10429
        client.control("fault", kind="drop", when="after", match="/v5/trade/order.create")
        with pytest.raises(ConnectionClosed):
            trade.order("order.create", entry(client, "unknown"))
    assert client.rows("/v5/order/realtime", "category=linear&orderLinkId=unknown")
    assert not client.rows("/v5/order/realtime", "category=linear&orderLinkId=no")
