"""Flags: every switch is declared with its birth and its end, and is set for a time like a parameter."""

import pytest

from bot.core.effects import Notify
from bot.core.flags import FLAGS, Flag, switches, wrong
from bot.core.machine import Instance
from bot.core.model_events import ModelVerified
from bot.core.turn import ScoreQuestion
from bot.core.world import Model
from tests.given import a_world, answered, but, commanded, go, measured, ticked, tuned

NEW = Flag("risk.bold", "2026-01-01", "2026-12-31")


def test_every_switch_is_declared_and_none_is_past_its_end():
    assert list(wrong("2026-11-21")) == []
    assert sorted(FLAGS) == switches()


@pytest.mark.parametrize(
    ("today", "known", "retired", "why"),
    [
        ("2026-12-30", ["risk.bold"], {}, None),
        ("2026-12-31", ["risk.bold"], {}, "expected a flag before its end, 2026-12-31; found 2026-12-31: take it out"),
        ("2026-06-01", [], {}, "expected a setting that is true or false, found none"),
        ("2026-06-01", ["risk.bold"], {"risk.bold": "2025-05-05"}, "expected a new name, found one that was retired on 2025-05-05"),
    ],
)  # fmt: skip
def test_a_flag_past_its_end_or_used_again_is_wrong(today, known, retired, why):
    found = list(wrong(today, [NEW], retired, known))
    assert found == ([f"risk.bold: {why}"] if why else [])


def test_a_switch_that_is_not_declared_is_wrong():
    assert list(wrong("2026-06-01", [], {}, ["risk.bold"])) == [
        "risk.bold: expected a declaration in bot/core/flags.py, found none"
    ]


def switched(world, name, value, seconds=60):
    event = commanded(world, "set-parameter", value=value, seconds=seconds)
    return go(world, but(event, args={**event.args, "name": name}))


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_each_is_switched_for_a_time_by_a_named_person(name):
    world = answered(a_world())
    before = tuned(world.settings)
    section, _, key = name.partition(".")
    usual = getattr(getattr(before, section), key)
    told = switched(world, name, str(not usual).lower())
    assert getattr(getattr(told.world.settings, section), key) is not usual
    assert told.reason("parameter") == f"ana: {str(not usual).lower()} for 60 s: I say so"
    assert go(told.world, ticked(told.world, 60)).world.settings == before


def test_a_switch_takes_true_and_false_only():
    told = switched(answered(a_world()), "alerts.digest", "1")
    assert told.reason("run").startswith("alerts.digest: ")
    assert told.world.settings.alerts.digest is True


def test_without_scoring_no_model_is_asked_and_with_it_again():
    world = a_world()
    models = {"model": {"m1": Instance("SHADOW", 1, world.at, "r")}}
    world = but(world, machines=world.machines | models, models={"m1": Model("t1", loaded=True)})
    assert [type(q) for q in go(world, measured(world)).questions] == [ScoreQuestion]
    off = switched(world, "models.scoring", "false").world
    assert go(off, measured(off)).questions == ()
    checked = ModelVerified(at=off.at, model="m1", manifest="{}", trained_to=1, skill=0.1)
    assert go(off, checked).world.state("model", "m1") == "SHADOW", "it keeps its place"
    on = go(off, ticked(off, 60)).world
    assert [type(q) for q in go(on, measured(on)).questions] == [ScoreQuestion]


def test_without_a_digest_what_comes_in_quiet_hours_is_told_at_once():
    quiet = tuned(
        alerts__quiet_from_hour=0.0, alerts__quiet_until_hour=24.0, alerts__severity_min="info"
    )
    world = but(answered(a_world(settings=quiet)), channels=("json-1",))
    held = go(world, commanded(world, "reduce"))
    assert held.effects(Notify) == []
    off = switched(world, "alerts.digest", "false").world
    told = go(off, commanded(off, "reduce"))
    assert {n.channel for n in told.effects(Notify)} == {"screen", "json-1"}
