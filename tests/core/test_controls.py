"""Pre-trade controls: each flips the result alone at its exact limit, and says so with its numbers."""

import pytest

from bot.core.controls import LIMITS, NONSENSE
from tests.core.worlds import (
    BUY,
    HOUR,
    SELL,
    WORLD,
    an_order,
    asking,
    closing,
    feed,
    holding,
    limited,
    poor,
    repeating,
    said,
    talking,
    with_orders,
)
from tests.given import (
    BTC,
    ETH,
    SOL,
    D,
    but,
    commanded,
    go,
    tuned,
)

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
    no_size = control == "sanity" and "price" not in sentence and "lot" not in sentence
    assert said(world, but(asked, reduce_only=True, price=None, order="", symbol=BTC)) == [
        f"sanity: {sentence}" for _ in range(no_size)
    ], "and what is off the lot may be closed"
