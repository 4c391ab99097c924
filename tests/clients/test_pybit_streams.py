"""pybit's WebSockets: public and private streams, and orders over the trade socket."""

import contextlib
import queue
import time

import pybit.unified_trading as pybit
import pytest

from tests.clients.reach import point_pybit_streams
from tests.exchange.exchange_process import KEY, SECRET, Exchange, until

BTC = {"category": "linear", "symbol": "BTCUSDT"}
WAIT_S = 8.0
DISTANCE_MS = 40


def aim(monkeypatch, exchange) -> None:
    """Points pybit at the exchange, as far away as a real one.

    pybit remembers a request after it has sent it, and its reader dies of an answer that is
    faster; no answer of the internet is, one over loopback may be.
    """
    exchange.client.control("fault", kind="latency", ms=DISTANCE_MS)
    point_pybit_streams(monkeypatch, exchange.client.url)


@contextlib.contextmanager
def opened(socket):
    """The socket, closed at the end."""
    try:
        yield socket
    finally:
        socket.exit()


@pytest.fixture
def public(exchange, monkeypatch):
    """Opens the public stream of a category."""
    aim(monkeypatch, exchange)
    with contextlib.ExitStack() as stack:
        yield lambda kind: stack.enter_context(
            opened(pybit.WebSocket(channel_type=kind, testnet=False))
        )


@pytest.fixture
def private(exchange, monkeypatch):
    """The private stream, logged in."""
    aim(monkeypatch, exchange)
    keys = {"api_key": KEY, "api_secret": SECRET}
    with opened(pybit.WebSocket(channel_type="private", testnet=False, **keys)) as socket:
        yield socket


@pytest.fixture
def trading(exchange, monkeypatch):
    """The trade socket, logged in."""
    aim(monkeypatch, exchange)
    keys = {"api_key": KEY, "api_secret": SECRET}
    with opened(pybit.WebSocketTrading(testnet=False, **keys)) as socket:
        until(lambda: socket.auth, "the login")
        yield socket


def first(subscribe, action=lambda: None) -> dict:
    """The first message of a subscription, repeating `action` until there is one."""
    messages: queue.Queue = queue.Queue()
    subscribe(messages.put)
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        action()
        with contextlib.suppress(queue.Empty):
            return messages.get(timeout=0.5)
    pytest.fail(f"expected a message within {WAIT_S} s")


# -- public ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "spot"])
def test_books_trades_tickers_and_candles_are_pushed(public, exchange, kind):
    socket = public(kind)
    book = first(lambda put: socket.orderbook_stream(50, "BTCUSDT", put))
    assert (book["topic"], book["type"]) == ("orderbook.50.BTCUSDT", "snapshot")
    assert float(book["data"]["b"][0][0]) < float(book["data"]["a"][0][0])
    trade = first(lambda put: socket.trade_stream("BTCUSDT", put))["data"][-1]
    assert {"T", "s", "S", "v", "p", "i", "BT"} <= set(trade)
    told = exchange.client.last(category=kind)
    assert float(trade["p"]) == pytest.approx(told, rel=0.02)
    ticker = first(lambda put: socket.ticker_stream("BTCUSDT", put))
    assert float(ticker["data"]["lastPrice"]) == pytest.approx(told, rel=0.02)
    candle = first(lambda put: socket.kline_stream(1, "BTCUSDT", put))["data"][0]
    assert (candle["interval"], candle["end"] - candle["start"]) == ("1", 59_999)
    assert float(candle["low"]) <= float(candle["close"]) <= float(candle["high"])
    assert candle["confirm"] is False
    month = first(lambda put: socket.kline_stream("M", "BTCUSDT", put))["data"][0]
    query = f"category={kind}&symbol=BTCUSDT&interval=M&limit=1"
    [asked] = exchange.client.public(f"/v5/market/kline?{query}")["list"]
    assert (month["start"], month["open"]) == (int(asked[0]), asked[1])


def test_liquidations_and_maintenance_are_pushed(tmp_path, monkeypatch):
    exchange = Exchange(tmp_path, ("--no-rate-limit", "--wallet", "2000"))
    client = exchange.client
    aim(monkeypatch, exchange)
    try:
        sides = {"buyLeverage": "50", "sellLeverage": "50"}
        client.post("/v5/position/set-leverage", {**BTC, **sides})
        with opened(pybit.WebSocket(channel_type="linear", testnet=False)) as socket:

            def liquidate():
                if client.position()["size"] == "0":
                    assert client.order(qty="0.1")["retCode"] == 0
                client.control("price", symbol="BTCUSDT", factor=0.7)

            pushed = first(lambda put: socket.all_liquidation_stream("BTCUSDT", put), liquidate)
            [row, *_] = pushed["data"]
            assert (row["s"], row["S"]) == ("BTCUSDT", "Buy")
            assert float(row["v"]) > 0
        with opened(pybit.WebSocket(channel_type="misc/status", testnet=False)) as socket:
            begins = lambda: client.control("fault", kind="maintenance")  # noqa: E731
            pushed = first(socket.system_status_stream, begins)
            assert pushed["data"][0]["state"] in {"scheduled", "ongoing"}
    finally:
        exchange.close()


# -- private ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("flat")
def test_orders_fills_positions_and_the_wallet_are_pushed(private, exchange):
    sent = []

    def buy():
        sent.append(exchange.client.order(qty="0.01")["result"]["orderId"])

    order = first(private.order_stream, buy)["data"][-1]
    assert order["orderId"] in sent
    assert (order["category"], order["symbol"], order["qty"]) == ("linear", "BTCUSDT", "0.01")
    fill = first(private.execution_stream, buy)["data"][-1]
    assert fill["orderId"] in sent
    assert float(fill["execFee"]) == pytest.approx(float(fill["execValue"]) * 0.00055, rel=1e-6)
    fast = first(private.fast_execution_stream, buy)["data"][-1]
    assert fast["orderId"] in sent
    assert {"category", "symbol", "execId", "execPrice", "execQty", "side", "execTime"} <= set(fast)
    position = first(private.position_stream, buy)["data"][-1]
    assert (position["symbol"], position["side"]) == ("BTCUSDT", "Buy")
    assert float(position["entryPrice"]) > 0
    wallet = first(private.wallet_stream, buy)["data"][-1]
    assert wallet["accountType"] == "UNIFIED"
    assert {coin["coin"] for coin in wallet["coin"]} >= {"USDT"}


# -- trade -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("flat")
def test_orders_are_placed_amended_and_canceled_over_the_socket(trading, exchange):
    client = exchange.client
    price = f"{client.last() * 0.97:.1f}"
    fields = {**BTC, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price}
    answer = first(lambda put: trading.place_order(put, **fields))
    assert (answer["retCode"], answer["op"]) == (0, "order.create")
    order = answer["data"]["orderId"]
    answer = first(lambda put: trading.amend_order(put, **BTC, orderId=order, qty="0.02"))
    assert (answer["op"], answer["data"]["orderId"]) == ("order.amend", order)
    [row] = client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
    assert (row["orderId"], row["qty"]) == (order, "0.02")
    answer = first(lambda put: trading.cancel_order(put, **BTC, orderId=order))
    assert answer["op"] == "order.cancel"
    assert client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT") == []


@pytest.mark.usefixtures("flat")
def test_batches_go_over_the_socket_too(trading, exchange):
    client = exchange.client
    price = f"{client.last() * 0.97:.1f}"
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price}
    batch = {"category": "linear", "request": [good, good]}
    answer = first(lambda put: trading.place_batch_order(put, **batch))
    made = [row["orderId"] for row in answer["data"]["list"]]
    assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0, 0]
    changes = [{"symbol": "BTCUSDT", "orderId": order, "qty": "0.03"} for order in made]
    batch = {"category": "linear", "request": changes}
    first(lambda put: trading.amend_batch_order(put, **batch))
    rows = client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT")
    assert {(row["orderId"], row["qty"]) for row in rows} == {(order, "0.03") for order in made}
    gone = [{"symbol": "BTCUSDT", "orderId": order} for order in made]
    first(lambda put: trading.cancel_batch_order(put, category="linear", request=gone))
    assert client.rows("/v5/order/realtime", "category=linear&symbol=BTCUSDT") == []


@pytest.mark.usefixtures("flat")
def test_a_refusal_over_the_socket_is_told(trading):
    answer = first(
        lambda put: trading.cancel_order(pytest.fail, error_callback=put, **BTC, orderId="0")
    )
    assert answer["retCode"] == 110001
