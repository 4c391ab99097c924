"""Flags as people see them: what is in force, what the file says, and who changed it until when."""

import pytest

from bot.core.world import Spell
from bot.desk import files, flags
from tests.given import but, commanded, opening_events, ticked, tuned
from tests.store.kept import kept


@pytest.fixture
def reactor(tmp_path):
    made = kept(tmp_path / "state.db")
    made.turn(opening_events(settings=tuned(alerts__digest=False, roles__two_people="on")))
    return made


def say(reactor, verb, **more):
    event = commanded(reactor.world, verb, uid=1001, role="admin", **more)
    name = event.args.pop("flag", None)
    reactor.turn([but(event, args={**event.args, "name": name}) if name else event])


def seen(tmp_path):
    reader = files.open_state(tmp_path / "state.db")
    try:
        return {flag.name: flag for flag in flags.read(reader)}
    finally:
        reader.close()


def test_what_the_file_says_holds_until_a_person_switches(reactor, tmp_path):
    found = seen(tmp_path)["alerts.digest"]
    assert (found.on, found.configured, found.default) == (False, False, True)
    assert (found.by, found.until, found.expires) == ("", None, "permanent")
    assert found.meaning.startswith("Storms and quiet hours become a digest")


def test_a_switch_says_who_why_and_until_when_and_then_is_over(reactor, tmp_path):
    say(reactor, "set-parameter", flag="kill.flatten", value="false", seconds=9)
    say(reactor, "set-parameter", flag="kill.flatten", value="true", seconds=60, reason="thin book")
    found, at = seen(tmp_path)["kill.flatten"], reactor.world.at
    assert (found.on, found.configured, found.by, found.reason) == (True, False, "ana", "thin book")
    assert (found.since, found.until) == (at, at + 60_000)
    reactor.turn([ticked(reactor.world, 60)])
    assert (seen(tmp_path)["kill.flatten"].on, seen(tmp_path)["kill.flatten"].by) == (False, "")


def test_one_that_two_people_wanted_names_both(reactor, tmp_path):
    world = reactor.world
    spells = {"data": (Spell(world.at // 3_600_000, 90_000_000, 90_000_000),)}
    reactor.world = but(world, health=but(world.health, spells=spells))
    told = {"flag": "kill.flatten", "value": "true", "seconds": 60, "despite": "budget"}
    say(reactor, "set-parameter", id="waits-1", **told)
    assert not seen(tmp_path)["kill.flatten"].on, "it waits for a second person"
    reactor.turn([commanded(reactor.world, "approve", run="waits", operator="bo", uid=1002)])
    found = seen(tmp_path)["kill.flatten"]
    assert (found.on, found.by, found.reason) == (True, "ana, approved by bo", "I say so")
