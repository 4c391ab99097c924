"""A position is rebuilt from its executions only where they add up, and keeps what protects it."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.core import positions
from bot.core.checks import CHECKS
from bot.core.effects import Notify, Reconcile
from bot.core.events import PositionReported
from bot.core.facts import FillBooked
from bot.core.health_events import PositionRead
from bot.core.rebuilding import since_flat
from bot.core.values import ZERO, Side, VenuePosition
from bot.core.world import Position
from tests.given import BTC, ETH, D, T, a_fill, a_world, but, go


def fills(*signed):
    return tuple(
        a_fill(
            fill=f"f{n}",
            side=Side.BUY if qty > 0 else Side.SELL,
            qty=D(abs(qty)),
            price=D(100 + n),
            at=T + n,
        )
        for n, qty in enumerate(signed)
    )


def open_world(qty=1, **more):
    position = Position(BTC, D(qty), D(100), stop=D(90), take=D(120), stop_held=True, opened_at=T)
    world = a_world((BTC, ETH))
    return but(world, positions={**world.positions, BTC: but(position, **more)})


def booked(world, found):
    """Return a world that booked these already, whatever its position says."""
    return but(world, fills={**world.fills, **{fill.fill: fill.at for fill in found}})


def read(world, qty, found, **more):
    event = PositionRead(at=world.at, symbol=BTC, qty=D(qty), fills=found, as_of=world.at, was="{}")
    return go(world, but(event, **more))


def test_executions_since_nothing_was_open_are_the_newest_that_add_up():
    assert since_flat(fills(2, -2, 1, 1), D(2)) == fills(2, -2, 1, 1)[2:]
    assert since_flat(fills(1, -3), D(-2)) == fills(1, -3)
    assert since_flat(fills(1, 1), ZERO) == ()
    assert since_flat(fills(1, 1), D(3)) is None
    assert since_flat((), D(1)) is None


@given(st.lists(st.integers(-3, 3).filter(bool), max_size=12))
def test_what_is_rebuilt_is_what_the_executions_make(signed):
    found = fills(*signed)
    qty = Decimal(sum(signed))
    made = since_flat(found, qty)
    assert made is not None
    anew = positions.replayed(BTC, made)
    whole = positions.replayed(BTC, found)
    assert anew.qty == qty
    assert (anew.avg if qty else ZERO) == (whole.avg if qty else ZERO)


def test_a_position_that_is_not_the_venues_is_rebuilt_and_keeps_its_bracket():
    world = booked(open_world(1), fills(1, 2))
    told = read(world, 3, fills(1, 2))
    position = told.world.positions[BTC]
    assert told.noted(FillBooked) == []
    assert (position.qty, position.stop, position.take) == (D(3), D(90), D(120))
    assert position.stop_held
    assert len(position.legs) == 2
    assert told.world.account.cash == world.account.cash
    (alert,) = told.effects(Notify)
    assert alert.text.startswith("BTCUSDT was rebuilt from 2 executions: 3 at 100.6")
    assert alert.text.endswith("; the ledger had 1 at 100")
    assert [question.depth for question in told.effects(Reconcile)] == ["full"]


def test_an_execution_that_was_not_booked_is_booked_and_replaces_nothing():
    """What only lags behind is the ledger's to take in: with a row, its fee, and its profit."""
    world = open_world(1, legs=())
    found = fills(1, 2)
    told = read(booked(world, found[:1]), 3, found)
    (row,) = told.noted(FillBooked)
    assert row.fill == found[1]
    assert told.world.positions[BTC].qty == D(3)
    assert told.world.account.cash == world.account.cash - found[1].fee
    assert not any("was rebuilt" in alert.text for alert in told.effects(Notify))
    closed = read(told.world, 0, (*found, but(fills(1, 2, -3)[2])))
    assert [row.fill.qty for row in closed.noted(FillBooked)] == [D(3)]
    assert closed.world.positions[BTC].qty == ZERO


def test_a_position_that_is_closed_at_the_venue_is_flat():
    world = go(a_world()).world
    world = booked(world, fills(2, -2))
    told = read(world, 2, fills(2))
    assert told.world.state("position", BTC) == "OPEN"
    told = read(told.world, 0, fills(2, -2))
    assert told.world.state("position", BTC) == "FLAT"
    assert told.world.positions[BTC].qty == ZERO


def test_nothing_is_replaced_where_executions_do_not_add_up_or_came_meanwhile():
    world = open_world(1)
    world = booked(world, fills(1, 2))
    assert read(world, 4, fills(1, 2)).world.positions == world.positions
    assert read(world, 1, fills(1)).world.positions == world.positions
    late = but(world, account=but(world.account, booked_at=world.at))
    assert read(late, 3, fills(1, 2)).world.positions == late.positions
    assert read(world, 3, fills(1, 2), symbol="GONEUSDT").world.positions == world.positions


def found(world):
    return next(f for f in CHECKS["ledger"].judge(world) if f.subject == BTC)


def test_a_position_that_is_not_what_the_venue_said_last_is_found():
    world = open_world(1)
    assert found(world).well
    said = PositionReported(at=world.at + 1, position=VenuePosition(BTC, D(2), D(100), D(90)))
    told = found(go(world, said).world)
    assert (told.well, told.said) == (False, "the venue has 2, the ledger 1")
    world = go(world, said).world
    later = but(world, account=but(world.account, booked_at=world.at + 1))
    assert found(later).well, "what it said before the newest execution is no news"
