"""Order endpoints answer in the venue's shapes: batches, amends, paging, windows, and checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.exchange.exchange_process import Client, Exchange

Start = Callable[..., Exchange]
LINEAR = {"category": "linear"}


def limit_order(client: Client, link: str, **more: Any) -> dict[str, Any]:
    price = f"{client.last() * 0.7:.1f}"
    row = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price}
    return {**row, "orderLinkId": link, **more}


def test_a_batch_answers_two_parallel_lists_and_a_bad_order_fails_alone(start: Start) -> None:
    client = start("--no-rate-limit").client
    orders = [limit_order(client, "a"), limit_order(client, "a"), limit_order(client, "b", qty="0")]
    made = client.post("/v5/order/create-batch", {**LINEAR, "request": orders})
    assert made["retCode"] == 0
    assert [row["code"] for row in made["retExtInfo"]["list"]] == [0, 110072, 10001]
    rows = made["result"]["list"]
    assert [row["orderLinkId"] for row in rows] == ["a", "a", "b"]
    assert rows[0]["orderId"]
    assert not rows[1]["orderId"]
    assert set(rows[0]) == {"category", "symbol", "orderId", "orderLinkId", "createAt"}
    name = {"symbol": "BTCUSDT", "orderLinkId": "a"}
    changed = client.post("/v5/order/amend-batch", {**LINEAR, "request": [{**name, "qty": "0.02"}]})
    assert changed["retExtInfo"]["list"] == [{"code": 0, "msg": "OK"}]
    [row] = client.rows("/v5/order/realtime", "category=linear&orderLinkId=a")
    assert row["qty"] == "0.02"
    gone = client.post("/v5/order/cancel-batch", {**LINEAR, "request": [name, name]})
    assert gone["retCode"] == 0
    assert [row["code"] for row in gone["retExtInfo"]["list"]] == [0, 110001]


def test_a_batch_holds_ten_spot_or_twenty_linear_orders(start: Start) -> None:
    client = start("--no-rate-limit").client
    rows = [limit_order(client, f"n{n}") for n in range(21)]
    path = "/v5/order/create-batch"
    assert client.post(path, {**LINEAR, "request": rows})["retCode"] == 10001
    assert client.post(path, {"category": "spot", "request": rows[:11]})["retCode"] == 10001
    made = client.post(path, {**LINEAR, "request": rows[:20]})
    assert [row["code"] for row in made["retExtInfo"]["list"]] == [0] * 20
    rows = client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT&limit=50")
    assert len(rows) == 20


def test_orders_of_a_batch_beyond_the_rate_fail_and_the_others_stand(start: Start) -> None:
    client = start().client
    rows = [limit_order(client, f"n{n}") for n in range(12)]
    made = client.post("/v5/order/create-batch", {**LINEAR, "request": rows})
    codes = [row["code"] for row in made["retExtInfo"]["list"]]
    assert codes == [0] * 10 + [10006] * 2, "the rate of linear batches is ten orders a second"


def test_open_orders_are_paged_by_cursor(start: Start) -> None:
    client = start("--no-rate-limit").client
    rows = [limit_order(client, f"n{n}") for n in range(7)]
    client.post("/v5/order/create-batch", {**LINEAR, "request": rows})
    for path in ("/v5/order/realtime", "/v5/order/history"):
        seen, cursor = [], ""
        while True:
            query = f"category=linear&symbol=BTCUSDT&limit=3&cursor={cursor}"
            page = client.get(path, query)["result"]
            assert len(page["list"]) <= 3
            seen += [row["orderLinkId"] for row in page["list"]]
            cursor = page["nextPageCursor"]
            if not cursor:
                break
        assert sorted(seen) == [f"n{n}" for n in range(7)], path
        client.post("/v5/order/cancel-all", {**LINEAR, "symbol": "BTCUSDT"})


def test_open_only_is_ignored_when_an_order_is_named(start: Start) -> None:
    client = start().client
    client.order(orderLinkId="done")
    by_name = client.rows("/v5/order/realtime", "category=linear&orderLinkId=done&openOnly=0")
    assert [row["orderStatus"] for row in by_name] == ["Filled"]
    assert client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT&openOnly=0") == []
    closed = client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT&openOnly=1")
    assert [row["orderLinkId"] for row in closed] == ["done"]


def test_histories_answer_at_most_seven_days(start: Start) -> None:
    client = start("--no-rate-limit").client
    client.order()
    now, week = client.now(), 7 * 86_400_000
    for path in ("/v5/order/history", "/v5/execution/list", "/v5/position/closed-pnl"):
        query = f"category=linear&startTime={now - week - 1}&endTime={now}"
        assert client.get(path, query)["retCode"] == 10001, path
        query = f"category=linear&startTime={now - week + 1000}&endTime={now + 1000}"
        assert client.get(path, query)["retCode"] == 0, path
    assert client.rows("/v5/execution/list", f"category=linear&startTime={now - 60_000}")
    assert not client.rows("/v5/execution/list", f"category=linear&endTime={now - 60_000}")


def test_a_check_before_an_order_tells_the_margin_and_places_nothing(start: Start) -> None:
    client = start().client
    checked = client.post("/v5/order/pre-check", {**LINEAR, **limit_order(client, "check")})
    row = checked["result"]
    assert row["postImrE4"] > row["preImrE4"] == 0
    assert client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT") == []
    assert client.order(orderLinkId="check")["retCode"] == 0, "the id was not used up"
    refused = client.post("/v5/order/pre-check", {**LINEAR, **limit_order(client, "x", qty="50")})
    assert refused["retCode"] == 110007


def test_cancel_all_of_spot_spares_stops_and_linear_needs_a_scope(start: Start) -> None:
    client = start("--no-rate-limit").client
    last = client.last()
    client.order(stopLoss=f"{last * 0.9:.1f}")
    client.post("/v5/order/create", {**LINEAR, **limit_order(client, "entry")})
    assert client.post("/v5/order/cancel-all", LINEAR)["retCode"] == 10001
    only = {**LINEAR, "settleCoin": "USDT", "orderFilter": "Order"}
    answer = client.post("/v5/order/cancel-all", only)
    assert [row["orderLinkId"] for row in answer["result"]["list"]] == ["entry"]
    assert client.position()["stopLoss"]
    client.post("/v5/order/cancel-all", {**LINEAR, "settleCoin": "USDT"})
    assert not client.position()["stopLoss"], "without a filter protective stops go too"


def test_what_a_one_way_cross_margin_account_cannot_change_is_refused(start: Start) -> None:
    client = start("--no-rate-limit").client
    btc = {**LINEAR, "symbol": "BTCUSDT"}
    for path, body, code in (
        ("/v5/position/switch-mode", {**btc, "mode": 0}, 110025),
        ("/v5/position/add-margin", {**btc, "margin": "10"}, 110015),
        ("/v5/position/set-auto-add-margin", {**btc, "autoAddMargin": 1}, 110015),
        ("/v5/position/switch-isolated", {**btc, "tradeMode": 1}, 100028),
        ("/v5/account/set-margin-mode", {"setMarginMode": "REGULAR_MARGIN"}, 0),
        ("/v5/account/set-margin-mode", {"setMarginMode": "ISOLATED_MARGIN"}, 3400045),
        ("/v5/account/set-hedging-mode", {"setHedgingMode": "ON"}, 10001),
        ("/v5/order/disconnected-cancel-all", {"timeWindow": 10}, 10005),
    ):
        assert client.post(path, body)["retCode"] == code, path


def test_the_account_is_described_as_documented(start: Start) -> None:
    client = start("--no-rate-limit").client
    client.order()
    info = client.get("/v5/account/info")["result"]
    assert (info["unifiedMarginStatus"], info["marginMode"]) == (6, "REGULAR_MARGIN")
    coins = client.get("/v5/asset/coin/query-info")["result"]["rows"]
    assert {"USDT", "BTC"} <= {row["coin"] for row in coins}
    [fill] = client.rows("/v5/account/transaction-log", "accountType=UNIFIED&type=TRADE")
    assert fill["symbol"] == "BTCUSDT"
    free = client.get("/v5/account/withdrawal", "coinName=USDT,BTC")["result"]
    assert float(free["availableWithdrawal"]) > 0
    assert set(free["availableWithdrawalMap"]) == {"USDT", "BTC"}
    assert client.get("/v5/account/query-dcp-info")["result"] == {"dcpInfos": []}
    quota = client.get("/v5/order/spot-borrow-check", "category=spot&symbol=BTCUSDT&side=Buy")
    assert float(quota["result"]["maxTradeAmount"]) > 0
    assert (
        client.get("/v5/position/list", "category=inverse&settleCoin=BTC")["result"]["list"] == []
    )
    assert json.loads(client.raw("GET", "/v5/nowhere")[2])["retCode"] == 10017
