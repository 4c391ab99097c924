"""All controls at once: every refusal is listed and kept, some hold, and no configuration widens one."""

from decimal import Decimal

import pytest

from bot.core.controls import denials
from bot.core.effects import Amend, Cancel, Submit
from bot.core.events import ClockJumped
from bot.core.facts import OrderRefused
from bot.core.limits import Controls
from bot.core.settings import PROFILES, keys, profile, value_of, why_wider
from bot.core.values import OrderStatus
from bot.core.world import Intent
from tests.core.test_controls import CASES, EVERY
from tests.core.worlds import (
    BUY,
    HOUR,
    SELL,
    WORLD,
    an_order,
    asking,
    closing,
    feed,
    limited,
    repeating,
    said,
    talking,
    theirs,
    with_orders,
)
from tests.given import (
    BTC,
    ETH,
    D,
    T,
    but,
    commanded,
    entering,
    go,
    in_position,
    measured,
    reported,
    ticked,
    trades,
    tuned,
    with_money,
)


def everything_wrong():
    world = but(
        WORLD,
        settings=tuned(
            market__symbols=(ETH,),
            controls__value_max=1.0,
            controls__orders_open_max=1,
            controls__net_max=0.0,
            risk__leverage_max=0.0,
        ),
        marks={BTC: 104.0},
        intents=repeating(*[BUY] * 10, ago=0).intents,
        messages=talking(21).messages,
        closed=closing(*[-1] * 10).closed,
        foreign=theirs(BTC).foreign,
    )
    world = with_orders(world, an_order("o9", BTC, side=SELL))
    return with_money(feed(world, volume=0.0), 80_000)


def test_all_controls_that_refuse_are_listed_at_once():
    found = denials(everything_wrong(), asking("1000", order="nobody"))
    assert [denial.control for denial in found] == [n for n in EVERY if n != "sanity"]


@pytest.mark.parametrize("wrong", ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "-1", "-0", "0"])
@pytest.mark.parametrize("part", ["qty", "price"])
@pytest.mark.parametrize("reduce_only", [False, True])
def test_what_is_no_size_and_no_price_is_refused_and_never_raises(wrong, part, reduce_only):
    asked = but(asking(reduce_only=reduce_only), **{part: Decimal(wrong)})
    word = {"qty": "quantity", "price": "price"}[part]
    assert said(WORLD, asked) == [
        f"sanity: expected a finite {word} above 0 and under 1e+15, found {wrong}"
    ]
    assert said(but(WORLD, instruments={}), asked)


@pytest.mark.parametrize("huge", ["1E+25", "1E+30", "9.9E+400", "1E+999999"])
@pytest.mark.parametrize("part", ["qty", "price"])
def test_a_number_too_large_to_be_counted_in_lots_is_refused_shortly_and_never_raises(huge, part):
    for reduce_only in (False, True):
        asked = but(asking(reduce_only=reduce_only), **{part: Decimal(huge)})
        found = said(WORLD, asked)
        assert all(len(sentence) < 200 for sentence in found)
        assert found or reduce_only
        assert said(but(WORLD, marks={}, feeds={}), asked) or reduce_only


# -- holds that only a person lifts ----------------------------------------------------------------

HOLDING = [
    ("repeated execution", BTC, repeating(*[BUY] * 4, *[SELL] * 6), {"symbol": BTC}),
    ("re-entry", BTC, repeating(*[BUY] * 5), {"symbol": BTC}),
    ("losses in a row", "account", closing(*[-1] * 10), {}),
]


@pytest.mark.parametrize(("control", "key", "world", "args"), HOLDING)
def test_repetition_holds_until_a_named_person_releases_and_then_counts_anew(
    control, key, world, args
):
    told = go(world, measured(world))
    assert not told.effects(Submit)
    assert [row.control for row in told.noted(OrderRefused)] == [control]
    assert told.world.state("hold", key) == "HELD"
    assert told.reason("hold").startswith(f"{control}: ")

    held = go(told.world, ticked(told.world, HOUR // 1000 + 1)).world
    held = go(held, commanded(held, "release", identity="claimed", **args)).world
    assert held.state("hold", key) == "HELD", "neither time nor the nameless lift it"
    assert not go(held, measured(held)).effects(Submit)

    world = go(told.world, commanded(told.world, "release", **args)).world
    assert said(world, asking()) == []
    world = but(world, at=world.at + 1)
    again = Intent("n", BTC, BUY, D(1), world.at, True)
    less = but(world, intents=(*world.intents, *[again] * 4), closed=(*world.closed, *trades(0, 9)))
    less = but(less, closed=tuple(but(c, at=world.at) if c.at == T else c for c in less.closed))
    assert not any(denial.holds for denial in denials(less, asking())), "the count begins anew"
    more = but(less, intents=(*less.intents, *[again] * 6), closed=(*less.closed, *trades(0, 1)))
    more = but(more, closed=tuple(but(c, at=world.at) if c.at == T else c for c in more.closed))
    assert control in {denial.control for denial in denials(more, asking())}


def test_a_clock_that_was_set_back_after_a_release_leaves_no_time_without_the_throttle():
    told = go(HOLDING[0][2], measured(WORLD))
    late = go(told.world, ticked(told.world, 1_800)).world
    free = go(late, commanded(late, "release", symbol=BTC)).world
    back = go(free, ClockJumped(at=free.at - 1_800_000, by_ms=-1_800_000)).world
    back = but(back, at=back.at + 1, intents=repeating(*[SELL] * 10, ago=-1).intents)
    assert "repeated execution" in {denial.control for denial in denials(back, asking())}


def test_only_the_controls_of_repetition_hold():
    holds = {case[0]: {d.holds for d in denials(*case[2])} for case in CASES}
    expected = {control: {key} for control, key, _, _ in HOLDING}
    assert {control: keys for control, keys in holds.items() if keys != {""}} == expected


# -- every refusal is a row ------------------------------------------------------------------------


def test_every_refusal_of_an_entry_is_a_row():
    closed = closing(*[-1] * 10).closed
    world = but(limited(value_max=100), messages=talking(20).messages, closed=closed)
    told = go(world, measured(world))
    rows = [(row.symbol, row.side, row.control) for row in told.noted(OrderRefused)]
    assert rows == [(BTC, BUY, c) for c in ("order value", "message rate", "losses in a row")]


def test_every_refusal_of_a_move_is_a_row_and_the_entry_is_cancelled():
    world = entering(WORLD).world
    (order,) = world.orders
    world = go(world, reported(world, order, OrderStatus.OPEN)).world
    world = but(world, settings=tuned(world.settings, controls__value_max=100.0))
    told = go(world, ticked(world, 3, BTCUSDT=104.0))
    assert [row.control for row in told.noted(OrderRefused)] == [
        "price drift",
        "order value",
        "follow",
    ]
    assert (len(told.effects(Cancel)), told.effects(Amend)) == (1, [])


def test_exits_leave_while_entries_are_refused_for_every_reason():
    world = in_position(WORLD)
    world = but(everything_wrong(), positions=world.positions, machines=world.machines, orders={})
    told = go(world, commanded(world, "flatten"))
    (exit_,) = told.effects(Submit)
    assert exit_.reduce_only
    assert not told.noted(OrderRefused)


# -- what is not known, and what does not count -----------------------------------------------------


def controls_of(world, asked):
    return {denial.control for denial in denials(world, asked)}


def test_without_a_mark_or_a_candle_nothing_is_near_and_nothing_is_small():
    unmarked = feed(but(WORLD, marks={}), close=1.0)
    assert {"price collar", "price drift"} <= controls_of(unmarked, asking("1", "1"))
    assert {"price drift", "order volume"} <= controls_of(but(WORLD, feeds={}), asking())


def test_a_symbol_that_costs_less_than_one_is_traded_like_any_other():
    assert said(feed(but(WORLD, marks={BTC: 0.5}), close=0.5), asking("1", "0.5")) == []


def test_a_number_is_too_large_from_its_limit_on():
    for part in ("qty", "price"):
        assert controls_of(WORLD, but(asking(), **{part: D("1e15")})) == {"sanity"}
        assert "sanity" not in controls_of(WORLD, but(asking(), **{part: D("1e15") - 1}))


def test_at_the_socket_an_order_that_was_counted_is_not_counted_again():
    decided = with_orders(talking(20), an_order("o1", BTC))
    assert said(decided, asking(order="o1", counted=True)) == []
    assert said(decided, asking(order="o1")), "an amendment is a message more"
    decided = with_orders(talking(21), an_order("o1", BTC))
    assert said(decided, asking(order="o1", counted=True)) == [
        "message rate: 21 messages this second, limit 20",
    ]


def test_yesterdays_messages_leave_the_whole_of_today():
    world = but(limited(messages_day_max=1), messages=talking(0, today=9, day=1).messages)
    assert said(world, asking()) == []


def test_reduced_is_no_refusal():
    assert said(go(WORLD, commanded(WORLD, "reduce")).world, asking()) == []


def test_trades_in_shadow_are_no_losses():
    assert said(closing(*[-1] * 30, shadow=True), asking()) == []
    shadows = closing(*[1] * 3, shadow=True).closed
    mixed = but(WORLD, closed=(*closing(*[-1] * 10).closed, *shadows))
    assert controls_of(mixed, asking()) == {"losses in a row"}


# -- a configuration tightens and never widens -------------------------------------------------------

DIRECTIONS = {
    **dict.fromkeys((f"controls.{name}" for name in Controls.__struct_fields__), "lower"),
    "controls.duplicate_real_seconds": "higher",
    "orders.slippage_max": "lower",
    "orders.moves_max": "lower",
    "orders.troubles_max": "lower",
    "guard.doubt_reduced_real_seconds": "lower",
    "guard.doubt_paused_real_seconds": "lower",
}


@pytest.mark.parametrize("key", sorted(DIRECTIONS))
@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_limit_can_be_made_tighter_and_never_wider(key, name):
    settings, meta = profile(name), next(meta for k, _, meta in keys() if k == key)
    assert meta.extra == {"tighter": DIRECTIONS[key]}
    ceiling, sign = value_of(settings, key), 1 if DIRECTIONS[key] == "lower" else -1
    assert meta.ge <= ceiling <= meta.le
    assert why_wider(settings, key, ceiling, meta) is None
    assert why_wider(settings, key, ceiling - sign * ceiling / 2, meta) is None
    word = "at most" if sign > 0 else "at least"
    for wider in (ceiling + sign * ceiling / 1000, float("nan")):
        assert f"expected {word} {ceiling:g}" in why_wider(settings, key, wider, meta)


@pytest.mark.parametrize("key", sorted(DIRECTIONS))
def test_no_command_widens_a_limit(key):
    ceiling = value_of(WORLD.base, key)
    sign = 1 if DIRECTIONS[key] == "lower" else -1
    step = 1 if isinstance(ceiling, int) else ceiling / 1000
    asked = {"name": key, "value": ceiling + sign * step, "seconds": "60"}
    told = go(WORLD, commanded(WORLD, "set-parameter", **asked))
    assert told.world.settings == WORLD.settings
    assert told.moves[1].endswith("→ REFUSED")
