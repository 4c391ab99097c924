"""Runs: an operator's command, from its proposal to the proof that it worked.

PROPOSED APPROVED RUNNING VERIFYING; ends DONE REFUSED FAILED ESCALATED EXPIRED. Invariants: a
command is refused with a sentence or verified by what the machines say, never assumed; a
tightening needs one person; a loosening needs a named person, a reason, and the kernel's word for
who asks, and the riskiest wait for a second person (``core.approvals``); each needs the role that
its verb names; a tightening that does not verify in time escalates, anything else fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.core import account_verbs, alerts, approvals, healing, model_verbs, parameters, roles, slo
from bot.core.approvals import call, declined, tell_end, unanswered
from bot.core.arguments import DESPITE, waits_for_budget, why_not_args
from bot.core.effects import Effect, Notify
from bot.core.events import Commanded, Ticked
from bot.core.machine import BORN, Row, Table
from bot.core.roles import ADMIN
from bot.core.run_events import Answered
from bot.core.verb import (
    APPROVED,
    DONE,
    ESCALATED,
    EXPIRED,
    FAILED,
    PROPOSED,
    REFUSED,
    RUNNING,
    VERIFYING,
    RunState,
    Verb,
)
from bot.core.world import Run

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


COMMANDS_REMEMBERED = 2_000


# -- the verbs -------------------------------------------------------------------------------------


def _why_not_parameter(world: World, event: Commanded) -> str | None:
    return parameters.why_not(world, event.args)


def _parameter_set(world: World, run: Run) -> str | None:
    name = run.args["name"]
    return f"{name} is SET" if world.state("parameter", name) == "SET" else None


def _answer(turn: Turn, event: Commanded) -> None:
    """Give a person's word to the run that waits for it; a command goes on at once."""
    key, yes = approvals.named(turn.world, event.args), event.verb == "approve"
    word = Answered(at=turn.world.at, granted=yes, operator=event.operator, reason=event.reason)
    step = turn.fire(RUN, word, key)
    if key not in turn.world.runs:
        return  # an attempt: ``attempts.answered`` goes on
    if step is None or step.dest != APPROVED:
        turn.put("runs", key, None)
        return
    limit = grace_ms(turn.world, turn.world.runs[key].verb)
    _begin(turn, approvals.granted(turn, key, word, limit))


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        *account_verbs.VERBS,
        Verb(
            "set-parameter",
            "Change a setting for a time: name=…, value=…, seconds=….",
            False,
            _why_not_parameter,
            parameters.set_parameter,
            _parameter_set,
            least=ADMIN,
            two_people=parameters.why_two,
        ),
        Verb(
            "ack",
            "Acknowledge an alert: alert=ID or its key; it is not sent again.",
            True,
            alerts.why_not_ack,
            alerts.answered,
            alerts.all_answered,
        ),
        *model_verbs.VERBS,
        Verb(
            "approve",
            "Be the person whose word a run waits for: run=ID.",
            False,
            approvals.why_not_approve,
            _answer,
            approvals.answered,
        ),
        Verb(
            "decline",
            "Say no to a run that waits for a word: run=ID.",
            True,
            approvals.why_not_answer,
            _answer,
            approvals.answered,
        ),
    )
}
"""Every command there is; the CLI, the socket, and the console read this table."""


# -- the machine -----------------------------------------------------------------------------------


def proposed(world: World, event: Commanded, key: str) -> str:
    """An operator asked."""
    who = f"{event.identity}, {event.role}" if event.role else event.identity
    return f"{event.verb} by {event.operator} ({who}): {event.reason}"


def too_late(world: World, event: Commanded, key: str) -> str | None:
    """It came later than it was good for."""
    late = event.expires_at and world.at > event.expires_at
    return f"it was good until {event.expires_at}, now is {world.at}" if late else None


def refused(world: World, event: Commanded, key: str) -> str | None:
    """Its needs are not met."""
    verb = VERBS.get(event.verb)
    if verb is None:
        return f"expected one of {', '.join(VERBS)}; found {event.verb!r}"
    if not event.reason.strip():
        return "expected a reason, found none"
    if not event.operator.strip():
        return "expected a named person, found none"
    if not verb.tightens and event.identity != "kernel":
        return f"{event.verb} loosens: it needs the running bot to see who asks; start it and ask again"
    return (
        roles.why_not(event, verb.least, event.verb)
        or why_not_args(event)
        or verb.why_not(world, event)
        or _over_budget(world, event)
        or approvals.why_not_wait(world, event, verb)
    )


def _over_budget(world: World, event: Commanded) -> str | None:
    """Tell why a loosening has to wait for an objective, unless its operator knows of it."""
    if not waits_for_budget(event.verb) or event.args.get(DESPITE) == "budget":
        return None
    spent = slo.why_not_loosen(world)
    return (
        f"{spent}: nothing is loosened now; {DESPITE}=budget says that you know" if spent else None
    )


def waits(world: World, event: Commanded, key: str) -> str | None:
    """It needs a second person."""
    return approvals.waits(world, event, VERBS[event.verb], key)


def approved(world: World, event: Commanded, key: str) -> str:
    """One named person is enough."""
    return f"{event.operator} may {event.verb}"


def unfit(world: World, event: Answered, key: str) -> str | None:
    """Its needs are not met any more."""
    if key in world.runs:
        return refused(world, approvals.asked(world, key), key)
    return healing.unfit(world, key)


def begun(world: World, event: Commanded, key: str) -> str:
    """It is being done."""
    return VERBS[event.verb].meaning


def acted(world: World, event: Commanded, key: str) -> str:
    """It was done; now it must show."""
    return "done; waiting to see it"


def verified(world: World, event: Commanded | Ticked, key: str) -> str | None:
    """The machines show it."""
    run = world.runs[key]
    return VERBS[run.verb].verified(world, run)


def _overdue(world: World, key: str) -> str | None:
    run = world.runs[key]
    return f"{run.verb} could not be verified in time" if world.at >= run.deadline else None


def escalate(world: World, event: Ticked, key: str) -> str | None:
    """A tightening could not be verified in time."""
    return _overdue(world, key) if VERBS[world.runs[key].verb].tightens else None


def fail(world: World, event: Ticked, key: str) -> str | None:
    """It could not be verified in time."""
    return _overdue(world, key)


def tell(world: World, event: Commanded | Ticked, key: str) -> Iterator[Effect]:
    """Tell people what an operator does."""
    run = world.runs.get(key)
    if run is not None:
        yield Notify(severity="info", text=f"{run.verb} by {run.operator}: {run.reason}")


def page(world: World, event: Ticked, key: str) -> Iterator[Effect]:
    """Call people: a tightening did not show."""
    run = world.runs[key]
    text = f"{run.verb} by {run.operator} is not verified: look now"
    yield Notify(severity="critical", text=text, runbook="not-verified")


# fmt: off
RUN = Table("run", RunState, (
    #   from                    on         when      to         then
    Row(BORN,                   Commanded, proposed, PROPOSED),
    Row(PROPOSED,               Commanded, too_late, EXPIRED),
    Row(PROPOSED,               Commanded, refused,  REFUSED),
    Row(PROPOSED,               Commanded, waits,    PROPOSED,   (call,)),
    Row(PROPOSED,               Commanded, approved, APPROVED),
    Row(PROPOSED,               Answered,  declined, REFUSED),
    Row(PROPOSED,               Answered,  unfit,    REFUSED),
    Row(PROPOSED,               Answered,  approvals.approved, APPROVED),
    Row(PROPOSED,               Ticked,    unanswered, EXPIRED,  (tell_end,)),
    Row(APPROVED,               Commanded, begun,    RUNNING),
    Row(RUNNING,                Commanded, acted,    VERIFYING,  (tell,)),
    Row(VERIFYING,              Commanded, verified, DONE),
    Row(VERIFYING,              Ticked,    verified, DONE),
    Row(VERIFYING,              Ticked,    escalate, ESCALATED,  (page,)),
    Row(VERIFYING,              Ticked,    fail,     FAILED),
    *healing.ROWS,
), key="command id", final=frozenset({DONE, REFUSED, FAILED, ESCALATED, EXPIRED}))
# fmt: on


def command(turn: Turn, event: Commanded) -> None:
    """Carry a command from its proposal as far as it goes at once. A repeated id is ignored."""
    if event.id in turn.world.commands:
        return
    turn.set(commands=(*turn.world.commands[-COMMANDS_REMEMBERED:], event.id))
    turn.fire(RUN, event, event.id)
    step = turn.fire(RUN, event, event.id)
    if step is None or step.dest in RUN.final:
        return
    turn.put("runs", event.id, _run_of(turn.world, event, waits=step.dest == PROPOSED))
    if step.dest == APPROVED:
        _begin(turn, event)


def _begin(turn: Turn, event: Commanded) -> None:
    """Carry out a command that is APPROVED, and see whether it shows at once."""
    turn.fire(RUN, event, event.id)
    VERBS[event.verb].act(turn, event)
    turn.fire(RUN, event, event.id)
    _finish(turn, event, event.id)


def _run_of(world: World, event: Commanded, *, waits: bool) -> Run:
    """Return what is remembered of a command under way, or of one that waits for a word."""
    return Run(
        event.verb,
        event.args,
        event.operator,
        event.identity,
        event.reason,
        world.at,
        world.at + (approvals.limit_ms(world) if waits else grace_ms(world, event.verb)),
        role=event.role,
        uid=event.uid,
        needs=approvals.OTHER if waits else "",
        least=VERBS[event.verb].least,
    )


def grace_ms(world: World, verb: str) -> int:
    """Return how long a command may take to show, market ms."""
    return world.real_ms(VERBS[verb].within_seconds)


def limit_ms(world: World, key: str) -> int:
    """Return how long a run may stay as it is: waiting for a word, or taking to show, market ms."""
    run = world.runs[key]
    return approvals.limit_ms(world) if run.needs else grace_ms(world, run.verb)


def tick(turn: Turn, event: Ticked) -> None:
    """See whether commands under way are verified or overdue."""
    for key in list(turn.world.runs):
        _finish(turn, event, key)


def _finish(turn: Turn, event: Commanded | Ticked, key: str) -> None:
    if turn.fire(RUN, event, key) and turn.world.instance_of("run", key) is None:
        turn.put("runs", key, None)
