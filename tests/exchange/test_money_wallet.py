"""The wallet, the transaction log, leverage, and what the book forgets."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exchange import shapes, transactions
from exchange.assets import coin_rows, collateral_rows
from exchange.book import Book
from exchange.errors import BadStart, Refused
from exchange.orders import Order
from tests.exchange.money_desk import DAY_S, DEPOSIT, HOUR_S, Desk, Json


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "book.db") as opened:
        yield opened


def wallet(desk: Desk) -> Json:
    return shapes.wallet_row(desk.account, list(desk.records.orders.values()))


def page(desk: Desk, **query: Any) -> Json:
    return transactions.page(desk.book, query, desk.clock.now_ms())


def test_the_totals_of_the_wallet_follow_positions_orders_and_prices(desk: Desk) -> None:
    desk.fill("Buy", "1")
    desk.order("Buy", "1", price=Decimal(40_000))
    desk.order("Buy", "0.01", category="spot", price=Decimal(50_000))
    desk.price("BTCUSDT", 50_500.0)
    row = wallet(desk)
    assert row["totalWalletBalance"] == str(DEPOSIT - Decimal("27.5"))
    assert row["totalPerpUPL"] == "500"
    assert row["totalMarginBalance"] == row["totalEquity"] == "10472.5"
    assert row["totalInitialMargin"] == "9000"
    assert row["totalMaintenanceMargin"] == "252.5"
    assert row["totalAvailableBalance"] == "972.5"
    assert (row["accountIMRate"], row["accountMMRate"]) == ("0.8594", "0.0241")
    coin = row["coin"][0]
    assert (coin["totalOrderIM"], coin["totalPositionIM"], coin["totalPositionMM"]) == (
        "4000",
        "5000",
        "252.5",
    )
    assert (coin["locked"], coin["unrealisedPnl"], coin["cumRealisedPnl"]) == (
        "500",
        "500",
        "-27.5",
    )


def test_other_coins_count_as_equity_and_not_as_collateral(desk: Desk) -> None:
    desk.fill("Buy", "0.1", category="spot")
    row = wallet(desk)
    assert row["totalEquity"] == "9995"
    assert row["totalMarginBalance"] == "5000"
    assert [(coin["coin"], coin["collateralSwitch"]) for coin in row["coin"]] == [
        ("USDT", True),
        ("BTC", False),
    ]
    kinds = collateral_rows(desk.market.catalogue)
    assert [row["currency"] for row in kinds if row["collateralSwitch"]] == ["USDT"]


def test_each_row_of_the_log_continues_the_balance_of_the_one_before(desk: Desk) -> None:
    desk.fill("Buy", "0.1", category="spot")
    desk.fill("Buy", "0.1")
    desk.pass_time(DAY_S // 2)
    desk.fill("Sell", "0.1")
    desk.account.move("USDT", Decimal(5), "withdraw", [])
    balances = {"USDT": DEPOSIT, "BTC": Decimal(0)}
    for row in desk.transactions():
        funding = Decimal(row["funding"] or 0)
        change = Decimal(row["cashFlow"]) + funding - Decimal(row["fee"])
        assert change == Decimal(row["change"])
        balances[row["currency"]] += change
        assert balances[row["currency"]] == Decimal(row["cashBalance"])
    assert balances == desk.account.coins
    assert len({row["id"] for row in desk.transactions()}) == len(desk.transactions())


def test_a_trade_of_the_log_names_its_order_and_its_execution(desk: Desk) -> None:
    order = desk.fill("Sell", "0.1", link_id="mine")
    row = desk.transactions()[0]
    assert (row["type"], row["category"], row["side"]) == ("TRADE", "linear", "Sell")
    assert (row["orderId"], row["orderLinkId"]) == (order.order_id, "mine")
    assert row["tradeId"] == desk.executions()[0]["execId"]
    assert (row["qty"], row["size"], row["tradePrice"]) == ("0.1", "-0.1", "50000")
    assert (row["fee"], row["feeRate"], row["change"]) == ("2.75", "0.00055", "-2.75")


def test_the_log_is_paged_by_a_cursor_without_holes_or_repeats(desk: Desk) -> None:
    for _ in range(7):
        desk.fill("Buy", "0.001")
    seen: list[Json] = []
    cursor = ""
    while True:
        answer = page(desk, limit="3", cursor=cursor)
        seen += answer["list"]
        cursor = answer["nextPageCursor"]
        if not cursor:
            break
    assert seen == list(reversed(desk.transactions()))


def test_the_log_shows_a_day_unless_asked_and_seven_at_most(desk: Desk) -> None:
    desk.fill("Buy", "0.001", category="spot")
    start = desk.clock.now_ms()
    desk.pass_time(2 * DAY_S)
    end = desk.clock.now_ms()
    assert page(desk)["list"] == []
    assert len(page(desk, startTime=str(start))["list"]) == 2
    assert len(page(desk, startTime=str(start - 1), endTime=str(end))["list"]) == 2
    assert page(desk, endTime=str(end))["list"] == []
    with pytest.raises(Refused, match="cannot exceed 7 days"):
        page(desk, startTime=str(end - 7 * DAY_S * 1000 - 1), endTime=str(end))


def test_the_log_is_narrowed_by_category_currency_coin_and_type(desk: Desk) -> None:
    desk.fill("Buy", "0.001", category="spot")
    desk.fill("Buy", "0.1", symbol="ETHUSDT", price=Decimal(2_000))
    desk.account.move("USDT", Decimal(5), "deposit", [])
    assert len(page(desk, category="spot")["list"]) == 2
    assert len(page(desk, currency="BTC")["list"]) == 1
    assert len(page(desk, baseCoin="ETH")["list"]) == 1
    assert len(page(desk, type="TRANSFER_IN")["list"]) == 1
    assert page(desk, transSubType="movePosition")["list"] == []


def test_money_moves_in_and_out_but_never_more_than_is_free(desk: Desk) -> None:
    desk.fill("Buy", "1")
    desk.account.move("USDT", Decimal(1000), "deposit", [])
    desk.account.move("USDT", Decimal(-500), "transfer", [])
    desk.account.move("BTC", Decimal(2), "deposit", [])
    free = desk.account.available("USDT", [])
    with pytest.raises(Refused, match="Insufficient balance"):
        desk.account.move("USDT", free + 1, "withdraw", [])
    desk.account.move("USDT", free, "withdraw", [])
    assert desk.account.coin("BTC") == 2
    kinds = [row["type"] for row in desk.transactions()[1:]]
    assert kinds == ["TRANSFER_IN", "TRANSFER_OUT", "TRANSFER_IN", "TRANSFER_OUT"]
    assert [line["reason"] for line in desk.log("transfer")][:2] == ["deposit", "transfer"]


@pytest.mark.parametrize(("coin", "amount"), [("XYZ", "1"), ("USDT", "0"), ("USDT", "-1")])
def test_a_move_of_an_unknown_coin_or_of_nothing_is_refused(
    desk: Desk, coin: str, amount: str
) -> None:
    with pytest.raises(Refused, match="expected a coin and an amount"):
        desk.account.move(coin, Decimal(amount), "deposit", [])


def test_lower_leverage_needs_free_margin(desk: Desk) -> None:
    desk.fill("Buy", "1")
    instrument = desk.records.instrument(("linear", "BTCUSDT"))
    check = desk.account.check_leverage
    check(instrument, Decimal(6), [])
    for leverage, code in (10, 110043), (101, 110013), (0, 110013), (5, 110012):
        with pytest.raises(Refused) as refused:
            check(instrument, Decimal(leverage), [])
        assert refused.value.code == code


def test_a_pre_check_tells_the_rates_before_and_after(desk: Desk) -> None:
    desk.fill("Buy", "0.1")
    order = Order("id", "linear", "BTCUSDT", "Buy", "Market", Decimal("0.1"), 0, 0)
    told = desk.account.pre_check(order, [])
    assert (told["preImrE4"], told["postImrE4"]) == (500, 1000)
    assert (told["preMmrE4"], told["postMmrE4"]) == (25, 50)
    closing = Order("id", "linear", "BTCUSDT", "Sell", "Market", Decimal("0.1"), 0, 0)
    assert desk.account.pre_check(closing, [])["postImrE4"] == 500


def test_hedge_mode_is_refused_and_one_way_is_what_it_is(desk: Desk) -> None:
    for mode, code in (0, 110025), (3, 10001):
        with pytest.raises(Refused) as refused:
            desk.account.switch_mode(mode)
        assert refused.value.code == code


def test_every_coin_has_a_row_with_a_chain(desk: Desk) -> None:
    assert [row["coin"] for row in coin_rows(desk.market.catalogue)] == ["USDT", "BTC", "ETH"]
    assert [row["coin"] for row in coin_rows(desk.market.catalogue, "BTC")] == ["BTC"]
    assert coin_rows(desk.market.catalogue, "XYZ") == []


# What the book forgets


def test_an_unfilled_cancelled_order_is_forgotten_after_a_day_and_its_link_id_never(
    desk: Desk,
) -> None:
    gone = desk.order("Buy", "0.1", link_id="gone")
    gone.status = "Cancelled"
    desk.records.changed(gone)
    desk.order("Buy", "0.1", link_id="stays")
    desk.fill("Buy", "0.1", link_id="filled")
    desk.pass_time(DAY_S - HOUR_S)
    assert len(desk.book.orders("1", [], 10, 2**62)) == 3
    desk.pass_time(2 * HOUR_S)
    kept = [order.link_id for _, order in desk.book.orders("1", [], 10, 2**62)]
    assert kept == ["filled", "stays"]
    desk.reopen()
    assert all(map(desk.book.link_used, ("gone", "stays", "filled")))
    assert not desk.book.link_used("new")


def test_history_is_kept_for_two_years(desk: Desk) -> None:
    desk.fill("Buy", "0.001", category="spot")
    desk.book.forget(desk.clock.now_ms() + 729 * DAY_S * 1000)
    assert len(desk.transactions()) == 2
    desk.book.forget(desk.clock.now_ms() + 731 * DAY_S * 1000)
    assert desk.transactions() == desk.executions() == []


def test_a_book_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE state (key, value)")
    db.close()
    with pytest.raises(BadStart, match="expected version 2"):
        Book(path)


def test_log_lines_that_were_committed_but_not_written_are_written_at_the_next_start(
    desk: Desk,
) -> None:
    desk.account.move("USDT", Decimal(1), "deposit", [])
    desk.settle()
    desk.account.move("USDT", Decimal(2), "deposit", [])
    desk.settle()
    desk.book.close()
    log = desk.book.log_path
    whole = log.read_bytes()
    log.write_bytes(whole[: whole.index(b"\n") + 8])
    desk.open(desk.book.path)
    assert log.read_bytes() == whole


def test_lines_of_a_rolled_back_change_are_never_written(desk: Desk) -> None:
    desk.account.move("USDT", Decimal(1), "deposit", [])
    desk.settle()
    desk.account.move("USDT", Decimal(2), "deposit", [])
    desk.book.rollback()
    desk.account.restore()
    desk.account.move("USDT", Decimal(3), "deposit", [])
    assert [(line["n"], line["amount"]) for line in desk.log("transfer")] == [(1, "1"), (2, "3")]
    assert desk.account.coin("USDT") == DEPOSIT + 4
