"""Reconciliation goes on: no point of a difference is a dead end, and readings come when they are due."""

import pytest

from bot.core.account import DAY_MS
from bot.core.effects import Reconcile
from bot.core.events import Delivered, Filled, Recovered, StreamLost, Ticked
from bot.core.values import Side, VenuePosition
from tests.core.test_reconciliation import calm, read
from tests.given import (
    BTC,
    D,
    a_fill,
    commanded,
    connected,
    go,
    in_position,
    reconciled,
    started,
    ticked,
)

HOUR = 3_600_000


# -- no dead end -----------------------------------------------------------------------------------


def pending(world):
    return [(k, d.effect) for k, d in world.deliveries.items() if isinstance(d.effect, Reconcile)]


def restarted(world):
    world = go(
        world,
        started(world.at),
        Recovered(at=world.at, snapshot_seq=0, tail=world.seq),
        connected(world.at),
    ).world
    assert world.state("process") == "RECONCILING"
    return world


def served(world, rounds, **account):
    """Let the venue answer what is asked, a tick between, for so many rounds."""
    for _ in range(rounds):
        for key, question in pending(world):
            event = reconciled(world, depth=question.depth, **account)
            world = go(world, event, Delivered(at=world.at, effect=key)).world
        world = go(world, ticked(world, max(1, (world.account.reread_at - world.at) / 1000))).world
    return world


@pytest.mark.parametrize("crash", range(6))
@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("differs", [False, True])
def test_from_every_point_of_a_difference_a_restart_leads_back_to_running(crash, torn, differs):
    wrong, row = 99_000, VenuePosition(BTC, D(2), D(100))
    world = go(calm(), ticked(calm(), 61)).world
    world = served(world, crash, wallet=wrong, positions=(row,))
    if torn:
        fill = a_fill(BTC, Side.BUY, 1, 100, at=world.at)
        world = read(world, wrong, fills=(fill,), as_of=world.at).world
    world = restarted(world)
    held = world.positions[BTC].qty
    mine = (VenuePosition(BTC, held, D(100)),) if held else ()
    if differs:
        world = served(world, 6, wallet=wrong, positions=(row,))
        assert world.account.cash == wrong
        mine = (row,)
    else:
        world = served(world, 6, wallet=world.account.cash, positions=mine)
    assert world.state("process") == "RUNNING"
    world = go(world, ticked(world, 61)).world
    world = served(world, 2, wallet=world.account.cash, positions=mine)
    assert world.state("reconciliation") == "CLEAN"


def test_a_position_in_a_symbol_that_is_not_traded_does_not_keep_the_bot_from_starting():
    stranger = (VenuePosition("XXXUSDT", D(1), D(100)),)
    world = served(restarted(calm()), 6, positions=stranger)
    assert (world.state("process"), world.state("reconciliation")) == ("RUNNING", "MISMATCH")
    world = served(restarted(world), 3, positions=stranger)
    assert (world.state("process"), world.state("hold")) == ("RUNNING", "HELD")
    world = served(go(world, ticked(world, 61)).world, 2)
    assert world.state("reconciliation") == "CLEAN"


# -- when ------------------------------------------------------------------------------------------


def depths(world, *seconds):
    """Return what was asked at each tick, each question answered at once."""
    found = []
    for wait in seconds:
        told = go(world, ticked(world, wait))
        found.append([question.depth for _, question in pending(told.world)])
        world = served(told.world, 1)
    return found


def test_light_every_minute_full_every_quarter_of_an_hour():
    assert depths(calm(), 58, 2, 58, 2) == [[], ["light"], [], ["light"]]
    asked_ = depths(calm(), *[60] * 31)
    assert [n + 1 for n, found in enumerate(asked_) if found == ["full"]] == [15, 30]
    assert all(len(found) == 1 for found in asked_)


def test_the_whole_day_once_five_minutes_after_its_end():
    world = calm()
    left = (DAY_MS - world.at % DAY_MS) / 1000 + 300
    asked_ = [q.depth for q in go(world, ticked(world, left - 0.001)).effects(Reconcile)]
    assert asked_ == ["full"], "funding and its rows come at midnight, and late"
    told = go(world, ticked(world, left))
    assert [q.depth for q in told.effects(Reconcile)] == ["day"]
    found = depths(served(told.world, 1), *[60] * 30)
    assert ["day"] not in found


def test_a_question_that_waits_for_its_answer_is_not_asked_beside_itself():
    world = calm()
    told = go(world, *(ticked(world, 61 * n) for n in range(1, 60)))
    assert len(told.effects(Reconcile)) == 1


def test_while_stopping_nothing_new_is_compared_by_the_clock():
    world = in_position(calm())
    world = go(world, commanded(world, "stop")).world
    assert world.state("process") == "DRAINING" or world.state("process") == "STOPPED"
    assert not go(world, Ticked(at=world.at + HOUR, marks={})).effects(Reconcile)


def test_an_execution_that_came_while_the_private_stream_was_away_waits_for_the_reading():
    world = calm()
    world = go(world, StreamLost(at=world.at, stream="private", reason="reset")).world
    fill = a_fill(BTC, Side.BUY, 1, 100, at=world.at)
    told = go(world, Filled(at=world.at, fill=fill), ticked(world, 1))
    assert told.world.positions[BTC].qty == 0
    assert [q.depth for q in told.effects(Reconcile)] == ["light"]


def test_a_position_that_differs_asks_for_light_readings_and_the_deep_one_is_not_kept_waiting():
    world, row = calm(), (VenuePosition(BTC, D(2), D(100)),)
    world = read(world, positions=row).world
    found = []
    for _ in range(4):
        world = go(world, ticked(world, 1)).world
        for key, question in pending(world):
            found.append(question.depth)
            event = reconciled(world, depth=question.depth, positions=row)
            world = go(world, event, Delivered(at=world.at, effect=key)).world
    assert "full" in found
    assert world.state("reconciliation") == "RESOLVING"
