"""ccxt, sync and async, reads and sets the account: positions, margin, fees, ledger, funding."""

import ccxt
import pytest

from tests.clients.reach import LINEAR, ccxt_client, move
from tests.exchange.exchange_process import Exchange, until

pytestmark = pytest.mark.usefixtures("flat")


def trade(ex, side: str, amount: float = 0.02) -> dict:
    order = ex.create_order(LINEAR, "market", side, amount)
    return ex.fetch_order(order["id"], LINEAR, {"acknowledged": True})


def test_leverage_and_modes_are_set_and_read(ex):
    ex.set_leverage(7, LINEAR)
    assert ex.fetch_leverage(LINEAR)["longLeverage"] == 7
    with pytest.raises(ccxt.BadRequest):
        ex.set_leverage(7, LINEAR)  # 110043: not modified
    ex.set_leverage(10, LINEAR)
    with pytest.raises(ccxt.ExchangeError):
        ex.set_leverage(100_000, LINEAR)
    assert ex.fetch_margin_mode(LINEAR)["marginMode"] == "cross"
    ex.set_margin_mode("cross")
    with pytest.raises(ccxt.ExchangeError):
        ex.set_position_mode(False, LINEAR)  # 110025: not modified


def test_a_position_and_its_history(ex):
    opened = trade(ex, "buy")
    position = ex.fetch_position(LINEAR)
    [among] = ex.fetch_positions([LINEAR])
    assert (position["side"], position["contracts"]) == ("long", 0.02)
    assert position["entryPrice"] == pytest.approx(opened["average"])
    assert position["notional"] == pytest.approx(opened["cost"], rel=1e-3)
    assert position["initialMargin"] == pytest.approx(
        position["notional"] / position["leverage"], rel=0.01
    )
    move = position["markPrice"] - position["entryPrice"]
    assert position["unrealizedPnl"] == pytest.approx(move * 0.02, abs=1e-6)
    assert (among["side"], among["contracts"]) == ("long", 0.02)
    assert ex.fetch_position_adl_rank(LINEAR)["symbol"] == LINEAR
    assert [row["symbol"] for row in ex.fetch_positions_adl_rank([LINEAR])] == [LINEAR]
    closed = trade(ex, "sell")
    assert not ex.fetch_position(LINEAR)["contracts"]
    for history in (ex.fetch_position_history(LINEAR), ex.fetch_positions_history([LINEAR])):
        [row] = [row for row in history if row["info"]["orderId"] == closed["id"]]
    fees = opened["fee"]["cost"] + closed["fee"]["cost"]
    earned = (closed["average"] - opened["average"]) * 0.02 - fees
    assert float(row["info"]["closedPnl"]) == pytest.approx(earned, abs=1e-4)
    assert float(row["info"]["avgEntryPrice"]) == pytest.approx(opened["average"])
    assert float(row["info"]["avgExitPrice"]) == pytest.approx(closed["average"])


def test_fees_are_those_that_are_charged(ex):
    one = ex.fetch_trading_fee(LINEAR)
    among = ex.fetch_trading_fees({"category": "linear"})[LINEAR]
    assert (one["taker"], one["maker"]) == (among["taker"], among["maker"])
    order = trade(ex, "buy")
    assert order["fee"]["cost"] == pytest.approx(order["cost"] * one["taker"], rel=1e-6)


def test_the_ledger_explains_the_balance(ex):
    before = ex.fetch_balance()["USDT"]["total"]
    seen = {row["id"] for row in ex.fetch_ledger("USDT")}
    opened, closed = trade(ex, "buy"), trade(ex, "sell")
    rows = [row for row in ex.fetch_ledger("USDT") if row["id"] not in seen]
    assert {row["info"]["orderId"] for row in rows} == {opened["id"], closed["id"]}
    assert {row["type"] for row in rows} == {"trade"}
    signed = [row["amount"] if row["direction"] == "in" else -row["amount"] for row in rows]
    after = ex.fetch_balance()["USDT"]["total"]
    assert sum(signed) == pytest.approx(after - before, abs=1e-6)
    assert pytest.approx(after, abs=1e-6) in [row["after"] for row in rows]


@pytest.fixture(params=["sync", "async"])
def apart(request, tmp_path):
    """An exchange of one test, whose clock may jump, and a client that follows it."""
    exchange = Exchange(tmp_path, ("--no-rate-limit", "--wallet", "2000"))
    try:
        with ccxt_client(request.param, exchange.client.url) as ex:
            yield exchange, ex
    finally:
        exchange.close()


def test_funding_is_paid_once_and_told(apart):
    exchange, ex = apart
    trade(ex, "buy")
    exchange.client.control("jump", seconds=8 * 3600)
    ex.load_time_difference()
    [row] = ex.fetch_funding_history(LINEAR)
    rate = ex.fetch_funding_rate_history(LINEAR, limit=1)[0]
    assert row["timestamp"] == rate["timestamp"]
    assert row["symbol"] == LINEAR
    mark = float(row["info"]["execPrice"])
    assert row["amount"] == pytest.approx(0.02 * mark * rate["fundingRate"], abs=1e-6)


def test_a_liquidation_is_told(apart):
    exchange, ex = apart
    ex.set_leverage(50, LINEAR)
    trade(ex, "buy", 1.0)
    move(exchange, 0.9)
    until(lambda: not ex.fetch_position(LINEAR)["contracts"], "the liquidation")
    rows = ex.fetch_my_liquidations(LINEAR)
    assert sum(float(row["contracts"]) for row in rows) == pytest.approx(1.0)
    assert {row["symbol"] for row in rows} == {LINEAR}
