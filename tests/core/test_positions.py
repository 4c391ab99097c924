"""Positions: the sum of executions, each booked once; an open quantity is never without a stop."""

from functools import cache

import pytest

from bot.core.effects import Protect, Reconcile, Submit
from bot.core.events import Filled, Recovered
from bot.core.facts import AccountCompared, FillBooked, PositionMarked, TradeClosed
from bot.core.positions import FILLS_REMEMBERED
from bot.core.values import OrderStatus, Side, VenueFill, VenuePosition
from tests.given import (
    BTC,
    ETH,
    D,
    T,
    a_fill,
    a_world,
    answered,
    but,
    connected,
    entering,
    go,
    in_position,
    measured,
    read_through,
    reconciled,
    reported,
    started,
    stop_seen,
    ticked,
)

BUY, SELL = Side.BUY, Side.SELL


def filled(world, *fills):
    return go(world, *(Filled(at=world.at, fill=fill) for fill in fills))


def test_an_entry_goes_from_flat_over_opening_to_open():
    told = entering(a_world())
    assert told.world.state("position", BTC) == "OPENING"
    world = in_position(a_world())
    assert (world.state("position", BTC), world.positions[BTC].qty) == ("OPEN", D(20))


def test_a_round_trip_is_booked_to_the_cent():
    world = in_position(a_world(), fee=D("1.20"))
    told = filled(world, a_fill(BTC, SELL, 20, "103.5", fee=D("1.242"), by="TakeProfit"))
    (trade,) = told.noted(TradeClosed)
    assert trade.pnl == D(70) - D("1.20") - D("1.242")
    assert (trade.side, trade.qty, trade.entry, trade.exit) == (BUY, D(20), D(100), D("103.5"))
    assert told.world.account.cash == D(100_000) + trade.pnl
    assert told.world.state("position", BTC) == "FLAT"
    assert told.reason("position") == "closed by TakeProfit"
    assert told.world.positions[BTC].stop is None


def test_an_execution_is_booked_once_however_often_it_is_told():
    fill = a_fill(BTC, BUY, 3, 100, fee=D(1))
    world = a_world()
    told = filled(world, fill, fill)
    told = go(told.world, reconciled(told.world, 99_999, fills=(fill,)))
    assert told.noted(FillBooked) == []
    world = filled(world, fill, fill).world
    assert (world.positions[BTC].qty, world.account.cash) == (D(3), D(99_999))


def test_a_larger_position_has_the_average_price_and_a_smaller_one_keeps_it():
    world = filled(a_world(), a_fill(qty=1, price=100), a_fill(qty=3, price=104)).world
    assert world.positions[BTC].avg == D(103)
    world = filled(world, a_fill(side=SELL, qty=2, price=105)).world
    assert (world.positions[BTC].avg, world.positions[BTC].qty) == (D(103), D(2))
    assert world.account.cash == D(100_000) + 2 * (105 - 103)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_fill_through_zero_closes_one_trade_and_opens_the_other_way(side):
    world = filled(a_world(), a_fill(side=side, qty=2, price=100)).world
    told = filled(world, a_fill(side=side.opposite, qty=5, price=110, fee=D(1)))
    position = told.world.positions[BTC]
    assert (position.qty, position.avg) == (-3 * side.sign, D(110))
    assert told.noted(TradeClosed)[0].pnl == 20 * side.sign - 1
    assert position.stop is None, "the old bracket is on the wrong side"
    protect = go(told.world, ticked(told.world, 3)).effects(Protect)
    assert len(protect) == 1, "it is protected at once"


def test_an_entry_that_ended_without_a_fill_leaves_nothing_behind():
    world = entering(a_world()).world
    (order,) = world.orders
    world = go(world, reported(world, order, OrderStatus.CANCELED)).world
    told = go(world, ticked(world))
    assert told.world.state("position", BTC) == "FLAT"
    assert told.reason("position") == "the entry ended without a fill"
    assert told.world.positions[BTC].stop is None


def test_an_exit_that_ends_with_a_rest_is_open_again():
    world = in_position(a_world())
    told = go(world, measured(world, up=False, cross_age=0))
    (exit_,) = told.effects(Submit)
    assert (exit_.reduce_only, exit_.side, exit_.qty) == (True, SELL, D(20))
    assert told.world.state("position", BTC) == "CLOSING"
    world = filled(told.world, a_fill(side=SELL, qty=5, order=exit_.order)).world
    world = go(world, reported(world, exit_.order, OrderStatus.CANCELED, filled=D(5))).world
    told = go(world, ticked(world, 0.9))
    assert told.world.state("position", BTC) == "OPEN"
    assert told.reason("position") == "the exit ended with a rest still open"
    assert [s.qty for s in go(told.world, ticked(told.world, 0.1)).effects(Submit)] == [D(15)]


def test_a_stop_that_the_venue_does_not_hold_is_asked_for_within_seconds_until_it_is_held():
    world = in_position(a_world())
    world = go(world, stop_seen(world, stop=None)).world
    asked = []
    for _ in range(7):
        told = go(world, ticked(world))
        world, asked = told.world, asked + told.effects(Protect)
    assert len(asked) == 1, "one request on its way is not repeated beside itself"
    world = answered(world)
    assert len(go(world, ticked(world, 3)).effects(Protect)) == 1, "answered, and still not held"
    assert {p.stop for p in asked} == {world.positions[BTC].stop}
    world = go(world, stop_seen(world)).world
    assert not go(world, ticked(world, 5)).effects(Protect)


def test_another_stop_at_the_venue_is_not_ours():
    world = in_position(a_world())
    wanted = world.positions[BTC].stop
    world = go(world, stop_seen(world, stop=wanted - 1)).world
    assert (world.positions[BTC].stop, world.positions[BTC].stop_held) == (wanted, False)


@pytest.mark.parametrize(("qty", "stop"), [(D(5), D(98)), (D(-5), D(102))])
def test_a_stranger_is_taken_over_and_protected_2_percent_away(qty, stop):
    world = a_world()
    row = VenuePosition(BTC, qty, D(100))
    told = read_through(world, positions=(row,))
    assert told.world.state("position", BTC) == "OPEN"
    told = go(told.world, ticked(told.world, 2))
    assert told.effects(Protect)[0].stop == stop


def test_a_strangers_own_stop_is_kept():
    world = a_world()
    row = VenuePosition(BTC, D(5), D(100), D(91), D(120))
    world = read_through(world, positions=(row,)).world
    assert (world.positions[BTC].stop, world.positions[BTC].take) == (D(91), D(120))
    assert not go(world, ticked(world, 5)).effects(Protect)


def test_what_the_venue_no_longer_has_is_flat():
    world = in_position(a_world())
    told = read_through(world, 100_000)
    assert told.world.positions[BTC].qty == 0
    assert told.reason("position") == "closed by seen at the venue"


def test_an_account_that_moved_while_it_was_read_is_read_again():
    world = in_position(a_world())
    old = reconciled(world, 5, as_of=world.account.fills_since - 1)
    told = go(answered(world), old, ticked(world))
    assert told.world.account.cash == world.account.cash
    assert told.world.positions[BTC].qty == world.positions[BTC].qty
    assert [type(d.effect).__name__ for d in told.dispatches] == ["Reconcile"]


def test_every_change_leaves_a_row():
    world = in_position(a_world())
    told = filled(world, a_fill(side=SELL, qty=20))
    assert [(m.symbol, m.qty) for m in told.noted(PositionMarked)] == [(BTC, D(0))]


def test_old_news_of_a_closed_position_is_no_position():
    world = in_position(a_world())
    news = stop_seen(world)
    world = filled(world, a_fill(side=SELL, qty=20)).world
    world = go(world, news).world
    assert (world.positions[BTC].stop, world.positions[BTC].stop_held) == (None, False)


def test_a_symbol_that_is_no_longer_listed_is_still_protected():
    world = a_world()
    world = read_through(world, positions=(VenuePosition(BTC, D(5), D(100)),)).world
    relisted = go(world, connected(world.at, (ETH,))).world
    assert go(relisted, ticked(relisted, 5)).effects(Protect)


@pytest.mark.parametrize(
    ("qty", "price"), [("0", "1"), ("-1", "1"), ("1", "0"), ("NaN", "1"), ("1", "Infinity")]
)
def test_an_execution_that_cannot_be_true_cannot_be_built(qty, price):
    with pytest.raises(ValueError, match="expected a fill of finite size and price"):
        VenueFill("f", "", BTC, BUY, D(qty), D(price), D(0), T)


def test_a_missed_execution_is_read_and_counted_though_another_came_after_it():
    world = answered(in_position(in_position(a_world((BTC, ETH))), ETH))
    missed = a_fill(BTC, SELL, 20, 98, fee=D(1), by="StopLoss", at=world.at + 5_000)
    world = go(world, ticked(world, 25)).world
    world = filled(world, a_fill(ETH, SELL, 1, 100, at=world.at)).world
    (question,) = go(world, ticked(world, 61)).effects(Reconcile)
    assert question.since <= missed.at, "it would not be among the executions that are read"
    told = go(world, reconciled(world, 99_000, fills=(missed,), positions=()))
    trade = next(t for t in told.noted(TradeClosed) if t.symbol == BTC)
    assert (trade.pnl, trade.reason) == (D(-41), "StopLoss")


# -- an execution is booked once, however often it is read ------------------------------------------


@cache
def busy():
    """The world after more executions than it remembers, a millisecond apart, and those."""
    fills = [
        a_fill(BTC, (BUY, SELL)[n % 2], 1, 100, at=T + n) for n in range(2 * FILLS_REMEMBERED + 9)
    ]
    world = a_world()
    return filled(but(world, at=T + len(fills)), *fills).world, fills


def test_what_is_no_longer_remembered_is_never_booked_again():
    world, fills = busy()
    assert len(world.fills) < 2 * FILLS_REMEMBERED
    assert T < world.account.fills_floor < T + len(fills)
    assert filled(world, *fills).noted(FillBooked) == []


def test_a_day_that_is_read_again_is_booked_once():
    world, fills = busy()
    row = VenuePosition(BTC, D(1), D(100))
    for depth in ("light", "full", "day"):
        event = reconciled(world, fills=tuple(fills), positions=(row,), depth=depth)
        told = go(world, event)
        assert told.noted(FillBooked) == []
        assert told.world.state("reconciliation") == "CLEAN"
        world = told.world


def test_a_new_execution_is_booked_and_one_from_before_the_floor_is_a_difference():
    world, _ = busy()
    floor = world.account.fills_floor
    assert filled(world, a_fill(at=floor)).noted(FillBooked)
    late = a_fill(at=floor - 1)
    assert filled(world, late).noted(FillBooked) == []
    row = VenuePosition(BTC, D(2), D(100))
    told = go(world, reconciled(world, fills=(late,), positions=(row,)))
    assert told.world.state("reconciliation") == "DRIFT", "nothing is lost in silence"


def test_executions_from_before_the_beginning_are_not_ours():
    assert filled(a_world(), a_fill(at=T - 1)).noted(FillBooked) == []
    assert filled(a_world(), a_fill(at=T)).noted(FillBooked)


# -- an exit goes on until nothing is open -----------------------------------------------------------


def partly_left(part):
    """A position of 20 whose exit filled a part and was then ended by the venue."""
    world = in_position(a_world())
    told = go(world, measured(world, up=False, cross_age=0))
    (exit_,) = told.effects(Submit)
    fill = a_fill(side=SELL, qty=part, order=exit_.order, at=told.world.at)
    world = filled(told.world, fill).world
    return go(world, reported(world, exit_.order, OrderStatus.CANCELED, filled=D(part))).world


def test_an_exit_that_fills_in_parts_goes_on_until_it_is_flat():
    world, sizes = partly_left(5), []
    for part in (7, 6, 2):
        told = go(world, ticked(world, 1), ticked(world, 2), ticked(world, 3))
        (exit_,) = told.effects(Submit)
        assert (exit_.reduce_only, exit_.side) == (True, SELL)
        sizes.append(exit_.qty)
        fill = a_fill(side=SELL, qty=part, order=exit_.order, at=told.world.at)
        world = filled(told.world, fill).world
        world = go(world, reported(world, exit_.order, OrderStatus.CANCELED, filled=D(part))).world
    assert sizes == [15, 8, 2]
    told = go(world, ticked(world, 3), ticked(world, 6))
    assert not told.effects(Submit)
    assert (told.world.state("position", BTC), told.world.positions[BTC].leaving) == ("FLAT", "")


def test_an_exit_goes_on_after_a_restart():
    world = partly_left(5)
    world = go(
        world, started(world.at), Recovered(at=world.at, snapshot_seq=0, tail=world.seq)
    ).world
    (exit_,) = go(world, ticked(world, 2)).effects(Submit)
    assert (exit_.reduce_only, exit_.qty) == (True, 15)


def test_a_position_that_is_being_left_keeps_its_stop_until_it_is_flat():
    world = partly_left(5)
    assert world.positions[BTC].stop is not None
    world = go(world, stop_seen(world, stop=None)).world
    assert go(world, ticked(world, 1), ticked(world, 3)).effects(Protect)


def test_an_execution_that_is_dated_ahead_is_protected_and_read_like_any_other():
    world = a_world()
    world = filled(world, a_fill(qty=3, at=world.at + 3_600_000)).world
    told = go(answered(world), ticked(world, 2))
    assert told.effects(Protect)
    row = VenuePosition(BTC, D(3), D(100))
    told = go(told.world, reconciled(told.world, positions=(row,)))
    assert told.noted(AccountCompared), "the reading is not torn until then"
