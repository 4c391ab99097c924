"""Stops live at the venue: they fire without a client, at their own second, and end with the position."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tests.exchange.exchange_process import Client, Exchange, until

Start = Callable[..., Exchange]
LINEAR = "category=linear&settleCoin=USDT"


def _sold(client: Client) -> list[dict[str, str]]:
    fills = client.rows("/v5/execution/list", "category=linear")
    return [fill for fill in fills if fill["stopOrderType"] == "StopLoss"]


def test_a_stop_fires_while_no_client_is_connected(start: Start) -> None:
    exchange = start("--speed", "30")
    client = exchange.client
    last = client.last()
    stop = f"{last * 0.97:.1f}"
    client.order(qty="0.1", orderLinkId="entry", stopLoss=stop, takeProfit=f"{last * 1.5:.1f}")
    position = client.position()
    assert position["stopLoss"] == f"{float(stop):g}" or Decimal(position["stopLoss"]) == Decimal(
        stop
    )
    client.control("price", symbol="BTCUSDT", factor=0.95)
    until(
        lambda: any(
            line["kind"] == "fill" and line["stopOrderType"] == "StopLoss"
            for line in exchange.log()
        ),
        "the stop in the log",
    )
    fill = _sold(client)[0]
    assert fill["createType"] == "CreateByStopLoss"
    assert fill["orderLinkId"] == ""
    assert fill["side"] == "Sell"
    assert Decimal(fill["execPrice"]) < Decimal(stop)
    assert client.position()["size"] == "0"
    assert client.rows("/v5/order/realtime", LINEAR) == []
    ended = {
        row["stopOrderType"]: row for row in client.rows("/v5/order/history", "category=linear")
    }
    assert ended["TakeProfit"]["orderStatus"] == "Deactivated"
    assert ended["TakeProfit"]["cancelType"] == "CancelByTpSlTsClear"
    assert ended["StopLoss"]["orderStatus"] == "Filled"
    closed = client.rows("/v5/position/closed-pnl", "category=linear&symbol=BTCUSDT")[0]
    assert Decimal(client.usdt()) == 100_000 + Decimal(closed["closedPnl"])


def test_in_a_jump_of_the_clock_a_stop_fires_at_the_second_it_was_reached(start: Start) -> None:
    client = start().client
    last = client.last()
    client.order(qty="0.1", side="Sell", stopLoss=f"{last * 1.003:.1f}")
    client.order(symbol="ETHUSDT", qty="1", stopLoss=f"{client.last('ETHUSDT') * 0.997:.2f}")
    before = client.now()
    client.control("jump", seconds=86_400)
    fills = _sold(client)
    assert fills, "a day moves more than 0.3 %"
    for fill in fills:
        at = int(fill["execTime"])
        assert before < at < before + 86_400_000
        minute = at // 60_000 * 60_000
        query = f"category=linear&symbol={fill['symbol']}&interval=1&start={minute}&end={minute}"
        candle = client.public(f"/v5/market/kline?{query}")["list"][0]
        low, high = float(candle[3]), float(candle[2])
        assert low * 0.999 < float(fill["execPrice"]) < high * 1.001


def test_trading_stop_sets_moves_and_removes(start: Start) -> None:
    exchange = start()
    client = exchange.client
    last = client.last()
    path = "/v5/position/trading-stop"
    body = {"category": "linear", "symbol": "BTCUSDT", "positionIdx": 0, "tpslMode": "Full"}
    assert client.post(path, {**body, "stopLoss": "1"})["retCode"] == 10001
    client.order(qty="0.1")
    first, second = f"{last * 0.9:.1f}", f"{last * 0.95:.1f}"
    assert client.post(path, {**body, "stopLoss": first})["retCode"] == 0
    assert client.post(path, {**body, "stopLoss": first})["retCode"] == 34040
    [stop] = client.rows("/v5/order/realtime", LINEAR)
    assert stop["orderStatus"] == "Untriggered"
    assert stop["qty"] == "0.1"
    assert client.post(path, {**body, "stopLoss": second})["retCode"] == 0
    [moved] = client.rows("/v5/order/realtime", LINEAR)
    assert moved["orderId"] == stop["orderId"]
    assert Decimal(moved["triggerPrice"]) == Decimal(second)
    client.order(qty="0.2")
    [grown] = client.rows("/v5/order/realtime", LINEAR)
    assert grown["qty"] == "0.3"
    assert client.post(path, {**body, "stopLoss": f"{last * 1.1:.1f}"})["retCode"] == 10001
    assert client.post(path, {**body, "stopLoss": "0"})["retCode"] == 0
    assert client.rows("/v5/order/realtime", LINEAR) == []
    told = [line["triggerPrice"] for line in exchange.log() if line["kind"] == "stop"]
    assert [Decimal(price) for price in told] == [Decimal(first), Decimal(second), 0]


def test_cancel_all_spares_stops_only_if_asked_to(start: Start) -> None:
    client = start().client
    last = client.last()
    client.order(qty="0.1", stopLoss=f"{last * 0.9:.1f}")
    low = f"{last * 0.95:.1f}"
    client.order(orderType="Limit", price=low, orderLinkId="rests")
    everything = {"category": "linear", "settleCoin": "USDT"}
    assert client.post("/v5/order/cancel-all", {"category": "linear"})["retCode"] == 10001
    spared = client.post("/v5/order/cancel-all", {**everything, "orderFilter": "Order"})
    assert [row["orderLinkId"] for row in spared["result"]["list"]] == ["rests"]
    [left] = client.rows("/v5/order/realtime", LINEAR)
    assert left["stopOrderType"] == "StopLoss"
    client.post("/v5/order/cancel-all", everything)
    assert client.rows("/v5/order/realtime", LINEAR) == []
    assert client.position()["stopLoss"] == ""


def test_a_limit_entry_brings_its_stop_with_its_first_fill(start: Start) -> None:
    client = start("--speed", "10").client
    last = client.last()
    client.order(orderType="Limit", price=f"{last * 0.98:.1f}", stopLoss=f"{last * 0.9:.1f}")
    assert len(client.rows("/v5/order/realtime", LINEAR)) == 1
    client.control("price", symbol="BTCUSDT", factor=0.97)
    until(lambda: client.position()["stopLoss"], "the stop on the position")
    [stop] = client.rows("/v5/order/realtime", LINEAR)
    assert stop["side"] == "Sell"
    assert stop["reduceOnly"] is True
