"""The venue breaker: opens on trouble, tries once the pause is over, closes only on a whole reading."""

import pytest

from bot.core.asking import pending
from bot.core.effects import Notify, Protect, Reconcile, Submit
from bot.core.events import (
    ClockJumped,
    Delivered,
    Recovered,
    Undelivered,
    VenueAnswered,
    VenueTroubled,
)
from bot.core.machine import Level
from bot.core.permission import entry_level
from tests.given import (
    BTC,
    a_world,
    answered,
    but,
    commanded,
    connected,
    go,
    in_position,
    measured,
    reconciled,
    started,
    stop_seen,
    ticked,
    tuned,
)

AT_ONCE = ("banned", "maintenance", "throttled", "key")


def calm():
    return answered(a_world())


def trouble(world, kind="unreachable", retry_at=0):
    return VenueTroubled(at=world.at, kind=kind, reason="r", retry_at=retry_at)


def opened(kind="banned", retry_at=0, world=None):
    world = world or calm()
    told = go(world, trouble(world, kind, retry_at))
    assert told.world.state("breaker") == "OPEN"
    return told.world


@pytest.mark.parametrize("kind", AT_ONCE)
def test_some_trouble_opens_it_the_first_time(kind):
    world = calm()
    told = go(world, trouble(world, kind))
    assert told.world.state("breaker") == "OPEN"
    assert told.reason("breaker") == f"{kind}: r"
    notify = told.effects(Notify)[0]
    assert notify.severity == "warning"
    assert notify.text.startswith(
        f"the venue does not serve us ({kind}: r): no entries until it does"
    )


@pytest.mark.parametrize("most", [1, 3, 5])
def test_failures_open_it_at_so_many_in_a_row(most):
    world = answered(a_world(settings=tuned(orders__troubles_max=most)))
    less = go(world, *[trouble(world)] * (most - 1))
    assert less.world.state("breaker") == "CLOSED"
    told = go(less.world, trouble(world))
    assert told.world.state("breaker") == "OPEN"
    assert told.reason("breaker") == f"{most} requests in a row failed: r"


def test_an_answer_between_failures_begins_the_row_anew():
    world = calm()
    told = go(world, *[trouble(world)] * 4, VenueAnswered(at=world.at, after="r"))
    assert go(told.world, *[trouble(world)] * 4).world.state("breaker") == "CLOSED"
    told = go(told.world, *[trouble(world)] * 4, reconciled(world), *[trouble(world)] * 4)
    assert told.world.state("breaker") == "CLOSED"


def test_a_code_that_was_never_seen_is_told_and_opens_nothing():
    world = calm()
    told = go(world, *[trouble(world, "unseen code")] * 9)
    assert (told.world.state("breaker"), told.world.troubles) == ("CLOSED", 0)
    assert told.effects(Notify)[0].text == "the venue said something new: r"


@pytest.mark.parametrize("state", ["OPEN", "HALF_OPEN"])
def test_until_it_closes_nothing_is_opened_and_everything_can_be_closed(state):
    world = opened(world=in_position(calm()))
    if state == "HALF_OPEN":
        world = go(world, ticked(world, 10)).world
    assert world.state("breaker") == state
    assert entry_level(world, BTC) == Level.REDUCE_ONLY
    (exit_,) = go(world, commanded(world, "flatten")).effects(Submit)
    assert exit_.reduce_only
    world = go(world, stop_seen(world, stop=None)).world
    assert go(world, ticked(world, 2)).effects(Protect)


def test_an_entry_is_refused_while_it_is_open():
    world = opened()
    told = go(world, measured(world))
    assert not told.effects(Submit)
    assert [row.reason for row in told.facts] == ["breaker account is OPEN: banned: r"]


def test_it_rests_for_its_pause_then_asks_once():
    world = opened()
    assert not go(world, ticked(world, 9.999)).effects(Reconcile)
    told = go(world, ticked(world, 10))
    assert told.world.state("breaker") == "HALF_OPEN"
    assert len(told.effects(Reconcile)) == 1
    assert not go(told.world, ticked(told.world, 10), ticked(told.world, 20)).effects(Reconcile)


def test_it_rests_until_the_venue_said_if_that_is_later():
    world = calm()
    world = opened(retry_at=world.at + 60_000)
    assert go(world, ticked(world, 59.9)).world.state("breaker") == "OPEN"
    assert go(world, ticked(world, 60)).world.state("breaker") == "HALF_OPEN"


def test_a_longer_ban_that_is_heard_of_while_it_is_open_counts():
    world = opened("throttled")
    world = go(world, trouble(world, "banned", retry_at=world.at + 600_000)).world
    assert go(world, ticked(world, 599)).world.state("breaker") == "OPEN"
    shorter = go(world, trouble(world, "throttled", retry_at=world.at + 1_000)).world
    assert go(shorter, ticked(shorter, 599)).world.state("breaker") == "OPEN"
    assert go(world, ticked(world, 600)).world.state("breaker") == "HALF_OPEN"


def test_only_a_whole_reading_closes_it():
    world = go(opened(), VenueAnswered(at=0, after="r"), ticked(opened(), 5)).world
    assert world.state("breaker") == "OPEN"
    assert go(world, reconciled(world)).world.state("breaker") == "OPEN", "its pause is not over"
    world = go(world, ticked(world, 10), VenueAnswered(at=0, after="r")).world
    assert world.state("breaker") == "HALF_OPEN"
    world = go(world, reconciled(world)).world
    assert (world.state("breaker"), entry_level(world, BTC)) == ("CLOSED", Level.FULL)


@pytest.mark.parametrize("kind", AT_ONCE)
def test_trouble_at_the_first_try_opens_it_again_for_another_pause(kind):
    world = opened()
    world = go(world, ticked(world, 10)).world
    told = go(world, trouble(world, kind))
    assert told.world.state("breaker") == "OPEN"
    assert not told.effects(Reconcile)
    assert go(told.world, ticked(told.world, 9.9)).world.state("breaker") == "OPEN"
    assert go(told.world, ticked(told.world, 10)).world.state("breaker") == "HALF_OPEN"


def test_an_outage_of_an_hour_asks_one_question_and_keeps_asking_it():
    """A question for each pause, none of which ends, would be hundreds at once when it is over."""
    world = opened("unreachable", world=go(calm(), *(trouble(calm()),) * 4).world)
    for _ in range(360):
        told = go(world, ticked(world, 10))
        failed = [Undelivered(at=told.world.at, effect=d.id, reason="r") for d in told.dispatches]
        world = go(told.world, *failed, trouble(told.world)).world
        assert len(pending(world, Reconcile)) <= 1
    assert pending(world, Reconcile)


def test_a_question_that_fails_quietly_is_asked_until_it_is_answered():
    world = opened()
    told = go(world, ticked(world, 10))
    (key,) = [d.id for d in told.dispatches if isinstance(d.effect, Reconcile)]
    world, asked = told.world, 0
    for _ in range(20):
        world = go(world, Undelivered(at=world.at, effect=key, reason="503")).world
        told = go(world, ticked(world, 31))
        world, asked = told.world, asked + len(told.effects(Reconcile))
    assert asked == 20
    world = go(world, reconciled(world), Delivered(at=world.at, effect=key)).world
    assert world.state("breaker") == "CLOSED"


def test_a_key_that_is_refused_holds_the_account_until_a_person_releases():
    world = opened("key")
    assert world.state("hold") == "HELD"
    world = go(world, ticked(world, 10)).world
    world = go(world, reconciled(world)).world
    assert (world.state("breaker"), world.state("hold")) == ("CLOSED", "HELD")
    assert not go(world, measured(world)).effects(Submit)
    world = go(world, commanded(world, "release")).world
    assert go(world, measured(world)).effects(Submit)


def test_a_restart_finds_it_as_it_was_and_the_first_reading_after_the_pause_closes_it():
    for wait in (0, 10):
        world = go(opened(), ticked(opened(), wait)).world
        again = started(world.at), Recovered(at=world.at, snapshot_seq=0, tail=world.seq)
        told = go(world, *again, connected(world.at))
        assert told.world.state("breaker") == ("HALF_OPEN" if wait else "OPEN")
        world = go(told.world, reconciled(told.world), ticked(told.world, 11)).world
        world = go(world, reconciled(world)).world
        assert (world.state("breaker"), world.state("process")) == ("CLOSED", "RUNNING")


def test_a_clock_that_was_set_back_does_not_make_the_pause_longer():
    world = opened()
    world = go(world, ClockJumped(at=world.at - 3_600_000, by_ms=-3_600_000)).world
    assert go(world, ticked(world, 0)).world.state("breaker") == "HALF_OPEN"


def test_every_kind_of_trouble_is_counted_only_where_it_is_a_failure():
    world = calm()
    for kind in (*AT_ONCE, "unseen code"):
        assert go(world, trouble(world, kind)).world.troubles == 0
    assert go(but(world, troubles=3), trouble(world)).world.troubles == 4
