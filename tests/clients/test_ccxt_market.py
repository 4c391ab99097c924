"""ccxt, sync and async, sees the simulated market as the venue's own rows tell it."""

import time

import pytest

from tests.clients.reach import LINEAR, SPOT

MINUTE_MS = 60_000


def test_the_clock_and_the_status(ex):
    assert abs(ex.fetch_time() - time.time() * 1000) < 2_000
    assert ex.fetch_status()["status"] == "ok"


def test_markets_and_currencies_are_those_of_the_venue(ex, exchange):
    by_symbol = {row["symbol"]: row for row in ex.fetch_markets()}
    assert sorted(by_symbol) == sorted(
        base + suffix
        for base in ("BTC", "ETH", "SOL", "XRP", "DOGE")
        for suffix in ("/USDT", "/USDT:USDT")
    )
    perpetual, spot = by_symbol[LINEAR], by_symbol[SPOT]
    assert (perpetual["linear"], perpetual["swap"], spot["spot"]) == (True, True, True)
    path = "/v5/market/instruments-info?category={}&symbol=BTCUSDT"
    row = exchange.client.public(path.format("linear"))["list"][0]
    assert perpetual["precision"]["price"] == float(row["priceFilter"]["tickSize"])
    assert perpetual["precision"]["amount"] == float(row["lotSizeFilter"]["qtyStep"])
    assert perpetual["limits"]["leverage"]["max"] == float(row["leverageFilter"]["maxLeverage"])
    row = exchange.client.public(path.format("spot"))["list"][0]
    assert spot["precision"]["amount"] == float(row["lotSizeFilter"]["basePrecision"])
    assert spot["limits"]["cost"]["min"] == float(row["lotSizeFilter"]["minOrderAmt"])
    coins = ex.fetch_currencies()
    assert {"USDT", "BTC", "ETH"} <= set(coins)


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_tickers_agree_with_each_other_and_the_book(ex, symbol):
    one = ex.fetch_ticker(symbol)
    among = ex.fetch_tickers([symbol])[symbol]
    quote = ex.fetch_bids_asks([symbol])[symbol]
    for row in (one, among, quote):
        assert row["bid"] < row["last"] < row["ask"]
        assert row["low"] <= row["last"] <= row["high"]
        assert row["percentage"] == pytest.approx((row["last"] / row["open"] - 1) * 100, abs=0.01)
        assert abs(row["last"] / one["last"] - 1) < 0.02
    if symbol == LINEAR:
        assert abs(one["markPrice"] / one["last"] - 1) < 0.01
        assert float(one["info"]["openInterest"]) > 0


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_the_order_book_is_sorted_and_not_crossed(ex, symbol):
    book = ex.fetch_order_book(symbol, 3)
    bids, asks = ([row[0] for row in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 3
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] < asks[0]
    assert all(size > 0 for side in ("bids", "asks") for _, size in book[side])
    assert book["symbol"] == symbol
    assert abs(book["timestamp"] - time.time() * 1000) < 5_000
    assert len(ex.fetch_l2_order_book(symbol, 3)["bids"]) == 3


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
@pytest.mark.parametrize(("name", "interval"), [("1m", "1"), ("1h", "60"), ("1d", "D")])
def test_candles_equal_the_rest_rows(ex, exchange, symbol, name, interval):
    category = "spot" if symbol == SPOT else "linear"
    length = {"1m": 1, "1h": 60, "1d": 1440}[name] * MINUTE_MS
    end = int(time.time() * 1000) // length * length - length
    query = f"category={category}&symbol=BTCUSDT&interval={interval}&end={end}&limit=4"
    rows = exchange.client.public(f"/v5/market/kline?{query}")["list"]
    rows = [[int(row[0]), *map(float, row[1:6])] for row in reversed(rows)]
    seen = ex.fetch_ohlcv(symbol, name, rows[0][0], 4)
    assert seen == rows
    assert [row[0] for row in seen] == list(range(end - 3 * length, end + 1, length))
    assert all(
        low <= min(first, last) <= max(first, last) <= high for _, first, high, low, last, _ in seen
    )


def test_mark_index_and_premium_candles(ex):
    since = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS - 5 * MINUTE_MS
    traded = ex.fetch_ohlcv(LINEAR, "1m", since, 4)
    for method in (ex.fetch_mark_ohlcv, ex.fetch_index_ohlcv):
        rows = method(LINEAR, "1m", since, 4)
        assert [row[0] for row in rows] == [row[0] for row in traded]
        assert all(row[5] is None for row in rows), "no volume of a derived price"
        assert all(abs(a[4] / b[4] - 1) < 0.01 for a, b in zip(rows, traded, strict=True))
    premium = ex.fetch_premium_index_ohlcv(LINEAR, "1m", since, 4)
    assert [row[0] for row in premium] == [row[0] for row in traded]
    assert all(abs(value) < 0.01 for row in premium for value in row[1:5])


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
def test_public_trades_lie_inside_their_candle(ex, symbol):
    trades = ex.fetch_trades(symbol, limit=30)
    assert len({trade["id"] for trade in trades}) == 30
    assert [t["timestamp"] for t in trades] == sorted(t["timestamp"] for t in trades)
    since = trades[0]["timestamp"] // MINUTE_MS * MINUTE_MS
    candles = {row[0]: row for row in ex.fetch_ohlcv(symbol, "1m", since, 5)}
    newest = max(candles)
    for trade in trades:
        start = trade["timestamp"] // MINUTE_MS * MINUTE_MS
        _, _, high, low, _, volume = candles[start]
        assert low <= trade["price"] <= high
        assert trade["amount"] > 0
        assert start == newest or trade["amount"] <= volume, "an open candle's volume still grows"
        assert trade["side"] in {"buy", "sell"}


def test_funding_rates_and_their_history(ex):
    now = ex.fetch_funding_rate(LINEAR)
    eight_hours = 8 * 60 * MINUTE_MS
    assert now["fundingTimestamp"] % eight_hours == 0
    assert 0 < now["fundingTimestamp"] - time.time() * 1000 <= eight_hours
    assert abs(now["fundingRate"]) <= 0.0075
    assert ex.fetch_funding_rates([LINEAR])[LINEAR]["fundingTimestamp"] == now["fundingTimestamp"]
    history = ex.fetch_funding_rate_history(LINEAR, limit=5)
    times = [row["timestamp"] for row in history]
    assert times == list(range(times[0], times[0] + 5 * eight_hours, eight_hours))
    assert times[-1] == now["fundingTimestamp"] - eight_hours
    assert all(abs(row["fundingRate"]) <= 0.0075 for row in history)
    assert ex.fetch_funding_rate_history(LINEAR, limit=5) == history


def test_open_interest_and_the_crowd(ex):
    hour = 60 * MINUTE_MS
    history = ex.fetch_open_interest_history(LINEAR, "1h", limit=4)
    times = [row["timestamp"] for row in history]
    assert times == list(range(times[0], times[0] + 4 * hour, hour))
    now = ex.fetch_open_interest(LINEAR)
    assert now["openInterestAmount"] == history[-1]["openInterestAmount"] > 0
    crowd = ex.fetch_long_short_ratio_history(LINEAR, "1h", limit=4)
    assert [row["timestamp"] for row in crowd] == times
    for row in crowd:
        assert float(row["info"]["buyRatio"]) + float(row["info"]["sellRatio"]) == pytest.approx(1)


def test_leverage_tiers(ex):
    tiers = ex.fetch_market_leverage_tiers(LINEAR)
    assert ex.fetch_leverage_tiers([LINEAR])[LINEAR] == tiers
    assert tiers[0]["maxLeverage"] == ex.market(LINEAR)["limits"]["leverage"]["max"]
    assert 0 < tiers[0]["maintenanceMarginRate"] < 1 / tiers[0]["maxLeverage"]
