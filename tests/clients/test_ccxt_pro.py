"""ccxt.pro watches the simulated market and the account, and trades over the socket."""

import itertools

import ccxt
import pytest

from tests.clients.reach import LINEAR, SPOT, ccxt_client
from tests.exchange.exchange_process import Exchange, until

OTHER = "ETH/USDT:USDT"
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def pro(exchange):
    """One ccxt.pro client; its sockets stay open between the tests."""
    with ccxt_client("pro", exchange.client.url) as client:
        yield client


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_tickers_are_watched(pro, symbol):
    one = pro.watch_ticker(symbol)
    asked = pro.fetch_ticker(symbol)
    assert one["symbol"] == symbol
    assert one["last"] == pytest.approx(asked["last"], rel=0.01)
    assert pro.watch_tickers([symbol])[symbol]["high"] == pytest.approx(asked["high"], rel=0.01)
    quote = pro.watch_bids_asks([symbol])[symbol]
    assert quote["bid"] < quote["ask"]
    pro.un_watch_ticker(symbol)
    assert symbol not in pro.tickers
    pro.watch_tickers([symbol])
    pro.un_watch_tickers([symbol])
    assert symbol not in pro.tickers


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_books_are_watched(pro, symbol):
    asked = pro.fetch_order_book(symbol, 5)
    for book in (pro.watch_order_book(symbol, 50), pro.watch_order_book_for_symbols([symbol], 50)):
        assert book["symbol"] == symbol
        assert book["bids"][0][0] < book["asks"][0][0]
        assert book["bids"][0][0] == pytest.approx(asked["bids"][0][0], rel=0.01)
        assert [row[0] for row in book["asks"]] == sorted(row[0] for row in book["asks"])
    pro.un_watch_order_book(symbol, {"limit": 50})
    assert symbol not in pro.orderbooks
    pro.watch_order_book_for_symbols([symbol], 50)
    pro.un_watch_order_book_for_symbols([symbol], {"limit": 50})
    assert symbol not in pro.orderbooks


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_trades_are_watched(pro, symbol):
    seen = [*pro.watch_trades(symbol), *pro.watch_trades_for_symbols([symbol])]
    assert {trade["symbol"] for trade in seen} == {symbol}
    told = {trade["id"]: trade for trade in pro.fetch_trades(symbol, limit=60)}
    for trade in seen:
        assert told[trade["id"]]["price"] == trade["price"]
        assert told[trade["id"]]["amount"] == trade["amount"]
    pro.un_watch_trades(symbol)
    assert symbol not in pro.trades
    pro.watch_trades_for_symbols([symbol])
    pro.un_watch_trades_for_symbols([symbol])
    assert symbol not in pro.trades


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_candles_are_watched(pro, symbol):
    [*_, row] = pro.watch_ohlcv(symbol, "1m")
    start, opened, high, low, close, _ = row
    assert start % MINUTE_MS == 0
    assert low <= min(opened, close) <= max(opened, close) <= high
    [asked] = pro.fetch_ohlcv(symbol, "1m", start, 1)
    assert (asked[0], asked[1]) == (start, opened)
    many = pro.watch_ohlcv_for_symbols([[symbol, "1m"]])
    assert many[symbol]["1m"][-1][0] >= start
    pro.un_watch_ohlcv(symbol, "1m")
    assert "1m" not in pro.ohlcvs.get(symbol, {})
    pro.watch_ohlcv_for_symbols([[symbol, "1m"]])
    pro.un_watch_ohlcv_for_symbols([[symbol, "1m"]])
    assert "1m" not in pro.ohlcvs.get(symbol, {})


@pytest.mark.usefixtures("flat")
def test_orders_trades_positions_and_balance_are_watched(pro, exchange):
    sent = []

    def buy():
        sent.append(exchange.client.order(qty="0.01")["result"]["orderId"])

    orders = pro.provoked(buy, "watch_orders", LINEAR)
    order = orders[-1]
    assert order["id"] in sent
    assert (order["symbol"], order["side"], order["amount"]) == (LINEAR, "buy", 0.01)
    while order["status"] == "open":
        order = pro.watch_orders(LINEAR)[-1]
    assert (order["status"], order["filled"]) == ("closed", 0.01)
    trade = pro.provoked(buy, "watch_my_trades", LINEAR)[-1]
    assert trade["order"] in sent
    assert trade["fee"]["cost"] == pytest.approx(trade["cost"] * 0.00055, rel=1e-6)
    position = pro.provoked(buy, "watch_positions", [LINEAR])[-1]
    assert (position["symbol"], position["side"]) == (LINEAR, "long")
    assert 0 < position["contracts"] <= 0.01 * len(sent)
    balance = pro.provoked(buy, "watch_balance")
    assert balance["USDT"]["total"] == pytest.approx(pro.fetch_balance()["USDT"]["total"], abs=5)
    pro.un_watch_orders()
    pro.un_watch_my_trades()
    pro.un_watch_positions()
    assert not pro.orders


@pytest.mark.usefixtures("flat")
@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_orders_are_sent_over_the_socket(pro, symbol):
    price = pro.fetch_ticker(symbol)["last"]
    lower = float(pro.price_to_precision(symbol, price * 0.97))
    order = pro.create_order_ws(symbol, "limit", "buy", 0.01, lower)
    assert pro.fetch_open_order(order["id"], symbol)["price"] == lower
    pro.edit_order_ws(order["id"], symbol, "limit", "buy", 0.02, lower)
    assert pro.fetch_open_order(order["id"], symbol)["amount"] == 0.02
    pro.cancel_order_ws(order["id"], symbol)
    other = pro.create_limit_order_ws(symbol, "buy", 0.01, lower)
    assert [row["id"] for row in pro.fetch_open_orders(symbol)] == [other["id"]]
    pro.cancel_order_ws(other["id"], symbol)
    assert pro.fetch_open_orders(symbol) == []
    taken = pro.create_market_order_ws(LINEAR, "buy", 0.01)
    row = pro.fetch_order(taken["id"], LINEAR, {"acknowledged": True})
    assert (row["status"], row["filled"]) == ("closed", 0.01)
    with pytest.raises(ccxt.InsufficientFunds):
        pro.create_order_ws(LINEAR, "limit", "buy", 300, lower)
    with pytest.raises(ccxt.OrderNotFound):
        pro.cancel_order_ws(order["id"], symbol)


def test_liquidations_of_others_are_watched(tmp_path):
    exchange = Exchange(tmp_path, ("--no-rate-limit", "--wallet", "2000"))
    client = exchange.client
    falls = itertools.repeat(0.9)
    try:
        with ccxt_client("pro", client.url) as pro:
            client.post(
                "/v5/position/set-leverage",
                {
                    "category": "linear",
                    "symbol": "BTCUSDT",
                    "buyLeverage": "50",
                    "sellLeverage": "50",
                },
            )
            pro.watch_ticker(LINEAR)
            task_started = client.order(qty="0.5")
            assert task_started["retCode"] == 0

            def fall():
                client.control("price", symbol="BTCUSDT", factor=next(falls))

            [row, *_] = pro.provoked(fall, "watch_liquidations", LINEAR)
            assert row["symbol"] == LINEAR
            assert row["contracts"] > 0
            until(lambda: client.position()["size"] == "0", "the end of the position")
    finally:
        exchange.close()
