"""Funding: rates that two exchanges share, and payments that happen once."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from exchange.errors import Refused
from exchange.funding import RATE_MAX
from exchange.instruments import Instrument
from tests.exchange.money_desk import DAY_S, DEPOSIT, HOUR_S, START_S, Desk

EIGHT_S = 8 * HOUR_S


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "book.db") as opened:
        yield opened


def linear(desk: Desk) -> Instrument:
    return desk.records.instrument(("linear", "BTCUSDT"))


def rates(desk: Desk, count: int) -> list[Decimal]:
    funding = desk.clearing.funding
    return [funding.rate(linear(desk), (START_S + n * EIGHT_S) * 1000) for n in range(count)]


def test_rates_depend_on_the_seed_alone_and_stay_within_the_cap(tmp_path: Path) -> None:
    drawn = []
    for name, seed in ("one", 3), ("same", 3), ("other", 4):
        with Desk(tmp_path / name, seed=seed) as desk:
            drawn.append(rates(desk, 500))
    one, same, other = drawn
    assert one == same != other
    assert all(abs(rate) <= RATE_MAX for rate in one)
    assert 150 < one.count(Decimal("0.0001")) < 400
    assert min(one) < 0 < max(one)


def test_a_long_pays_a_positive_rate_at_the_mark_price_of_the_boundary(desk: Desk) -> None:
    desk.clearing.funding.pin("BTCUSDT", Decimal("0.001"))
    desk.fill("Buy", "0.1")
    before = desk.account.coin("USDT")
    desk.price("BTCUSDT", 51_000.0)
    desk.pass_time(EIGHT_S)
    assert desk.account.coin("USDT") == before - Decimal("5.1")
    assert desk.account.position("BTCUSDT").realised_total == Decimal("-2.75") - Decimal("5.1")


def test_a_short_receives_what_a_long_pays(desk: Desk) -> None:
    desk.clearing.funding.pin("BTCUSDT", Decimal("0.001"))
    desk.fill("Sell", "0.1")
    before = desk.account.coin("USDT")
    desk.pass_time(EIGHT_S)
    assert desk.account.coin("USDT") == before + 5


def test_a_payment_is_told_as_execution_transaction_push_and_log_line(desk: Desk) -> None:
    desk.clearing.funding.pin("BTCUSDT", Decimal("-0.001"))
    desk.fill("Sell", "0.1")
    desk.pass_time(EIGHT_S)
    at = str((START_S + EIGHT_S) * 1000)
    execution = desk.executions()[-1]
    assert {"execType": "Funding", "execTime": at, "execFee": "5", "feeRate": "0.001"}.items() <= (
        execution.items()
    )
    assert (execution["side"], execution["execQty"], execution["execPrice"]) == (
        "Sell",
        "0.1",
        "50000",
    )
    row = desk.transactions()[-1]
    assert (row["type"], row["funding"], row["change"], row["feeRate"]) == (
        "SETTLEMENT",
        "-5",
        "-5",
        "-0.001",
    )
    assert (row["side"], row["size"], row["tradeId"]) == ("Sell", "-0.1", execution["execId"])
    assert desk.events("execution")[-1] == execution
    assert desk.events("position")[-1]["curRealisedPnl"] == "-7.75"
    assert desk.records.wallet_changed
    assert [line["fee"] for line in desk.log("funding")] == ["5"]


def test_a_jump_over_several_boundaries_pays_each_of_them(desk: Desk) -> None:
    desk.clearing.funding.pin("BTCUSDT", Decimal("0.0001"))
    desk.fill("Buy", "0.1")
    desk.pass_time(5 * DAY_S)
    paid = [row for row in desk.transactions() if row["type"] == "SETTLEMENT"]
    assert [int(row["transactionTime"]) for row in paid] == [
        (START_S + n * EIGHT_S) * 1000 for n in range(1, 16)
    ]


def test_a_boundary_is_paid_once_over_a_restart(desk: Desk) -> None:
    desk.fill("Buy", "0.1")
    desk.pass_time(EIGHT_S - 1)
    desk.reopen()
    desk.pass_time(1)
    desk.reopen()
    desk.pass_time(1)
    assert len([row for row in desk.executions() if row["execType"] == "Funding"]) == 1


def test_a_boundary_that_was_not_committed_is_paid_after_the_restart(desk: Desk) -> None:
    desk.fill("Buy", "0.1")
    desk.settle()
    desk.pass_time(EIGHT_S)
    desk.book.rollback()
    desk.book.close()
    desk.open(desk.book.path)
    assert [row["execType"] for row in desk.executions()] == ["Trade"]
    desk.pass_time(1)
    assert [row["execType"] for row in desk.executions()] == ["Trade", "Funding"]


def test_a_flat_account_neither_pays_nor_asks_for_boundaries(desk: Desk) -> None:
    desk.fill("Buy", "0.1")
    desk.fill("Sell", "0.1")
    desk.pass_time(DAY_S)
    assert {row["type"] for row in desk.transactions()} == {"TRADE"}


def test_the_ticker_tells_the_rate_that_is_paid_next(desk: Desk) -> None:
    told = desk.clearing.funding.ticker(linear(desk))
    assert told["nextFundingTime"] == str((START_S + EIGHT_S) * 1000)
    desk.fill("Buy", "0.1")
    desk.pass_time(EIGHT_S)
    assert desk.transactions()[-1]["feeRate"] == told["fundingRate"]


def test_history_has_the_past_newest_first_within_its_window_and_limit(desk: Desk) -> None:
    desk.pass_time(3 * DAY_S)
    funding, now = desk.clearing.funding, desk.clock.now_ms()
    rows = funding.history(linear(desk), 0, now, 200)
    assert len(rows) == 3 * 10 + 1
    times = [int(row["fundingRateTimestamp"]) for row in rows]
    assert times == sorted(times, reverse=True)
    assert times[0] == (START_S + 3 * DAY_S) * 1000
    window = funding.history(linear(desk), times[4], times[2], 200)
    assert [int(row["fundingRateTimestamp"]) for row in window] == times[2:5]
    assert funding.history(linear(desk), 0, now, 2) == rows[:2]
    assert funding.history(linear(desk), 0, now * 2, 2) == rows[:2]


def test_a_pin_leaves_the_rates_of_the_past_alone(desk: Desk) -> None:
    desk.pass_time(DAY_S)
    before = desk.clearing.funding.history(linear(desk), 0, desk.clock.now_ms(), 200)
    desk.clearing.funding.pin("BTCUSDT", Decimal("0.005"))
    desk.reopen()
    desk.pass_time(EIGHT_S)
    desk.clearing.funding.pin("BTCUSDT", None)
    after = desk.clearing.funding.history(linear(desk), 0, desk.clock.now_ms(), 200)
    assert after[0]["fundingRate"] == "0.005"
    assert after[1:] == before
    with pytest.raises(Refused, match="expected a rate within"):
        desk.clearing.funding.pin("BTCUSDT", Decimal("0.008"))


def test_the_deposit_is_untouched_without_positions(desk: Desk) -> None:
    desk.pass_time(30 * DAY_S)
    assert desk.account.coins == {"USDT": DEPOSIT}
