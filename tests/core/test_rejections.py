"""Rejections in a row hold a symbol, many within a minute the account; both until a person releases."""

import pytest

from bot.config import FIELDS
from bot.core.effects import Notify, Submit
from bot.core.events import Absent, Accepted, ClockJumped, NotSent, Rejected
from bot.core.settings import Settings, why_wider
from bot.core.values import OrderStatus
from tests.given import (
    BTC,
    ETH,
    MINUTE,
    SOL,
    a_world,
    but,
    commanded,
    entering,
    go,
    in_position,
    reported,
    ticked,
    tuned,
)

TWO = tuned(controls__rejections_minute_max=2)


def sent(world, symbol=BTC):
    """An entry is on its way, on a cross that was not traded yet; return the world and its order."""
    world = but(world, crosses={}, at=world.at + 3_000)
    told = entering(go(world, ticked(world, 0)).world, symbol)
    return told.world, told.effects(Submit)[0].order


def rejected(world, symbol=BTC, code=110007):
    """An entry is sent, and the venue refuses it."""
    world, order = sent(world, symbol)
    return go(world, Rejected(at=world.at, order=order, code=code, reason="no balance"))


def row(world, number, symbol=BTC):
    for _ in range(number):
        world = rejected(world, symbol).world
    return world


def test_three_rejections_in_a_row_hold_the_symbol_and_say_so():
    world = row(a_world((BTC, ETH)), 2)
    assert world.state("hold", BTC) == ""
    told = rejected(world, code=110012)
    assert told.world.state("hold", BTC) == "HELD"
    assert told.reason("hold") == (
        "rejections: 3 entries in a row were rejected, the last with 110012: no balance"
    )
    (alert,) = told.effects(Notify)
    assert alert.severity == "critical"
    assert alert.text.startswith("entries held in BTCUSDT: 3 entries in a row were rejected")
    assert told.world.state("hold") == "FREE"
    assert told.world.state("hold", ETH) == ""
    assert sent(told.world, ETH), "the other symbols go on"


def test_a_venue_that_accepts_and_then_rejects_counts_alike():
    world = row(a_world(), 2)
    world, order = sent(world)
    told = go(world, Accepted(at=world.at, order=order, venue_id="v"))
    told = go(told.world, reported(told.world, order, OrderStatus.REJECTED))
    assert told.world.state("hold", BTC) == "HELD"


TAKEN = {
    "filled": reported,
    "canceled": lambda w, o: reported(w, o, OrderStatus.CANCELED),
    "rejected but for a part": lambda w, o: reported(w, o, OrderStatus.REJECTED, filled=1),
}


@pytest.mark.parametrize("how", TAKEN)
def test_an_entry_that_the_venue_took_ends_the_row(how):
    world, order = sent(row(a_world(), 2))
    world = go(world, TAKEN[how](world, order)).world
    assert world.rejections.rows == {}
    assert world.state("hold", BTC) == ""


NO_WORD = {
    "not sent": lambda w, o: NotSent(at=w.at, order=o, reason="closed"),
    "absent": lambda w, o: Absent(at=w.at, order=o, reason="not there"),
}


@pytest.mark.parametrize("how", NO_WORD)
def test_what_the_venue_did_not_decide_neither_counts_nor_ends_the_row(how):
    world, order = sent(row(a_world(), 2))
    world = go(world, NO_WORD[how](world, order)).world
    assert world.rejections.rows == {BTC: 2}
    assert rejected(world).world.state("hold", BTC) == "HELD"


def test_exits_that_are_rejected_do_not_count():
    world = in_position(a_world())
    told = go(world, commanded(world, "flatten"))
    (leaving,) = told.effects(Submit)
    refused = Rejected(at=told.world.at, order=leaving.order, code=110017, reason="no")
    world = go(told.world, refused).world
    assert world.state("order", leaving.order) == ""
    assert world.rejections.rows == {}
    assert world.rejections.recent == ()


def test_only_a_named_person_releases_and_the_count_begins_anew():
    world = row(a_world(), 3)
    world = go(world, ticked(world, 20)).world
    assert world.state("hold", BTC) == "HELD"
    world = go(world, commanded(world, "release", symbol=BTC)).world
    assert world.state("hold", BTC) == "FREE"
    world = row(world, 2)
    assert world.state("hold", BTC) == "FREE"
    assert rejected(world).world.state("hold", BTC) == "HELD"


def test_ten_rejections_within_a_minute_hold_the_account():
    symbols = (BTC, ETH, SOL, "XRPUSDT", "DOGEUSDT")
    world = a_world(symbols)
    for n in range(9):
        world = rejected(world, symbols[n % 5]).world
    assert world.state("hold") == "FREE"
    told = rejected(world, symbols[4])
    assert told.world.state("hold") == "HELD"
    assert told.reason("hold") == (
        "rejections: 10 entries rejected within a minute, the last with 110007: no balance"
    )
    assert told.world.rejections.recent == ()


def test_rejections_longer_ago_than_a_real_minute_are_not_counted_together():
    world = rejected(a_world((BTC, ETH), settings=TWO)).world
    late = but(world, at=world.at + world.real_ms(60))
    assert rejected(late, ETH).world.state("hold") == "FREE"
    assert rejected(world, ETH).world.state("hold") == "HELD"


def test_a_clock_that_is_set_back_keeps_no_rejection_of_a_future():
    world = rejected(a_world((BTC, ETH), settings=TWO)).world
    back = go(world, ClockJumped(at=world.at - MINUTE, by_ms=-MINUTE)).world
    assert back.rejections.recent == (back.at,)


@pytest.mark.parametrize("name", ["rejections_row_max", "rejections_minute_max"])
def test_the_limits_are_tightened_only_downwards(name):
    meta = FIELDS[f"controls.{name}"][1]
    usual = getattr(Settings().controls, name)
    assert why_wider(Settings(), f"controls.{name}", usual + 1, meta)
    assert why_wider(Settings(), f"controls.{name}", usual - 1, meta) is None
