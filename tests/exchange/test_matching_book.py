"""Orders meet the rest of the market by price and time, and never more than it offers."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from exchange.depth import Level
from tests.exchange.matching_world import World, refusal


def test_the_book_of_a_second_is_the_same_for_the_same_seed_only(tmp_path: Path) -> None:
    books = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, seed=seed)
        books.append((world.offers("Buy"), world.offers("Sell")))
        world.book.close()
    assert books[0] == books[1] != books[2]
    asks, bids = books[0]
    assert len(asks) == len(bids) == 50
    assert [a.price for a in asks] == sorted(a.price for a in asks)
    assert asks[0].price > 100 > bids[0].price
    assert sum(a.qty for a in asks[25:]) > sum(a.qty for a in asks[:25])
    assert sum(a.qty for a in asks) * 100 == pytest.approx(100_000, rel=0.02)


def test_a_market_order_takes_the_levels_in_order_and_each_only_once_a_second(world: World) -> None:
    first, second, *_ = world.offers("Buy")
    order = world.market_order(qty=str(first.qty + Decimal("0.1")))
    fills = [(Decimal(r["execPrice"]), Decimal(r["execQty"])) for r in world.rows("execution")]
    assert fills == [first, (second.price, Decimal("0.1"))]
    assert order.status == "Filled"
    assert world.offers("Buy")[0] == Level(second.price, second.qty - Decimal("0.1"))
    world.market_order(qty="0.1")
    assert Decimal(world.rows("execution")[-1]["execPrice"]) == second.price
    world.go()
    assert world.offers("Buy")[0].qty != second.qty - Decimal("0.2")


def test_what_the_book_does_not_offer_a_market_order_is_cancelled(world: World) -> None:
    offered = sum(level.qty for level in world.offers("Buy"))
    order = world.market_order(qty=str(offered + 50))
    assert order.status == "Cancelled"
    assert order.filled == offered
    assert order.reject_reason == "EC_NoImmediateQtyToFill"
    world.go(seconds=5)
    assert world.size() == offered


def test_a_spot_market_order_that_fills_in_part_is_partially_filled_canceled(world: World) -> None:
    world.market_order(category="spot", qty="800", marketUnit="baseCoin")
    *rest, last = world.offers("Sell", "spot")
    for level in rest:
        world.market.eat(world.instrument("spot"), "Sell", world.clock.now_s(), level)
    order = world.market_order(category="spot", side="Sell", qty=str(last.qty + 50))
    assert order.status == "PartiallyFilledCanceled"
    assert order.filled == last.qty


def test_a_slippage_tolerance_narrows_the_band_of_a_market_order(world: World) -> None:
    best = world.offers("Buy")[0].price
    within = sum(q for p, q in world.offers("Buy") if p <= best + Decimal("0.05"))
    order = world.market_order(qty="500", slippageToleranceType="TickSize", slippageTolerance="5")
    assert order.filled == within
    assert order.status == "Cancelled"
    world.go()
    best = world.offers("Buy")[0].price
    within = sum(q for p, q in world.offers("Buy") if p <= best * Decimal("1.001"))
    order = world.market_order(qty="500", slippageToleranceType="Percent", slippageTolerance="0.1")
    assert order.filled == within
    wrong = {"slippageToleranceType": "Percent", "slippageTolerance": "2"}
    assert refusal(world.market_order, **wrong) == 10001


def test_ioc_and_fok_leave_nothing_in_the_book(world: World) -> None:
    two = [level.qty for level in world.offers("Buy")[:2]]
    price = str(world.offers("Buy")[1].price)
    fok = world.order(price=price, qty=str(sum(two) + 1), timeInForce="FOK")
    assert (fok.status, fok.filled) == ("Cancelled", 0)
    ioc = world.order(price=price, qty=str(sum(two) + 1), timeInForce="IOC")
    assert (ioc.status, ioc.filled) == ("Cancelled", sum(two))
    assert not world.engine.orders


def test_a_post_only_order_that_would_take_is_cancelled_or_on_spot_rejected(world: World) -> None:
    price = str(world.offers("Buy")[0].price)
    linear = world.order(price=price, timeInForce="PostOnly")
    assert (linear.status, linear.filled) == ("Cancelled", 0)
    spot = world.order(category="spot", price=price, timeInForce="PostOnly")
    assert spot.status == "Rejected"
    reasons = {linear.reject_reason, spot.reject_reason}
    assert reasons == {"EC_PostOnlyWillTakeLiquidity"}
    assert world.order(price="99.5", timeInForce="PostOnly").status == "New"


def test_at_its_price_an_order_fills_only_what_is_traded_beyond_its_queue(world: World) -> None:
    bid = world.offers("Sell")[0]
    order = world.order(price=str(bid.price), qty="50")
    assert order.queue_ahead == bid.qty
    ahead, filled = bid.qty, Decimal(0)
    for _ in range(8):
        world.go(float(bid.price))
        second = world.clock.now_s()
        traded = Decimal(world.market.traded("SOLUSDT", second)) // Decimal("0.1") / 10
        got = min(max(traded - ahead, Decimal(0)), 50 - filled)
        ahead, filled = max(ahead - traded, Decimal(0)), filled + got
        assert order.filled == filled
    fills = world.rows("execution")
    assert len(fills) > 1, "partial fills arise by themselves"
    assert all(row["isMaker"] and Decimal(row["execPrice"]) == bid.price for row in fills)


def test_an_order_that_is_traded_through_fills_wholly_at_its_own_price(world: World) -> None:
    bid = world.offers("Sell")[3]
    order = world.order(price=str(bid.price), qty="900")
    world.go(float(bid.price) - 0.01)
    assert order.status == "Filled"
    [fill] = world.rows("execution")
    assert Decimal(fill["execPrice"]) == bid.price
    assert fill["isMaker"]


def test_of_two_own_orders_at_a_price_the_older_fills_first(world: World) -> None:
    old, young = world.order(price="99.5", qty="60"), world.order(price="99.5", qty="60")
    old.queue_ahead = young.queue_ahead = Decimal(0)
    while not young.filled:
        world.go(99.5)
        assert old.status == "Filled" or not young.filled
    assert old.status == "Filled"


def test_a_used_up_minute_trades_its_candles_volume(world: World) -> None:
    start = world.clock.now_s()
    traded = [world.market.traded("SOLUSDT", start + n) for n in range(60)]
    assert sum(traded) == pytest.approx(600)
    assert len(set(traded)) == 60


@pytest.mark.parametrize(
    ("kind", "maker", "taker"),
    [
        ("None", "CancelBySmp", "UNKNOWN"),
        ("CancelMaker", "CancelBySmp", "UNKNOWN"),
        ("CancelTaker", "UNKNOWN", "CancelBySmp"),
        ("CancelBoth", "CancelBySmp", "CancelBySmp"),
    ],
)
def test_own_orders_never_trade_with_each_other(
    world: World, kind: str, maker: str, taker: str
) -> None:
    inside = Decimal("100.02")  # between the best bid and the best ask
    resting = world.order(side="Sell", price=str(inside))
    coming = world.order(price=str(inside), smpType=kind)
    assert (resting.cancel_type, coming.cancel_type) == (maker, taker)
    assert not world.rows("execution")
    assert resting.smp_order_id == (coming.order_id if maker == "CancelBySmp" else "")
    assert coming.smp_order_id == (resting.order_id if taker == "CancelBySmp" else "")


def test_a_taker_reaches_the_levels_behind_its_own_order(world: World) -> None:
    resting = world.order(side="Sell", price="100.02")
    best = world.offers("Buy")[0]
    coming = world.order(price=str(best.price), qty="0.1")
    assert resting.cancel_type == "CancelBySmp"
    assert coming.status == "Filled"


def test_own_orders_are_shown_in_the_public_book(world: World) -> None:
    bid = world.offers("Sell")[0]
    world.order(price=str(bid.price), qty="2")
    world.order(price="100.01", qty="1")
    shown = world.market.shown(world.instrument(), "Sell")
    assert shown[0] == Level(Decimal("100.01"), Decimal(1))
    assert shown[1] == Level(bid.price, bid.qty + 2)


def test_a_stale_and_a_crossed_book_are_shown_but_not_matched(world: World) -> None:
    instrument = world.instrument()
    world.market.freeze_book("SOLUSDT")
    before = world.market.shown(instrument, "Buy")
    world.go(90.0)
    assert world.market.shown(instrument, "Buy") == before
    world.market_order(qty="0.1")
    assert Decimal(world.rows("execution")[-1]["execPrice"]) < 91
    world.market.heal_book("SOLUSDT")
    world.market.cross_book("SOLUSDT")
    bids, asks = (world.market.shown(instrument, side) for side in ("Sell", "Buy"))
    assert bids[0].price > asks[0].price
    world.market.heal_book("SOLUSDT")
    assert world.market.shown(instrument, "Sell")[0].price < asks[0].price
