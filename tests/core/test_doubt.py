"""Doubt: an unknown outcome moves the guard by its age, and its end moves it back to where it was."""

import pytest

from bot.core.effects import Cancel, Submit
from bot.core.events import Absent, ClockJumped, Doubted, Recovered
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.values import OrderStatus
from tests.given import (
    BTC,
    ETH,
    SOL,
    a_world,
    answered,
    but,
    commanded,
    connected,
    entering,
    go,
    in_position,
    measured,
    reconciled,
    reported,
    review,
    started,
    ticked,
    trades,
    tuned,
    with_money,
)

LENIENT = tuned(kill__daily_loss_max=0.99, kill__drawdown_max=0.99)


def doubting(world=None, symbol=BTC):
    """An entry whose outcome is unknown from this moment, and its id."""
    world = entering(world or answered(a_world((BTC, ETH, SOL))), symbol).world
    order = next(o.order for o in world.orders.values() if o.symbol == symbol)
    return go(world, Doubted(at=world.at, order=order, reason="timeout")).world, order


def after(world, seconds):
    """The world once so much time has passed, a second at a time as it does."""
    whole = int(seconds)
    for _ in range(whole):
        world = go(world, ticked(world, 1)).world
    return go(world, ticked(world, seconds - whole)).world


def resolved(world, order):
    return go(world, Absent(at=world.at, order=order, reason="never there")).world


def ended(world, order):
    """The world one tick after the venue's word ended the doubt."""
    world = resolved(world, order)
    return go(world, ticked(world, 1)).world


@pytest.mark.parametrize(
    ("seconds", "state"), [(1.9, "NORMAL"), (2, "REDUCED"), (14.9, "REDUCED"), (15, "PAUSED")]
)
def test_it_reduces_after_2_s_and_pauses_after_15(seconds, state):
    world, order = doubting()
    world = go(world, ticked(world, seconds)).world
    assert world.state("guard") == state
    if state != "NORMAL":
        reason = world.instance_of("guard").reason
        assert reason == f"the outcome of {order} is unknown for {seconds:.0f} s"


def test_its_time_is_people_time():
    world, _ = doubting()
    world = but(world, rate=60.0)
    assert go(world, ticked(world, 119)).world.state("guard") == "NORMAL"
    assert go(world, ticked(world, 120)).world.state("guard") == "REDUCED"
    assert go(world, ticked(world, 900)).world.state("guard") == "PAUSED"


def test_the_oldest_doubt_counts_and_the_last_end_lifts():
    world, first = doubting()
    world = after(world, 10)
    world, second = doubting(world, ETH)
    world = after(world, 4)
    assert world.state("guard") == "REDUCED"
    world = ended(world, first)
    assert world.state("guard") == "REDUCED", "another is unknown for 5 s"
    assert ended(world, second).state("guard") == "NORMAL"


@pytest.mark.parametrize("seconds", [2, 15, 60])
def test_its_end_moves_the_guard_back_to_where_it_was(seconds):
    world, order = doubting()
    world = after(world, seconds)
    assert world.state("guard") != "NORMAL"
    world = ended(world, order)
    assert (world.state("guard"), world.guard_before) == ("NORMAL", "")
    assert world.instance_of("guard").reason == "no outcome is unknown"
    assert entry_level(world, BTC) == Level.FULL


def test_a_doubt_that_ends_within_2_s_moves_nothing():
    world, order = doubting()
    world = ended(after(world, 1), order)
    assert world.instance_of("guard").version == 1


def test_a_report_ends_it_as_well_as_absence():
    world, order = doubting()
    world = after(world, 3)
    world = go(world, reported(world, order, OrderStatus.OPEN), ticked(world)).world
    assert world.state("guard") == "NORMAL"


def test_a_pause_by_doubt_cancels_entries_on_their_way():
    world, order = doubting()
    world = entering(world, ETH).world
    other = next(o for o in world.orders if o != order)
    world = go(world, reported(world, other, OrderStatus.OPEN)).world
    told = go(but(world, orders={**world.orders}), ticked(world, 15))
    assert {c.order for c in told.effects(Cancel)} == {order, other}


def test_half_size_while_reduced_and_nothing_while_paused():
    world, _ = doubting()
    world = after(world, 2)
    (entry,) = go(world, measured(world, ETH)).effects(Submit)
    assert entry.qty == 10
    world = after(world, 13)
    assert not go(world, measured(world, ETH)).effects(Submit)


def test_an_exit_in_doubt_counts_too():
    world = in_position(answered(a_world((BTC, ETH))))
    told = go(world, commanded(world, "flatten"))
    (exit_,) = told.effects(Submit)
    world = go(told.world, Doubted(at=told.world.at, order=exit_.order, reason="timeout")).world
    assert after(world, 2).state("guard") == "REDUCED"


# -- the guard has other reasons, and none lifts another's ------------------------------------------


def judged(world, wins, losses):
    """The world reviewed at this moment with these results."""
    closed = tuple(but(c, at=world.at) for c in trades(wins, losses))
    world = but(world, closed=closed, account=but(world.account, reviewed_at=0))
    return go(world, ticked(world, 0)).world


def weak(world, state):
    """The guard lowered by its own performance."""
    world = judged(world, 0, 10) if state == "PAUSED" else judged(world, 7, 13)
    assert world.state("guard") == state
    return world


@pytest.mark.parametrize("state", ["REDUCED", "PAUSED"])
def test_a_guard_lowered_by_performance_is_not_lifted_by_the_end_of_a_doubt(state):
    world, order = doubting()
    world = after(weak(world, state), 20)
    assert world.state("guard") == "PAUSED"
    world = ended(world, order)
    assert world.state("guard") == state


def test_a_guard_that_performance_lowers_during_a_doubt_stays_down_after_it():
    world, order = doubting()
    world = after(world, 3)
    assert (world.state("guard"), world.guard_before) == ("REDUCED", "NORMAL")
    world = weak(world, "PAUSED")
    assert world.guard_before == ""
    assert ended(world, order).state("guard") == "PAUSED"


def test_a_good_review_does_not_lift_what_doubt_lowered():
    world, _ = doubting()
    assert judged(after(world, 2), 20, 0).state("guard") == "REDUCED"
    assert judged(after(world, 15), 20, 0).state("guard") == "PAUSED"


@pytest.mark.parametrize(("equity", "state"), [(85_000, "PAUSED"), (94_000, "REDUCED")])
def test_a_loss_that_came_while_doubt_paused_is_judged_at_the_very_end_of_the_doubt(equity, state):
    world, order = doubting(answered(a_world((BTC, ETH, SOL), settings=LENIENT)))
    world = with_money(after(world, 16), equity)
    world = review(world).world
    assert (world.state("guard"), world.guard_before) == ("PAUSED", "NORMAL")
    assert ended(world, order).state("guard") == state, "not NORMAL until the next review"


def test_a_person_who_reduces_during_a_doubt_is_not_overruled_by_its_end():
    world = after(doubting()[0], 3)
    assert world.state("guard") == "REDUCED"
    told = go(world, commanded(world, "reduce"))
    assert told.moves[-1].endswith("→ DONE")
    assert told.world.guard_before == "REDUCED"


def test_trades_followed_in_shadow_while_doubt_paused_prove_nothing():
    world, order = doubting()
    world = after(world, 15)
    world = go(world, measured(world, ETH)).world
    assert world.shadows
    assert ended(world, order).shadows == {}


# -- restarts and clocks ---------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 3, 16])
def test_a_restart_in_the_middle_forgets_neither_the_doubt_nor_where_it_was(seconds):
    world, order = doubting()
    world = after(world, seconds)
    again = (
        started(world.at),
        Recovered(at=world.at, snapshot_seq=0, tail=world.seq),
        connected(world.at, (BTC, ETH, SOL)),
        reconciled(world, as_of=world.at + 5_000),
    )
    world = after(go(world, *again).world, 16)
    assert world.state("guard") == "PAUSED"
    assert ended(world, order).state("guard") == "NORMAL"


def test_a_doubt_that_ends_while_the_bot_is_starting_lifts_it_at_the_first_tick():
    world, order = doubting()
    world = resolved(after(world, 16), order)
    world = go(world, started(world.at), ticked(world, 1)).world
    assert world.state("guard") == "NORMAL"


def test_a_clock_that_was_set_back_does_not_hide_a_doubt():
    world, _ = doubting()
    world = after(world, 1)
    world = go(world, ClockJumped(at=world.at - 3_600_000, by_ms=-3_600_000)).world
    assert go(world, ticked(world, 15)).world.state("guard") == "PAUSED"


def test_a_clock_that_jumped_ahead_only_makes_a_doubt_older():
    world, order = doubting()
    world = go(world, ClockJumped(at=world.at + 60_000, by_ms=60_000), ticked(world, 61)).world
    assert world.state("guard") == "PAUSED"
    assert ended(world, order).state("guard") == "NORMAL"
