"""Parameters: a setting changed for a time, by a named person, never past the profile's ceiling."""

import pytest

from bot.core.events import Ticked
from bot.core.settings import profile
from tests.given import a_world, commanded, go, started, ticked, tuned


def setting(world, name, value, seconds=60, **more):
    event = commanded(world, "set-parameter", value=value, seconds=seconds, **more)
    return go(world, type(event)(**{**_fields(event), "args": {**event.args, "name": name}}))


def _fields(event):
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_it_holds_until_its_time_is_over():
    told = setting(a_world(), "risk.base_size", "0.01")
    world = told.world
    assert world.settings.risk.base_size == 0.01
    assert world.state("parameter", "risk.base_size") == "SET"
    assert told.reason("parameter") == "ana: 0.01 for 60 s: I say so"
    before = go(world, Ticked(at=world.at + 59_999, marks={})).world
    assert before.settings.risk.base_size == 0.01
    over = go(world, Ticked(at=world.at + 60_000, marks={}))
    assert over.world.settings.risk.base_size == 0.02
    assert over.world.state("parameter", "risk.base_size") == "EXPIRED"
    assert over.reason("parameter") == "0.01 set by ana expired"


def test_it_survives_a_restart_and_a_changed_configuration_stays_below_it():
    world = setting(a_world(), "risk.base_size", "0.01").world
    world = go(world, started(world.at, tuned(risk__positions_max=3))).world
    assert (world.settings.risk.base_size, world.settings.risk.positions_max) == (0.01, 3)


def test_what_a_new_profile_no_longer_allows_is_not_applied():
    world = setting(a_world(), "risk.base_size", "0.02").world
    world = go(world, started(world.at, profile("conservative"))).world
    assert world.settings.risk.base_size == 0.01


def test_it_can_be_set_again_before_and_after_its_end():
    world = setting(a_world(), "risk.base_size", "0.01").world
    world = setting(world, "risk.base_size", "0.005").world
    assert world.settings.risk.base_size == 0.005
    world = go(world, ticked(world, 61)).world
    world = setting(world, "risk.base_size", "0.015").world
    assert world.state("parameter", "risk.base_size") == "SET"
    assert world.settings.risk.base_size == 0.015


@pytest.mark.parametrize(
    ("name", "value", "seconds", "why"),
    [
        (
            "risk.base_size",
            "0.021",
            60,
            "expected at most 0.02 (ceiling of profile moderate), found 0.021",
        ),
        (
            "strategy.adx_min",
            "24",
            60,
            "expected at least 25 (floor of profile moderate), found 24",
        ),
        ("risk.base_size", "nan", 60, "risk.base_size: expected"),
        ("risk.base_size", "inf", 60, "risk.base_size: expected"),
        ("risk.base_size", "many", 60, "risk.base_size: expected"),
        ("risk.base_size", "true", 60, "risk.base_size: expected"),
        ("risk.positions_max", "2.5", 60, "risk.positions_max: expected"),
        ("kill.flatten", "1", 60, "kill.flatten"),
        (
            "risk.base_sise",
            "0.01",
            60,
            "expected a setting that may change at run time, found 'risk.base_sise'",
        ),
        ("profile", "aggressive", 60, "expected a setting that may change at run time"),
        ("market.symbols", "X", 60, "expected a setting that may change at run time"),
        ("risk.base_size", "0.01", 0, "seconds: expected 1 to 604800, found '0'"),
        ("risk.base_size", "0.01", 604_801, "seconds: expected 1 to 604800"),
        ("risk.base_size", "0.01", -5, "seconds: expected 1 to 604800"),
        ("strategy.ema_fast", "10", 60, "expected a setting that may change at run time"),
        ("risk.base_size", "0.01", "²", "seconds: expected 1 to 604800"),
        ("risk.base_size", "0.01", "9" * 5_000, "seconds: expected 1 to 604800"),
        (
            "guard.paused_win_rate",
            "0.5",
            60,
            "guard.paused_win_rate: expected < guard.reduced_win_rate (0.4), found 0.5",
        ),
    ],
)
def test_what_is_not_allowed_is_refused_with_a_sentence(name, value, seconds, why):
    world = a_world()
    told = setting(world, name, value, seconds)
    assert told.steps[-1].dest == "REFUSED"
    assert why in told.reason("run")
    assert told.world.settings == world.settings


def test_it_loosens_so_a_claimed_name_is_not_enough():
    told = setting(a_world(), "risk.base_size", "0.01", identity="claimed")
    assert "set-parameter loosens" in told.reason("run")


def test_two_parameters_that_do_not_fit_together_are_refused():
    world = setting(a_world(), "guard.reduced_win_rate", "0.5").world
    told = setting(world, "guard.paused_win_rate", "0.5")
    assert "guard.paused_win_rate: expected < guard.reduced_win_rate (0.5)" in told.reason("run")


def test_the_end_of_one_parameter_never_leaves_settings_that_break_a_rule():
    world = setting(a_world(), "guard.reduced_win_rate", "0.6", seconds=60).world
    world = setting(world, "guard.paused_win_rate", "0.5", seconds=600).world
    world = go(world, ticked(world, 61)).world
    limits = world.settings.guard
    assert limits.paused_win_rate < limits.reduced_win_rate


def test_two_parameters_that_only_fit_together_are_both_in_force():
    world = setting(a_world(), "guard.reduced_win_rate", "0.6").world
    told = setting(world, "guard.paused_win_rate", "0.5")
    assert told.steps[-1].dest == "DONE"
    limits = told.world.settings.guard
    assert (limits.reduced_win_rate, limits.paused_win_rate) == (0.6, 0.5)
