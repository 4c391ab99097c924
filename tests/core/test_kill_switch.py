"""The kill switch: trips at its limits, latches, and is re-armed only by a named person with a reason."""

import pytest

from bot.core.effects import Cancel, ClearHalt, Notify, Submit
from bot.core.events import Filled, Halted, Ticked
from bot.core.facts import EquityMarked
from bot.core.killswitch import rearm_blockers
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.settings import PROFILES, profile
from tests.given import (
    BTC,
    ETH,
    D,
    a_fill,
    a_world,
    but,
    commanded,
    entering,
    go,
    in_position,
    measured,
    review,
    started,
    stop_seen,
    ticked,
    tuned,
    with_money,
)


def latched(world):
    world = go(world, commanded(world, "kill")).world
    world = go(world, ticked(world)).world
    assert world.state("kill") == "LATCHED"
    return world


@pytest.mark.parametrize(("equity", "trips"), [(96_010, False), (96_000, True), (95_000, True)])
def test_it_trips_when_the_daily_loss_is_at_its_limit(equity, trips):
    told = review(with_money(a_world(), equity))
    assert (told.world.state("kill") == "LATCHED") == trips
    if trips:
        assert f"daily loss {1 - equity / 100_000:.2%} at limit 4.00%" in told.steps[0].reason


@pytest.mark.parametrize(("equity", "trips"), [(85_010, False), (85_000, True)])
def test_it_trips_when_the_drawdown_from_the_peak_is_at_its_limit(equity, trips):
    world = with_money(a_world(), equity, day_start=D(equity))
    told = review(world)
    assert (told.world.state("kill") != "ARMED") == trips
    if trips:
        assert told.steps[0].reason == "drawdown 15.00% at limit 15.00%"


def test_conservative_trips_at_3_percent_a_day_and_10_percent_drawdown():
    world = a_world(settings=profile("conservative"))
    assert review(with_money(world, 97_000)).steps[0].reason == "daily loss 3.00% at limit 3.00%"
    told = review(with_money(world, 90_000, day_start=D(90_000)))
    assert told.steps[0].reason == "drawdown 10.00% at limit 10.00%"


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_at_equal_limits_kill_wins_over_pause(name):
    base = profile(name)
    limit = base.guard.paused_drawdown
    settings = tuned(base, kill__drawdown_max=limit, kill__daily_loss_max=0.99)
    at_limit = review(with_money(a_world(settings=settings), D(100_000) * D(str(1 - limit))))
    assert at_limit.world.state("kill") != "ARMED"
    assert at_limit.world.state("guard") != "PAUSED"
    beyond = review(with_money(a_world(settings=settings), 80_000))
    machines = [s.machine for s in beyond.steps if s.machine in ("kill", "guard")]
    assert machines[:2] == ["kill", "guard"], "the switch is asked first"


def test_unrealised_loss_counts():
    world = in_position(a_world())
    assert review(world, BTCUSDT=60.0).world.account.equity == D(100_000) - D(20) * D(40)
    size = world.positions[BTC].qty
    assert size == D(20)
    world = but(world, positions={BTC: but(world.positions[BTC], qty=D(100))})
    assert review(world, BTCUSDT=60.0).world.state("kill") != "ARMED"


def test_an_operator_trips_it_and_halt_trips_it():
    world = a_world()
    told = go(world, commanded(world, "kill", operator="bo", reason="smells of smoke"))
    assert told.reason("kill") == "bo: smells of smoke"
    told = go(world, Halted(at=world.at, who="cy", reason="fire"))
    assert told.world.state("kill") == "TRIPPED"
    assert told.reason("kill") == "HALT mark set by cy: fire"
    assert told.effects(Notify)[0].severity == "critical"


def test_tripping_cancels_entries_and_latches_only_when_they_are_gone():
    world = entering(a_world()).world
    (order,) = world.orders
    told = go(world, commanded(world, "kill"))
    assert [c.order for c in told.effects(Cancel)] == [order]
    world = go(told.world, ticked(world), ticked(world, 2)).world
    assert world.state("kill") == "TRIPPED"
    world = but(world, orders={})
    assert go(world, ticked(world)).world.state("kill") == "LATCHED"


def test_positions_are_kept_under_their_stops_unless_configured():
    world = in_position(a_world())
    kept = latched(world)
    assert not go(kept, ticked(kept)).effects(Submit)
    assert kept.positions[BTC].stop == world.positions[BTC].stop
    assert "1 positions kept under their stops" in kept.machines["kill"]["account"].reason


def test_configured_to_flatten_it_closes_positions_and_then_latches():
    world = in_position(a_world(settings=tuned(kill__flatten=True)))
    world = go(world, commanded(world, "kill")).world
    told = go(world, ticked(world))
    assert told.world.state("kill") == "FLATTENING"
    (exit_,) = told.effects(Submit)
    assert (exit_.reduce_only, exit_.qty, exit_.expires_at) == (True, D(20), None)
    world = told.world
    fill = a_fill(BTC, exit_.side, exit_.qty, 99, order=exit_.order, at=world.at)
    world = go(world, Filled(at=world.at, fill=fill)).world
    told = go(world, ticked(world))
    assert told.world.state("kill") == "LATCHED"
    assert told.reason("kill") == "ana: I say so; all positions are closed"


def test_latched_it_refuses_entries_whatever_time_brings_and_across_a_restart():
    world = latched(a_world())
    for _ in range(3):
        world = review(world).world
    world = go(world, started(world.at)).world
    assert world.state("kill") == "LATCHED"
    assert entry_level(world) == Level.REDUCE_ONLY
    told = go(world, measured(world))
    assert not told.effects(Submit)
    assert "kill account is LATCHED" in told.facts[-1].reason


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"operator": " "}, "expected a named person, found none"),
        ({"reason": "  "}, "expected a reason, found none"),
        ({"identity": "claimed"}, "it needs the running bot to see who asks"),
    ],
)
def test_rearming_needs_a_named_person_and_a_reason(changes, why):
    world = latched(a_world())
    told = go(world, commanded(world, "rearm", **changes))
    assert told.world.state("kill") == "LATCHED"
    assert why in told.reason("run")
    assert told.steps[-1].dest == "REFUSED"


def test_rearming_shows_all_that_must_be_true_first():
    world = in_position(a_world())
    world = go(world, commanded(world, "kill"), stop_seen(world, stop=None)).world
    unknown = but(world.machines["kill"]["account"], state="UNKNOWN")
    order = entering(a_world()).world.orders
    (name,) = order
    machines = {
        **world.machines,
        "order": {name: unknown},
        "storage": {"account": but(unknown, state="FULL")},
        "process": {"account": but(unknown, state="DRAINING")},
    }
    world = but(world, orders=order, machines=machines)
    assert rearm_blockers(world, "account") == [
        "the process must be RUNNING, it is DRAINING",
        "the switch must be LATCHED, it is TRIPPED",
        f"order {name} must have a known outcome, it is UNKNOWN",
        f"the venue must hold a stop for {BTC}, it does not",
        "storage must be OK or LOW, it is FULL",
    ]
    told = go(world, commanded(world, "rearm"))
    assert told.reason("run") == "; ".join(rearm_blockers(world, "account"))


def test_rearming_sets_the_baselines_anew_and_records_it():
    world = review(with_money(a_world(), 95_000)).world
    assert world.state("kill") == "LATCHED"
    told = go(world, commanded(world, "rearm", operator="bo", reason="the feed was wrong"))
    account = told.world.account
    assert told.world.state("kill") == "ARMED"
    assert account.equity == account.peak == account.guard_peak == account.day_start == D(95_000)
    assert told.reason("kill").startswith("bo: the feed was wrong; baselines set anew")
    assert "(peak was 100000.00, day start 100000.00)" in told.reason("kill")
    assert told.noted(EquityMarked)[-1].equity == D(95_000)
    assert told.noted(EquityMarked)[-1].why == "baselines set anew by bo: the feed was wrong"
    assert told.effects(ClearHalt)
    assert review(told.world).world.state("kill") == "ARMED"


def test_a_symbols_switch_stops_that_symbol_only_and_keeps_the_halt_mark():
    world = a_world((BTC, ETH))
    world = go(world, commanded(world, "kill", symbol=BTC)).world
    world = go(world, ticked(world)).world
    assert world.state("kill", BTC) == "LATCHED"
    assert entry_level(world, BTC) == Level.REDUCE_ONLY
    assert entry_level(world, ETH) == Level.FULL
    told = go(world, commanded(world, "rearm", symbol=BTC))
    assert told.world.state("kill", BTC) == "ARMED"
    assert not told.effects(ClearHalt)
    assert told.world.account == world.account, "the account's baselines are not a symbol's"


def test_it_never_trips_twice_and_a_second_kill_says_so():
    world = latched(a_world())
    told = go(world, commanded(world, "kill"), Halted(at=world.at, who="cy", reason="again"))
    assert told.world.state("kill") == "LATCHED"
    assert told.reason("run") == "kill switch account is LATCHED already"


def test_a_tick_before_the_review_is_due_judges_nothing():
    world = with_money(a_world(), 50_000)
    world = but(world, account=but(world.account, reviewed_at=world.at))
    assert not go(world, Ticked(at=world.at + 14_999, marks={BTC: 100.0})).steps
    assert (
        go(world, Ticked(at=world.at + 15_000, marks={BTC: 100.0})).world.state("kill") != "ARMED"
    )
