"""Deliveries: protection is retried without end, an order never blindly twice, the rest gives up."""

import pytest

from bot.core.effects import (
    Backfill,
    Cancel,
    Exit,
    Inquire,
    Notify,
    Protect,
    Submit,
)
from bot.core.events import ClockJumped, Delivered, Recovered, StopAsked, Ticked, Undelivered
from bot.core.machine import Instance
from bot.core.world import ACCOUNT, Messages, World
from tests.given import (
    a_world,
    but,
    commanded,
    entering,
    go,
    in_position,
    opening_events,
    started,
    stop_seen,
    ticked,
)


def pending(world, kind):
    """Return the id of the one pending effect of a kind."""
    (key,) = [k for k, d in world.deliveries.items() if isinstance(d.effect, kind)]
    return key


def failed(world, key, **more):
    return Undelivered(at=world.at, effect=key, reason="timeout", **more)


def naked():
    """A position whose stop was just asked for."""
    world = in_position(a_world())
    world = go(world, stop_seen(world, stop=None)).world
    return go(world, ticked(world, 3)).world


def notified():
    world = a_world()
    return go(world, commanded(world, "hold")).world


def restarted(world):
    tail = world.seq
    return go(world, started(world.at), Recovered(at=world.at, snapshot_seq=0, tail=tail))


def test_what_was_carried_out_is_forgotten():
    world = notified()
    key = pending(world, Notify)
    told = go(world, Delivered(at=world.at, effect=key), Delivered(at=world.at, effect=key))
    assert [(s.dest, s.reason) for s in told.steps] == [("SENT", "delivered")]
    assert key not in told.world.deliveries


def test_a_failure_waits_and_the_pause_doubles_up_to_its_ceiling():
    world = naked()
    key, pauses = pending(world, Protect), []
    for _ in range(9):
        world = go(world, failed(world, key)).world
        pauses.append((world.deliveries[key].not_before - world.at) / 1000)
        told = go(world, Ticked(at=world.deliveries[key].not_before, marks={}))
        assert [d.effect for d in told.dispatches if d.again and d.id == key]
        world = told.world
    assert pauses == [0.5, 1, 2, 2, 2, 2, 2, 2, 2], "a naked position does not wait long"


def test_a_cancel_is_tried_quickly_at_first_and_does_not_hammer_a_venue_that_is_away():
    world = entering(a_world()).world
    world = go(world, commanded(world, "hold")).world
    key, pauses = pending(world, Cancel), []
    for _ in range(22):
        world = go(world, Undelivered(at=world.at, effect=key, reason="r")).world
        pauses.append((world.deliveries[key].not_before - world.at) / 1000)
        world = go(world, ticked(world, 4)).world
    assert pauses == [0.25] * 20 + [2, 2]


def test_the_pause_of_everything_else_doubles_up_to_half_a_minute():
    world = go(World(), *opening_events()[:3]).world
    key, pauses = pending(world, Backfill), []
    for _ in range(9):
        world = go(world, failed(world, key)).world
        pauses.append((world.deliveries[key].not_before - world.at) / 1000)
        world = go(world, Ticked(at=world.deliveries[key].not_before, marks={})).world
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_it_is_not_handed_out_before_its_time():
    world = naked()
    key = pending(world, Protect)
    world = go(world, failed(world, key)).world
    early = go(world, Ticked(at=world.deliveries[key].not_before - 1, marks={}))
    assert not [d for d in early.dispatches if d.id == key]


@pytest.mark.parametrize("attempts", [8, 1_000, 1_100, 10**6])
@pytest.mark.parametrize("final", [False, True])
def test_protection_never_gives_up(attempts, final):
    world = naked()
    key = pending(world, Protect)
    tired = but(world.deliveries[key], attempts=attempts)
    world = but(world, deliveries={**world.deliveries, key: tired})
    told = go(world, failed(world, key, final=final))
    assert told.world.state("delivery", key) == "RETRY"
    assert told.world.deliveries[key].not_before == world.at + 2_000


def test_a_failure_without_words_is_retried_too():
    world = naked()
    key = pending(world, Protect)
    told = go(world, Undelivered(at=world.at, effect=key, reason=""))
    assert told.world.state("delivery", key) == "RETRY"


def test_a_notification_is_dead_after_its_attempts_and_says_so():
    world = notified()
    key = pending(world, Notify)
    for _ in range(7):
        world = go(world, failed(world, key)).world
        world = go(world, Ticked(at=world.deliveries[key].not_before, marks={})).world
    told = go(world, failed(world, key))
    assert (told.steps[0].dest, told.steps[0].reason) == ("DEAD", "8 attempts: timeout")


def test_an_order_is_attempted_once():
    world = entering(a_world()).world
    key = pending(world, Submit)
    told = go(world, failed(world, key))
    assert told.steps[0].dest == "DEAD"
    again = go(told.world, ticked(world, 60), ticked(world, 120))
    assert not again.effects(Submit)


def test_an_entry_past_its_time_expires():
    world = entering(a_world()).world
    key = pending(world, Submit)
    assert not go(world, Ticked(at=world.at + 4_999, marks={})).effects(Submit)
    told = go(world, Ticked(at=world.at + 5_000, marks={}))
    step = next(s for s in told.steps if s.machine == "delivery" and s.key == key)
    assert (step.dest, step.reason) == ("EXPIRED", "not carried out within its time (0.0 s over)")


def test_protection_never_expires():
    world = naked()
    assert world.deliveries[pending(world, Protect)].effect.expires_at is None
    later = go(world, ticked(world, 30 * 86_400)).world
    assert pending(world, Protect) in later.deliveries


def test_after_a_crash_what_was_pending_is_handed_out_again_but_no_order():
    world = entering(naked_elsewhere()).world
    key = pending(world, Protect)
    told = restarted(world)
    assert [d.id for d in told.dispatches if isinstance(d.effect, Protect) and d.again] == [key]
    assert not told.effects(Submit)
    doubt = next(s for s in told.steps if s.machine == "delivery" and s.dest == "EXPIRED")
    assert doubt.reason.startswith("the process died while it was on its way")
    assert told.effects(Inquire)


def naked_elsewhere():
    world = in_position(a_world(("BTCUSDT", "ETHUSDT")), "ETHUSDT")
    world = go(world, stop_seen(world, "ETHUSDT", stop=None)).world
    return go(world, ticked(world, 3)).world


def test_after_a_crash_what_waits_for_its_retry_goes_on_waiting():
    world = naked()
    key = pending(world, Protect)
    world = go(world, failed(world, key)).world
    told = restarted(world)
    assert told.world.state("delivery", key) == "RETRY"
    assert key not in {d.id for d in told.dispatches}


def test_an_exit_of_a_process_that_ended_does_not_end_the_next_one():
    world = a_world()
    told = go(world, StopAsked(at=world.at, cause="SIGTERM"), ticked(world))
    assert told.effects(Exit)
    assert not restarted(told.world).effects(Exit)


def test_what_a_start_itself_decides_is_handed_out_once():
    told = restarted(a_world())  # it crashed: people are told
    ids = [d.id for d in told.dispatches]
    assert len(ids) == len(set(ids))


def test_a_cancel_is_retried_until_it_is_answered():
    world = entering(a_world()).world
    world = go(world, commanded(world, "hold")).world
    key = pending(world, Cancel)
    for _ in range(20):
        world = go(world, failed(world, key, final=True)).world
        world = go(world, Ticked(at=world.deliveries[key].not_before, marks={})).world
    assert world.state("delivery", key) == "PENDING"


def test_news_of_an_effect_that_is_not_there_changes_nothing():
    world = a_world()
    news = (Delivered(at=0, effect="9-9"), Undelivered(at=0, effect="9-9", reason="x"))
    assert not go(world, *news).steps


def test_after_a_clock_that_jumps_back_a_retry_does_not_wait_for_the_future():
    world = naked()
    key = pending(world, Protect)
    world = go(world, failed(world, key)).world
    world = go(world, ClockJumped(at=world.at - 3_600_000, by_ms=-3_600_000)).world
    assert key in {d.id for d in go(world, ticked(world, 1)).dispatches}


@pytest.mark.parametrize(("breaker", "counted"), [("CLOSED", 21), ("OPEN", 1), ("HALF_OPEN", 21)])
def test_attempts_while_the_venue_is_away_do_not_use_up_the_messages_of_the_day(breaker, counted):
    world = entering(a_world()).world
    world = but(world, messages=Messages())
    world = go(world, commanded(world, "hold")).world
    machines = {"breaker": {ACCOUNT: Instance(breaker, 1, world.at, "because")}}
    world = but(world, machines={**world.machines, **machines}, breaker_until=world.at * 2)
    key = pending(world, Cancel)
    for _ in range(20):
        world = go(world, failed(world, key)).world
        world = go(world, Ticked(at=world.deliveries[key].not_before, marks={})).world
    assert world.messages.today == counted
