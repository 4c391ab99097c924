"""Orders are matched, refused, cancelled, and paid for as the venue's documents say."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tests.exchange.exchange_process import Exchange, until

Start = Callable[..., Exchange]


def test_a_market_order_fills_and_every_private_topic_tells_it(start: Start) -> None:
    client = start().client
    stream = client.stream("private", "order", "execution", "position", "wallet")
    answer = client.order(orderLinkId="one")
    order_id = answer["result"]["orderId"]
    fill = stream.row("execution", "the fill", orderId=order_id)
    order = stream.row("order", "the end of the order", orderId=order_id, orderStatus="Filled")
    position = stream.row("position", "the position", symbol="BTCUSDT", size="0.01")
    wallet = stream.row("wallet", "the wallet", accountType="UNIFIED")
    assert order["cumExecQty"] == "0.01"
    assert order["avgPrice"] == fill["execPrice"]
    assert Decimal(fill["execFee"]) == Decimal(fill["execValue"]) * Decimal("0.00055")
    assert position["entryPrice"] == fill["execPrice"]
    assert position["side"] == "Buy"
    assert Decimal(wallet["coin"][0]["walletBalance"]) == 100_000 - Decimal(fill["execFee"])


def test_a_large_order_fills_in_parts_that_add_up_and_no_money_is_lost(start: Start) -> None:
    client = start("--speed", "60").client
    client.post("/v5/position/set-leverage", _leverage("50"))
    client.order(qty="12", orderLinkId="big")
    [big] = client.rows("/v5/order/realtime", "category=linear&orderLinkId=big")
    bought = Decimal(big["cumExecQty"])
    assert big["orderStatus"] == "Cancelled"
    assert 0 < bought < 12, "one second cannot offer 12 BTC"
    client.order(side="Sell", qty=str(bought / 2 // 1), orderLinkId="part", reduceOnly=True)
    client.order(side="Sell", qty=str(bought), orderLinkId="flip")
    of = {
        name: client.rows("/v5/execution/list", f"category=linear&limit=100&orderLinkId={name}")
        for name in ("big", "part", "flip")
    }
    own, fills = of["big"], [fill for rows in of.values() for fill in rows]
    assert len({f["execPrice"] for f in own}) == len(own) > 3
    assert sum(Decimal(f["execQty"]) for f in own) == bought
    assert sum(Decimal(f["execValue"]) for f in own) == Decimal(big["cumExecValue"])
    assert {f["isMaker"] for f in own} == {False}
    signed = [Decimal(f["execQty"]) * (1 if f["side"] == "Buy" else -1) for f in fills]
    position = client.position()
    sign = -1 if position["side"] == "Sell" else 1
    assert sign * Decimal(position["size"]) == sum(signed)
    earned = sum(Decimal(f["execPnl"]) - Decimal(f["execFee"]) for f in fills)
    assert Decimal(client.usdt()) == 100_000 + earned
    assert Decimal(position["cumRealisedPnl"]) == earned


def test_a_used_link_id_is_refused_for_ever_and_each_attempt_is_logged(start: Start) -> None:
    exchange = start()
    assert exchange.client.order(orderLinkId="once")["retCode"] == 0
    assert exchange.client.order(orderLinkId="once")["retCode"] == 110072
    exchange.kill()
    exchange.start()
    assert exchange.client.order(orderLinkId="once")["retCode"] == 110072
    spot = {"category": "spot", "qty": "100", "orderLinkId": "once"}
    assert exchange.client.order(**spot)["retCode"] == 170141
    kinds = [line["kind"] for line in exchange.log() if line.get("orderLinkId") == "once"]
    assert kinds == ["create", "fill", "duplicate", "duplicate", "duplicate"]


def test_limit_orders_rest_fill_as_maker_and_cancel(start: Start) -> None:
    client = start("--speed", "10").client
    last = client.last()
    low = f"{last * 0.97:.1f}"
    link = {"orderType": "Limit", "price": low}
    client.order(**link, orderLinkId="rests")
    client.order(**link, orderLinkId="leaves")
    open_now = client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
    assert [o["orderStatus"] for o in open_now] == ["New", "New"]
    gone = client.post(
        "/v5/order/cancel", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "leaves"}
    )
    assert gone["retCode"] == 0
    again = client.post(
        "/v5/order/cancel", {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "leaves"}
    )
    assert again["retCode"] == 110001
    client.control("price", symbol="BTCUSDT", factor=0.95)
    fill = until(
        lambda: client.rows("/v5/execution/list", "category=linear&orderLinkId=rests"), "a fill"
    )[0]
    assert fill["isMaker"] is True
    assert float(fill["execPrice"]) == float(low)
    assert fill["feeRate"] == "0.0002"


def test_time_in_force_is_kept(start: Start) -> None:
    client = start().client
    far, near = f"{client.last() * 0.9:.1f}", f"{client.last() * 1.02:.1f}"
    client.order(orderType="Limit", price=far, timeInForce="IOC", orderLinkId="ioc")
    client.order(orderType="Limit", price=near, timeInForce="PostOnly", orderLinkId="post")
    client.order(orderType="Limit", price=near, timeInForce="FOK", qty="5", orderLinkId="fok")
    client.order(orderType="Limit", price=near, timeInForce="FOK", qty="0.5", orderLinkId="fits")
    rows = {o["orderLinkId"]: o for o in client.rows("/v5/order/history", "category=linear")}
    assert rows["ioc"]["rejectReason"] == rows["fok"]["rejectReason"] == "EC_NoImmediateQtyToFill"
    assert rows["post"]["orderStatus"] == "Cancelled"
    assert rows["post"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    assert rows["fits"]["orderStatus"] == "Filled"
    assert rows["fok"]["cumExecQty"] == "0"
    spot = client.order(category="spot", orderType="Limit", price=near, timeInForce="PostOnly")
    row = client.rows("/v5/order/history", f"category=spot&orderId={spot['result']['orderId']}")[0]
    assert row["orderStatus"] == "Rejected"


def test_bad_orders_are_refused_with_the_venues_codes(start: Start) -> None:
    client = start().client
    assert client.order(qty="0.0001")["retCode"] == 10001
    assert client.order(qty="0.01", orderType="Limit", price="100.05")["retCode"] == 10001
    assert client.order(qty="0.001", orderType="Limit", price="100")["retCode"] == 110094
    assert client.order(qty="100")["retCode"] == 110007
    assert client.order(reduceOnly=True)["retCode"] == 110017
    assert client.order(category="spot", side="Sell", qty="1")["retCode"] == 170131
    assert client.order(symbol="NOUSDT")["retCode"] == 10001
    assert client.post("/v5/position/set-leverage", _leverage("10"))["retCode"] == 110043
    assert client.order(stopLoss=f"{client.last() * 1.1:.1f}")["retCode"] == 10001
    assert client.order(qty="NaN")["retCode"] == 10001


def test_spot_pays_its_fee_in_the_coin_received_and_carries_stops(start: Start) -> None:
    client = start("--speed", "10").client
    stop = f"{client.last(category='spot') * 0.98:.2f}"
    bought = client.order(
        category="spot",
        qty="0.1",
        marketUnit="baseCoin",
        stopLoss=stop,
        takeProfit=f"{client.last() * 1.2:.2f}",
    )
    assert bought["retCode"] == 0
    coins = client.rows("/v5/account/wallet-balance", "accountType=UNIFIED")[0]["coin"]
    held = {coin["coin"]: Decimal(coin["walletBalance"]) for coin in coins}
    fills = client.rows("/v5/execution/list", "category=spot")
    fees = [Decimal(fill["execFee"]) for fill in fills]
    assert {fill["feeCurrency"] for fill in fills} == {"BTC"}
    assert abs(sum(fees) - Decimal("0.0001")) <= len(fees) * Decimal("0.000000005")
    assert held["BTC"] == Decimal("0.1") - sum(fees)
    assert len(client.rows("/v5/order/realtime", "category=spot&symbol=BTCUSDT")) == 2
    client.control("price", symbol="BTCUSDT", factor=0.95)
    sold = until(
        lambda: [
            f for f in client.rows("/v5/execution/list", "category=spot") if f["side"] == "Sell"
        ],
        "the stop sold",
    )
    step = Decimal("0.000001")
    assert {fill["stopOrderType"] for fill in sold} == {"StopLoss"}
    assert sum(Decimal(fill["execQty"]) for fill in sold) == held["BTC"] // step * step
    assert not client.rows("/v5/order/realtime", "category=spot&symbol=BTCUSDT")


def _leverage(value: str) -> dict[str, str]:
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "buyLeverage": value,
        "sellLeverage": value,
    }
