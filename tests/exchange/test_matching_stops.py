"""Conditional orders and the protection of positions fire, follow the fills, and end with them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.exchange.matching_world import World, refusal


def statuses(world: World, order_id: str) -> list[str]:
    return [row["orderStatus"] for row in world.rows("order") if row["orderId"] == order_id]


def kinds(world: World) -> dict[str, Decimal]:
    return {stop.stop_order_type: stop.qty for stop in world.stops()}


# Conditional orders


def test_a_conditional_order_waits_fires_and_then_trades(world: World) -> None:
    order = world.market_order(triggerPrice="105", triggerDirection=1, qty="1")
    assert order.status == "Untriggered"
    world.go(104.9)
    assert not order.filled
    world.go(105.0)
    assert statuses(world, order.order_id)[:3] == ["Untriggered", "Triggered", "New"]
    assert statuses(world, order.order_id)[-1] == "Filled"
    assert order.stop_order_type == "Stop"
    assert [row["status"] for row in world.log("order")] == ["Triggered"]


def test_a_fired_limit_order_rests(world: World) -> None:
    order = world.order(side="Sell", price="97.5", triggerPrice="95", triggerDirection=2)
    world.go(95.0)
    assert order.status == "New"
    world.go(97.6)
    assert order.status == "Filled"


def test_a_conditional_order_costs_nothing_until_it_fires_and_may_then_be_too_dear(
    world: World,
) -> None:
    body = {"triggerPrice": "105", "triggerDirection": 1, "qty": "5000"}
    order = world.market_order(**body)
    assert world.account.available("USDT", world.engine.orders.values()) == 100_000
    assert refusal(world.market_order, qty="15000") == 110007
    world.market_order(qty="400")
    second = world.market_order(**{**body, "qty": "9500", "triggerPrice": "106"})
    world.go(105.0)
    assert order.filled
    world.go(106.0)
    assert (second.status, second.filled) == ("Cancelled", 0)


def test_a_trigger_must_lie_ahead_of_the_market(world: World) -> None:
    assert refusal(world.order, price="99", triggerPrice="99", triggerDirection=1) == 110092
    assert refusal(world.order, price="99", triggerPrice="101", triggerDirection=2) == 110093
    assert refusal(world.order, price="99", triggerPrice="101") == 10001


def test_at_most_ten_conditional_orders_of_a_symbol_wait(world: World) -> None:
    body = {"triggerPrice": "105", "triggerDirection": 1, "price": "105"}
    for _ in range(10):
        world.order(**body)
    assert refusal(world.order, **body) == 110009
    assert world.order(price="99").status == "New"


def test_a_conditional_order_carries_a_bracket(world: World) -> None:
    world.market_order(triggerPrice="105", triggerDirection=1, stopLoss="100", takeProfit="120")
    assert not world.stops()
    world.go(105.0)
    assert kinds(world) == {"TakeProfit": 1, "StopLoss": 1}


@pytest.mark.parametrize(("kind", "locked"), [("StopOrder", 0), ("tpslOrder", 96)])
def test_a_spot_order_with_a_trigger_locks_coins_only_as_tpsl_order(
    world: World, kind: str, locked: int
) -> None:
    order = world.order(category="spot", price="96", triggerPrice="95", orderFilter=kind)
    assert world.account.reserved(world.engine.orders.values()).locked.get("USDT", 0) == locked
    world.go(95.0)
    assert order.status == "Filled"
    waiting = world.order(category="spot", price="94", triggerPrice="90", orderFilter=kind)
    world.engine.cancel(waiting)
    assert waiting.status == "Deactivated"


# Full and partial protection


def test_a_bracket_stands_with_the_first_partial_fill_and_covers_all_that_is_filled(
    world: World,
) -> None:
    bid = world.offers("Sell")[0]
    entry = world.order(price=str(bid.price), qty="60", stopLoss="90", takeProfit="130")
    covered = []
    while entry.is_open:
        world.go(float(bid.price))
        assert kinds(world).get("StopLoss", 0) == kinds(world).get("TakeProfit", 0) == entry.filled
        covered.append(entry.filled)
    assert len({size for size in covered if size}) > 1, "the entry filled in parts"


def test_stops_shrink_with_the_position_and_end_with_it(world: World) -> None:
    world.market_order(qty="6", stopLoss="90")
    world.market_order(side="Sell", qty="2", reduceOnly=True)
    assert kinds(world) == {"StopLoss": 4}
    world.market_order(side="Sell", qty="4")
    [ended] = [r for r in world.rows("order") if r["cancelType"] == "CancelByTpSlTsClear"]
    assert ended["orderStatus"] == "Deactivated"
    assert not world.engine.orders


def test_an_entry_that_goes_on_after_its_position_was_closed_is_protected_again(
    world: World,
) -> None:
    bid = world.offers("Sell")[0]
    entry = world.order(price=str(bid.price), qty="900", stopLoss="90")
    while not entry.filled:
        world.go(float(bid.price))
    world.order(side="Sell", price="101", qty=str(world.size()), reduceOnly=True)
    world.go(101.5)
    assert not world.size()
    assert not world.stops()
    world.go(float(bid.price) - 0.1)
    assert entry.status == "Filled"
    assert kinds(world) == {"StopLoss": world.size()}


def test_a_stop_goes_on_until_the_position_is_closed(world: World) -> None:
    for _ in range(3):
        world.market_order(qty="600")
        world.go()
    world.stop(stopLoss="95")
    world.go(95.0)
    [stop] = world.stops()
    assert (stop.status, stop.close_on_trigger) == ("PartiallyFilled", True)
    assert world.size() > 0
    world.go(seconds=2)
    assert world.size() == 0
    assert world.now(stop).status == "Filled"


def test_partial_stops_come_in_pairs_of_which_one_ends_the_other(world: World) -> None:
    world.market_order(qty="10")
    pair = {"tpslMode": "Partial", "takeProfit": "110", "stopLoss": "95"}
    world.stop(**pair, tpSize="4", slSize="4")
    world.stop(**{**pair, "takeProfit": "120"}, tpSize="6", slSize="6")
    assert [stop.qty for stop in world.stops()] == [4, 4, 6, 6]
    world.go(110.0)
    assert world.size() == 6
    left = [(stop.stop_order_type, stop.qty) for stop in world.stops()]
    assert left == [("PartialTakeProfit", 6), ("PartialStopLoss", 6)]
    assert world.rows("order")[-1]["createType"] == "CreateByPartialTakeProfit"
    world.go(95.0)
    assert world.size() == 0
    assert not world.engine.orders


def test_a_partial_take_profit_may_be_a_limit_order(world: World) -> None:
    world.market_order(qty="10")
    world.stop(
        tpslMode="Partial", takeProfit="110", tpSize="4", tpOrderType="Limit", tpLimitPrice="112"
    )
    world.go(110.0)
    [resting] = world.stops()
    assert (resting.status, resting.price, resting.reduce_only) == ("New", 112, True)
    world.go(112.5)
    assert world.size() == 6


def test_a_partial_bracket_grows_with_its_entry(world: World) -> None:
    bid = world.offers("Sell")[0]
    entry = world.order(
        price=str(bid.price), qty="60", tpslMode="Partial", stopLoss="90", takeProfit="130"
    )
    while entry.is_open:
        world.go(float(bid.price))
        assert kinds(world).get("PartialStopLoss", 0) == entry.filled
    assert len(world.stops()) == 2


def test_protection_is_refused_with_the_venues_codes(world: World) -> None:
    assert refusal(world.stop, stopLoss="90") == 10001
    world.market_order(qty="10")
    assert refusal(world.stop, stopLoss="110") == 10001
    assert refusal(world.stop, stopLoss="90.005") == 10001
    assert refusal(world.stop) == 34040
    assert refusal(world.stop, stopLoss="0") == 34040
    assert refusal(world.stop, takeProfit="110", tpOrderType="Limit", tpLimitPrice="111") == 10001
    partial = {"tpslMode": "Partial", "stopLoss": "90"}
    assert refusal(world.stop, **partial, slSize="11") == 110058
    assert refusal(world.stop, **partial) == 110058
    both = {**partial, "takeProfit": "110", "tpSize": "1"}
    assert refusal(world.stop, **both, slSize="2") == 10001
    for _ in range(20):
        world.stop(**partial, slSize="1")
    assert refusal(world.stop, **partial, slSize="1") == 110061
    assert refusal(world.stop, trailingStop="-1") == 10001
    assert refusal(world.stop, trailingStop="5", activePrice="90") == 10001


# Trailing


def test_a_trailing_stop_follows_the_best_price_and_never_steps_back(world: World) -> None:
    world.market_order(qty="2")
    world.stop(trailingStop="5")
    levels = []
    for price in (102.0, 104.0, 103.0, 106.0, 101.5):
        world.go(price)
        levels.append(world.stops()[0].trigger_price)
    assert levels == [97, 99, 99, 101, 101]
    world.go(101.0)
    assert world.size() == 0
    assert world.rows("execution")[-1]["createType"] == "CreateByTrailingStop"


def test_a_trailing_stop_with_an_active_price_sleeps_until_it_is_reached(world: World) -> None:
    world.market_order(side="Sell", qty="2")
    world.stop(trailingStop="5", activePrice="95")
    assert world.rows("position")[-1]["trailingStop"] == "5"
    world.go(104.9)
    world.go(96.0)
    assert world.stops()[0].trigger_price == 0
    world.go(94.0)
    assert world.stops()[0].trigger_price == 99
    world.go(99.0)
    assert world.size() == 0


def test_a_trailing_stop_fires_in_the_right_second_of_a_jump(world: World) -> None:
    world.market_order(qty="2")
    world.stop(trailingStop="5")
    now = world.clock.now_s()
    world.path.later += [(now + 10, 110.0), (now + 20, 108.0), (now + 30, 104.0)]
    world.go(seconds=100)
    [order] = [r for r in world.rows("order") if r["orderStatus"] == "Triggered"]
    assert order["triggerPrice"] == "105"
    assert int(order["updatedTime"]) // 1000 == now + 30


# Spot


def test_a_spot_buys_stops_sell_what_it_bought_and_one_ends_the_other(world: World) -> None:
    world.order(category="spot", price="99", qty="5", takeProfit="110", stopLoss="90")
    world.go(98.5)
    stops = list(world.engine.orders.values())
    assert [stop.stop_order_type for stop in stops] == ["TakeProfit", "StopLoss"]
    assert {stop.qty for stop in stops} == {Decimal("4.995")}, "the fee was paid in the coin"
    world.go(110.0)
    assert not world.engine.orders
    assert world.account.coin("SOL") == 0
    assert [world.now(stop).status for stop in stops] == ["Filled", "Deactivated"]


def test_a_spot_buy_that_is_cancelled_half_filled_is_protected_too(world: World) -> None:
    bid = world.offers("Sell", "spot")[0]
    entry = world.order(category="spot", price=str(bid.price), qty="90", stopLoss="90")
    while not entry.filled:
        world.go(float(bid.price))
    assert entry.is_open
    world.engine.cancel(entry)
    assert entry.status == "PartiallyFilledCanceled"
    [stop] = world.engine.orders.values()
    assert entry.filled * Decimal("0.998") < stop.qty < entry.filled
