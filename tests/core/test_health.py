"""Health: every check says well and not well with its numbers; people hear of an episode once; budgets are kept."""

import pytest

from bot.core import slo
from bot.core.checks import CHECKS, FAST, SLOW
from bot.core.effects import Notify
from bot.core.events import Doubted, StorageChecked, StreamLost, VenueTroubled
from bot.core.facts import CheckMarked, ObjectiveMarked
from bot.core.health_events import Sampled
from bot.core.machine import Instance
from bot.core.world import DAY_MS, Model
from tests.given import (
    BTC,
    MINUTE,
    D,
    a_world,
    answered,
    but,
    commanded,
    entering,
    go,
    in_position,
    ticked,
    tuned,
)

HOUR = 60 * MINUTE


def sampled(world, pace=FAST, **samples):
    """Return what follows from a sampling."""
    return go(world, Sampled(at=world.at, pace=pace, samples=samples))


def later(world, seconds):
    """Return the world after so many seconds in which nothing came but this."""
    return but(world, at=world.at + int(seconds * 1000))


def in_doubt(seconds):
    told = entering(answered(a_world()))
    (order,) = told.world.orders
    world = go(told.world, Doubted(at=told.world.at, order=order, reason="timeout")).world
    return later(world, seconds)


def naked(seconds):
    world = in_position(a_world())
    position = but(world.positions[BTC], stop_held=False, naked_since=world.at)
    return later(but(world, positions={BTC: position}), seconds)


def waiting(effect, seconds):
    world = answered(a_world())
    told = go(world, StorageChecked(at=world.at, free_mb=300))  # LOW: an alert leaves
    assert told.effects(Notify)
    return later(told.world, seconds)


def after(event, **more):
    world = answered(a_world())
    return go(world, event(at=world.at, **more)).world


def since(seconds, **account):
    world = later(answered(a_world()), seconds)
    return but(world, account=but(world.account, **account))


def with_champion(days, recent=()):
    world = answered(a_world())
    champion = Instance("CHAMPION", 3, world.at, "promoted")
    machines = {**world.machines, "model": {"ab" * 32: champion}}
    known = Model("t1", trained_to=world.at - days * DAY_MS, recent=recent)
    return but(world, machines=machines, models={"ab" * 32: known})


WELL = answered(a_world())
NOT_WELL = {
    "candles": (lambda: later(WELL, 600), {}, "the newest candle closed"),
    "streams": (lambda: after(StreamLost, stream="private", reason="reset"), {}, "down: reset"),
    "venue": (
        lambda: after(VenueTroubled, kind="maintenance", reason="10016"),
        {},
        "the breaker is OPEN",
    ),
    "budget": (lambda: WELL, {"budget_share": 0.9}, "0.9 of a request limit is in use, limit 0.8"),
    "clock": (lambda: WELL, {"clock_ms": 700.0}, "off by 700 ms, limit 500"),
    "loop": (lambda: WELL, {"lag_ms": float("nan")}, "woke nan ms late, limit 250"),
    "commit": (lambda: WELL, {"turn_ms": 501.0}, "took 501 ms, limit 500"),
    "wal": (lambda: WELL, {"wal_mb": 65.0}, "65 MB, limit 64"),
    "disk": (lambda: after(StorageChecked, free_mb=300), {}, "storage is LOW"),
    "memory": (
        lambda: WELL,
        {"rss_mb": 100.0, "rss_growth": 0.5},
        "by 50 % within an hour, limit 25",
    ),
    "outbox": (lambda: later(entering(WELL).world, 61), {}, "on its way for 61 s, limit 60"),
    "alerts": (lambda: waiting(Notify, 61), {}, "on its way for 61 s, limit 60"),
    "doubt": (lambda: in_doubt(6), {}, "is unknown for 6 s, limit 5"),
    "stops": (lambda: naked(4), {}, "confirmed no stop for 4 s, limit 3"),
    "ledger": (lambda: since(181), {}, "181 s ago, limit 180"),
    "equity": (lambda: since(0, equity=D(0)), {}, "equity is 0"),
    "model": (lambda: with_champion(15), {}, "ended 15 days ago, limit 14"),
    "scores": (lambda: with_champion(1, recent=(0.5, 0.5, None, None)), {}, "50 % of the last 4"),
    "activity": (lambda: since(73 * 3600), {}, "no trade for 73 h, limit 72"),
    "backup": (lambda: WELL, {"backup_hours": 27.0}, "27 h since the newest backup, limit 26"),
    "config": (lambda: WELL, {"config_changed": 1.0}, "bot.toml was changed"),
    "tables": (lambda: WELL, {"rows_astray": 2.0}, "2 rows of `instance` differ"),
    "chain": (lambda: WELL, {"chain_broken": 1.0}, "chain is broken"),
}


def test_every_check_is_tried():
    assert set(NOT_WELL) == set(CHECKS)
    assert len(CHECKS) >= 15


@pytest.mark.parametrize("name", CHECKS)
def test_a_bot_that_is_well_is_found_well(name):
    assert all(finding.well for finding in CHECKS[name].judge(WELL))


@pytest.mark.parametrize("name", NOT_WELL)
def test_each_check_finds_what_it_is_for_and_says_so_with_its_numbers(name):
    make, samples, words = NOT_WELL[name]
    told = sampled(make(), CHECKS[name].pace, **samples)
    keys = {fact.check for fact in told.noted(CheckMarked) if not fact.well}
    bad = [key for key in keys if key.partition(" ")[0] == name]
    assert bad
    assert any(words in step.reason for step in told.steps if step.key in bad)
    assert told.world.state("check", bad[0]) == "SUSPECT"


def test_people_are_told_once_of_an_episode_and_of_its_end():
    world = sampled(WELL, lag_ms=300.0).world
    assert world.state("check", "loop") == "SUSPECT"
    told = sampled(world, lag_ms=400.0)
    assert told.world.state("check", "loop") == "ESCALATED"
    (alert,) = told.effects(Notify)
    assert alert.severity == "warning"
    assert alert.text == "check loop: the event loop woke 400 ms late, limit 250"
    told = sampled(told.world, lag_ms=500.0)
    assert not told.effects(Notify)
    told = sampled(told.world, lag_ms=1.0)
    assert [n.severity for n in told.effects(Notify)] == ["info"]
    assert told.world.state("check", "loop") == "WELL"


def test_where_one_finding_is_enough_people_are_told_in_the_same_turn():
    told = sampled(answered(a_world(settings=tuned(health__confirm=1))), lag_ms=300.0)
    steps = [(s.source, s.dest) for s in told.steps if (s.machine, s.key) == ("check", "loop")]
    assert steps == [("", "SUSPECT"), ("SUSPECT", "ESCALATED")]
    assert len(told.effects(Notify)) == 1
    world = sampled(told.world, lag_ms=1.0).world
    told = sampled(world, lag_ms=300.0)
    assert told.world.state("check", "loop") == "ESCALATED", "and again when it was well meanwhile"


def test_one_finding_that_goes_by_tells_nobody():
    world = WELL
    for lag in (300.0, 1.0, 300.0, 1.0):
        told = sampled(world, lag_ms=lag)
        assert not told.effects(Notify)
        world = told.world


def test_what_endangers_money_calls_people_at_any_hour():
    world = sampled(naked(4)).world
    assert [n.severity for n in sampled(later(world, 5)).effects(Notify)] == ["critical"]


def test_slow_checks_wait_for_their_own_sampling():
    world = sampled(WELL, config_changed=1.0).world
    assert world.state("check", "config") == ""
    assert sampled(world, SLOW).world.state("check", "config") == "SUSPECT"


def test_a_bot_that_starts_or_leaves_judges_nothing():
    world = go(WELL, commanded(WELL, "stop")).world
    assert not sampled(world, lag_ms=9_000.0).world.machines.get("check")


def test_a_finding_that_changes_nothing_leaves_a_row_every_five_minutes():
    world = sampled(WELL, lag_ms=1.0).world
    rows = 0
    for _ in range(12):
        told = sampled(later(go(world, ticked(world, 60)).world, 0), lag_ms=1.0)
        rows += sum(fact.check == "loop" for fact in told.noted(CheckMarked))
        world = told.world
    assert rows == 2


# -- objectives ------------------------------------------------------------------------------------


def hours(world, number, **samples):
    """Return the world after so many hours with such samples, seen each minute."""
    for _ in range(number * 60):
        world = but(answered(sampled(world, **samples).world), at=world.at + MINUTE)
    return world


def test_an_objective_counts_the_time_in_which_people_had_to_be_told():
    world = hours(WELL, 2, lag_ms=1.0)
    world = hours(world, 1, lag_ms=300.0)
    found = slo.standing(world, "process")
    assert found.counted_hours == pytest.approx(3, abs=0.05)
    assert found.good == pytest.approx(2 / 3, abs=0.02)
    assert slo.standing(world, "people").good == 1.0


def test_a_budget_is_the_rest_of_its_window_and_a_spent_one_blocks_loosening():
    settings = tuned(health__window_hours=24, health__objective=0.99)
    world = hours(answered(a_world(settings=settings)), 1, lag_ms=1.0)
    world = go(world, commanded(world, "hold")).world
    world = hours(world, 1, lag_ms=300.0)  # an hour of the 0.24 that are allowed
    assert slo.standing(world, "process").spent == pytest.approx(1 / 0.24, rel=0.05)
    told = go(world, commanded(world, "release"))
    assert told.world.state("hold") == "HELD"
    assert "objective process" in told.reason("run")
    assert "despite=budget" in told.reason("run")
    told = go(world, commanded(world, "release", despite="budget"))
    assert told.world.state("hold") == "FREE"


def test_a_spent_budget_never_blocks_a_tightening():
    settings = tuned(health__window_hours=24, health__objective=0.99)
    world = hours(answered(a_world(settings=settings)), 2, lag_ms=300.0)
    assert slo.why_not_loosen(world)
    assert go(world, commanded(world, "hold")).world.state("hold") == "HELD"


def test_time_in_which_nobody_looked_is_not_counted():
    world = hours(WELL, 1, lag_ms=1.0)
    world = sampled(later(world, 5 * 3600), lag_ms=1.0).world
    assert slo.standing(world, "process").counted_hours == pytest.approx(1, abs=0.05)


def test_old_hours_are_forgotten_and_each_hour_leaves_a_row():
    settings = tuned(health__window_hours=2)
    world = hours(answered(a_world(settings=settings)), 1, lag_ms=300.0)
    world = hours(world, 3, lag_ms=1.0)
    assert slo.standing(world, "process").good == 1.0
    told = sampled(but(world, at=world.at + HOUR), lag_ms=1.0)
    names = {fact.objective for fact in told.noted(ObjectiveMarked)}
    assert names == set(slo.OBJECTIVES)


def test_every_check_belongs_to_an_objective_or_to_none_for_a_reason():
    named = {name for names in slo.OBJECTIVES.values() for name in names}
    assert named <= set(CHECKS)
    assert set(CHECKS) - named == {"activity", "model", "scores"}  # these are no promises of ours
