"""Pre-trade controls: each flips the result alone at its exact limit, and says so with its numbers."""

from decimal import Decimal

import pytest

from bot.core.controls import LIMITS, NONSENSE, Asked, denials
from bot.core.effects import Amend, Cancel, Submit
from bot.core.events import ClockJumped
from bot.core.facts import OrderRefused
from bot.core.limits import Controls
from bot.core.settings import PROFILES, keys, profile, value_of, why_wider
from bot.core.values import OrderStatus, Side, VenueOrder
from bot.core.world import DAY_MS, Closed, Intent, Messages, Order
from tests.given import (
    BTC,
    ETH,
    SOL,
    D,
    T,
    a_world,
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

BUY, SELL = Side.BUY, Side.SELL
HOUR = 3_600_000
WORLD = a_world((BTC, ETH, SOL))


def asking(qty="1", price="100", side=BUY, **more):
    """An entry, at the mark unless said."""
    usual = {"symbol": BTC, "reduce_only": False}
    return Asked(side=side, qty=D(qty), price=None if price is None else D(price), **usual | more)


def said(world, asked):
    """Return each refusal as ``control: reason``."""
    return [f"{denial.control}: {denial.reason}" for denial in denials(world, asked)]


def feed(world, **changes):
    return but(world, feeds={**world.feeds, BTC: but(world.feeds[BTC], **changes)})


def limited(**values):
    """The world with controls changed by name."""
    values = {name if "__" in name else f"controls__{name}": v for name, v in values.items()}
    return but(WORLD, settings=tuned(WORLD.settings, **values))


def holding(world, symbol, qty):
    position = but(world.positions[symbol], qty=D(qty), avg=D(100))
    return but(world, positions={**world.positions, symbol: position})


def an_order(order, symbol=ETH, qty="1", side=BUY, **more):
    usual = {"entry": True, "placed_at": T, "news_at": T, "price": D(100)}
    return Order(order, symbol, side, D(qty), **usual | more)


def with_orders(world, *orders):
    return but(world, orders={**world.orders, **{order.order: order for order in orders}})


def repeating(*sides, ago=60_000, executed=True, symbol=BTC):
    """The world after entries on these sides."""
    at = WORLD.at - ago
    return but(
        WORLD,
        intents=tuple(
            Intent(f"i{n}", symbol, side, D(1), at, executed) for n, side in enumerate(sides)
        ),
    )


def talking(count, ago=0, today=0, day=None):
    """The world after this many messages, and so many today."""
    day = WORLD.at // DAY_MS if day is None else day
    return but(WORLD, messages=Messages((WORLD.at - ago,) * count, day, today))


def closing(*profits, shadow=False):
    return but(WORLD, closed=tuple(Closed(D(p), shadow, WORLD.at) for p in profits))


def poor(cash, **account):
    return with_money(WORLD, cash, **{"peak": D(1), "day_start": D(1)} | account)


def theirs(symbol):
    row = VenueOrder("", "v7", symbol, SELL, D(3), D(0), OrderStatus.OPEN)
    return but(WORLD, foreign={"v7": row})


DECIDED = with_orders(WORLD, an_order("o1", BTC, "20"))
HALF = with_orders(WORLD, an_order("o1", BTC, "20", booked=D(5), filled=D(5)))
LISTED = but(WORLD, settings=tuned(market__symbols=(BTC,)))
OTHERS = but(WORLD, settings=tuned(market__symbols=(ETH, SOL)))
A_DAY = feed(WORLD, volume=1.0)
NARROW, OLD_CLOSE = feed(WORLD, atr=0.5), limited(drift_max=0.03125)
NET, LONG_ETH = limited(net_max=1.0), holding(limited(net_max=1.0), ETH, "950")
SHORT_ETH, TWO_OPEN = holding(WORLD, ETH, "-2950"), limited(orders_open_max=2)
COMING = with_orders(holding(WORLD, BTC, "50"), an_order("o2", BTC, "30", booked=D(10)))
SMALL, HEAVY = limited(value_max=2000), feed(WORLD, atr=0.0)

CASES = [
    # control, passes, refuses, the sentence
    (
        "instrument",
        (LISTED, asking()),
        (OTHERS, asking()),
        "BTCUSDT is not one of ETHUSDT, SOLUSDT",
    ),
    (
        "instrument",
        (WORLD, asking(reduce_only=True)),
        (WORLD, asking(symbol="X", reduce_only=True)),
        "X is not an instrument of the venue",
    ),
    (
        "sanity",
        (WORLD, asking("0.001")),
        (WORLD, asking("0")),
        "expected a finite quantity above 0 and under 1e+15, found 0",
    ),
    (
        "sanity",
        (WORLD, asking("0.001")),
        (WORLD, asking("0.0011")),
        "quantity 0.0011 is not a multiple of the lot 0.001",
    ),
    (
        "sanity",
        (WORLD, asking(price="100.1")),
        (WORLD, asking(price="100.11")),
        "price 100.11 is not a multiple of the tick 0.1",
    ),
    (
        "sanity",
        (WORLD, asking(price="100")),
        (WORLD, asking(price="0")),
        "expected a finite price above 0 and under 1e+15, found 0",
    ),
    (
        "ledger",
        (DECIDED, asking("1", order="o1")),
        (DECIDED, asking("1", order="o2", symbol=SOL)),
        "no decision stands behind o2",
    ),
    (
        "ledger",
        (DECIDED, asking("20", order="o1")),
        (DECIDED, asking("20.001", order="o1")),
        "20.001 and 0 filled exceed the 20 decided on",
    ),
    (
        "ledger",
        (HALF, asking("15", order="o1")),
        (HALF, asking("15.001", order="o1")),
        "15.001 and 5 filled exceed the 20 decided on",
    ),
    (
        "ledger",
        (DECIDED, asking("1", order="o1")),
        (DECIDED, asking("1", order="o1", side=SELL)),
        "o1 was decided on as Buy BTCUSDT",
    ),
    (
        "ledger",
        (DECIDED, asking("1", order="o1")),
        (DECIDED, asking("1", order="o1", reduce_only=True)),
        "o1 was decided on as Buy BTCUSDT",
    ),
    (
        "ledger",
        (DECIDED, asking("1", order="o1")),
        (DECIDED, asking("1", order="o1", symbol=SOL)),
        "o1 was decided on as Buy BTCUSDT",
    ),
    (
        "price collar",
        (WORLD, asking(price="103")),
        (WORLD, asking(price="103.1")),
        "price 103.1 is more than 3.0 from the mark 100.0",
    ),
    (
        "price collar",
        (WORLD, asking(price="97")),
        (WORLD, asking(price="96.9")),
        "price 96.9 is more than 3.0 from the mark 100.0",
    ),
    (
        "price collar",
        (NARROW, asking(price="102.5")),
        (NARROW, asking(price="102.6")),
        "price 102.6 is more than 2.5 from the mark 100.0",
    ),
    (
        "price collar",
        (WORLD, asking()),
        (WORLD, asking(price=None)),
        "an entry needs a limit price",
    ),
    (
        "price drift",
        (but(OLD_CLOSE, marks={BTC: 103.125}), asking(price="103.1")),
        (but(OLD_CLOSE, marks={BTC: 103.25}), asking(price="103.1")),
        "the mark 103.25 is 3.25% from the last close 100, limit 3.12%",
    ),
    (
        "price drift",
        (but(OLD_CLOSE, marks={BTC: 96.875}), asking(price="96.9")),
        (but(OLD_CLOSE, marks={BTC: 96.75}), asking(price="96.9")),
        "the mark 96.75 is 3.25% from the last close 100, limit 3.12%",
    ),
    (
        "price drift",
        (WORLD, asking()),
        (feed(WORLD, close=0.0), asking()),
        "no closed candle to compare the mark with",
    ),
    ("order value", (SMALL, asking("20")), (SMALL, asking("20.001")), "value 2000.10 over 2000"),
    (
        "order value",
        (SMALL, asking("19.98", "100.1")),
        (SMALL, asking("19.981", "100.1")),
        "value 2000.10 over 2000",
    ),
    (
        "order value",
        (SMALL, asking("20", "99", SELL)),
        (SMALL, asking("20.001", "99", SELL)),
        "value 2000.10 over 2000",
    ),
    (
        "order volume",
        (A_DAY, asking("14.4")),
        (A_DAY, asking("14.401")),
        "quantity 14.401 over 1.00% of a day's volume (14.4)",
    ),
    (
        "message rate",
        (talking(19), asking()),
        (talking(20), asking()),
        "21 messages this second, limit 20",
    ),
    (
        "message rate",
        (talking(20, ago=1_000), asking()),
        (talking(20, ago=999), asking()),
        "21 messages this second, limit 20",
    ),
    (
        "message rate",
        (talking(199, ago=59_999), asking()),
        (talking(200, ago=59_999), asking()),
        "201 messages this minute, limit 200",
    ),
    (
        "message rate",
        (talking(200, ago=60_000), asking()),
        (talking(200, ago=59_999), asking()),
        "201 messages this minute, limit 200",
    ),
    (
        "message rate",
        (talking(0, today=9_999), asking()),
        (talking(0, today=10_000), asking()),
        "10001 messages this day, limit 10000",
    ),
    (
        "message rate",
        (talking(0, today=10_000, day=1), asking()),
        (talking(0, today=10_000), asking()),
        "10001 messages this day, limit 10000",
    ),
    (
        "duplicate",
        (repeating(BUY, ago=2_000, executed=False), asking()),
        (repeating(BUY, ago=1_999, executed=False), asking()),
        "i0 was the same entry 2.0 s ago",
    ),
    (
        "duplicate",
        (repeating(BUY, ago=500, executed=False, symbol=ETH), asking()),
        (repeating(BUY, ago=500, executed=False), asking()),
        "i0 was the same entry 0.5 s ago",
    ),
    (
        "duplicate",
        (repeating(SELL, ago=0, executed=False), asking()),
        (repeating(BUY, ago=0, executed=False), asking()),
        "i0 was the same entry 0.0 s ago",
    ),
    (
        "repeated execution",
        (repeating(*[BUY] * 4, *[SELL] * 5), asking()),
        (repeating(*[BUY] * 4, *[SELL] * 6), asking()),
        "10 entries executed within the hour, limit 10",
    ),
    (
        "repeated execution",
        (repeating(*[SELL] * 10, ago=HOUR), asking()),
        (repeating(*[SELL] * 10, ago=HOUR - 1), asking()),
        "10 entries executed within the hour, limit 10",
    ),
    (
        "re-entry",
        (repeating(*[BUY] * 4), asking()),
        (repeating(*[BUY] * 5), asking()),
        "4 re-entries on the same side within the hour, limit 4",
    ),
    (
        "re-entry",
        (repeating(*[SELL] * 5), asking()),
        (repeating(*[SELL] * 5), asking(side=SELL)),
        "4 re-entries on the same side within the hour, limit 4",
    ),
    (
        "re-entry",
        (repeating(*[BUY] * 5, executed=False), asking()),
        (repeating(*[BUY] * 5), asking()),
        "4 re-entries on the same side within the hour, limit 4",
    ),
    (
        "losses in a row",
        (closing(*[-1] * 9), asking()),
        (closing(*[-1] * 10), asking()),
        "10 losing trades in a row, limit 10",
    ),
    (
        "losses in a row",
        (closing(-1, 1, *[-1] * 9), asking()),
        (closing(1, -1, *[0] * 9), asking()),
        "10 losing trades in a row, limit 10",
    ),
    (
        "position",
        (WORLD, asking()),
        (WORLD, asking("100.001")),
        "BTCUSDT would come to 10000.10, limit 10000.00",
    ),
    (
        "position",
        (COMING, asking("30")),
        (COMING, asking("30.001")),
        "BTCUSDT would come to 10000.10, limit 10000.00",
    ),
    (
        "position",
        (holding(WORLD, BTC, "-60"), asking("40")),
        (holding(WORLD, BTC, "-60"), asking("40.001")),
        "BTCUSDT would come to 10000.10, limit 10000.00",
    ),
    (
        "gross exposure",
        (SHORT_ETH, asking("50")),
        (SHORT_ETH, asking("50.001")),
        "gross exposure 300000.10, limit 300000.00",
    ),
    (
        "net exposure",
        (LONG_ETH, asking("50")),
        (LONG_ETH, asking("50.001")),
        "net exposure 100000.10, limit 100000.00",
    ),
    (
        "net exposure",
        (LONG_ETH, asking("100", side=SELL)),
        (with_orders(LONG_ETH, an_order("o3")), asking("50")),
        "net exposure 100100.00, limit 100000.00",
    ),
    (
        "daily loss",
        (poor("96000.01", day_start=D(100_000)), asking()),
        (poor("96000", day_start=D(100_000)), asking()),
        "daily loss 4.00% at limit 4.00%",
    ),
    (
        "drawdown",
        (poor("85000.01", peak=D(100_000)), asking()),
        (poor("85000", peak=D(100_000)), asking()),
        "drawdown 15.00% at limit 15.00%",
    ),
    (
        "open orders",
        (with_orders(TWO_OPEN, an_order("o4")), asking()),
        (with_orders(TWO_OPEN, an_order("o4"), an_order("o5", entry=False)), asking()),
        "3 orders open, limit 2",
    ),
    (
        "self-match",
        (with_orders(WORLD, an_order("o6", BTC)), asking()),
        (with_orders(WORLD, an_order("o6", BTC, side=SELL)), asking()),
        "our own order o6 is on the other side",
    ),
    (
        "self-match",
        (with_orders(WORLD, an_order("o6", BTC, side=SELL, ended=True)), asking()),
        (with_orders(WORLD, an_order("o6", BTC, side=SELL, entry=False)), asking()),
        "our own order o6 is on the other side",
    ),
    (
        "foreign order",
        (theirs(ETH), asking()),
        (theirs(BTC), asking()),
        "order v7 in BTCUSDT is not ours: Sell 3",
    ),
    (
        "permission",
        (go(WORLD, commanded(WORLD, "hold", symbol=ETH)).world, asking()),
        (go(WORLD, commanded(WORLD, "hold", symbol=BTC)).world, asking()),
        "hold BTCUSDT is HELD: ana: I say so",
    ),
]
EVERY = [name for name, _ in (*NONSENSE, *LIMITS)]


@pytest.mark.parametrize(("control", "passes", "refuses", "sentence"), CASES)
def test_a_control_flips_the_result_alone_at_its_exact_limit(control, passes, refuses, sentence):
    assert said(*passes) == []
    assert said(*refuses) == [f"{control}: {sentence}"]


def test_every_control_there_is_was_flipped():
    assert {case[0] for case in CASES} == {*EVERY, "permission"}


@pytest.mark.parametrize(("control", "passes", "refuses", "sentence"), CASES)
def test_an_exit_answers_only_to_nonsense(control, passes, refuses, sentence):
    world, asked = refuses
    if control not in ("instrument", "sanity", "ledger"):
        assert said(world, but(asked, reduce_only=True)) == []
    assert said(world, but(asked, reduce_only=True, price=None, order="", symbol=BTC)) == [
        f"sanity: {sentence}" for _ in range(1) if control == "sanity" and "price" not in sentence
    ]


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
    assert [row.control for row in told.noted(OrderRefused)] == ["price drift", "order value"]
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
    assert said(decided, asking(order="o1")) == []
    decided = with_orders(talking(21), an_order("o1", BTC))
    assert said(decided, asking(order="o1")) == [
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
