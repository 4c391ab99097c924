"""Open orders can be changed, and keep their place in the queue only if they shrink."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.exchange.matching_world import World, refusal


def queued(world: World) -> tuple[Decimal, int]:
    [order] = world.engine.orders.values()
    return order.queue_ahead, order.queued_n


def test_a_smaller_quantity_keeps_the_place_in_the_queue_and_a_larger_loses_it(
    world: World,
) -> None:
    order = world.order(price=str(world.offers("Sell")[0].price), qty="5")
    before = queued(world)
    assert before[0] > 0
    world.go()
    world.amend(order, qty="4")
    assert queued(world) == before
    world.amend(order, qty="6")
    assert queued(world)[1] > before[1]
    assert [row["qty"] for row in world.log("amend")] == ["4", "6"]


def test_an_amended_price_that_crosses_trades_at_once(world: World) -> None:
    order = world.order(price="99", qty="1")
    ask = world.offers("Buy")[0]
    amended = world.amend(order, price=str(ask.price))
    assert amended.order_id == order.order_id
    assert (amended.status, amended.filled) == ("Filled", 1)
    assert not world.engine.orders


def test_an_amended_post_only_order_that_would_take_ends(world: World) -> None:
    order = world.order(price="99", timeInForce="PostOnly")
    amended = world.amend(order, price=str(world.offers("Buy")[0].price))
    assert (amended.status, amended.reject_reason) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")


def test_an_order_is_amended_by_its_link_id_and_its_bracket_with_it(world: World) -> None:
    world.order(price="99", orderLinkId="mine", stopLoss="90")
    named = {"category": "linear", "symbol": "SOLUSDT", "orderLinkId": "mine"}
    amended = world.engine.amend({**named, "stopLoss": "95", "takeProfit": "120"})
    assert (amended.stop_loss, amended.take_profit) == (95, 120)
    assert world.engine.amend({**named, "stopLoss": "0"}).stop_loss == 0
    world.go(98.0)
    assert [stop.stop_order_type for stop in world.stops()] == ["TakeProfit"]


def test_amends_are_refused_with_the_venues_codes(world: World) -> None:
    order = world.order(price=str(world.offers("Sell")[0].price), qty="50", stopLoss="90")
    assert refusal(world.amend, order) == 10001
    assert refusal(world.amend, order, qty="50") == 10001
    assert refusal(world.amend, order, qty="50.05") == 10001
    assert refusal(world.amend, order, price="106") == 110003
    assert refusal(world.amend, order, price="97.005") == 10001
    assert refusal(world.amend, order, qty="90000") == 110007
    assert refusal(world.amend, order, triggerPrice="99") == 10001
    assert refusal(world.amend, order, stopLoss="120") == 10001
    while not order.filled:
        world.go(float(order.price))
    assert order.leaves
    assert refusal(world.amend, order, qty=str(order.filled)) == 110064
    assert refusal(world.amend, order, stopLoss="91") == 110059
    world.engine.cancel(order)
    assert refusal(world.amend, order, qty="51") == 110001
    spot = world.order(category="spot", price="99")
    world.engine.cancel(spot)
    assert refusal(world.amend, spot, qty="2") == 170213


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_a_waiting_orders_trigger_can_be_moved(world: World, category: str) -> None:
    more = {"triggerDirection": 1} if category == "linear" else {"orderFilter": "StopOrder"}
    order = world.order(category=category, price="106", triggerPrice="105", **more)
    world.amend(order, triggerPrice="103")
    world.go(102.0)
    assert world.now(order).status == "Untriggered"
    world.go(103.0)
    assert world.now(order).status == "Filled"
    assert [row["triggerPrice"] for row in world.log("amend")] == ["103"]


def test_a_trigger_cannot_be_moved_to_the_wrong_side_of_the_market(world: World) -> None:
    order = world.order(price="106", triggerPrice="105", triggerDirection=1)
    assert refusal(world.amend, order, triggerPrice="99") == 110092
