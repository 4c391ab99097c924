"""Healing: what is tried, how often at most, what counts as a cure, and what follows when nothing cures."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import attempts, healing
from bot.core.effects import Heal, Notify, Report
from bot.core.events import ClockJumped, Recovered, StopAsked, VenueTroubled
from bot.core.facts import AttemptMarked, Escalated
from bot.core.health_events import Sampled, Treated
from bot.core.machine import Instance
from bot.core.remedy import Remedy, worth
from bot.core.world import DAY_MS
from tests.given import a_world, answered, but, commanded, go, started, ticked, tuned

HOUR_SECONDS = 3_600


def remedy(name, **more):
    found = Remedy(name, f"Do {name}.", ("loop",), "low", 3, 60.0, 30.0, "", "the check is well")
    return but(found, **more)


REST, WALK = remedy("rest"), remedy("walk")


def a_bot(*remedies, **more):
    world = answered(a_world(settings=tuned(**more)))
    return go(but(world, remedies=remedies), ticked(world, 1)).world


def look(world, *, well):
    """Return a look at the loop's lag."""
    return Sampled(at=world.at, pace="fast", samples={"lag_ms": 1.0 if well else 999.0})


def looked(world, *, well):
    """Return what follows from one look."""
    return go(world, look(world, well=well))


def found_bad(world):
    """Return what follows from the findings that confirm that the loop is not well."""
    return go(world, look(world, well=False), look(world, well=False))


def why_of(told):
    """Return why the check stands where it does."""
    return told.world.instance_of("check", "loop").reason


def run_of(world):
    (key,) = world.attempts
    return key


def did(world, *, ok=True, said="done"):
    return go(world, Treated(at=world.at, run=run_of(world), ok=ok, said=said))


def lived(world, seconds):
    """Let time pass as a bot lives it: tick by tick."""
    for _ in range(0, int(seconds), 30):
        world = go(world, ticked(world, 30)).world
    return world


def cure(world):
    """Return the world after an episode that a remedy ended."""
    told = looked(did(found_bad(world).world).world, well=True)
    assert told.world.state("check", "loop") == "WELL"
    return told.world


def test_a_confirmed_finding_begins_an_attempt_that_the_check_ends():
    told = found_bad(a_bot(REST))
    (effect,) = told.effects(Heal)
    assert (effect.remedy, effect.check) == ("rest", "loop")
    assert told.world.state("check", "loop") == "HEALING"
    assert told.world.state("run", effect.run) == "RUNNING"
    assert told.effects(Notify) == []
    told = did(told.world)
    assert told.world.state("check", "loop") == "VERIFYING"
    told = looked(told.world, well=True)
    assert told.world.state("check", "loop") == "WELL"
    assert told.world.state("run", effect.run) == ""
    (row,) = told.noted(AttemptMarked)
    assert (row.state, row.remedy, row.check) == ("DONE", "rest", "loop")
    assert "after rest" in row.said
    assert told.world.healing.record == {"loop rest": (1, 0)}
    assert told.world.attempts == {}


def test_carried_out_is_not_cured():
    world = did(found_bad(a_bot(REST)).world).world
    world = looked(world, well=False).world
    assert world.state("check", "loop") == "VERIFYING"
    told = looked(lived(world, 30), well=False)
    assert told.world.state("check", "loop") == "ESCALATED"
    assert told.world.healing.record == {"loop rest": (0, 1)}


def test_what_nothing_cures_escalates_with_a_report_and_an_alert_and_is_left_alone():
    world = did(found_bad(a_bot(REST, WALK)).world, ok=False, said="no bed").world
    assert world.state("check", "loop") == "HEALING"
    assert {a.remedy for a in world.attempts.values()} == {"walk"}
    told = did(world, ok=False, said="no shoes")
    assert told.world.state("check", "loop") == "ESCALATED"
    (row,) = told.noted(Escalated)
    assert row.tried == {"rest": "failed: no bed", "walk": "failed: no shoes"}
    (report,) = told.effects(Report)
    assert report.name == row.file
    assert "no bed" in report.text
    (alert,) = told.effects(Notify)
    assert alert.text.startswith("check loop: the event loop woke 999 ms late")
    assert "; nothing helped (rest: failed: no bed; walk: failed: no shoes)" in alert.text
    assert alert.runbook == "check"
    world = lived(told.world, DAY_MS / 1000)
    for _ in range(5):
        told = looked(world, well=False)
        assert told.effects(Heal) == []
        world = told.world


def test_an_episode_that_ended_may_be_healed_anew_after_the_cool_down():
    world = cure(a_bot(REST))
    told = found_bad(world)
    assert told.effects(Heal) == []
    assert "cools down" in why_of(told)
    world = lived(looked(told.world, well=True).world, 61)
    assert found_bad(world).effects(Heal)


def test_the_remedy_that_cured_more_often_comes_first():
    world = a_bot(REST, WALK)
    world = but(
        world, healing=but(world.healing, record={"loop rest": (1, 3), "loop walk": (1, 0)})
    )
    assert [r.name for r in healing.for_check(world, "loop")] == ["walk", "rest"]
    assert worth((0, 0)) == 0.5
    assert worth((1, 0)) == pytest.approx(2 / 3)


def test_at_most_as_often_a_day_as_declared():
    world = a_bot(REST)
    for _ in range(3):
        world = lived(cure(world), 61)
    told = found_bad(world)
    assert told.effects(Heal) == []
    assert "tried 3 times within a day" in why_of(told)
    world = lived(looked(told.world, well=True).world, DAY_MS / 1000)
    assert found_bad(world).effects(Heal)


def test_all_together_at_most_as_often_as_configured():
    world = a_bot(REST, WALK, healing__day_max=1)
    told = did(found_bad(world).world, ok=False)
    assert told.world.state("check", "loop") == "ESCALATED"
    assert "1 attempts of all remedies" in why_of(told)


def test_high_risk_waits_for_a_person_and_expires():
    told = found_bad(a_bot(remedy("rest", risk="high")))
    assert told.effects(Heal) == []
    assert told.world.state("check", "loop") == "ESCALATED"
    key = run_of(told.world)
    assert told.world.state("run", key) == "PROPOSED"
    assert any(f"approve run={key}" in alert.text for alert in told.effects(Notify))
    told = looked(lived(told.world, HOUR_SECONDS + 30), well=False)
    assert told.world.attempts == {}
    assert "nobody approved it in time" in told.reason("run")


def test_what_a_person_allowed_and_did_not_help_is_told():
    world = found_bad(a_bot(remedy("rest", risk="high"))).world
    run = {run_of(world): Instance("RUNNING", 3, world.at, "approved")}
    world = but(world, machines={**world.machines, "run": run})
    told = did(world, ok=False, said="no bed")
    assert [n.text for n in told.effects(Notify)] == ["check loop: rest did not help: no bed"]
    assert told.world.state("check", "loop") == "ESCALATED"


def test_a_proposal_is_taken_back_once_the_check_is_well_by_itself():
    world = found_bad(a_bot(remedy("rest", risk="high"))).world
    told = looked(world, well=True)
    assert told.world.attempts == {}
    assert told.world.state("check", "loop") == "WELL"
    assert told.world.healing.record == {}


def word(world, verb, **more):
    event = commanded(world, verb, run=run_of(world), role="admin", **more)
    return go(world, event)


def test_one_person_approves_what_the_bot_proposed_and_it_is_tried():
    world = found_bad(a_bot(remedy("rest", risk="high"))).world
    key = run_of(world)
    told = word(world, "approve")
    assert [s.dest for s in told.steps if s.key == key] == ["APPROVED", "RUNNING"]
    assert told.effects(Heal)[0].run == key
    assert len(told.world.healing.tries) == 1
    cured = looked(did(told.world).world, well=True)
    assert cured.world.state("check", "loop") == "WELL"
    assert [s.dest for s in cured.steps if s.key == key] == ["DONE"]


def test_what_is_declined_is_not_proposed_again_before_the_check_was_well():
    world = found_bad(a_bot(remedy("rest", risk="high"))).world
    told = word(world, "decline", reason="not at noon")
    assert told.world.attempts == {}
    assert told.noted(AttemptMarked)[-1].state == "REFUSED"
    assert told.world.healing.tries == ()
    assert told.world.healing.tried["loop"] == {"rest": "declined by ana: not at noon"}
    assert found_bad(told.world).world.attempts == {}


def test_what_may_no_longer_be_tried_is_refused_at_the_approval():
    world = found_bad(a_bot(remedy("rest", risk="high"))).world
    key, world = run_of(world), but(world, settings=tuned(healing__enabled=False))
    told = word(world, "approve")
    assert [s.reason for s in told.steps if s.key == key] == [
        "healing is switched off (healing.enabled)"
    ]
    assert (told.effects(Heal), told.world.attempts) == ([], {})


def test_an_operator_does_not_approve_what_may_do_much_harm():
    world = found_bad(a_bot(remedy("rest", risk="high"))).world
    event = commanded(world, "approve", run=run_of(world), role="operator", uid=7)
    told = go(world, event)
    assert told.reason("run") == (
        "expected role admin for rest, which it would approve, found operator (uid 7)"
    )


@pytest.mark.parametrize(
    ("more", "event", "why"),
    [
        ({"healing__enabled": False}, None, "switched off"),
        ({}, VenueTroubled, "while the venue is away"),
        ({}, StopAsked, ""),
    ],
)
def test_nothing_is_tried_when_it_is_switched_off_of_no_use_or_the_bot_stops(more, event, why):
    world = a_bot(remedy("rest", venue=True), **more)
    if event is VenueTroubled:
        world = go(world, event(at=world.at, kind="maintenance", reason="10016")).world
    if event is StopAsked:
        world = go(world, event(at=world.at, cause="SIGTERM")).world
    told = found_bad(world)
    assert told.effects(Heal) == []
    assert told.world.healing.tries == ()
    if why:
        assert why in why_of(told)


def test_a_remedy_that_says_nothing_fails_in_time():
    world = found_bad(a_bot(REST)).world
    told = looked(lived(world, 61), well=False)
    assert told.world.state("check", "loop") == "ESCALATED"
    assert "nothing was heard of it" in why_of(told)
    late = go(told.world, Treated(at=told.world.at, run=run_of(world), ok=True, said="done"))
    assert late.steps == ()


def test_a_crash_while_it_is_tried_counts_and_the_check_is_asked_again():
    world = found_bad(a_bot(REST, WALK)).world
    told = go(
        world,
        but(started(world.at), remedies=(REST, WALK)),
        Recovered(at=world.at, snapshot_seq=0, tail=world.seq),
    )
    assert told.effects(Heal) == []
    assert told.world.state("check", "loop") == "SUSPECT"
    assert told.world.attempts == {}
    assert healing.today(told.world, "rest") == 1
    again = but(told.world, machines={**told.world.machines, "process": world.machines["process"]})
    (effect,) = found_bad(again).effects(Heal)
    assert effect.remedy == "walk"


ACTS = st.lists(
    st.one_of(
        st.sampled_from(["bad", "well", "ok", "failed", "crash"]),
        st.integers(-3 * DAY_MS, 3 * DAY_MS),  # the clock jumps
        st.floats(1, 7_200),  # time passes, in seconds
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(ACTS)
def test_no_history_buys_an_attempt_more(acts):
    """Clock changes, crashes, and cures in any order: by true time no limit is ever exceeded."""
    remedies = (REST, remedy("walk", attempts=4, cool_real_seconds=600.0))
    world, true_ms, begun = a_bot(*remedies, healing__day_max=6), 0, []
    for act in acts:
        if isinstance(act, float):
            for _ in range(int(act) // 60 + 1):
                world, true_ms = go(world, ticked(world, 60)).world, true_ms + 60_000
            continue
        if isinstance(act, int):
            told = go(world, ClockJumped(at=max(1, world.at + act), by_ms=act))
        elif act == "crash":
            told = go(
                world,
                but(started(world.at), remedies=remedies, settings=world.settings),
                Recovered(at=world.at, snapshot_seq=0, tail=world.seq),
            )
            machines = {**told.world.machines, "process": world.machines["process"]}
            told = but(told, world=but(told.world, machines=machines))
        elif act in ("bad", "well"):
            told = found_bad(world) if act == "bad" else looked(world, well=True)
        else:
            keys = [k for k in world.attempts if world.state("run", k) == "RUNNING"]
            if not keys:
                continue
            told = go(world, Treated(at=world.at, run=keys[0], ok=act == "ok", said="s"))
        begun += [(effect.remedy, true_ms) for effect in told.effects(Heal)]
        world = told.world
        day = [one for one in begun if one[1] > true_ms - DAY_MS]
        assert len(day) <= 6
        for one in remedies:
            times = [at for name, at in begun if name == one.name]
            assert len([at for at in times if at > true_ms - DAY_MS]) <= one.attempts
            gaps = [b - a for a, b in pairwise(times)]
            assert all(gap >= one.cool_real_seconds * 1000 for gap in gaps)


def test_time_that_was_not_lived_does_not_count():
    world = a_bot(REST)
    before = world.healing.lived
    world = go(world, ticked(world, 86_400)).world
    assert world.healing.lived - before <= attempts.TICK_REAL_SECONDS_MAX * 1000
