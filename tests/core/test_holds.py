"""Holds: a latched stop of entries by a person or by the bot itself, released only by a person."""

import pytest

from bot.core.effects import Cancel, Notify, Submit
from bot.core.events import Latched, Poisoned
from bot.core.machine import Level
from bot.core.permission import entry_level
from tests.given import (
    BTC,
    ETH,
    a_world,
    commanded,
    entering,
    go,
    in_position,
    measured,
    started,
    ticked,
)


def test_a_hold_refuses_entries_and_says_who_and_why():
    world = a_world()
    told = go(world, commanded(world, "hold", operator="bo", reason="news at noon"))
    assert told.world.state("hold") == "HELD"
    told = go(told.world, measured(world))
    assert not told.effects(Submit)
    assert told.facts[-1].reason == "hold account is HELD: bo: news at noon"


def test_a_hold_of_a_symbol_leaves_the_others_alone():
    world = a_world((BTC, ETH))
    world = go(world, commanded(world, "hold", symbol=BTC)).world
    assert not go(world, measured(world, BTC)).effects(Submit)
    assert go(world, measured(world, ETH)).effects(Submit)


def test_a_hold_cancels_entries_on_their_way_and_never_what_protects():
    world = entering(in_position(a_world((BTC, ETH)), ETH), BTC).world
    told = go(world, commanded(world, "hold"))
    assert [c.symbol for c in told.effects(Cancel)] == [BTC]
    assert told.world.positions == world.positions
    assert go(told.world, commanded(told.world, "flatten")).effects(Submit)[0].reduce_only


def test_a_hold_survives_time_a_restart_and_every_recovery():
    world = a_world()
    world = go(world, commanded(world, "hold")).world
    world = go(world, ticked(world, 90_000), started(world.at + 90_000_001)).world
    assert world.state("hold") == "HELD"


def test_only_a_named_person_whom_the_kernel_knows_releases():
    world = a_world()
    world = go(world, commanded(world, "hold", identity="claimed")).world
    assert world.state("hold") == "HELD", "anyone may tighten"
    told = go(world, commanded(world, "release", identity="claimed"))
    assert told.world.state("hold") == "HELD"
    assert "release loosens" in told.reason("run")
    told = go(world, commanded(world, "release", operator="bo", reason="checked"))
    assert told.world.state("hold") == "FREE"
    assert told.reason("hold") == "bo: checked"
    assert entry_level(told.world, BTC) == Level.FULL


def test_a_release_of_what_is_not_held_is_refused_with_a_sentence():
    world = a_world()
    assert (
        go(world, commanded(world, "release")).reason("run")
        == "hold account must be HELD, it is FREE"
    )
    told = go(world, commanded(world, "hold"), commanded(world, "hold"))
    assert told.reason("run") == "hold account is HELD already"


def test_a_poisoned_event_and_a_latch_in_memory_become_holds():
    poison = Poisoned(at=0, kind="Filled", body="{}", error="KeyError: 'x'")
    for event, why in (
        (poison, "deciding Filled failed: KeyError: 'x'"),
        (Latched(at=0, reason="disk is full"), "disk is full"),
    ):
        told = go(a_world(), event)
        assert told.world.state("hold") == "HELD"
        assert told.reason("hold") == why
        assert told.effects(Notify)[0].text == f"entries held: {why}"


def test_a_latch_without_words_still_holds():
    assert go(a_world(), Latched(at=0, reason="")).world.state("hold") == "HELD"


@pytest.mark.parametrize("verb", ["hold", "kill", "stop"])
def test_an_exit_on_its_way_is_never_cancelled(verb):
    world = in_position(a_world())
    world = go(world, measured(world, up=False, cross_age=0)).world
    assert world.state("position", BTC) == "CLOSING"
    assert not go(world, commanded(world, verb)).effects(Cancel)
