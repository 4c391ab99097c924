"""A restart storm: too many runs that did not end in STOPPED hold the account until a person looks."""

import msgspec

from bot.core.effects import Notify, Submit
from bot.core.events import ClockJumped, Recovered, StopAsked
from bot.core.world import World
from tests.given import (
    a_world,
    commanded,
    connected,
    go,
    measured,
    reason_of,
    reconciled,
    started,
    ticked,
    tuned,
)

MINUTE = 60_000


def restarted(world, after=MINUTE, **changes):
    """The process starts anew and comes as far as RUNNING."""
    at = world.at + after
    told = go(world, started(at, world.base, **changes))
    told = go(told.world, Recovered(at=at, snapshot_seq=0, tail=0), connected(at, rate=world.rate))
    return go(told.world, reconciled(at + 1)).world


def crashes(world, number, **changes):
    for _ in range(number):
        world = restarted(world, **changes)
    return world


def test_the_third_crash_within_ten_minutes_holds_the_account_and_says_why():
    world = crashes(a_world(), 2)
    assert world.state("hold") == "FREE"
    told = go(world, started(world.at + MINUTE, ended="StoreFatal: disk gone"))
    assert told.world.state("hold") == "HELD"
    assert told.reason("hold") == (
        "restarts: 3 runs within 10 min did not end in STOPPED; they ended in (newest first)"
        " RUNNING: StoreFatal: disk gone; RUNNING: without a word; RUNNING: without a word"
    )
    assert any(n.severity == "critical" for n in told.effects(Notify))


def test_it_opens_nothing_until_a_named_person_releases_it():
    world = crashes(a_world(), 3)
    assert world.state("process") == "RUNNING"
    assert not go(world, measured(world)).effects(Submit)
    world = restarted(world, after=60 * MINUTE)
    assert world.state("hold") == "HELD", "neither time nor a start lifts it"
    told = go(world, commanded(world, "release", operator="bo", reason="new memory"))
    assert told.world.state("hold") == "FREE"


def test_after_a_release_one_more_crash_of_the_same_storm_holds_again():
    world = crashes(a_world(), 3)
    world = go(world, commanded(world, "release")).world
    assert restarted(world).state("hold") == "HELD"


def test_crashes_longer_ago_than_the_window_are_not_counted():
    world = crashes(a_world(), 6, after=5 * MINUTE + 1)
    assert world.state("hold") == "FREE"
    assert len(world.crashes) == 2


def test_starts_after_a_clean_stop_are_not_counted():
    world = a_world()
    for _ in range(5):
        world = go(world, StopAsked(at=world.at, cause="SIGTERM"), ticked(world)).world
        assert world.state("process") == "STOPPED"
        world = restarted(world)
    assert (world.crashes, world.state("hold")) == ((), "FREE")


def test_a_fast_market_does_not_make_a_window_shorter():
    world = a_world(rate=60.0)
    world = crashes(world, 3, after=60 * MINUTE)  # each a real minute later
    assert world.state("hold") == "HELD"


def test_a_bot_that_dies_before_the_venue_answers_is_counted_by_the_same_time():
    world = a_world(rate=60.0)
    for _ in range(3):
        world = go(world, started(world.at + 60 * MINUTE, rate=60.0)).world
    assert reason_of(world, "hold").startswith("restarts: 3 runs")
    assert "BOOT: without a word; BOOT: without a word; RUNNING" in reason_of(world, "hold")


def test_the_limits_are_the_configurations():
    settings = tuned(**{"restarts.crashes_max": 2, "restarts.window_real_seconds": 60})
    world = a_world(settings=settings)
    assert crashes(world, 4, after=2 * MINUTE).state("hold") == "FREE"
    assert crashes(world, 2, after=MINUTE // 2).state("hold") == "HELD"


def test_a_clock_set_back_neither_forgives_nor_keeps_a_crash_for_ever():
    world = crashes(a_world(), 2)
    back = go(world, ClockJumped(at=world.at - 3_600_000, by_ms=-3_600_000)).world
    assert restarted(back).state("hold") == "HELD"
    assert restarted(back, after=11 * MINUTE).state("hold") == "FREE"


def test_what_was_counted_is_part_of_a_snapshot_and_an_older_one_has_none():
    world = crashes(a_world(), 2)
    written = msgspec.to_builtins(world)
    assert msgspec.convert(written, World).crashes == world.crashes
    del written["crashes"]
    assert msgspec.convert(written, World).crashes == ()
