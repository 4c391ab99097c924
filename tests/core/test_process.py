"""The process: one path for a first start, a restart, and a crash; DRAINING always ends."""

import msgspec
import pytest

from bot.core.effects import (
    Backfill,
    Cancel,
    Exit,
    Leverage,
    Notify,
    Reconcile,
    Submit,
)
from bot.core.events import (
    Absent,
    Doubted,
    Filled,
    Panicked,
    Recovered,
    StopAsked,
    StreamUp,
)
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.settings import profile
from bot.core.values import Side, VenuePosition
from bot.core.world import World
from tests.given import (
    BTC,
    D,
    T,
    a_fill,
    a_world,
    answered,
    connected,
    entering,
    go,
    in_position,
    measured,
    opening_events,
    reconciled,
    started,
    stop_seen,
    ticked,
    tuned,
)


def stop(world, cause="SIGTERM"):
    return go(world, StopAsked(at=world.at, cause=cause))


def test_a_first_start_goes_through_every_station():
    told = go(World(), *opening_events())
    path = [(s.dest, s.reason) for s in told.steps if s.machine == "process"]
    assert path == [
        ("BOOT", "first start"),
        ("RECOVERING", "memory from snapshot 0 and 0 events; 0 orders to ask about"),
        ("RECONCILING", "venue answers: 1 instruments, market at 1×"),
        ("RUNNING", "wallet 100000, 0 positions, 0 with a stop at the venue"),
    ]
    assert not told.effects(Notify)


def test_the_venue_is_asked_for_leverage_account_and_candles():
    world = go(
        World(), started(settings=profile("aggressive")), Recovered(at=T, snapshot_seq=0, tail=0)
    ).world
    told = go(world, connected())
    assert [e.leverage for e in told.effects(Leverage)] == [5]
    assert len(told.effects(Reconcile)) == len(told.effects(Backfill)) == 1


@pytest.mark.parametrize("events", range(1, 7))
def test_a_start_that_does_not_find_stopped_records_the_crash(events):
    world = go(World(), *opening_events()[:events]).world
    before = world.state("process")
    told = go(world, started(world.at))
    sentence = f"crash recorded: the last process ended in {before} without stopping"
    assert (told.world.state("process"), told.reason("process")) == ("BOOT", sentence)
    assert told.effects(Notify)[0].text == sentence


def test_a_start_after_a_stop_is_no_crash():
    world = stop(a_world()).world
    world = go(world, ticked(world)).world
    told = go(world, started(world.at))
    assert told.reason("process") == "start after stop"
    assert not told.effects(Notify)


@pytest.mark.parametrize("events", range(1, 4))
def test_entries_are_possible_only_while_it_runs(events):
    world = go(World(), *opening_events()[:events]).world
    assert entry_level(world, BTC) == Level.REDUCE_ONLY


def test_stopping_cancels_entries_and_waits_for_them():
    world = entering(a_world()).world
    told = stop(world)
    assert [c.order for c in told.effects(Cancel)] == list(world.orders)
    assert told.reason("process") == "SIGTERM"
    assert go(told.world, ticked(told.world)).world.state("process") == "DRAINING"
    assert not go(told.world, measured(told.world)).effects(Submit)


def test_stopping_waits_for_the_word_about_an_exit_in_doubt():
    world = in_position(a_world())
    position = world.positions[BTC]
    world = go(world, measured(world, up=False, cross_age=0)).world
    (order,) = world.orders
    stopped = a_fill(side=Side.SELL, qty=position.qty, price=98, by="StopLoss", at=world.at)
    doubt = Doubted(at=world.at, order=order, reason="timeout")
    world = stop(go(world, doubt, Filled(at=world.at, fill=stopped)).world).world
    assert go(world, ticked(world)).world.state("process") == "DRAINING"
    absent = Absent(at=world.at, order=order, reason="the venue does not have it")
    assert go(world, absent, ticked(world)).world.state("process") == "STOPPED"


def test_stopping_keeps_positions_under_stops_that_the_venue_confirmed():
    world = in_position(a_world())
    naked = go(world, stop_seen(world, stop=None)).world
    naked = stop(naked).world
    assert go(naked, ticked(naked)).world.state("process") == "DRAINING"
    told = go(stop(world).world, ticked(world))
    assert told.reason("process") == "drained: no orders open; 1 positions kept under their stops"
    assert told.effects(Exit)[0].reason == told.reason("process")
    assert not told.effects(Submit)


def test_stopping_flattens_if_configured():
    world = stop(in_position(a_world(settings=tuned(shutdown__flatten=True)))).world
    told = go(world, ticked(world))
    assert told.effects(Submit)[0].reduce_only
    assert told.world.state("process") == "DRAINING"


def test_draining_ends_even_if_nothing_answers_and_says_what_is_left():
    world = entering(a_world()).world
    (order,) = world.orders
    world = stop(world).world
    world = go(world, ticked(world, 14)).world
    assert world.state("process") == "DRAINING"
    told = go(world, ticked(world, 1))
    assert told.world.state("process") == "STOPPED"
    assert told.reason("process") == f"gave up waiting after 15 s for {order}"


def test_a_stop_without_words_stops():
    assert stop(a_world(), "").world.state("process") == "DRAINING"


PROTECTED = '{"who":"boot","detail":"protect-only: disk is full"}'


def test_a_protect_only_boot_is_remembered_and_left_by_the_next_start():
    world = stop(a_world()).world
    world = go(world, ticked(world)).world
    told = go(world, Panicked(at=world.at, lines=("cancelled 2", PROTECTED)))
    assert (told.world.state("process"), told.reason("process")) == (
        "PROTECT_ONLY",
        PROTECTED,
    )
    told = go(told.world, started(world.at))
    assert told.world.state("process") == "BOOT"


def test_protect_only_can_be_stopped():
    told = go(a_world(), Panicked(at=T, lines=(PROTECTED,)), StopAsked(at=T, cause="SIGTERM"))
    assert told.world.state("process") == "DRAINING"


def test_a_person_who_writes_of_protect_only_moves_nothing():
    line = '{"who":"ana","detail":"protect-only: a word in a reason"}'
    assert not go(a_world(), Panicked(at=T, lines=(line,))).steps


def test_panic_that_only_cancelled_moves_nothing():
    world = a_world()
    assert not go(world, Panicked(at=world.at, lines=("cancelled 2",))).steps


def test_after_the_private_stream_was_away_the_account_is_read_again():
    world = answered(a_world())
    assert go(world, StreamUp(at=world.at, stream="private")).effects(Reconcile)
    assert not go(world, StreamUp(at=world.at, stream="public")).effects(Reconcile)


def test_positions_found_at_the_venue_are_counted_with_their_stops():
    events = opening_events()
    rows = (VenuePosition(BTC, D(5), D(100), D(95)),)
    told = go(World(), *events[:3], reconciled(T + 1, positions=rows))
    assert told.reason("process") == "wallet 100000, 1 positions, 1 with a stop at the venue"


def test_protect_only_ends_when_it_is_asked_to_stop():
    world = in_position(a_world())
    told = go(world, Panicked(at=world.at, lines=(PROTECTED,)))
    assert told.world.state("process") == "PROTECT_ONLY"
    told = stop(told.world)
    assert told.reason("process") == "SIGTERM"
    told = go(told.world, ticked(told.world))
    assert told.world.state("process") == "STOPPED"
    assert len(told.effects(Exit)) == 1


def panic_line(who, reason):
    """A line as ``bot panic`` writes it."""
    fields = {"at": 1, "who": who, "action": "panic", "detail": reason}
    return msgspec.json.encode(fields).decode()


@pytest.mark.parametrize(
    "reason", ["was protect-only before", '"who":"boot" protect-only', PROTECTED]
)
def test_no_reason_of_a_person_makes_a_running_bot_protect_only(reason):
    world = a_world()
    told = go(world, Panicked(at=world.at, lines=(panic_line("ana", reason),)))
    assert told.world.state("process") == "RUNNING"
