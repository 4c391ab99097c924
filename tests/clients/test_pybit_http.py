"""pybit's REST client: every method of market, trade, position, and account that a bot may need."""

import itertools
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pybit.exceptions import FailedRequestError, InvalidRequestError

from tests.clients.reach import move
from tests.exchange.exchange_process import until

pytestmark = pytest.mark.usefixtures("flat")
BTC = {"category": "linear", "symbol": "BTCUSDT"}
SPOT = {"category": "spot", "symbol": "BTCUSDT"}
MINUTE_MS = 60_000
_numbers = itertools.count(1)


def result(answer: dict):
    """The result of an answer whose envelope is as documented."""
    assert (answer["retCode"], answer["retMsg"]) == (0, "OK")
    assert set(answer) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
    assert abs(answer["time"] - time.time() * 1000) < 5_000
    return answer["result"]


def rows(answer: dict) -> list:
    return result(answer)["list"]


def last(http, **named) -> Decimal:
    return Decimal(rows(http.get_tickers(**(named or BTC)))[0]["lastPrice"])


def on_grid(price: Decimal) -> str:
    return str(price.quantize(Decimal("0.1")))


def limit(http, share="0.97", **more) -> dict:
    """A buy order that rests below the market."""
    fields = {
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.01",
        "price": on_grid(last(http) * Decimal(share)),
    }
    return result(http.place_order(**BTC, **{**fields, **more}))


def market(http, side="Buy", qty="0.02", **more) -> dict:
    order = result(http.place_order(**BTC, side=side, orderType="Market", qty=qty, **more))
    [row] = rows(http.get_open_orders(**BTC, orderId=order["orderId"]))
    assert row["orderStatus"] == "Filled"
    return row


def refused(call, code: int, **fields) -> None:
    with pytest.raises(InvalidRequestError) as error:
        call(**fields)
    assert error.value.status_code == code


# -- market ----------------------------------------------------------------------------------------


def test_the_time_is_told_in_seconds_and_nanoseconds(http):
    told = result(http.get_server_time())
    assert int(told["timeNano"]) // 1_000_000_000 == int(told["timeSecond"])
    assert abs(int(told["timeSecond"]) - time.time()) < 3


@pytest.mark.parametrize("named", [BTC, SPOT], ids=["linear", "spot"])
def test_candles_and_what_is_derived_from_them(http, named):
    now = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS
    span = {"interval": "1", "start": now - 10 * MINUTE_MS, "end": now - MINUTE_MS}
    candles = rows(http.get_kline(**named, **span))
    assert [int(row[0]) for row in candles] == list(
        range(now - MINUTE_MS, now - 11 * MINUTE_MS, -MINUTE_MS)
    )
    assert all(len(row) == 7 and isinstance(value, str) for row in candles for value in row)
    for _, first, high, low, close, volume, turnover in (map(Decimal, row) for row in candles):
        assert low <= min(first, close) <= max(first, close) <= high
        assert low * volume * Decimal("0.999") <= turnover <= high * volume * Decimal("1.001")
    if named is BTC:
        for method in (
            http.get_mark_price_kline,
            http.get_index_price_kline,
            http.get_premium_index_price_kline,
        ):
            derived = rows(method(**named, **span))
            assert [row[0] for row in derived] == [row[0] for row in candles]
            assert {len(row) for row in derived} == {5}
    refused(http.get_kline, 10001, **named, interval="7")


@pytest.mark.parametrize(("interval", "first_days"), [("W", 7), ("M", 31)])
def test_weeks_begin_on_a_monday_and_months_on_their_first(http, interval, first_days):
    long = rows(http.get_kline(**BTC, interval=interval, limit=3))
    starts = [datetime.fromtimestamp(int(row[0]) / 1000, UTC) for row in long]
    assert all((at.hour, at.minute) == (0, 0) for at in starts)
    assert all(at.weekday() == 0 if interval == "W" else at.day == 1 for at in starts)
    days = rows(http.get_kline(**BTC, interval="D", start=int(long[0][0]), limit=first_days))
    highs, lows = [Decimal(day[2]) for day in days], [Decimal(day[3]) for day in days]
    assert Decimal(long[0][2]) == max(highs)
    assert Decimal(long[0][3]) == min(lows)


def test_instruments_are_paged_where_the_venue_pages_them(http):
    first = result(http.get_instruments_info(category="linear", limit=3))
    second = result(
        http.get_instruments_info(category="linear", limit=3, cursor=first["nextPageCursor"])
    )
    symbols = [row["symbol"] for page in (first, second) for row in page["list"]]
    assert len(set(symbols)) == 5
    assert second["nextPageCursor"] == ""
    spot = result(http.get_instruments_info(category="spot", limit=3))
    assert len(spot["list"]) == 5
    assert "nextPageCursor" not in spot
    assert rows(http.get_instruments_info(category="linear", status="PreLaunch")) == []
    assert [
        row["symbol"] for row in rows(http.get_instruments_info(category="linear", baseCoin="ETH"))
    ] == ["ETHUSDT"]
    own = rows(http.get_account_instruments_info(**BTC))
    assert own[0]["symbol"] == "BTCUSDT"


@pytest.mark.parametrize("named", [BTC, SPOT], ids=["linear", "spot"])
def test_book_ticker_trades_and_price_limits_agree(http, named):
    book = result(http.get_orderbook(**named, limit=5))
    bid, ask = Decimal(book["b"][0][0]), Decimal(book["a"][0][0])
    ticker = rows(http.get_tickers(**named))[0]
    price = Decimal(ticker["lastPrice"])
    bids, asks = ([Decimal(level[0]) for level in book[side]] for side in ("b", "a"))
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bid < ask
    assert abs(bid / price - 1) < Decimal("0.01")
    retail = result(http.get_rpi_orderbook(**named, limit=5))
    assert [len(level) for level in retail["b"]] == [3] * len(retail["b"])
    assert all(isinstance(book[name], int) for name in ("ts", "u", "seq", "cts"))
    trades = rows(http.get_public_trade_history(**named, limit=10))
    assert [int(t["time"]) for t in trades] == sorted(
        (int(t["time"]) for t in trades), reverse=True
    )
    assert all(abs(Decimal(t["price"]) / price - 1) < Decimal("0.02") for t in trades)
    bounds = result(http.get_price_limit(**named))
    assert Decimal(bounds["sellLmt"]) < bid < ask < Decimal(bounds["buyLmt"])


def test_funding_interest_and_ratios_of_the_past_do_not_change(http):
    for call in (
        lambda: rows(http.get_funding_rate_history(**BTC, limit=5)),
        lambda: rows(http.get_open_interest(**BTC, intervalTime="1h", limit=5)),
        lambda: rows(http.get_long_short_ratio(**BTC, period="1h", limit=5)),
    ):
        told = call()
        assert len(told) == 5
        assert call() == told
    refused(http.get_funding_rate_history, 10001, **BTC, startTime=1)
    refused(http.get_open_interest, 10001, **BTC, intervalTime="2h")
    page = result(http.get_open_interest(**BTC, intervalTime="1h", limit=2))
    more = result(
        http.get_open_interest(**BTC, intervalTime="1h", limit=2, cursor=page["nextPageCursor"])
    )
    stamps = [int(row["timestamp"]) for row in page["list"] + more["list"]]
    assert stamps == list(range(stamps[0], stamps[0] - 4 * 60 * MINUTE_MS, -60 * MINUTE_MS))


def test_limits_pools_indices_and_fee_groups(http):
    [tier, *_] = rows(http.get_risk_limit(**BTC))
    assert (tier["symbol"], tier["isLowestRisk"]) == ("BTCUSDT", 1)
    assert Decimal(tier["initialMargin"]) * Decimal(tier["maxLeverage"]) == 1
    assert Decimal(tier["initialMargin"]) > Decimal(tier["maintenanceMargin"]) > 0
    [pool] = rows(http.get_insurance(coin="USDT"))
    assert pool["coin"] == "USDT"
    [alert] = rows(http.get_adl_alert(symbol="BTCUSDT"))
    assert alert["symbol"] == "BTCUSDT"
    index = result(http.get_index_price_components(indexName="BTCUSDT"))
    assert sum(Decimal(part["weight"]) for part in index["components"]) == 1
    assert abs(Decimal(index["lastPrice"]) / last(http) - 1) < Decimal("0.01")
    [group] = rows(http.get_fee_group_info(productType="contract"))
    assert "BTCUSDT" in group["symbols"]


# -- trade -----------------------------------------------------------------------------------------


def test_an_order_is_placed_amended_and_canceled(http):
    link = f"pybit-{next(_numbers)}"
    fields = {**BTC, "side": "Buy", "orderType": "Limit", "qty": "0.01", "orderLinkId": link}
    fields["price"] = on_grid(last(http) * Decimal("0.97"))
    order = result(http.place_order(**fields))
    assert order["orderLinkId"] == link
    result(
        http.amend_order(
            **BTC, orderLinkId=link, qty="0.02", price=on_grid(last(http) * Decimal("0.96"))
        )
    )
    [row] = rows(http.get_open_orders(**BTC, orderLinkId=link))
    assert (row["orderId"], row["qty"], row["orderStatus"]) == (order["orderId"], "0.02", "New")
    assert result(http.cancel_order(**BTC, orderLinkId=link))["orderId"] == order["orderId"]
    refused(http.cancel_order, 110001, **BTC, orderLinkId=link)
    refused(http.amend_order, 110001, **BTC, orderLinkId=link, qty="0.03")
    [row] = rows(http.get_order_history(**BTC, orderId=order["orderId"]))
    assert (row["orderStatus"], row["cancelType"]) == ("Cancelled", "CancelByUser")
    refused(http.place_order, 110072, **fields)


def test_orders_are_canceled_all_at_once(http):
    made = {limit(http)["orderId"] for _ in range(3)}
    assert {
        row["orderId"] for row in rows(http.get_open_orders(category="linear", settleCoin="USDT"))
    } == made
    answer = result(
        http.cancel_all_orders(category="linear", settleCoin="USDT", orderFilter="Order")
    )
    assert {row["orderId"] for row in answer["list"]} == made
    assert answer["success"] == "1"
    refused(http.cancel_all_orders, 10001, category="linear")


def test_batches_answer_each_order_for_itself(http):
    price = on_grid(last(http) * Decimal("0.97"))
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price}
    answer = http.place_batch_order(
        category="linear", request=[good, {**good, "qty": "0.0001"}, good]
    )
    made = [row["orderId"] for row in result(answer)["list"]]
    codes = [row["code"] for row in answer["retExtInfo"]["list"]]
    assert [bool(order) for order in made] == [True, False, True]
    assert [code == 0 for code in codes] == [True, False, True]
    changes = [
        {"symbol": "BTCUSDT", "orderId": order, "qty": "0.03"} for order in (made[0], made[2])
    ]
    result(http.amend_batch_order(category="linear", request=changes))
    assert {row["qty"] for row in rows(http.get_open_orders(**BTC))} == {"0.03"}
    gone = [{"symbol": "BTCUSDT", "orderId": order} for order in (made[0], made[2])]
    answer = http.cancel_batch_order(category="linear", request=[*gone, gone[0]])
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 0, 110001]
    assert rows(http.get_open_orders(**BTC)) == []


def test_an_order_is_checked_before_it_is_sent(http):
    price = on_grid(last(http) * Decimal("0.97"))
    told = result(
        http.pre_check_order(**BTC, side="Buy", orderType="Limit", qty="0.1", price=price)
    )
    assert told["postImrE4"] > told["preImrE4"] >= 0
    assert rows(http.get_open_orders(**BTC)) == []


def test_the_dead_mans_switch_is_set_and_told(http):
    result(http.set_dcp(product="DERIVATIVES", timeWindow=30))
    infos = result(http.query_dcp_info())["dcpInfos"]
    assert {"product": "DERIVATIVES", "dcpStatus": "ON", "timeWindow": "30"} in infos


# -- position --------------------------------------------------------------------------------------


def test_a_position_its_leverage_stops_fills_and_profit(http):
    result(http.set_leverage(**BTC, buyLeverage="9", sellLeverage="9"))
    refused(http.set_leverage, 110043, **BTC, buyLeverage="9", sellLeverage="9")
    opened = market(http)
    [position] = rows(http.get_positions(**BTC))
    assert (position["side"], position["size"], position["leverage"]) == ("Buy", "0.02", "9")
    assert Decimal(position["avgPrice"]) == Decimal(opened["avgPrice"])
    stop = on_grid(last(http) * Decimal("0.9"))
    result(http.set_trading_stop(**BTC, tpslMode="Full", positionIdx=0, stopLoss=stop))
    refused(http.set_trading_stop, 34040, **BTC, tpslMode="Full", positionIdx=0, stopLoss=stop)
    assert Decimal(rows(http.get_positions(**BTC))[0]["stopLoss"]) == Decimal(stop)
    result(http.set_trading_stop(**BTC, tpslMode="Full", positionIdx=0, stopLoss="0"))
    assert rows(http.get_positions(**BTC))[0]["stopLoss"] in {"", "0"}
    fills = rows(http.get_executions(**BTC, orderId=opened["orderId"]))
    assert sum(Decimal(fill["execQty"]) for fill in fills) == Decimal("0.02")
    for fill in fills:
        assert fill["isMaker"] is False
        fee = Decimal(fill["execValue"]) * Decimal(fill["feeRate"])
        assert Decimal(fill["execFee"]) == pytest.approx(fee, abs=Decimal("0.0000001"))
    closed = market(http, "Sell", reduceOnly=True)
    [told] = [
        row for row in rows(http.get_closed_pnl(**BTC)) if row["orderId"] == closed["orderId"]
    ]
    assert told["closedSize"] == "0.02"
    earned = (Decimal(told["avgExitPrice"]) - Decimal(told["avgEntryPrice"])) * Decimal("0.02")
    fees = Decimal(told["openFee"]) + Decimal(told["closeFee"])
    assert Decimal(told["closedPnl"]) == pytest.approx(earned - fees, abs=Decimal("0.0001"))


def test_a_stop_fires_at_the_venue(http, exchange):
    opened = market(http, stopLoss=on_grid(last(http) * Decimal("0.97")))
    move(exchange, 0.96)
    until(lambda: rows(http.get_positions(**BTC))[0]["size"] == "0", "the stop's fill")
    move(exchange, 1 / 0.96)
    close = rows(http.get_executions(**BTC))[0]
    assert close["stopOrderType"] == "StopLoss"
    assert close["orderId"] != opened["orderId"]


def test_position_mode_stays_one_way(http):
    refused(http.switch_position_mode, 110025, category="linear", symbol="BTCUSDT", mode=0)


# -- account ---------------------------------------------------------------------------------------


def test_the_wallet_is_the_sum_of_its_coins(http):
    [wallet] = rows(http.get_wallet_balance(accountType="UNIFIED"))
    total = sum(Decimal(coin["usdValue"]) for coin in wallet["coin"])
    assert Decimal(wallet["totalEquity"]) == pytest.approx(total, abs=Decimal("0.01"))
    [only] = rows(http.get_wallet_balance(accountType="UNIFIED", coin="USDT"))
    assert [coin["coin"] for coin in only["coin"]] == ["USDT"]
    refused(http.get_wallet_balance, 10001, accountType="CONTRACT")


def test_account_settings_are_told_and_set(http):
    assert result(http.get_account_info())["unifiedMarginStatus"] == 6
    result(http.set_margin_mode(setMarginMode="REGULAR_MARGIN"))
    assert result(http.get_account_info())["marginMode"] == "REGULAR_MARGIN"
    assert "smpGroup" in result(http.get_smp_group())
    result(http.set_limit_price_action(category="linear", modifyEnable=False))
    assert result(http.get_user_setting_config())["lpaPerp"] is False


def test_only_what_is_collateral_backs_positions(http):
    coins = {row["currency"]: row for row in rows(http.get_collateral_info())}
    assert coins["USDT"]["collateralSwitch"] is True
    result(http.set_collateral_coin(coin="USDT", collateralSwitch="ON"))
    switches = [{"coin": "USDT", "collateralSwitch": "ON"}]
    result(http.batch_set_collateral_coin(request=switches))
    refused(http.set_collateral_coin, 10001, coin="BTC", collateralSwitch="ON")


def test_what_could_leave_the_account_is_what_is_free(http):
    market(http)
    told = result(http.get_transferable_amount(coinName="USDT"))
    [wallet] = rows(http.get_wallet_balance(accountType="UNIFIED"))
    free = Decimal(wallet["totalAvailableBalance"])
    assert Decimal(told["availableWithdrawal"]) == pytest.approx(free, abs=Decimal(50))
    quota = result(http.get_borrow_quota(**SPOT, side="Buy"))
    assert Decimal(quota["maxTradeAmount"]) == Decimal(quota["spotMaxTradeAmount"]), "no credit"


def test_what_a_unified_cross_margin_account_does_not_have_is_refused(http):
    leverage = {"tradeMode": 1, "buyLeverage": "5", "sellLeverage": "5"}
    refused(http.switch_margin_mode, 100028, **BTC, **leverage)
    refused(http.set_tp_sl_mode, 100028, **BTC, tpSlMode="Full")
    refused(http.set_risk_limit, 100028, **BTC, riskId=1)
    refused(http.set_auto_add_margin, 110015, **BTC, autoAddMargin=1)
    refused(http.add_or_reduce_margin, 110015, **BTC, margin="10")
    refused(http.confirm_new_risk_limit, 10001, **BTC)
    refused(http.set_hedging_mode, 10001, setHedgingMode="ON")


def test_fee_rates_are_those_of_each_symbol(http):
    [rate] = rows(http.get_fee_rates(**BTC))
    assert Decimal(rate["takerFeeRate"]) > Decimal(rate["makerFeeRate"])
    assert len(rows(http.get_fee_rates(category="spot"))) == 5


def test_the_transaction_log_adds_up_to_the_wallet(http):
    before = {
        row["id"] for row in rows(http.get_transaction_log(accountType="UNIFIED", currency="USDT"))
    }
    opened, closed = market(http), market(http, "Sell")
    log = rows(http.get_transaction_log(accountType="UNIFIED", category="linear", currency="USDT"))
    fresh = [row for row in log if row["id"] not in before]
    assert {row["orderId"] for row in fresh} == {opened["orderId"], closed["orderId"]}
    for row in fresh:
        change = Decimal(row["cashFlow"]) + Decimal(row["funding"] or 0) - Decimal(row["fee"])
        assert Decimal(row["change"]) == pytest.approx(change, abs=Decimal("0.0000001"))
    [wallet] = rows(http.get_wallet_balance(accountType="UNIFIED", coin="USDT"))
    assert Decimal(fresh[0]["cashBalance"]) == Decimal(wallet["coin"][0]["walletBalance"])


# -- refusals --------------------------------------------------------------------------------------


def test_refusals_carry_the_venues_code(http, exchange):
    refused(limit, 110007, http=http, qty="300")
    refused(http.get_positions, 10001, category="linear")
    exchange.client.control("fault", kind="http_status", status=403, match="/v5/order/create")
    with pytest.raises(FailedRequestError) as error:
        limit(http)
    assert error.value.status_code == 403


def test_a_rate_limit_is_waited_out(http, exchange):
    exchange.client.control("fault", kind="exhaust", ms=300, match="/v5/order/create")
    assert limit(http)["orderId"], (
        "pybit sleeps until the reset time of the header, then asks again"
    )
    struck = [line["fault"] for line in exchange.log() if line["kind"] == "fault"]
    assert "exhaust" in struck
