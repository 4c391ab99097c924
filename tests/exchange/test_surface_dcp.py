"""Disconnect protection cancels orders when every stream that asked for it stays away."""

from __future__ import annotations

from collections.abc import Callable

from tests.exchange.exchange_process import Client, Exchange, until

Start = Callable[..., Exchange]
PATH = "/v5/order/disconnected-cancel-all"


def place(client: Client, category: str) -> None:
    price = f"{client.last() * 0.8:.1f}"
    client.order(category=category, orderType="Limit", price=price, orderLinkId=f"{category}-rest")


def is_open(client: Client) -> bool:
    return bool(
        client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT&orderFilter=Order")
    )


def statuses(client: Client, category: str) -> list[tuple[str, str]]:
    rows = client.rows("/v5/order/history", f"category={category}")
    return [(row["orderLinkId"], row["cancelType"]) for row in rows]


def test_an_account_that_is_not_enabled_may_not_configure_it(start: Start) -> None:
    client = start().client
    assert client.post(PATH, {"product": "SPOT", "timeWindow": 10})["retCode"] == 10005
    assert client.get("/v5/account/query-dcp-info")["result"]["dcpInfos"] == []


def test_windows_are_configured_per_product(start: Start) -> None:
    client = start("--dcp", "--no-rate-limit").client
    assert client.post(PATH, {"product": "SPOT", "timeWindow": 2})["retCode"] == 10001
    assert client.post(PATH, {"product": "SPOT", "timeWindow": 301})["retCode"] == 10001
    assert client.post(PATH, {"product": "STOCKS", "timeWindow": 10})["retCode"] == 10001
    assert client.post(PATH, {"product": "SPOT", "timeWindow": 3})["retCode"] == 0
    rows = client.get("/v5/account/query-dcp-info")["result"]["dcpInfos"]
    assert rows == [{"product": "SPOT", "dcpStatus": "ON", "timeWindow": "3"}]


def test_orders_go_when_the_last_subscribed_stream_is_gone_for_the_window(start: Start) -> None:
    client = start("--dcp", "--no-rate-limit", "--speed", "5").client
    for product in ("SPOT", "DERIVATIVES"):
        client.post(PATH, {"product": product, "timeWindow": 10})
    client.order(stopLoss=f"{client.last() * 0.7:.1f}")
    place(client, "spot")
    place(client, "linear")
    first = client.stream("private", "dcp.future")
    second = client.stream("private", "dcp.future", "order")
    other = client.stream("private", "order")
    first.close()
    until(lambda: client.streams() == 2, "one stream is gone")
    client.control("jump", seconds=60)
    assert is_open(client), "one subscribed stream is alive"
    second.close()
    until(lambda: ("linear-rest", "CancelByDCP") in statuses(client, "linear"), "the cancellation")
    assert client.position()["stopLoss"], "what protects a position stays"
    assert client.rows("/v5/order/realtime", "category=spot"), "spot was not armed"
    other.close()


def test_a_stream_that_returns_in_time_disarms_it(start: Start) -> None:
    client = start("--dcp", "--no-rate-limit").client
    client.post(PATH, {"product": "DERIVATIVES", "timeWindow": 300})
    place(client, "linear")
    for _ in range(3):
        client.stream("private", "dcp.future").close()
        until(lambda: client.streams() == 0, "the stream is gone")
        client.control("jump", seconds=200)
        assert is_open(client), "it came back within the window each time"
    client.control("jump", seconds=101)
    until(lambda: not is_open(client), "the cancellation")
    assert ("linear-rest", "CancelByDCP") in statuses(client, "linear")
