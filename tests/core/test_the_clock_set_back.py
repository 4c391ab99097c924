"""A clock that is set back leaves nothing waiting for a future that was a mistake."""

from bot.core.effects import Backfill, Reconcile
from bot.core.events import ClockJumped
from bot.core.reconciliation import DAY_LATE_MS
from bot.core.world import ACCOUNT, DAY_MS, Messages
from tests.given import BTC, MINUTE, a_world, answered, but, commanded, go, reconciled, ticked

HOUR = 60 * MINUTE


def test_candles_of_the_other_time_are_not_built_upon():
    world = answered(a_world())
    assert world.feeds[BTC].last
    told = go(world, ClockJumped(at=world.at - 15 * MINUTE, by_ms=-15 * MINUTE))
    assert told.world.feeds[BTC].last == 0
    (asked,) = told.effects(Backfill)
    assert asked.limit == world.settings.market.warmup_candles
    assert told.world.state("feed", BTC) == "GAPPED"


def test_a_command_under_way_and_a_shutdown_still_end_in_time():
    world = answered(a_world())
    world = go(world, commanded(world, "flatten")).world
    back = world.at - 60 * MINUTE
    world = go(world, ClockJumped(at=back, by_ms=-60 * MINUTE)).world
    assert all(run.deadline <= back + 60_000 for run in world.runs.values())
    process = world.instance_of("process", ACCOUNT)
    assert process is not None
    assert process.since <= back
    assert go(world, ticked(world)).world.at == back + 1_000


def test_no_comparison_of_a_day_is_left_out():
    world = answered(a_world())
    far = go(world, ticked(world, 400 * DAY_MS / 1000))
    assert [asked.depth for asked in far.effects(Reconcile)] == ["day"]
    back = go(answered(far.world), ClockJumped(at=world.at, by_ms=-400 * DAY_MS)).world
    read_at = (world.at // DAY_MS + 1) * DAY_MS + DAY_LATE_MS
    told = go(back, ticked(back, (read_at - world.at) / 1000))
    assert [asked.depth for asked in told.effects(Reconcile)] == ["day"]


def test_a_deeper_reading_does_not_wait_for_the_other_time():
    world = answered(a_world())
    world = go(world, reconciled(world, 99_000)).world
    back = go(world, ClockJumped(at=world.at - HOUR, by_ms=-HOUR)).world
    assert [q.depth for q in go(back, ticked(back, 2)).effects(Reconcile)] == ["full"]


def test_the_messages_of_today_are_not_forgotten():
    world = answered(a_world())
    world = but(world, messages=Messages(day=world.at // DAY_MS, today=7))
    back = go(world, ClockJumped(at=world.at - 400 * DAY_MS, by_ms=-400 * DAY_MS)).world
    assert back.messages.day == back.at // DAY_MS
    assert back.messages.today == 7
