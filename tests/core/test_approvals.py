"""The riskiest loosenings wait for a second person; what waits is remembered, and ends in time."""

import msgspec
import pytest

from bot.core.account_verbs import key_of
from bot.core.arguments import ARGUMENTS, DESPITE
from bot.core.effects import Notify
from bot.core.events import ClockJumped, Commanded
from bot.core.machine import Instance
from bot.core.runs import VERBS
from bot.core.settings import Settings
from bot.core.world import Run, Spell
from bot.engine.offline import OFFLINE
from bot.store import snapshots
from tests.given import MINUTE, a_world, answered, but, commanded, go, opening_events, ticked, tuned

ANNA = {"operator": "anna", "uid": 1001, "role": "admin"}
BO = {"operator": "bo", "uid": 1002, "role": "admin"}
TWO = tuned(roles__two_people="on")
ID = "0123456789abcdef"


def killed(settings=TWO):
    """A world whose account was killed and is flat."""
    world = answered(a_world(settings=settings))
    told = go(world, commanded(world, "kill"), ticked(world))
    world = answered(told.world)
    assert world.state("kill") == "LATCHED"
    return world


def proposed(settings=TWO):
    """The same world, with anna's proposal to re-arm it."""
    world = killed(settings)
    return go(world, commanded(world, "rearm", id=ID, reason="it is over", **ANNA)).world


def path(told, run=ID):
    return [s.dest for s in told.steps if (s.machine, s.key) == ("run", run)]


def answer(world, verb, run=ID[:8], **who):
    return go(world, commanded(world, verb, run=run, **(BO | who)))


def last_reason(told, run=ID):
    return [s.reason for s in told.steps if (s.machine, s.key) == ("run", run)][-1]


def own(told):
    """Return why the newest command of the answer itself came where it is."""
    return [s for s in told.steps if s.machine == "run" and s.key != ID][-1]


# -- waiting ---------------------------------------------------------------------------------------


def test_what_needs_two_people_waits_and_people_are_called():
    world = killed()
    told = go(world, commanded(world, "rearm", id=ID, reason="it is over", **ANNA))
    assert path(told) == ["PROPOSED", "PROPOSED"]
    assert told.reason("run") == (
        "rearm by anna needs a second person, for it re-arms the account's kill switch: "
        "`bot do approve run=01234567` within 900 s"
    )
    assert told.world.state("kill") == "LATCHED"
    (call,) = [n for n in told.effects(Notify) if n.channel == "screen"]
    assert (call.severity, call.latch) == ("warning", True), "quiet hours do not hold it back"
    assert call.text == (
        "rearm proposed by anna: it is over; needs a second person: bot do approve run=01234567"
    )


def test_another_person_approves_and_it_is_done_in_both_names():
    told = answer(proposed(), "approve", reason="I looked")
    assert path(told) == ["APPROVED", "RUNNING", "VERIFYING", "DONE"]
    assert told.world.state("kill") == "ARMED"
    assert told.reason("kill").startswith("anna, approved by bo: it is over; baselines")
    assert [s.reason for s in told.steps if s.dest == "APPROVED" and s.key == ID] == [
        "approved by bo: I looked"
    ]
    assert (own(told).dest, own(told).reason) == ("DONE", "run 01234567 waits no more")
    assert told.world.runs == {}


def test_another_person_declines_and_it_is_refused_with_who_and_why():
    told = answer(proposed(), "decline", reason="not yet", role="operator")
    assert (path(told), last_reason(told)) == (["REFUSED"], "declined by bo: not yet")
    assert (told.world.state("kill"), told.world.runs) == ("LATCHED", {})


def test_who_proposed_it_may_take_it_back_and_may_not_approve_it():
    world = proposed()
    told = answer(world, "approve", **ANNA)
    assert own(told).dest == "REFUSED"
    assert own(told).reason == (
        "expected another person than anna (uid 1001), in an account of their own; found anna (uid 1001)"
    )
    assert told.world.state("kill") == "LATCHED"
    assert path(answer(world, "decline", **ANNA)) == ["REFUSED"]


@pytest.mark.parametrize("who", [{"uid": 0, "operator": "root"}, {"uid": -1}])
def test_root_is_no_second_person_and_no_first(who):
    told = answer(proposed(), "approve", **who)
    assert (own(told).dest, told.world.state("kill")) == ("REFUSED", "LATCHED")
    world = killed()
    told = go(world, commanded(world, "rearm", id=ID, **(ANNA | who)))
    assert path(told) == ["PROPOSED", "REFUSED"]
    assert told.reason("run").startswith("rearm needs two people, who are told apart by their acc")


def test_who_approves_needs_the_role_of_what_is_approved():
    told = answer(proposed(), "approve", role="operator")
    assert own(told).reason == (
        "expected role admin for rearm, which it would approve, found operator (uid 1002)"
    )


def test_what_nobody_answers_expires():
    world = proposed()
    assert path(go(world, ticked(world, 899))) == []
    told = go(world, ticked(world, 900))
    assert (path(told), last_reason(told)) == (["EXPIRED"], "nobody approved it within 900 s")
    assert told.world.runs == {}
    said = "rearm by anna was not done: nobody approved it within 900 s"
    assert said in [n.text for n in told.effects(Notify)]
    late = answer(told.world, "approve")
    assert own(late).reason == (
        "run: expected one that waits for a word (none waits); found '01234567'"
    )
    assert late.world.state("kill") == "LATCHED"


def test_what_is_no_longer_possible_is_refused_at_the_approval():
    world = proposed()
    gone = but(
        world,
        machines={**world.machines, "kill": {"account": Instance("TRIPPED", 9, world.at, "again")}},
    )
    told = answer(gone, "approve")
    assert path(told) == ["REFUSED"]
    assert "the switch must be LATCHED, it is TRIPPED" in last_reason(told)


def test_the_same_is_not_proposed_twice_and_no_crowd_waits():
    world = proposed()
    told = go(world, commanded(world, "rearm", **BO))
    assert told.reason("run") == "anna proposed the same: approve or decline run=01234567"
    one = but(world, settings=tuned(TWO, roles__waiting_max=1))
    wide = commanded(one, "set-parameter", value=2.5, seconds=60, **BO)
    wide = but(wide, args={**wide.args, "name": "risk.leverage_max"})
    tight = tuned(one.settings, risk__leverage_max=2.0)
    told = go(but(one, base=tight, settings=tight), wide)
    assert told.reason("run") == "expected at most 1 commands that wait for a word, found 1"


def test_a_proposal_that_waits_survives_a_restart_and_an_old_snapshot_loads():
    world = msgspec.json.decode(snapshots.pack(proposed()), type=type(proposed()))
    again = go(world, *opening_events(settings=TWO, at=world.at)).world
    assert path(answer(again, "approve")) == ["APPROVED", "RUNNING", "VERIFYING", "DONE"]
    old = b'{"verb":"kill","args":{},"operator":"ana","identity":"kernel","reason":"r","started_at":1,"deadline":2}'
    assert msgspec.json.decode(old, type=Run).needs == ""


def test_a_clock_set_back_gives_nobody_longer():
    world = proposed()
    back = go(world, ClockJumped(at=world.at - 60 * MINUTE, by_ms=-60 * MINUTE)).world
    assert path(go(back, ticked(back, 899))) == []
    assert path(go(back, ticked(back, 900))) == ["EXPIRED"]


# -- what needs two --------------------------------------------------------------------------------


def setting(world, name, value, **more):
    event = commanded(world, "set-parameter", id=ID, seconds=60, value=value, **more)
    return go(world, but(event, args={**event.args, "name": name}))


@pytest.mark.parametrize(
    ("name", "value", "waits"),
    [
        ("risk.leverage_max", "2.5", "it loosens risk.leverage_max from 2 to 2.5"),
        ("risk.confidence_min", "0.65", "it loosens risk.confidence_min from 0.7 to 0.65"),
        ("risk.leverage_max", "1.5", None),
        ("risk.confidence_min", "0.8", None),
        ("strategy.take_atr", "4.0", None),
        ("models.scoring", "false", None),
    ],
)
def test_a_limit_looser_than_the_file_says_needs_two_people(name, value, waits):
    limits = tuned(TWO, risk__leverage_max=2.0, risk__confidence_min=0.7)
    told = setting(answered(a_world(settings=limits)), name, value, **ANNA)
    assert path(told)[-1] == ("PROPOSED" if waits else "DONE")
    assert waits is None or waits in told.reason("run")


def test_who_may_do_what_is_no_parameter():
    told = setting(answered(a_world(settings=TWO)), "roles.two_people", "off", **ANNA)
    assert told.reason("run") == (
        "name: expected a setting that may change at run time, found 'roles.two_people'"
    )


def test_an_approved_parameter_holds_from_the_approval_on():
    limits = tuned(TWO, risk__leverage_max=2.0)
    world = setting(answered(a_world(settings=limits)), "risk.leverage_max", "2.5", **ANNA).world
    world = go(world, ticked(world, 100)).world
    told = answer(world, "approve")
    assert told.world.settings.risk.leverage_max == 2.5
    override = told.world.parameters["risk.leverage_max"]
    assert (override.operator, override.expires_at) == ("anna, approved by bo", world.at + 60_000)


def test_loosening_although_a_budget_is_spent_needs_two_people():
    world = go(world := answered(a_world(settings=TWO)), commanded(world, "hold")).world
    plain = go(world, commanded(world, "release", despite="budget", **ANNA))
    assert plain.world.state("hold") == "FREE", "no budget is spent: one person is enough"
    spells = {"data": (Spell(world.at // 3_600_000, 7_200_000 * 4, 7_200_000 * 4),)}
    spent = but(world, health=but(world.health, spells=spells))
    told = go(spent, commanded(spent, "release", id=ID, despite="budget", **ANNA))
    assert path(told) == ["PROPOSED", "PROPOSED"]
    assert "it loosens although objective data" in told.reason("run")
    done = answer(told.world, "approve")
    assert (path(done)[-1], done.world.state("hold")) == ("DONE", "FREE")


@pytest.mark.parametrize("symbol", ["", "BTCUSDT"])
def test_one_person_is_enough_where_two_are_not_asked_for(symbol):
    settings = Settings() if not symbol else TWO
    world = answered(a_world(settings=settings))
    args = {"symbol": symbol} if symbol else {}
    world = answered(go(world, commanded(world, "kill", **args), ticked(world)).world)
    told = go(world, commanded(world, "rearm", id=ID, **args, **ANNA))
    assert (path(told)[-1], told.world.state("kill", key_of(args))) == ("DONE", "ARMED")


@pytest.mark.parametrize(
    ("group", "told", "two"),
    [
        ("", "auto", False),
        ("bot-admin", "auto", True),
        ("bot-admin", "off", False),
        ("", "on", True),
    ],
)
def test_two_people_are_asked_for_where_admins_have_a_group_or_the_file_says_so(group, told, two):
    assert tuned(roles__admins_group=group, roles__two_people=told).roles.two is two


# -- roles -----------------------------------------------------------------------------------------

RANKS = ["viewer", "operator", "admin"]


@pytest.mark.parametrize("role", RANKS)
@pytest.mark.parametrize("verb", VERBS.values(), ids=lambda verb: verb.name)
def test_a_command_needs_the_role_that_its_verb_names(verb, role):
    world = a_world()
    told = go(world, commanded(world, verb.name, role=role, uid=1001))
    why = f"expected role {verb.least} for {verb.name}, found {role} (uid 1001)"
    enough = RANKS.index(role) >= RANKS.index(verb.least)
    assert (told.reason("run") == why) is not enough
    assert enough or [s.dest for s in told.steps] == ["PROPOSED", "REFUSED"]


def test_tightening_never_needs_an_admin_and_a_viewer_commands_nothing():
    assert {verb.least for verb in VERBS.values()} == {"operator", "admin"}
    for verb in VERBS.values():
        assert verb.least == "operator" or not verb.tightens
    assert {VERBS[name].least for name in OFFLINE} == {"operator"}


def test_what_loosens_is_weighed_against_the_budgets_except_a_word_on_what_is():
    loosens = {verb.name for verb in VERBS.values() if not verb.tightens}
    weighed = {name for name, known in ARGUMENTS.items() if DESPITE in known}
    assert weighed == loosens - {"approve"}


def test_a_command_of_an_old_journal_is_decided_as_it_was():
    old = b'{"type":"Commanded","at":1,"id":"c","verb":"rearm","args":{},"operator":"ana","identity":"kernel","reason":"r","expires_at":0}'
    event = msgspec.json.decode(old, type=Commanded)
    world = killed(Settings())
    told = go(world, but(event, at=world.at))
    assert (path(told, "c")[-1], told.steps[0].reason) == ("DONE", "rearm by ana (kernel): r")
