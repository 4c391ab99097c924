"""What an account may ask for ends where the venue's limits, its money, and its positions end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.exchange.matching_world import World, refusal

LINEAR = {"category": "linear", "settleCoin": "USDT"}


def test_prices_far_on_the_wrong_side_are_refused(world: World) -> None:
    assert refusal(world.order, price="105.01") == 110003
    assert refusal(world.order, side="Sell", price="94.99") == 110003
    assert refusal(world.order, category="spot", price="105.01") == 170193
    world.market_order(category="spot", qty="500")
    assert refusal(world.order, category="spot", side="Sell", price="94.99") == 170194
    assert world.order(price="50").status == "New"


def test_grids_and_sizes_are_kept(world: World) -> None:
    assert refusal(world.order, price="99", qty="0.05") == 10001
    assert refusal(world.order, price="99.005") == 10001
    assert refusal(world.order, price="40", qty="0.1") == 110094
    assert refusal(world.order, price="99", qty="0") == 10001
    assert refusal(world.order, category="spot", price="99.005") == 170134
    assert refusal(world.order, category="spot", price="99", qty="0.0001") == 170137
    assert refusal(world.order, category="spot", price="4", qty="1") == 170140
    assert refusal(world.order, price="99", positionIdx=1) == 10001
    assert refusal(world.order, price="99", smpType="Whatever") == 10001


def test_a_symbol_holds_at_most_500_active_orders(world: World) -> None:
    for _ in range(500):
        world.order(price="80", qty="0.1")
    assert refusal(world.order, price="80", qty="0.1") == 110020
    assert world.order(symbol="ETHUSDT", price="90", qty="0.1").status == "New"
    assert world.order(price="80", triggerPrice="90", triggerDirection=2).status == "Untriggered"
    assert len(world.engine.cancel_all({**LINEAR, "orderFilter": "Order"})) == 500


def test_reduce_only_orders_never_open_and_end_with_the_position(world: World) -> None:
    assert refusal(world.order, side="Sell", price="101", reduceOnly=True) == 110017
    world.market_order(qty="5")
    assert refusal(world.order, price="99", reduceOnly=True) == 110017
    resting = world.order(side="Sell", price="103", qty="9", reduceOnly=True)
    assert resting.qty == 5
    world.market_order(side="Sell", qty="2")
    assert resting.qty == 3
    world.market_order(side="Sell", qty="9", reduceOnly=True)
    assert world.size() == 0
    assert (resting.status, resting.cancel_type) == ("Cancelled", "CancelByReduceOnly")


def test_quantity_zero_with_close_on_trigger_closes_everything(world: World) -> None:
    world.market_order(qty="7")
    order = world.market_order(side="Sell", qty="0", reduceOnly=True, closeOnTrigger=True)
    assert order.filled == 7
    assert world.size() == 0


@pytest.mark.parametrize(
    ("narrow", "left"),
    [
        ({}, set()),
        ({"orderFilter": "Order"}, {"Stop", "StopLoss", "TrailingStop"}),
        ({"orderFilter": "OpenOrder"}, {"StopLoss", "TrailingStop"}),
        ({"orderFilter": "StopOrder"}, {""}),
        ({"orderFilter": "StopOrder", "stopOrderType": "Stop"}, {"", "StopLoss", "TrailingStop"}),
        ({"settleCoin": "", "baseCoin": "ETH"}, {"", "Stop", "StopLoss", "TrailingStop"}),
    ],
)
def test_cancel_all_of_linear_ends_what_its_filter_names(
    world: World, narrow: dict[str, str], left: set[str]
) -> None:
    world.market_order(qty="5", stopLoss="90")
    world.stop(trailingStop="8")
    world.order(price="98")
    world.order(price="105", triggerPrice="105", triggerDirection=1)
    spot = world.order(category="spot", price="98")
    world.engine.cancel_all({**LINEAR, **narrow})
    found = {o.stop_order_type for o in world.engine.orders.values() if o is not spot}
    assert found == left
    assert spot.is_open


def test_cancel_all_of_spot_ends_active_orders_unless_asked_for_others(world: World) -> None:
    world.order(category="spot", price="98")
    for kind in ("StopOrder", "tpslOrder"):
        world.order(category="spot", price="90", triggerPrice="92", orderFilter=kind)
    world.engine.cancel_all({"category": "spot"})
    assert {o.stop_order_type for o in world.engine.orders.values()} == {"Stop", "tpslOrder"}
    world.engine.cancel_all({"category": "spot", "orderFilter": "tpslOrder"})
    assert {o.stop_order_type for o in world.engine.orders.values()} == {"Stop"}


def test_a_dead_connection_cancels_all_but_protection(world: World) -> None:
    world.market_order(qty="5", stopLoss="90")
    resting = world.order(price="98")
    spot = world.order(category="spot", price="98")
    assert world.engine.cancel_by_dcp("linear") == [resting]
    assert (resting.cancel_type, spot.is_open) == ("CancelByDCP", True)
    assert [stop.stop_order_type for stop in world.stops()] == ["StopLoss"]


def test_a_delisted_instrument_takes_no_orders_and_ends_the_open_ones(world: World) -> None:
    resting = world.order(price="98")
    world.engine.delist(world.instrument())
    assert (resting.status, resting.cancel_type) == ("Cancelled", "CancelByAdmin")
    assert refusal(world.order, price="98") == 110074
    assert world.order(category="spot", price="98").status == "New"
    world.engine.relist(world.instrument())
    assert world.order(price="98").status == "New"


def test_a_changed_grid_counts_at_once(world: World) -> None:
    world.market.catalogue.set_tick("linear", "SOLUSDT", Decimal("0.5"))
    assert refusal(world.order, price="98.1") == 10001
    assert world.order(price="98.5").status == "New"


def test_an_order_can_fill_in_part_and_then_be_rejected(world: World) -> None:
    body = {"category": "linear", "symbol": "SOLUSDT", "side": "Buy", "orderType": "Market"}
    order = world.engine.create({**body, "qty": "5"}, reject_after=Decimal("0.4"))
    assert (order.status, order.filled) == ("Rejected", 2)
    assert world.size() == 2


def test_a_cancel_that_loses_its_race_shows_two_filled_rows(world: World) -> None:
    order = world.order(price="98", qty="3")
    world.engine.cancel_too_late(order)
    rows = [r for r in world.rows("order") if r["orderStatus"] == "Filled"]
    assert [r["rejectReason"] for r in rows] == ["EC_NoError", "EC_OrigClOrdIDDoesNotExist"]
    assert world.size() == 3


def test_the_open_orders_of_a_killed_exchange_are_as_they_were(world: World) -> None:
    order = world.order(price=str(world.offers("Sell")[0].price), qty="5", stopLoss="90")
    world.book.commit()
    before = dict(world.engine.orders)
    world.engine.load_orders()
    assert world.engine.orders == before
    assert world.engine.orders[order.order_id].queue_ahead == order.queue_ahead
