"""Permission: an entry may do the minimum over all machines; protection is never lowered further."""

import pytest

from bot.core.controls import denials
from bot.core.decide import TABLES
from bot.core.effects import Reconcile, Submit
from bot.core.events import Delivered, StreamLost, StreamUp
from bot.core.machine import Instance, Level
from bot.core.permission import entry_level, lowered
from bot.core.values import Side
from bot.core.world import World
from tests.core.worlds import asking
from tests.given import (
    BTC,
    a_world,
    answered,
    but,
    commanded,
    go,
    in_position,
    measured,
    reconciled,
    ticked,
)

ACCOUNT_WIDE = ("process", "kill", "hold", "guard", "storage", "breaker", "reconciliation")
PER_SYMBOL = ("kill", "hold", "feed", "external")


def standing(world, machine, state, key="account"):
    """Return the world with one machine put into a state."""
    instance = Instance(state, 1, 0, "because")
    machines = {**world.machines, machine: {**world.machines.get(machine, {}), key: instance}}
    return but(world, machines=machines)


def test_a_running_world_allows_everything_and_has_nothing_to_say():
    assert entry_level(a_world(), BTC) == Level.FULL
    assert lowered(a_world(), BTC) == []


CASES = [
    (table, state, key)
    for table in TABLES
    for key, names in (("account", ACCOUNT_WIDE), (BTC, PER_SYMBOL))
    if table.name in names
    for state in table.states
]


@pytest.mark.parametrize(("table", "state", "key"), CASES, ids=lambda v: str(getattr(v, "name", v)))
def test_every_state_of_every_machine_lowers_as_its_table_says(table, state, key):
    world = standing(a_world(), table.name, state, key)
    expected = table.lowers.get(state, Level.FULL)
    assert entry_level(world, BTC) == expected
    if expected < Level.FULL:
        assert lowered(world, BTC) == [(expected, f"{table.name} {key} is {state}: because")]


def test_the_minimum_counts_and_every_reason_is_told():
    world = standing(standing(a_world(), "guard", "REDUCED"), "hold", "HELD", BTC)
    assert entry_level(world, BTC) == Level.REDUCE_ONLY
    assert [reason for _, reason in lowered(world, BTC)] == [
        f"hold {BTC} is HELD: because",
        "guard account is REDUCED: because",
    ]
    assert entry_level(world) == Level.REDUCED, "the account itself is not held"


def test_a_state_that_the_code_no_longer_knows_lowers_and_says_so():
    world = standing(a_world(), "guard", "DREAMING")
    assert lowered(world, BTC) == [
        (Level.REDUCE_ONLY, "guard account is in the unknown state DREAMING")
    ]


def test_before_anything_is_born_nothing_is_allowed_but_exits():
    assert entry_level(World(), BTC) == Level.REDUCE_ONLY
    reasons = [reason for _, reason in lowered(World(), BTC)]
    assert "process account is not born yet" in reasons
    assert f"feed {BTC} is not born yet" in reasons


def test_what_is_open_can_be_closed_whatever_is_tripped():
    world = in_position(a_world())
    world = go(world, commanded(world, "kill"), commanded(world, "hold")).world
    for machine, state in (("storage", "CORRUPT"), ("process", "PROTECT_ONLY")):
        world = standing(world, machine, state)
    assert entry_level(world, BTC) == Level.REDUCE_ONLY
    assert denials(world, asking("20", price=None, side=Side.SELL, reduce_only=True)) == []


def stream(world, kind, name="private", **more):
    return kind(at=world.at, stream=name, **more)


def test_without_the_private_stream_nothing_is_opened():
    world = a_world()
    world = go(world, stream(world, StreamLost, reason="reset by peer")).world
    assert lowered(world, BTC) == [(Level.REDUCE_ONLY, "the private stream is down: reset by peer")]
    assert not go(world, measured(world)).effects(Submit)


def test_a_private_stream_lost_without_a_word_lowers_too():
    world = a_world()
    world = go(world, stream(world, StreamLost, reason="")).world
    assert entry_level(world) == Level.REDUCE_ONLY


def test_without_the_private_stream_what_is_open_can_still_be_closed():
    world = in_position(a_world())
    world = go(world, stream(world, StreamLost, reason="reset")).world
    (exit_,) = go(world, measured(world, up=False, cross_age=0)).effects(Submit)
    assert exit_.reduce_only


def test_the_private_stream_allows_entries_again_and_the_public_one_does_not_speak_for_it():
    world = answered(a_world())
    world = go(world, stream(world, StreamLost, reason="reset")).world
    world = go(world, stream(world, StreamUp, "public")).world
    assert entry_level(world) == Level.REDUCE_ONLY
    told = go(world, stream(world, StreamUp))
    world = go(told.world, ticked(told.world), reconciled(told.world.at + 1_001)).world
    assert entry_level(world) == Level.FULL


def test_a_reading_under_way_when_the_private_stream_came_back_does_not_spare_another():
    world = answered(a_world())
    told = go(world, ticked(world, 61))
    (began,) = [d.id for d in told.dispatches if isinstance(d.effect, Reconcile)]
    old = reconciled(told.world, as_of=told.world.at)
    world = go(told.world, stream(told.world, StreamLost, reason="reset")).world
    world = go(world, ticked(world, 1)).world
    told = go(world, stream(world, StreamUp), old, Delivered(at=world.at, effect=began))
    later = go(told.world, ticked(told.world, 1), ticked(told.world, 2))
    assert told.effects(Reconcile) or later.effects(Reconcile), (
        "what was executed between that reading and the stream is known to nobody"
    )
