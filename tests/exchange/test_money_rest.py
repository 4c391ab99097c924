"""The money as a client sees it, over REST and the private stream of a running exchange."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tests.exchange.exchange_process import Client, Exchange, Json

Start = Callable[..., Exchange]
DAY_S = 86_400
FLAGS = ("--start", "2026-01-01T01:00", "--no-rate-limit", "--liquidity", "50000000")


def log(client: Client, **more: str) -> list[Json]:
    """The whole transaction log of the last days, newest first, page by page."""
    query = {
        "accountType": "UNIFIED",
        "limit": "5",
        "startTime": str(client.now() - 6 * DAY_S * 1000),
    }
    query |= {"endTime": str(client.now()), **more}
    rows: list[Json] = []
    cursor = ""
    while True:
        text = "&".join(f"{name}={value}" for name, value in {**query, "cursor": cursor}.items())
        answer = client.get("/v5/account/transaction-log", text)
        assert answer["retCode"] == 0, answer
        rows += answer["result"]["list"]
        cursor = answer["result"]["nextPageCursor"]
        if not cursor:
            return rows


def test_a_client_reconciles_its_wallet_to_the_cent_over_days_and_a_kill(start: Start) -> None:
    exchange = start(*FLAGS)
    client = exchange.client
    client.control("funding", symbol="BTCUSDT", rate="0.0005")
    client.order(qty="0.1")
    client.order(qty="0.01", category="spot", marketUnit="baseCoin")
    client.control("jump", seconds=2 * DAY_S)
    exchange.kill()
    exchange.start()
    client = exchange.client
    client.order(qty="0.1", side="Sell", reduceOnly=True)
    rows = log(client)
    assert len([row for row in rows if row["type"] == "SETTLEMENT"]) == 6
    assert len({row["id"] for row in rows}) == len(rows)
    changes = sum((Decimal(r["change"]) for r in rows if r["currency"] == "USDT"), Decimal(0))
    assert Decimal(client.usdt()) == 100_000 + changes
    assert client.usdt() == next(r["cashBalance"] for r in rows if r["currency"] == "USDT")


def test_funding_is_an_execution_of_its_own_type_and_the_ticker_told_its_rate(
    start: Start,
) -> None:
    exchange = start(*FLAGS)
    client = exchange.client
    client.order(qty="0.1")
    ticker = client.public("/v5/market/tickers?category=linear&symbol=BTCUSDT")["list"][0]
    assert ticker["nextFundingTime"] == "1767254400000"
    with_funding = client.stream("private", "execution", "wallet")
    client.control("jump", seconds=8 * 3600)
    pushed = with_funding.row("execution", "the funding", execType="Funding")
    with_funding.close()
    listed = client.rows("/v5/execution/list", "category=linear&execType=Funding")
    assert [row["execId"] for row in listed] == [pushed["execId"]]
    assert listed[0]["feeRate"] == ticker["fundingRate"]
    history = client.public("/v5/market/funding/history?category=linear&symbol=BTCUSDT")["list"]
    assert history[0]["fundingRate"] == ticker["fundingRate"]
    assert history[0]["fundingRateTimestamp"] == listed[0]["execTime"]


def test_the_fee_tier_follows_a_flag_and_a_control(start: Start) -> None:
    exchange = start(*FLAGS, "--fee-tier", "VIP 2")
    client = exchange.client
    rate = client.rows("/v5/account/fee-rate", "category=linear&symbol=BTCUSDT")[0]
    assert (rate["makerFeeRate"], rate["takerFeeRate"]) == ("0.00016", "0.000375")
    client.control("fees", category="spot", maker="-0.0001", taker="0.001")
    rate = client.rows("/v5/account/fee-rate", "category=spot&symbol=BTCUSDT")[0]
    assert rate["makerFeeRate"] == "-0.0001"
    assert client.control("fees", tier=None)["tier"] == "VIP 0"


def test_a_liquidation_reaches_the_private_and_the_public_stream(start: Start) -> None:
    exchange = start(*FLAGS, "--wallet", "1000")
    client = exchange.client
    body = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "50", "sellLeverage": "50"}
    assert client.post("/v5/position/set-leverage", body)["retCode"] == 0
    assert client.order(qty="0.2")["retCode"] == 0
    assert float(client.position()["liqPrice"]) > 0
    private = client.stream("private", "position", "wallet", "execution")
    public = client.stream("linear", "allLiquidation.BTCUSDT")
    client.control("price", symbol="BTCUSDT", factor=0.8)
    client.control("jump", seconds=2)
    private.row("position", "the takeover", positionStatus="Liq")
    bust = private.row("execution", "the takeover's fill", execType="BustTrade")
    shown = public.row("allLiquidation.BTCUSDT", "the liquidation", s="BTCUSDT")
    private.close()
    public.close()
    assert (shown["S"], shown["p"], shown["v"]) == ("Buy", bust["execPrice"], "0.2")
    assert client.position()["size"] == "0"
    assert 0 <= Decimal(client.usdt()) < 1
    assert log(client, type="LIQUIDATION")[0]["tradeId"] == bust["execId"]


def test_a_pre_check_places_nothing(start: Start) -> None:
    client = start(*FLAGS).client
    body = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market"}
    result = client.post("/v5/order/pre-check", {**body, "qty": "0.1"})["result"]
    assert (result["preImrE4"], result["preMmrE4"]) == (0, 0)
    assert result["postImrE4"] > result["postMmrE4"] > 0
    assert client.rows("/v5/order/realtime", "category=linear&settleCoin=USDT&openOnly=1") == []


def test_an_outsider_s_move_reaches_wallet_push_and_transaction_log(start: Start) -> None:
    client = start(*FLAGS).client
    private = client.stream("private", "wallet")
    client.control("fault", kind="balance", coin="USDT", amount="-250.5")
    pushed = private.row("wallet", "the smaller wallet", totalWalletBalance="99749.5")
    private.close()
    assert pushed["coin"][0]["walletBalance"] == "99749.5"
    assert [row["change"] for row in log(client, type="TRANSFER_OUT")] == ["-250.5"]
