"""Runs: a command is refused with a sentence or verified by what the machines say, never assumed."""

import pytest

from bot.core.effects import Notify, Submit
from bot.core.events import Filled
from bot.core.runs import VERBS
from bot.core.values import Side
from tests.given import (
    BTC,
    ETH,
    a_fill,
    a_world,
    but,
    commanded,
    entering,
    go,
    in_position,
    ticked,
)


def path(told):
    return [s.dest for s in told.steps if s.machine == "run"]


def test_a_command_that_shows_at_once_is_done_at_once():
    world = a_world()
    told = go(world, commanded(world, "hold", id="c-1", operator="bo", reason="news"))
    assert path(told) == ["PROPOSED", "APPROVED", "RUNNING", "VERIFYING", "DONE"]
    assert next(s.reason for s in told.steps) == "hold by bo (kernel): news"
    assert told.reason("run") == "hold is HELD"
    assert told.world.runs == {}
    assert told.effects(Notify)[-1].text == "hold by bo: news"


def test_a_command_that_shows_later_is_verified_later():
    world = entering(a_world()).world
    told = go(world, commanded(world, "kill"))
    assert path(told)[-1] == "VERIFYING"
    world = but(told.world, orders={})
    assert path(go(world, ticked(world))) == ["DONE"]


def test_a_tightening_that_does_not_show_in_time_escalates_and_pages():
    world = entering(a_world()).world
    world = go(world, commanded(world, "kill")).world
    told = go(world, ticked(world, 31))
    assert path(told) == ["ESCALATED"]
    assert told.reason("run") == "kill could not be verified in time"
    page = [n for n in told.effects(Notify) if n.severity == "critical"]
    assert page[0].text == "kill by ana is not verified: look now"


def test_a_command_that_comes_too_late_expires_and_does_nothing():
    world = a_world()
    told = go(world, commanded(world, "hold", expires_at=world.at - 1))
    assert path(told) == ["PROPOSED", "EXPIRED"]
    assert told.reason("run") == f"it was good until {world.at - 1}, now is {world.at}"
    assert told.world.state("hold") == "FREE"
    assert path(go(world, commanded(world, "hold", expires_at=world.at)))[-1] == "DONE"


@pytest.mark.parametrize("first", ["hold", "release", "dance"])
def test_a_repeated_id_is_ignored_also_after_its_end(first):
    world = a_world()
    event = commanded(world, first, id="c-1")
    told = go(world, event)
    again = go(told.world, event, but(event, verb="kill"))
    assert not again.steps


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reason": ""}, "expected a reason, found none"),
        ({"operator": ""}, "expected a named person, found none"),
    ],
)
def test_every_command_needs_a_named_person_and_a_reason(verb, changes, why):
    world = a_world()
    told = go(world, commanded(world, verb, **changes))
    assert (path(told), told.reason("run")) == (["PROPOSED", "REFUSED"], why)


@pytest.mark.parametrize("verb", [verb for verb in VERBS.values() if not verb.tightens])
def test_what_loosens_needs_the_kernels_word(verb):
    world = a_world()
    told = go(world, commanded(world, verb.name, identity="claimed"))
    assert told.reason("run").startswith(f"{verb.name} loosens: it needs the running bot")


def test_an_unknown_command_names_the_known_ones():
    world = a_world()
    told = go(world, commanded(world, "dance"))
    assert told.reason("run") == f"expected one of {', '.join(VERBS)}; found 'dance'"


@pytest.mark.parametrize("verb", ["hold", "kill", "flatten"])
def test_an_unknown_symbol_is_refused_and_the_known_ones_are_named(verb):
    world = a_world((BTC, ETH))
    told = go(world, commanded(world, verb, symbol="XXX"))
    assert told.reason("run") == f"symbol: expected one of {BTC}, {ETH}; found 'XXX'"


def test_reduce_lowers_the_guard_and_says_if_it_is_lower_already():
    world = a_world()
    told = go(world, commanded(world, "reduce"), commanded(world, "reduce"))
    assert told.world.state("guard") == "REDUCED"
    assert told.reason("run") == "guard must be NORMAL, it is REDUCED"


def test_flatten_closes_positions_again_until_nothing_is_left():
    world = in_position(a_world((BTC, ETH)), BTC)
    world = in_position(world, ETH)
    told = go(world, commanded(world, "flatten", symbol=BTC))
    (exit_,) = told.effects(Submit)
    assert (exit_.symbol, exit_.reduce_only, exit_.side) == (BTC, True, Side.SELL)
    assert path(told)[-1] == "VERIFYING"
    # that exit is canceled: another is sent at the next tick
    rest = go(but(told.world, orders={}), ticked(told.world), ticked(told.world, 2))
    assert len(rest.effects(Submit)) == 1
    fill = a_fill(BTC, Side.SELL, 20, 100, at=world.at)
    done = go(rest.world, Filled(at=rest.world.at, fill=fill), ticked(rest.world, 3))
    assert path(done) == ["DONE"]
    assert done.reason("run") == "no position is open"
    assert done.world.positions[ETH].qty == 20


def test_flatten_without_a_position_is_done():
    world = a_world()
    assert path(go(world, commanded(world, "flatten")))[-1] == "DONE"


def test_stop_is_done_when_the_process_is_stopped():
    world = a_world()
    told = go(world, commanded(world, "stop"))
    assert (told.world.state("process"), path(told)[-1]) == ("DRAINING", "VERIFYING")
    assert (
        go(told.world, commanded(world, "stop")).reason("run") == "the process is DRAINING already"
    )
    told = go(told.world, ticked(told.world))
    assert (told.world.state("process"), path(told)) == ("STOPPED", ["DONE"])


def test_every_verb_has_a_meaning_and_a_deadline():
    for verb in VERBS.values():
        assert verb.meaning.endswith(".")
        assert verb.within_seconds > 0


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("flatten", {"symbl": BTC}),
        ("hold", {"color": "red"}),
        ("hold", {"seconds": "3600"}),
        ("stop", {"symbol": BTC}),
        ("reduce", {"symbol": BTC}),
    ],
)
def test_what_a_command_does_not_know_is_refused_and_never_means_the_whole_account(verb, args):
    world = a_world()
    told = go(world, commanded(world, verb, **args))
    assert "found" in told.reason("run")
    assert [s.dest for s in told.steps if s.machine == "run"] == ["PROPOSED", "REFUSED"]
