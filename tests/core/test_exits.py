"""Exits: what is open can be closed whatever its size, and exits that cannot leave call people."""

from itertools import pairwise

import pytest

from bot.core.controls import denials
from bot.core.effects import Notify, Submit
from bot.core.events import Filled, Listed, NotSent
from bot.core.values import Side
from tests.core.worlds import asking
from tests.given import (
    BTC,
    D,
    a_fill,
    a_world,
    an_instrument,
    answered,
    but,
    commanded,
    entering,
    go,
    in_position,
    ticked,
    tuned,
)


def listing(world, lot):
    """Return the world once the venue changed the lot."""
    instrument = an_instrument(lot=D(lot))
    return go(world, Listed(at=world.at, symbols=(BTC,), instruments=(instrument,))).world


@pytest.mark.parametrize(("lot", "close_all"), [("0.001", False), ("0.5", False), ("0.7", True)])
def test_a_position_off_the_lot_is_closed_by_having_the_venue_close_all_of_it(lot, close_all):
    world = listing(in_position(a_world()), lot)
    (exit_,) = go(world, commanded(world, "flatten")).effects(Submit)
    assert (exit_.qty, exit_.reduce_only, exit_.close_all) == (D(20), True, close_all)
    asked = asking("20", None, exit_.side, order=exit_.order, reduce_only=True)
    assert denials(go(world, commanded(world, "flatten")).world, asked) == []


def test_an_entry_is_never_one_that_closes_all():
    world = listing(a_world(), "0.7")
    (entry,) = entering(world).effects(Submit)
    assert (entry.qty % D("0.7"), entry.close_all) == (0, False)


def refused_exits(seconds):
    """Return when exits that cannot leave were decided on, and what people were told of it."""
    world = answered(in_position(a_world(settings=tuned(kill__flatten=True))))
    world = go(world, commanded(world, "kill")).world
    tried, told_ = [], []
    for _ in range(seconds):
        told = go(world, ticked(world, 1))
        world, told_ = told.world, told_ + told.effects(Notify)
        for submit in told.effects(Submit):
            tried.append(world.at)
            world = go(world, NotSent(at=world.at, order=submit.order, reason="no way out")).world
    return [at // 1000 for at in tried], [n for n in told_ if "could not be closed" in n.text]


def test_exits_that_cannot_leave_are_tried_after_longer_and_longer_pauses():
    tried, _ = refused_exits(120)
    pauses = [after - before for before, after in pairwise(tried)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (2, 16)


def test_people_are_called_once_about_exits_that_cannot_leave():
    _, told = refused_exits(120)
    assert [notify.severity for notify in told] == ["critical"]
    assert "BTCUSDT could not be closed in 3 attempts (" in told[0].text


def test_a_part_that_was_closed_begins_the_pauses_anew():
    world = in_position(a_world())
    tired = but(world.positions[BTC], exits=9, left_at=world.at)
    world = but(world, positions={BTC: tired})
    part = a_fill(side=Side.SELL, qty=5, at=world.at)
    assert go(world, Filled(at=world.at, fill=part)).world.positions[BTC].exits == 0
