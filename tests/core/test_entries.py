"""Entries: every question that refuses answers with its numbers; size is a fixed, guarded fraction."""

import pytest

from bot.core.effects import Submit
from bot.core.facts import OrderRefused
from bot.core.settings import PROFILES, profile
from bot.core.strategy import Signal, against, confidence, trend
from bot.core.values import Side
from tests.given import (
    BTC,
    ETH,
    MINUTE,
    D,
    a_world,
    an_instrument,
    but,
    entering,
    go,
    in_position,
    measured,
    ticked,
    tuned,
    with_money,
)


def refused(world, **changes):
    told = go(world, measured(world, **changes))
    assert not told.effects(Submit)
    return "; ".join(row.reason for row in told.noted(OrderRefused))


def reviewed(world, equity):
    world = with_money(world, equity)
    return but(world, account=but(world.account, equity=D(equity)))


@pytest.mark.parametrize(
    ("name", "qty"), [("conservative", 10), ("moderate", 20), ("aggressive", 30)]
)
def test_the_size_is_1_2_or_3_percent_of_equity(name, qty):
    assert entering(a_world(settings=profile(name))).effects(Submit)[0].qty == D(qty)


@pytest.mark.parametrize(
    ("up", "side", "stop", "take"),
    [(True, "Buy", "98.0", "103.0"), (False, "Sell", "102.0", "97.0")],
)
def test_the_bracket_is_2_atr_below_and_3_atr_above_and_travels_with_the_entry(
    up, side, stop, take
):
    (entry,) = entering(a_world(), up=up).effects(Submit)
    assert (entry.side.value, str(entry.stop), str(entry.take)) == (side, stop, take)
    assert not entry.reduce_only


def test_an_entry_expires_in_people_time():
    told = entering(a_world())
    assert told.effects(Submit)[0].expires_at == told.world.at + 5_000
    told = entering(a_world(rate=60.0))
    assert told.effects(Submit)[0].expires_at == told.world.at + 300_000


def test_an_entry_says_why_and_why_this_size():
    assert entering(a_world()).reason("order") == (
        "EMA cross up 2 candles ago, ADX 40.0; 2.00% of 100000.00 × 1 = 20.000 at 100.1 or better, "
        "stop 98.0, target 103.0"
    )


def test_the_quantity_is_rounded_down_to_the_lot():
    world = but(a_world(), instruments={BTC: an_instrument(lot=D("0.7"))})
    assert entering(world).effects(Submit)[0].qty == D("19.6")


@pytest.mark.parametrize(
    ("world", "changes", "why"),
    [
        (a_world(), {"adx": 26.0, "atr": 1e9}, "does not enclose the mark 100"),
        (a_world(settings=tuned(risk__confidence_min=0.95)), {}, "confidence 0.90 under 0.95"),
        (a_world(), {"open_time": 0}, "the candle closed"),
        (reviewed(a_world(), 1), {}, "under the venue's minimum 0.001 (5)"),
        (reviewed(a_world(), -5), {}, "no size without a mark and equity (100, -5.00)"),
        (but(a_world(), marks={}), {}, "no size without a mark and equity (0, "),
        (
            a_world(
                settings=tuned(
                    risk__size_max=0.001, risk__base_size=0.001, risk__leverage_max=0.0001
                )
            ),
            {},
            "gross exposure 100.10, limit 10.00",
        ),
    ],
)
def test_every_refusal_has_a_sentence_with_numbers(world, changes, why):
    assert why in refused(world, **changes)


def test_all_refusals_are_kept_not_only_the_first():
    world = a_world(settings=tuned(risk__confidence_min=0.95))
    sentence = refused(world, open_time=world.at - 5 * MINUTE)
    assert sentence == "the candle closed 240 s ago, limit 10 s; confidence 0.90 under 0.95"


def test_no_more_positions_than_configured():
    world = in_position(a_world((BTC, ETH), settings=tuned(risk__positions_max=1)), ETH)
    assert "1 positions open, limit 1" in refused(world)
    on_its_way = entering(a_world((BTC, ETH), settings=tuned(risk__positions_max=1)), ETH).world
    assert "1 positions open, limit 1" in refused(on_its_way)


def test_entries_on_their_way_count_as_exposure():
    settings = tuned(risk__leverage_max=0.03)
    world = entering(a_world((BTC, ETH), settings=settings), ETH).world
    assert "gross exposure 4004.00, limit 3000.00" in refused(world)


def test_one_position_a_symbol_and_no_second_entry_while_one_is_on_its_way():
    world = in_position(a_world())
    told = go(world, measured(world))
    assert not (told.effects(Submit))
    assert not (told.noted(OrderRefused))
    world = entering(a_world()).world
    assert not go(world, measured(world)).effects(Submit)


def test_one_cross_is_traded_once():
    world = in_position(a_world())
    world = go(world, measured(world, up=False, cross_age=0)).world
    # the position is closed by its stop; the cross that was traded is not traded again
    done = but(world, orders={}, positions={BTC: but(world.positions[BTC], qty=D(0), stop=None)})
    flat = {**done.machines["position"], BTC: but(done.machines["position"][BTC], state="FLAT")}
    done = but(done, machines={**done.machines, "position": flat})
    assert "was traded already" in refused(done)
    later = go(done, ticked(done, 5)).world
    assert go(later, measured(later, cross_age=0)).effects(Submit), "a new cross is news"


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_adx_and_confidence_are_asked_at_the_profiles_lines(name):
    settings = profile(name)
    world, line = a_world(settings=settings), settings.strategy.adx_min
    assert not go(world, measured(world, adx=line - 0.01)).facts
    needed = (settings.risk.confidence_min - 0.5) * 100
    told = go(world, measured(world, adx=max(line, needed)))
    assert told.effects(Submit) or told.noted(OrderRefused)


def test_no_signal_without_movement_trend_or_a_young_cross():
    world, limits = a_world(), a_world().settings.strategy
    assert trend(measured(world, atr=0.0), limits) == "ATR is 0: nothing moves"
    assert trend(measured(world, atr=float("nan")), limits) == "ATR is 0: nothing moves"
    assert (
        trend(measured(world, cross_age=16), limits)
        == "the last EMA cross is 16 candles old, limit 15"
    )
    assert trend(measured(world, adx=24.9), limits) == "ADX 24.9 under 25"
    assert trend(measured(world, adx=float("nan")), limits) == "ADX nan under 25"
    assert isinstance(trend(measured(world), limits), Signal)


def test_confidence_grows_with_adx_from_a_half_to_one():
    assert [confidence(adx) for adx in (-1, 0, 25, 50, 99)] == [0.5, 0.5, 0.75, 1.0, 1.0]


def test_a_cross_against_the_position_closes_it_and_one_with_it_does_not():
    world = in_position(a_world())
    assert (
        against(measured(world, up=False, cross_age=0), 1)
        == "EMA crossed down against the position"
    )
    assert against(measured(world, up=False, cross_age=0), -1) is None
    old = measured(world, up=False, cross_age=3)
    assert not go(world, old).effects(Submit), "that cross was before the position"
    told = go(world, measured(world, up=False, cross_age=0))
    (exit_,) = told.effects(Submit)
    assert (exit_.side, exit_.reduce_only, exit_.expires_at) == (Side.SELL, True, None)
    assert not go(told.world, measured(told.world, up=False, cross_age=0)).effects(Submit)
