"""Fees: tiers by volume, pinned tiers and rates, and the coin in which spot pays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.errors import Refused
from exchange.fees import TIERS
from tests.exchange.money_desk import DAY_S, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "book.db", deposit=Decimal(10_000_000)) as opened:
        yield opened


def rates(desk: Desk, category: str) -> tuple[str, str]:
    row = desk.account.fees.rows(desk.market.catalogue.of(category))[0]
    return row["makerFeeRate"], row["takerFeeRate"]


def test_a_new_account_pays_the_rates_of_vip_0(desk: Desk) -> None:
    assert rates(desk, "spot") == ("0.001", "0.001")
    assert rates(desk, "linear") == ("0.0002", "0.00055")


def test_every_tier_asks_for_more_volume_and_costs_no_more_than_the_one_below() -> None:
    for lower, higher in itertools.pairwise(TIERS):
        assert higher.spot_volume > lower.spot_volume
        assert higher.linear_volume > lower.linear_volume
        for category in ("spot", "linear"):
            assert higher.rates[category].maker < lower.rates[category].maker
            assert higher.rates[category].taker <= lower.rates[category].taker


def test_traded_volume_opens_a_tier_at_the_next_seven_o_clock_and_is_lost_after_thirty_days(
    desk: Desk,
) -> None:
    for _ in range(10):
        desk.fill("Buy", "20")
        desk.fill("Sell", "20")
    assert desk.account.fees.volume("linear") == 0
    assert desk.account.fees.tier.name == "VIP 0"
    desk.pass_time(7 * 3600)
    assert desk.account.fees.volume("linear") == 20_000_000
    assert desk.account.fees.tier.name == "VIP 1"
    desk.reopen()
    assert rates(desk, "linear") == ("0.00018", "0.0004")
    desk.pass_time(30 * DAY_S)
    assert desk.account.fees.tier.name == "VIP 0"


def test_a_pinned_tier_stands_over_a_restart_until_it_is_let_go(desk: Desk) -> None:
    desk.account.fees.pin("VIP 5")
    desk.reopen()
    assert rates(desk, "spot") == ("0.0004", "0.0005")
    desk.account.fees.pin(None)
    assert desk.account.fees.tier.name == "VIP 0"
    with pytest.raises(Refused, match="expected one of VIP 0"):
        desk.account.fees.pin("VIP 9")


def test_a_rollback_brings_the_pinned_tier_back(desk: Desk) -> None:
    desk.account.fees.pin("VIP 5")
    desk.settle()
    desk.account.fees.pin("VIP 1")
    desk.book.rollback()
    desk.account.restore()
    assert desk.account.fees.tier.name == "VIP 5"


def test_a_spot_buy_pays_in_base_coin_and_a_sell_in_usdt(desk: Desk) -> None:
    desk.fill("Buy", "1", category="spot")
    assert desk.account.coin("BTC") == Decimal("0.999")
    assert desk.account.coin("USDT") == 10_000_000 - 50_000
    desk.fill("Sell", "0.5", category="spot")
    assert desk.account.coin("BTC") == Decimal("0.499")
    assert desk.account.coin("USDT") == 10_000_000 - 50_000 + 25_000 - 25
    assert [row["feeCurrency"] for row in desk.executions()] == ["BTC", "USDT"]


def test_a_negative_maker_rate_turns_the_spot_fee_coin_round_for_maker_fills_only(
    desk: Desk,
) -> None:
    desk.account.fees.pin_rates("spot", Decimal("-0.0001"), Decimal("0.001"))
    desk.fill("Buy", "1", category="spot", maker=True)
    assert desk.account.coin("BTC") == 1
    assert desk.account.coin("USDT") == 10_000_000 - 50_000 + 5
    desk.fill("Sell", "1", category="spot", maker=True)
    assert desk.account.coin("BTC") == Decimal("0.0001")
    desk.fill("Buy", "1", category="spot")
    assert [row["feeCurrency"] for row in desk.executions()] == ["USDT", "BTC", "BTC"]
    assert [row["execFee"] for row in desk.executions()] == ["-5", "-0.0001", "0.001"]


def test_a_linear_maker_fill_pays_less_than_a_taker_fill(desk: Desk) -> None:
    desk.fill("Buy", "1", maker=True)
    desk.fill("Buy", "1")
    assert [row["execFee"] for row in desk.executions()] == ["10", "27.5"]
