"""Protection: one request at a time, and a market that is through the bracket closes the position."""

from collections import Counter

import pytest

from bot.core.effects import Cancel, Protect, Reconcile, Submit
from bot.core.events import Delivered, Filled, PositionReported, Rejected, Ticked, Undelivered
from bot.core.values import OrderStatus, Side, VenuePosition
from tests.given import (
    BTC,
    D,
    a_fill,
    a_world,
    answered,
    but,
    commanded,
    entering,
    go,
    in_position,
    read_through,
    reported,
    stop_seen,
    ticked,
    tuned,
)


def through_refusals(world, seconds, mark=100.0):
    """Let time pass second by second while the venue declines all that is asked of it."""
    attempts = Counter()
    for _ in range(seconds):
        told = go(world, ticked(world, 1, BTCUSDT=mark))
        world = told.world
        for dispatch in told.dispatches:
            attempts[type(dispatch.effect)] += 1
            refused = isinstance(dispatch.effect, Protect | Reconcile)
            outcome = (
                Undelivered(at=world.at, effect=dispatch.id, reason="declined")
                if refused
                else Delivered(at=world.at, effect=dispatch.id)
            )
            world = go(world, outcome).world
    return world, attempts


def naked(world, up=True):
    """A position of ours whose stop and target the venue lost."""
    world = in_position(world, up=up)
    return go(world, stop_seen(world, stop=None, take=None)).world


def adopted(mark, qty=5, base=None):
    """A position that was found at the venue, at 100 and without a bracket."""
    world = base or a_world()
    world = go(world, ticked(world, 1, BTCUSDT=mark)).world
    row = VenuePosition(BTC, D(qty), D(100))
    return read_through(world, positions=(row,)).world


def pending(world, kind):
    return [d.effect for d in world.deliveries.values() if isinstance(d.effect, kind)]


# -- R3: one request at a time ---------------------------------------------------------------------


def test_a_venue_that_declines_protection_for_ten_minutes_has_one_request_waiting():
    world, attempts = through_refusals(naked(a_world()), 600)
    assert len(pending(world, Protect)) == 1
    assert attempts[Protect] <= 310, "one attempt in two seconds at most, after the first"


def test_an_hour_without_the_venue_does_not_pile_up_requests():
    world, attempts = through_refusals(naked(a_world()), 3600)
    assert (len(pending(world, Protect)), len(pending(world, Reconcile))) == (1, 1)
    assert attempts[Protect] + attempts[Reconcile] < 1_900


def test_one_symbols_request_does_not_stand_for_another_stop():
    world = naked(a_world())
    world = go(world, ticked(world, 3)).world
    (before,) = pending(world, Protect)
    position = but(world.positions[BTC], stop=before.stop + 1)
    world = but(world, positions={BTC: position})
    assert [p.stop for p in go(world, ticked(world, 3)).effects(Protect)] == [before.stop + 1]


# -- R4: the market is beyond the stop -------------------------------------------------------------


@pytest.mark.parametrize(("qty", "mark", "stop"), [(5, 97.0, "95.1"), (-5, 103.0, "105.1")])
def test_a_stranger_under_water_gets_a_stop_that_the_venue_can_take(qty, mark, stop):
    world = adopted(mark, qty)
    (protect,) = go(world, ticked(world, 2)).effects(Protect)
    assert protect.stop == D(stop), "2 % from the mark, not from the entry"
    assert (D(str(mark)) - protect.stop) * qty > 0


@pytest.mark.parametrize(("up", "mark"), [(True, 97.0), (False, 103.0)])
def test_a_market_through_a_stop_that_the_venue_lost_closes_the_position(up, mark):
    world = naked(a_world(), up)
    stop, qty = world.positions[BTC].stop, world.positions[BTC].qty
    told = go(world, ticked(world, 3, BTCUSDT=mark))
    (exit_,) = told.effects(Submit)
    assert (exit_.reduce_only, exit_.qty) == (True, abs(qty))
    assert exit_.side is (Side.SELL if up else Side.BUY)
    assert not told.effects(Protect), "it would be declined"
    why = told.reason("order")
    assert why.startswith(f"the stop {stop:f} was passed, mark {mark:g}")
    assert why.endswith("while the venue held no stop")


@pytest.mark.parametrize(("up", "mark"), [(True, 110.0), (False, 90.0)])
def test_a_target_that_was_passed_does_not_keep_the_stop_from_being_set(up, mark):
    told = go(naked(a_world(), up), Ticked(at=a_world().at + 3_000, marks={BTC: mark}))
    assert not [p for p in told.effects(Protect) if p.take is not None], "declined as a whole"
    assert told.effects(Submit) or told.effects(Protect)


def test_a_stranger_whose_market_runs_on_through_the_fallback_is_closed():
    world = adopted(97.0)
    world = go(world, ticked(world, 2)).world
    world, attempts = through_refusals(world, 10, mark=94.0)
    assert attempts[Submit] == 1
    assert world.state("position", BTC) == "CLOSING"


def test_a_market_inside_the_bracket_is_no_reason_to_leave():
    world, attempts = through_refusals(naked(a_world()), 60)
    assert attempts[Submit] == 0
    assert world.state("position", BTC) == "OPEN"


def test_the_stop_is_asked_for_even_without_a_mark():
    world = but(naked(a_world()), marks={})
    assert len(go(world, Ticked(at=world.at + 3_000, marks={})).effects(Protect)) == 1


# -- R8: an exit that is rejected ------------------------------------------------------------------


def flattening():
    """A position of ours that a kill switch is flattening."""
    world = in_position(a_world(settings=tuned(kill__flatten=True)))
    return answered(go(world, commanded(world, "kill")).world)


def rejecting(world, ticks, gap):
    """Let the venue reject every exit at once; return what was handed out."""
    handed = []
    for _ in range(ticks):
        told = go(world, ticked(world, gap))
        world = told.world
        for dispatch in told.dispatches:
            handed.append(dispatch.effect)
            if isinstance(dispatch.effect, Submit):
                no = Rejected(
                    at=world.at, order=dispatch.effect.order, code=110017, reason="position is zero"
                )
                told = go(world, no, Delivered(at=world.at, effect=dispatch.id))
                world, handed = told.world, handed + [d.effect for d in told.dispatches]
    return world, handed


def test_a_rejected_exit_is_not_sent_again_at_every_tick():
    _, handed = rejecting(flattening(), 100, 0.1)
    exits = [e for e in handed if isinstance(e, Submit)]
    assert 1 < len(exits) <= 6, "in 10 s: tried again, but not ten times a second"


def test_a_rejected_exit_has_the_account_read_once():
    _, handed = rejecting(flattening(), 100, 0.1)
    assert len([e for e in handed if isinstance(e, Reconcile)]) == 1


def test_an_account_that_turns_out_empty_ends_the_exits():
    world, _ = rejecting(flattening(), 20, 0.1)
    world = read_through(world).world
    assert world.state("position", BTC) == "FLAT"
    assert not [e for e in rejecting(world, 50, 1)[1] if isinstance(e, Submit)]


# -- R5: what the private stream says of a position ------------------------------------------------


def test_a_position_that_the_bot_does_not_know_has_the_account_read_within_seconds():
    world = answered(a_world())
    row = VenuePosition(BTC, D(20), D(100), D(98), D(103))
    world = go(world, PositionReported(at=world.at, position=row)).world
    told = go(world, ticked(world, 1), ticked(world, 2), ticked(world, 3), ticked(world, 4))
    assert len(told.effects(Reconcile)) == 1


def test_a_position_report_before_the_execution_does_not_lose_the_bracket():
    world = entering(a_world()).world
    (order,) = world.orders.values()
    bracket = world.positions[BTC].stop, world.positions[BTC].take
    row = VenuePosition(BTC, order.qty, D(100), *bracket)
    world = go(
        world,
        reported(world, order.order, OrderStatus.FILLED),
        ticked(world, 0.5),
        PositionReported(at=world.at + 500, position=row),
    ).world
    fill = a_fill(BTC, Side.BUY, order.qty, 100, order=order.order, at=world.at)
    told = go(world, Filled(at=world.at, fill=fill), ticked(world, 5))
    position = told.world.positions[BTC]
    assert (position.qty, position.stop, position.take) == (order.qty, *bracket)
    assert position.stop_held
    assert not told.effects(Protect), "the real stop is not replaced by a wide one"


# -- leaving: entries of the symbol go first, and exits go on ---------------------------------------


def test_an_entry_that_still_rests_is_cancelled_before_the_exit_leaves():
    world = entering(a_world()).world
    (order,) = world.orders
    fill = a_fill(BTC, Side.BUY, 5, 100, order=order, at=world.at)
    world = go(
        world, Filled(at=world.at, fill=fill), reported(world, order, OrderStatus.PARTIAL, filled=5)
    ).world
    told = go(world, commanded(world, "flatten"))
    kinds = [type(e) for e in told.effects(Cancel | Submit)]
    assert kinds == [Cancel, Submit]
    assert told.effects(Submit)[0].qty == 5
    assert told.effects(Cancel) == [Cancel(order=order, symbol=BTC)]


def test_what_the_cancelled_entry_filled_meanwhile_is_closed_too():
    world = entering(a_world()).world
    (order,) = world.orders
    fill = a_fill(BTC, Side.BUY, 5, 100, order=order, at=world.at)
    told = go(go(world, Filled(at=world.at, fill=fill)).world, commanded(world, "flatten"))
    (exit_,) = told.effects(Submit)
    late = a_fill(BTC, Side.BUY, 3, 100, order=order, at=world.at)
    out = a_fill(BTC, Side.SELL, 5, 100, order=exit_.order, at=world.at)
    world = go(
        told.world,
        Filled(at=world.at, fill=late),
        reported(told.world, order, OrderStatus.CANCELED, filled=D(8)),
        Filled(at=world.at, fill=out),
        reported(told.world, exit_.order),
    ).world
    assert world.positions[BTC].qty == 3
    told = go(world, ticked(world, 1), ticked(world, 2), ticked(world, 3))
    assert [(e.qty, e.reduce_only) for e in told.effects(Submit)] == [(3, True)]


def test_leaving_outlives_the_reason_that_began_it():
    world = naked(a_world())
    told = go(world, ticked(world, 3, BTCUSDT=97.0))
    (exit_,) = told.effects(Submit)
    ended = reported(told.world, exit_.order, OrderStatus.CANCELED)
    told = go(told.world, ended, ticked(told.world, 1), ticked(told.world, 3, BTCUSDT=100.0))
    (again,) = told.effects(Submit)
    assert (again.qty, again.reduce_only) == (exit_.qty, True)
    assert told.reason("order").startswith("the stop 98.0 was passed")
