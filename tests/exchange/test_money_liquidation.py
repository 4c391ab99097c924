"""Liquidation and auto-deleveraging: when they come, what they cost, and how they are told."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from exchange import shapes
from exchange.errors import Refused
from tests.exchange.money_desk import Desk, Json


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "book.db") as opened:
        yield opened


def position_row(desk: Desk, symbol: str = "BTCUSDT") -> Json:
    return shapes.position_row(desk.account.position(symbol), desk.account, [])


def test_the_liquidation_price_of_a_long_is_the_tick_at_which_it_happens(desk: Desk) -> None:
    desk.fill("Buy", "1")
    told = Decimal(position_row(desk)["liqPrice"])
    desk.price("BTCUSDT", float(told + Decimal("0.1")))
    assert desk.account.position("BTCUSDT").size == 1
    desk.price("BTCUSDT", float(told - Decimal("0.1")))
    assert desk.account.position("BTCUSDT").size == 0


def test_the_liquidation_price_of_a_short_is_the_tick_at_which_it_happens(desk: Desk) -> None:
    desk.fill("Sell", "1")
    told = Decimal(position_row(desk)["liqPrice"])
    desk.price("BTCUSDT", float(told - Decimal("0.1")))
    assert desk.account.position("BTCUSDT").size == -1
    desk.price("BTCUSDT", float(told + Decimal("0.1")))
    assert desk.account.position("BTCUSDT").size == 0


def test_a_small_long_and_a_flat_position_have_no_liquidation_price(desk: Desk) -> None:
    assert position_row(desk)["liqPrice"] == ""
    desk.fill("Buy", "0.1")
    assert position_row(desk)["liqPrice"] == ""


def test_a_liquidated_account_ends_within_one_tick_of_zero_and_never_owes(desk: Desk) -> None:
    desk.fill("Buy", "1")
    desk.price("BTCUSDT", 30_000.0)
    assert 0 <= desk.account.coin("USDT") <= Decimal("0.2")


def test_each_position_costs_its_share_of_the_margin_balance(desk: Desk) -> None:
    desk.fill("Buy", "1")
    desk.fill("Sell", "10", symbol="ETHUSDT", price=Decimal(2_000))
    desk.price("BTCUSDT", 40_250.0)
    assert desk.account.held() == []
    assert 0 <= desk.account.coin("USDT") <= 1
    kinds = {row["symbol"]: row["execType"] for row in desk.executions()[2:]}
    assert kinds == {"BTCUSDT": "BustTrade", "ETHUSDT": "BustTrade"}


def test_orders_that_use_margin_go_first_and_the_rest_with_the_position(desk: Desk) -> None:
    desk.fill("Buy", "1")
    opening = desk.order("Buy", "0.1", price=Decimal(35_000))
    spot_buy = desk.order("Buy", "0.1", category="spot", price=Decimal(35_000))
    spot_sell = desk.order("Sell", "0.1", category="spot", price=Decimal(65_000))
    closing = desk.order("Sell", "1", price=Decimal(65_000), reduce_only=True)
    desk.price("BTCUSDT", 39_000.0)
    assert (opening.status, opening.cancel_type) == ("Cancelled", "CancelByPrepareLiq")
    assert (spot_buy.status, spot_buy.cancel_type) == ("Cancelled", "CancelByPrepareLiq")
    assert (closing.status, closing.cancel_type) == ("Cancelled", "CancelByReduceOnly")
    assert spot_sell.is_open
    pushed = [row.get("cancelType") for row in desk.events("order")]
    assert pushed.index("CancelByPrepareLiq") < pushed.index("CancelByReduceOnly")


def test_a_liquidation_is_told_on_every_channel(desk: Desk) -> None:
    desk.fill("Buy", "1")
    desk.price("BTCUSDT", 39_000.0)
    assert [row["positionStatus"] for row in desk.events("position")] == ["Normal", "Liq", "Normal"]
    execution = desk.executions()[-1]
    assert (execution["execType"], execution["side"]) == ("BustTrade", "Sell")
    assert execution["createType"] == "CreateByTakeOver_PassThrough"
    assert desk.transactions()[-1]["type"] == "LIQUIDATION"
    closed = desk.book.rows("closed", "1", [], 10, 2**62)[0][1]
    assert (closed["execType"], closed["closedSize"]) == ("BustTrade", "1")
    assert [line["symbols"] for line in desk.log("liquidation")] == [["BTCUSDT"]]
    public = desk.clearing.drain_liquidations()
    assert [(row["s"], row["S"], row["v"]) for row in public] == [("BTCUSDT", "Buy", "1")]
    assert public[0]["p"] == execution["execPrice"]
    assert desk.clearing.drain_liquidations() == []


def test_a_jump_liquidates_in_the_second_in_which_margin_was_short(desk: Desk) -> None:
    desk.fill("Buy", "1")
    desk.path.steps["BTCUSDT"] += [(desk.now_s() + 5000, 39_000.0), (desk.now_s() + 5100, 50_000.0)]
    at = desk.now_s() + 5000
    desk.pass_time(200_000)
    assert [line["market_ms"] for line in desk.log("liquidation")] == [at * 1000]
    assert int(desk.executions()[-1]["execTime"]) // 1000 == at


def test_profit_of_another_position_keeps_the_account_alive(desk: Desk) -> None:
    desk.fill("Buy", "1")
    desk.fill("Sell", "10", symbol="ETHUSDT", price=Decimal(2_000))
    desk.price("ETHUSDT", 1_000.0)
    desk.price("BTCUSDT", 40_100.0)
    assert len(desk.account.held()) == 2


def test_adl_reduces_a_position_at_the_mark_price(desk: Desk) -> None:
    desk.fill("Buy", "1")
    desk.price("BTCUSDT", 51_000.0)
    desk.clearing.adl("BTCUSDT", Decimal("0.4"))
    assert desk.account.position("BTCUSDT").size == Decimal("0.6")
    execution = desk.executions()[-1]
    assert (execution["execType"], execution["execPrice"]) == ("AdlTrade", "51000")
    assert "Adl" in [row["positionStatus"] for row in desk.events("position")]
    assert desk.transactions()[-1]["type"] == "ADL"
    assert [line["qty"] for line in desk.log("adl")] == ["0.4"]
    desk.clearing.adl("BTCUSDT")
    assert desk.account.position("BTCUSDT").size == 0
    with pytest.raises(Refused, match="expected a quantity up to 0"):
        desk.clearing.adl("BTCUSDT", Decimal(1))
