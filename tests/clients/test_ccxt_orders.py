"""ccxt, sync and async, trades: what it asks for is what the venue does, to the cent."""

import itertools

import ccxt
import pytest

from tests.clients.reach import LINEAR, SPOT, move
from tests.exchange.exchange_process import until

pytestmark = pytest.mark.usefixtures("flat")
_numbers = itertools.count(1)


def link() -> str:
    """A fresh client order id."""
    return f"clients-{next(_numbers)}"


def last(ex, symbol=LINEAR) -> float:
    return ex.fetch_ticker(symbol)["last"]


def told(ex, order: dict, symbol=LINEAR) -> dict:
    """What the venue says of an order that was acknowledged."""
    return ex.fetch_order(order["id"], symbol, {"acknowledged": True})


def ended(ex, order: dict, symbol=LINEAR) -> dict:
    return until(
        lambda: row if (row := told(ex, order, symbol))["status"] != "open" else None,
        "the order's end",
    )


def rests(ex, away: float = 0.97, amount: float = 0.01, **params) -> dict:
    """A limit order that rests below the market."""
    price = ex.price_to_precision(LINEAR, last(ex) * away)
    return ex.create_order(LINEAR, "limit", "buy", amount, float(price), params)


def names(rows) -> set:
    return {row["id"] for row in rows}


# -- fills -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_market_order_is_filled_with_right_amount_cost_and_fee(ex, side):
    client_id = link()
    order = ex.create_order(LINEAR, "market", side, 0.02, None, {"clientOrderId": client_id})
    assert order["clientOrderId"] == client_id
    row = ended(ex, order)
    assert (row["status"], row["side"], row["amount"], row["filled"]) == (
        "closed",
        side,
        0.02,
        0.02,
    )
    assert row["clientOrderId"] == client_id
    trades = ex.fetch_order_trades(order["id"], LINEAR)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.02)
    assert row["cost"] == pytest.approx(sum(trade["cost"] for trade in trades))
    assert row["average"] == pytest.approx(row["cost"] / row["filled"], rel=1e-6)
    taker = ex.fetch_trading_fee(LINEAR)["taker"]
    for trade in trades:
        assert trade["takerOrMaker"] == "taker"
        assert trade["fee"]["currency"] == "USDT"
        assert trade["fee"]["cost"] == pytest.approx(trade["cost"] * taker, rel=1e-6)
    assert names(trades) <= names(ex.fetch_my_trades(LINEAR))
    position = ex.fetch_position(LINEAR)
    assert position["side"] == ("long" if side == "buy" else "short")
    assert position["contracts"] == 0.02
    assert position["entryPrice"] == pytest.approx(row["average"], rel=1e-6)


def test_a_market_order_is_one_whichever_method_sends_it(ex):
    row = ended(ex, ex.create_market_order(LINEAR, "buy", 0.01))
    assert (row["type"], row["filled"]) == ("market", 0.01)


def test_spot_is_bought_by_cost_and_sold_by_cost(ex):
    before = ex.fetch_balance()
    fee = ex.fetch_trading_fee(SPOT)["taker"]
    bought = ended(ex, ex.create_market_buy_order_with_cost(SPOT, 500), SPOT)
    assert 490 < bought["cost"] <= 500
    [trade] = ex.fetch_order_trades(bought["id"], SPOT)
    assert trade["fee"]["currency"] == "BTC", "a spot buy pays its fee in what it receives"
    assert trade["fee"]["cost"] == pytest.approx(trade["amount"] * fee, abs=1e-8)
    after = ex.fetch_balance()
    gained = bought["filled"] - trade["fee"]["cost"]
    held = before.get("BTC", {}).get("total", 0)
    assert after["BTC"]["total"] - held == pytest.approx(gained, abs=1e-9)
    paid = before["USDT"]["total"] - after["USDT"]["total"]
    assert paid == pytest.approx(bought["cost"], abs=1e-6)
    sold = ended(ex, ex.create_market_sell_order_with_cost(SPOT, 200), SPOT)
    assert 190 < sold["cost"] <= 200
    [trade] = ex.fetch_order_trades(sold["id"], SPOT)
    assert trade["fee"]["currency"] == "USDT"
    end = ex.fetch_balance()
    got = sold["cost"] - trade["fee"]["cost"]
    assert end["USDT"]["total"] - after["USDT"]["total"] == pytest.approx(got, abs=1e-6)
    assert after["BTC"]["total"] - end["BTC"]["total"] == pytest.approx(sold["filled"], abs=1e-9)


# -- resting orders --------------------------------------------------------------------------------


def test_a_limit_order_rests_is_edited_and_canceled(ex):
    client_id = link()
    price = float(ex.price_to_precision(LINEAR, last(ex) * 0.97))
    order = ex.create_limit_order(LINEAR, "buy", 0.01, price, {"clientOrderId": client_id})
    row = ex.fetch_open_order(order["id"], LINEAR)
    assert row["price"] == price
    assert (row["status"], row["filled"], row["remaining"]) == ("open", 0, 0.01)
    price = float(ex.price_to_precision(LINEAR, row["price"] * 0.99))
    ex.edit_order(order["id"], LINEAR, "limit", "buy", 0.02, price)
    [row] = ex.fetch_open_orders(LINEAR, params={"orderLinkId": client_id})
    assert (row["id"], row["price"], row["amount"]) == (order["id"], price, 0.02)
    locked = ex.fetch_balance()["info"]["result"]["list"][0]["totalInitialMargin"]
    assert float(locked) > 0
    ex.cancel_order(order["id"], LINEAR)
    assert ex.fetch_open_orders(LINEAR) == []
    row = ended(ex, order)
    assert (row["status"], row["filled"]) == ("canceled", 0)
    assert order["id"] in names(ex.fetch_canceled_orders(LINEAR))
    with pytest.raises(ccxt.OrderNotFound):
        ex.cancel_order(order["id"], LINEAR)
    with pytest.raises(ccxt.OrderNotFound):
        ex.edit_order(order["id"], LINEAR, "limit", "buy", 0.01, price)


def test_an_order_is_canceled_by_its_client_id(ex):
    client_id = link()
    order = rests(ex, clientOrderId=client_id)
    ex.cancel_order(None, LINEAR, {"orderLinkId": client_id})
    assert ended(ex, order)["status"] == "canceled"


def test_lists_of_orders_are_created_edited_and_canceled(ex):
    price = float(ex.price_to_precision(LINEAR, last(ex) * 0.97))
    wanted = [
        {"symbol": LINEAR, "type": "limit", "side": "buy", "amount": amount, "price": price}
        for amount in (0.01, 0.02, 0.03, 0.04)
    ]
    made = ex.create_orders(wanted)
    ids = [order["id"] for order in made]
    assert len(set(ids)) == 4
    ex.edit_orders(
        [{"id": ids[0], "symbol": LINEAR, "type": "limit", "side": "buy", "amount": 0.05}]
    )
    amounts = {row["id"]: row["amount"] for row in ex.fetch_open_orders(LINEAR)}
    assert amounts == dict(zip(ids, (0.05, 0.02, 0.03, 0.04), strict=True))
    ex.cancel_orders(ids[:2], LINEAR)
    assert names(ex.fetch_open_orders(LINEAR)) == set(ids[2:])
    ex.cancel_orders_for_symbols([{"id": i, "symbol": LINEAR} for i in ids[2:]])
    assert ex.fetch_open_orders(LINEAR) == []


def test_one_bad_order_of_a_list_leaves_the_others_alone(ex):
    price = float(ex.price_to_precision(LINEAR, last(ex) * 0.97))
    good = {"symbol": LINEAR, "type": "limit", "side": "buy", "amount": 0.01, "price": price}
    made = ex.create_orders([good, {**good, "amount": 100_000}])
    assert made[0]["status"] != "rejected"
    assert made[1]["status"] == "rejected"
    assert names(ex.fetch_open_orders(LINEAR)) == {made[0]["id"]}


def test_cancel_all_keeps_the_stops_that_it_shall_keep(ex):
    ended(ex, ex.create_order(LINEAR, "market", "buy", 0.02, None, {"stopLoss": last(ex) * 0.8}))
    rests(ex)
    ex.cancel_all_orders(LINEAR, {"orderFilter": "Order"})
    assert [row["reduceOnly"] for row in ex.fetch_open_orders(LINEAR)] == [True]
    assert ex.fetch_position(LINEAR)["stopLossPrice"] == pytest.approx(last(ex) * 0.8, rel=0.05)
    ex.cancel_all_orders(LINEAR)
    assert ex.fetch_open_orders(LINEAR) == []
    assert not ex.fetch_position(LINEAR)["stopLossPrice"]


def test_closed_orders_are_told_from_canceled_ones(ex):
    filled = ex.create_order(LINEAR, "market", "buy", 0.01)
    ended(ex, filled)
    canceled = rests(ex)
    ex.cancel_order(canceled["id"], LINEAR)
    assert ex.fetch_closed_order(filled["id"], LINEAR)["status"] == "closed"
    closed = names(ex.fetch_closed_orders(LINEAR))
    assert filled["id"] in closed
    assert canceled["id"] not in closed
    assert {filled["id"], canceled["id"]} <= names(ex.fetch_canceled_and_closed_orders(LINEAR))


# -- flags, conditions, brackets -------------------------------------------------------------------


def test_post_only_and_reduce_only(ex):
    price = last(ex)
    maker = ex.create_post_only_order(LINEAR, "limit", "buy", 0.01, round(price * 0.97, 1))
    assert told(ex, maker)["postOnly"] is True
    taker = ex.create_post_only_order(LINEAR, "limit", "buy", 0.01, round(price * 1.02, 1))
    row = ended(ex, taker)
    assert (row["status"], row["filled"]) == ("canceled", 0)
    ended(ex, ex.create_order(LINEAR, "market", "buy", 0.02))
    close = ex.create_reduce_only_order(LINEAR, "market", "sell", 0.02)
    assert ended(ex, close)["reduceOnly"] is True
    assert not ex.fetch_position(LINEAR)["contracts"]
    with pytest.raises(ccxt.InvalidOrder):
        ex.create_reduce_only_order(LINEAR, "market", "sell", 0.02)


def test_immediate_or_cancel_leaves_nothing_behind(ex):
    price = round(last(ex) * 0.97, 1)
    for force in ("IOC", "FOK"):
        order = ex.create_order(LINEAR, "limit", "buy", 0.01, price, {"timeInForce": force})
        row = ended(ex, order)
        assert (row["status"], row["filled"], row["timeInForce"]) == ("canceled", 0, force)


def test_conditional_orders_wait_for_their_trigger(ex, exchange):
    now = last(ex)
    below, above = round(now * 0.95, 1), round(now * 1.05, 1)
    falls, rises = {"triggerDirection": "descending"}, {"triggerDirection": "ascending"}
    ended(ex, ex.create_order(LINEAR, "market", "buy", 0.05))
    waiting = [
        ex.create_stop_order(LINEAR, "market", "sell", 0.001, None, below, falls),
        ex.create_stop_limit_order(LINEAR, "sell", 0.001, below, below, falls),
        ex.create_stop_market_order(LINEAR, "sell", 0.001, below, falls),
        ex.create_trigger_order(LINEAR, "market", "sell", 0.001, None, above, rises),
        ex.create_stop_loss_order(LINEAR, "market", "sell", 0.001, None, below),
        ex.create_take_profit_order(LINEAR, "market", "sell", 0.001, None, above),
    ]
    rows = {row["id"]: row for row in ex.fetch_open_orders(LINEAR, params={"trigger": True})}
    assert set(rows) == names(waiting)
    assert {row["info"]["orderStatus"] for row in rows.values()} == {"Untriggered"}
    assert [rows[order["id"]]["triggerPrice"] for order in waiting] == [
        below, below, below, above, below, above,
    ]  # fmt: skip
    move(exchange, 0.94)
    sold = [ended(ex, order) for order in (waiting[0], waiting[2], waiting[4])]
    assert [row["filled"] for row in sold] == [0.001] * 3
    assert told(ex, waiting[1])["info"]["orderStatus"] == "New", "a limit above the market rests"
    assert {told(ex, waiting[n])["info"]["orderStatus"] for n in (3, 5)} == {"Untriggered"}
    move(exchange, 1 / 0.94)


def test_a_bracket_closes_the_position_at_its_stop(ex, exchange):
    now = last(ex)
    stop, target = round(now * 0.95, 1), round(now * 1.10, 1)
    order = ex.create_order_with_take_profit_and_stop_loss(
        LINEAR, "market", "buy", 0.02, None, target, stop
    )
    ended(ex, order)
    position = ex.fetch_position(LINEAR)
    assert (position["stopLossPrice"], position["takeProfitPrice"]) == (stop, target)
    move(exchange, 0.94)
    until(lambda: not ex.fetch_position(LINEAR)["contracts"], "the stop's fill")
    move(exchange, 1 / 0.94)
    close = ex.fetch_my_trades(LINEAR)[-1]
    assert close["side"] == "sell"
    assert close["info"]["stopOrderType"] == "StopLoss"
    assert close["price"] < stop * 1.001
    assert ex.fetch_open_orders(LINEAR) == [], "the target leaves with the position"


def test_a_trailing_stop_is_held_by_the_venue(ex, exchange):
    ended(ex, ex.create_order(LINEAR, "market", "buy", 0.02))
    ex.create_trailing_amount_order(LINEAR, "market", "sell", 0.02, None, 2_000)
    assert float(ex.fetch_position(LINEAR)["info"]["trailingStop"]) == 2_000
    move(exchange, 0.95)
    until(lambda: not ex.fetch_position(LINEAR)["contracts"], "the trailing stop's fill")
    move(exchange, 1 / 0.95)
    assert ex.fetch_my_trades(LINEAR)[-1]["info"]["stopOrderType"] == "TrailingStop"


def test_the_dead_mans_switch_is_configured(ex, exchange):
    ex.cancel_all_orders_after(40_000)
    rows = exchange.client.get("/v5/account/query-dcp-info")["result"]["dcpInfos"]
    assert {"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": "40"} in rows


# -- refusals --------------------------------------------------------------------------------------


def test_refusals_are_told_by_their_kind(ex):
    price = round(last(ex) * 0.97, 1)
    with pytest.raises(ccxt.InsufficientFunds):
        ex.create_order(LINEAR, "limit", "buy", 300, price)
    with pytest.raises(ccxt.InsufficientFunds):
        ex.create_order(SPOT, "limit", "buy", 100, price)
    with pytest.raises(ccxt.InvalidOrder):
        ex.create_order(LINEAR, "limit", "buy", 0.001, 1_000.0)
    with pytest.raises(ccxt.OrderNotFound):
        ex.cancel_order("00000000-0000-0000-0000-000000000000", LINEAR)
    with pytest.raises(ccxt.OrderNotFound):
        ex.cancel_order("1", SPOT)


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_a_client_id_is_used_once(ex, symbol):
    client_id = link()
    price = round(last(ex) * 0.97, 1)
    order = ex.create_order(symbol, "limit", "buy", 0.01, price, {"clientOrderId": client_id})
    with pytest.raises(ccxt.InvalidOrder):
        ex.create_order(symbol, "limit", "buy", 0.01, price, {"clientOrderId": client_id})
    ex.cancel_order(order["id"], symbol)
    with pytest.raises(ccxt.InvalidOrder):
        ex.create_order(symbol, "limit", "buy", 0.01, price, {"clientOrderId": client_id})


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "http_status", "status": 502}, ccxt.ExchangeNotAvailable),
        ({"kind": "http_status", "status": 429}, ccxt.RateLimitExceeded),
        ({"kind": "http_status", "status": 403}, ccxt.RateLimitExceeded),
        ({"kind": "ret_code", "code": 10006}, ccxt.RateLimitExceeded),
        ({"kind": "ret_code", "code": 10002}, ccxt.InvalidNonce),
        ({"kind": "ret_code", "code": 10016}, ccxt.ExchangeError),
        ({"kind": "ret_code", "code": 10000}, ccxt.ExchangeError),
        ({"kind": "ret_code", "code": 170007}, ccxt.RequestTimeout),
        ({"kind": "ret_code", "code": 110007}, ccxt.InsufficientFunds),
    ],
    ids=str,
)
def test_faults_reach_the_client_as_its_own_errors(ex, exchange, fault, error):
    exchange.client.control("fault", match="/v5/order/create", **fault)
    with pytest.raises(error) as raised:
        rests(ex)
    if fault.get("code") in {10016, 10000}:
        assert not isinstance(raised.value, ccxt.NetworkError)
    assert ex.fetch_open_orders(LINEAR) == []


def test_a_connection_dropped_after_processing_leaves_a_live_order(ex, exchange):
    exchange.client.control("fault", kind="drop", match="/v5/order/create", when="after")
    client_id = link()
    with pytest.raises(ccxt.NetworkError):
        rests(ex, clientOrderId=client_id)
    [row] = ex.fetch_open_orders(LINEAR, params={"orderLinkId": client_id})
    assert row["clientOrderId"] == client_id
