"""Shadow trades: what the paused guard did not allow is followed with its costs."""

import pytest

from bot.core.effects import Submit
from bot.core.events import CandleClosed
from bot.core.facts import TradeClosed
from bot.core.shadow import COST, shadow_profit
from tests.given import (
    BTC,
    MINUTE,
    D,
    T,
    a_candle,
    a_world,
    but,
    commanded,
    go,
    measured,
    review,
    ticked,
    trades,
)

FEES = (2 * 0.0006 + COST) * 100


def paused():
    return review(but(a_world(), closed=trades(0, 10))).world


def following(up=True):
    world = paused()
    told = go(world, measured(world, up=up))
    assert not told.effects(Submit)
    return told.world


def test_a_refused_entry_is_followed_only_while_the_guard_is_the_only_reason():
    assert set(following().shadows) == {BTC}
    world = paused()
    held = go(world, commanded(world, "hold")).world
    assert not go(held, measured(held)).world.shadows
    late = go(world, measured(world, open_time=0)).world
    assert not late.shadows


def test_nothing_is_followed_while_the_guard_is_not_paused():
    world = a_world()
    held = go(world, commanded(world, "hold")).world
    assert not go(held, measured(held)).world.shadows


@pytest.mark.parametrize(
    ("up", "mark", "gross", "why"),
    [
        (True, 98.0, -2.0, "StopLoss"),
        (True, 97.0, -2.0, "StopLoss"),
        (True, 103.0, 3.0, "TakeProfit"),
        (False, 102.0, -2.0, "StopLoss"),
        (False, 96.0, 3.0, "TakeProfit"),
    ],
)
def test_it_ends_at_its_stop_or_target_with_its_costs(up, mark, gross, why):
    told = go(following(up), ticked(following(up), 1, BTCUSDT=mark))
    (trade,) = told.noted(TradeClosed)
    assert (trade.shadow, trade.reason) == (True, why)
    assert float(trade.pnl) == pytest.approx(20 * (gross - FEES))
    assert told.world.closed[-1].shadow
    assert told.world.account.cash == D(100_000), "no money moved"


def test_within_one_candle_the_stop_counts_first():
    world = following()
    candle = a_candle(T + MINUTE, 100.0, low=97.0, high=104.0)
    late = go(world, ticked(world, 125), ticked(world, 126)).world
    told = go(late, CandleClosed(at=T + 3 * MINUTE, symbol=BTC, candle=candle, source="t"))
    assert told.noted(TradeClosed)[0].reason == "StopLoss"


def test_a_candle_that_opened_before_it_does_not_end_it():
    world = following()
    candle = a_candle(T - MINUTE, 100.0, low=90.0)
    assert not go(world, CandleClosed(at=world.at, symbol=BTC, candle=candle, source="t")).facts


def test_a_cross_against_it_ends_it_at_the_close():
    world = following()
    told = go(world, measured(world, up=False, cross_age=0, close=101.0, adx=10.0))
    (trade,) = told.noted(TradeClosed)
    assert (trade.reason, float(trade.exit)) == ("EMA cross", 101.0)


def test_open_and_closed_shadows_count_for_the_guards_own_curve_and_not_for_the_switch():
    world = following()
    world = go(world, ticked(world, 1, BTCUSDT=102.0)).world
    assert float(shadow_profit(world)) == pytest.approx(20 * (2 - FEES))
    told = review(world)
    assert told.world.account.guard_peak > told.world.account.peak == D(100_000)


def test_shadows_end_with_the_pause():
    world = following()
    world = but(world, closed=world.closed + trades(20, 0, shadow=True, at=world.at))
    world = review(world).world
    assert world.state("guard") == "REDUCED"
    assert world.shadows == {}
    assert shadow_profit(world) == 0
