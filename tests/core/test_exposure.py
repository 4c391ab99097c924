"""Exposure: what is in doubt, half filled, unpriced, or not ours counts at its worst."""

import pytest

from bot.core.controls import gross, net, open_orders, position
from bot.core.events import Doubted, Recovered
from bot.core.exposure import coming, gross_exposure, worth
from bot.core.values import OrderStatus, Side, VenueOrder
from bot.core.world import Position
from tests.core.worlds import an_order, asking, holding, with_orders
from tests.given import BTC, ETH, D, a_world, but, entering, go, reported, started, tuned

WORLD = a_world((BTC, ETH))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, 10),
        ({"filled": D(4)}, 10),  # reported, not booked: nothing of it is in the position yet
        ({"filled": D(4), "booked": D(4)}, 6),
        ({"filled": D(4), "booked": D(3)}, 7),
        ({"booked": D(10)}, 0),
        ({"booked": D(11)}, 0),
        ({"ended": True, "filled": D(4), "booked": D(1)}, 3),
        ({"ended": True, "filled": D(4), "booked": D(4)}, 0),
        ({"ended": True}, 0),
        ({"entry": False}, 0),
    ],
)
def test_an_entry_counts_with_all_that_it_may_still_add(order, expected):
    assert coming(an_order("o", qty="10", **order)) == expected


@pytest.mark.parametrize(
    ("mark", "price", "expected"),
    [(100.0, None, 200), (100.0, "99", 200), (100.0, "101", 202), (None, "99", 198), (0.0, "1", 2)],
)
def test_a_quantity_is_worth_the_mark_or_its_price_whichever_is_more(mark, price, expected):
    world = but(WORLD, marks={} if mark is None else {BTC: mark})
    assert worth(world, BTC, D(2), price and D(price)) == expected


def test_without_a_mark_a_position_is_worth_what_it_cost():
    world = but(holding(WORLD, BTC, "2"), marks={})
    assert worth(world, BTC, D(2), None) == 200
    assert worth(but(world, positions={}), BTC, D(2), None) == 0


def test_gross_exposure_is_longs_shorts_entries_and_what_is_not_ours():
    world = holding(holding(WORLD, BTC, "3"), ETH, "-2")
    world = with_orders(
        world,
        an_order("a", BTC, "5", price=D(110), booked=D(1)),
        an_order("b", ETH, "7", Side.SELL),
        an_order("c", ETH, "9", entry=False),
    )
    assert gross_exposure(world) == 300 + 200 + 440 + 700
    assert gross_exposure(world, but="a") == 300 + 200 + 700
    row = VenueOrder("", "v", ETH, Side.BUY, D(10), D(4), OrderStatus.PARTIAL, price=D(120))
    assert gross_exposure(but(world, foreign={"v": row})) == 1640 + 720
    assert gross_exposure(but(world, foreign={"v": but(row, filled=D(11))})) == 1640
    assert gross_exposure(but(world, foreign={"v": but(row, price=None)})) == 1640 + 600
    unknown = but(row, symbol="XXXUSDT")
    assert gross_exposure(but(world, foreign={"v": unknown})) == 1640 + 720, "its price is known"


def in_state(state):
    """A world with one entry of 20 at 100.1 in a state."""
    world = entering(WORLD).world
    (order,) = world.orders
    if state == "UNKNOWN":
        return go(world, Doubted(at=world.at, order=order, reason="timeout")).world
    if state == "PARTIAL":
        return go(world, reported(world, order, OrderStatus.PARTIAL, filled=D(10))).world
    if state == "crashed":
        again = started(world.at), Recovered(at=world.at, snapshot_seq=0, tail=world.seq)
        return go(world, *again).world
    return world


@pytest.mark.parametrize("state", ["INTENDED", "UNKNOWN", "PARTIAL", "crashed"])
def test_an_order_counts_from_its_intent_and_through_every_doubt(state):
    world = in_state(state)
    assert gross_exposure(world) == D("2002.0")
    tight = but(world, settings=tuned(risk__size_max=0.03, risk__leverage_max=0.03))
    tight = but(tight, settings=tuned(tight.settings, controls__net_max=0.03))
    asked = asking("9.97", symbol=BTC)
    for control in (position, gross, net):
        assert control(tight, asked) is None
        assert control(tight, but(asked, qty=D("10.001"))), control
    assert open_orders(but(world, settings=tuned(controls__orders_open_max=1)), asked)


def test_on_the_other_side_what_is_on_its_way_does_not_lessen_the_net():
    world = with_orders(holding(WORLD, ETH, "-5"), an_order("s", ETH, "900", Side.SELL))
    tight = but(world, settings=tuned(controls__net_max=0.1))
    assert net(tight, asking("105")) is None, "what is held on the other side does"
    assert net(tight, asking("105.001")) == "net exposure 10000.10, limit 10000.00"
    assert net(tight, asking("1", side=Side.SELL)), "on its own side it counts whole"


def test_what_is_not_ours_counts_in_the_net_where_it_adds():
    row = VenueOrder("", "v", ETH, Side.BUY, D(95), D(5), OrderStatus.PARTIAL, price=D(100))
    tight = but(WORLD, settings=tuned(controls__net_max=0.1), foreign={"v": row})
    assert net(tight, asking("10")) is None
    assert net(tight, asking("10.001")) == "net exposure 10000.10, limit 10000.00"
    assert net(tight, asking("100", side=Side.SELL)) is None


def test_its_own_order_is_not_counted_twice_when_it_is_asked_about_again():
    world = in_state("INTENDED")
    (order,) = world.orders
    tight = but(world, settings=tuned(risk__size_max=0.02002, risk__leverage_max=0.02002))
    tight = but(tight, settings=tuned(tight.settings, controls__net_max=0.02002))
    tight = but(tight, settings=tuned(tight.settings, controls__orders_open_max=1))
    asked = asking("20", "100.1", order=order)
    assert [c(tight, asked) for c in (position, gross, net, open_orders)] == [None] * 4
    assert position(tight, but(asked, order=""))
    assert gross(tight, but(asked, order=""))
    assert net(tight, but(asked, order=""))
    assert open_orders(tight, but(asked, order=""))


def test_a_flat_position_counts_nothing_even_without_a_mark():
    assert gross_exposure(but(WORLD, marks={}, positions={BTC: Position(BTC)})) == 0
