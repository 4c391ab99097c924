"""Runs: an operator's command, from its proposal to the proof that it worked.

PROPOSED APPROVED RUNNING VERIFYING; ends DONE REFUSED FAILED ESCALATED EXPIRED. Invariants: a
command is refused with a sentence or verified by what the machines say, never assumed; a
tightening needs one person; a loosening needs a named person, a reason, and the kernel's word for
who asks; a tightening that does not verify in time escalates, anything else fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bot.core import account, alerts, healing, model_verbs, parameters, protection, slo
from bot.core.arguments import DESPITE, why_not_args
from bot.core.effects import Effect, Notify
from bot.core.events import Commanded, StopAsked, Ticked
from bot.core.guard import GUARD, cancel_entries
from bot.core.holds import HOLD
from bot.core.killswitch import KILL, rearm_blockers, still_open
from bot.core.machine import BORN, Level, Row, Table
from bot.core.permission import lowered
from bot.core.process import PROCESS
from bot.core.verb import RunState, Verb
from bot.core.world import ACCOUNT, Run

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


COMMANDS_REMEMBERED = 2_000


PROPOSED, APPROVED, RUNNING, VERIFYING, DONE, REFUSED, FAILED, ESCALATED, EXPIRED = RunState


def key_of(args: dict[str, str]) -> str:
    """Return the key of the machine that a command speaks to: a symbol or the account."""
    return args.get("symbol") or ACCOUNT


# -- the verbs -------------------------------------------------------------------------------------


def _unknown_symbol(world: World, event: Commanded) -> str | None:
    key = key_of(event.args)
    if key != ACCOUNT and key not in world.positions:
        known = ", ".join(sorted(world.positions)) or "none yet"
        return f"symbol: expected one of {known}; found {key!r}"
    return None


def _loosened(machine: str, state: str) -> Callable[[World, Run], str | None]:
    """Return the proof of a loosening: the state, and what holds entries down all the same."""

    def verified(world: World, run: Run) -> str | None:
        if world.state(machine, key_of(run.args)) != state:
            return None
        left = [why for level, why in lowered(world) if level < Level.REDUCED]
        return f"{machine} is {state}" + (
            f"; entries still wait: {'; '.join(left)}" if left else ""
        )

    return verified


def _state_is(machine: str, *states: str) -> Callable[[World, Run], str | None]:
    def verified(world: World, run: Run) -> str | None:
        state = world.state(machine, key_of(run.args))
        return f"{machine} is {state}" if state in states else None

    return verified


def _hold(turn: Turn, event: Commanded) -> None:
    turn.fire(HOLD, event, key_of(event.args))
    alerts.answered(turn, event)


def _why_not_hold(world: World, event: Commanded) -> str | None:
    if world.state("hold", key_of(event.args)) == "HELD":
        return f"hold {key_of(event.args)} is HELD already"
    return _unknown_symbol(world, event)


def _why_not_release(world: World, event: Commanded) -> str | None:
    state = world.state("hold", key_of(event.args))
    return (
        None
        if state == "HELD"
        else f"hold {key_of(event.args)} must be HELD, it is {state or 'FREE'}"
    )


def _why_not_reduce(world: World, event: Commanded) -> str | None:
    state = world.state("guard")
    if state == "NORMAL" or world.guard_before == "NORMAL":  # doubt alone lowered it
        return None
    return f"guard must be NORMAL, it is {state}"


def _reduce(turn: Turn, event: Commanded) -> None:
    if turn.fire(GUARD, event) is None:
        turn.set(guard_before="REDUCED")  # the end of the doubt gives no more than this


def _kill(turn: Turn, event: Commanded) -> None:
    turn.fire(KILL, event, key_of(event.args))


def _why_not_kill(world: World, event: Commanded) -> str | None:
    state = world.state("kill", key_of(event.args)) or "ARMED"
    if state != "ARMED":
        return f"kill switch {key_of(event.args)} is {state} already"
    return _unknown_symbol(world, event)


def _rearm(turn: Turn, event: Commanded) -> None:
    if turn.fire(KILL, event, key_of(event.args)) and key_of(event.args) == ACCOUNT:
        account.rebase(turn, event)
        turn.set(halt="")
    alerts.answered(turn, event)


def _why_not_rearm(world: World, event: Commanded) -> str | None:
    return "; ".join(rearm_blockers(world, key_of(event.args))) or None


def _flatten(turn: Turn, event: Commanded) -> None:
    for symbol in still_open(turn.world, key_of(event.args)):
        protection.leave(turn, symbol, f"{event.operator}: {event.reason}")


def _flat(world: World, run: Run) -> str | None:
    return None if still_open(world, key_of(run.args)) else "no position is open"


def _stop(turn: Turn, event: Commanded) -> None:
    begin_stop(turn, StopAsked(at=turn.world.at, cause=f"{event.operator}: {event.reason}"))


def begin_stop(turn: Turn, event: StopAsked) -> None:
    """Begin the safe shutdown: no more entries, and those on their way are cancelled."""
    if turn.fire(PROCESS, event):
        turn.emit_all(cancel_entries(turn.world, event, ACCOUNT))


def _why_not_stop(world: World, event: Commanded) -> str | None:
    state = world.state("process")
    return f"the process is {state} already" if state in ("DRAINING", "STOPPED") else None


def _stopped(world: World, run: Run) -> str | None:
    return "process is STOPPED" if world.state("process") == "STOPPED" else None


def _why_not_parameter(world: World, event: Commanded) -> str | None:
    return parameters.why_not(world, event.args)


def _parameter_set(world: World, run: Run) -> str | None:
    name = run.args["name"]
    return f"{name} is SET" if world.state("parameter", name) == "SET" else None


VERBS: dict[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "hold",
            "Open nothing new (account, or symbol=S).",
            True,
            _why_not_hold,
            _hold,
            _state_is("hold", "HELD"),
        ),
        Verb("release", "End a hold.", False, _why_not_release, _hold, _loosened("hold", "FREE")),
        Verb(
            "reduce",
            "Trade at reduced size until the guard recovers.",
            True,
            _why_not_reduce,
            _reduce,
            _state_is("guard", "REDUCED", "PAUSED"),
        ),
        Verb(
            "kill",
            "Trip the kill switch (account, or symbol=S).",
            True,
            _why_not_kill,
            _kill,
            _state_is("kill", "LATCHED"),
            30,
        ),
        Verb(
            "rearm",
            "Re-arm a latched kill switch; baselines are set anew.",
            False,
            _why_not_rearm,
            _rearm,
            _loosened("kill", "ARMED"),
        ),
        Verb(
            "flatten",
            "Close open positions (all, or symbol=S).",
            True,
            _unknown_symbol,
            _flatten,
            _flat,
            30,
        ),
        Verb("stop", "Safe shutdown.", True, _why_not_stop, _stop, _stopped, 60),
        Verb(
            "set-parameter",
            "Change a setting for a time: name=…, value=…, seconds=….",
            False,
            _why_not_parameter,
            parameters.set_parameter,
            _parameter_set,
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
    )
}
"""Every command there is; the CLI, the socket, and the console read this table."""


# -- the machine -----------------------------------------------------------------------------------


def proposed(world: World, event: Commanded, key: str) -> str:
    """An operator asked."""
    return f"{event.verb} by {event.operator} ({event.identity}): {event.reason}"


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
    return why_not_args(event) or verb.why_not(world, event) or _over_budget(world, event, verb)


def _over_budget(world: World, event: Commanded, verb: Verb) -> str | None:
    """Tell why a loosening has to wait for an objective, unless its operator knows of it."""
    if verb.tightens or event.args.get(DESPITE) == "budget":
        return None
    spent = slo.why_not_loosen(world)
    return (
        f"{spent}: nothing is loosened now; {DESPITE}=budget says that you know" if spent else None
    )


def approved(world: World, event: Commanded, key: str) -> str:
    """One named person is enough."""
    return f"{event.operator} may {event.verb}"


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
    Row(PROPOSED,               Commanded, approved, APPROVED),
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
    if step is None or step.dest != APPROVED:
        return
    verb = VERBS[event.verb]
    run = Run(
        event.verb,
        event.args,
        event.operator,
        event.identity,
        event.reason,
        turn.world.at,
        turn.world.at + grace_ms(turn.world, event.verb),
    )
    turn.put("runs", event.id, run)
    turn.fire(RUN, event, event.id)
    verb.act(turn, event)
    turn.fire(RUN, event, event.id)
    _finish(turn, event, event.id)


def grace_ms(world: World, verb: str) -> int:
    """Return how long a command may take to show, market ms."""
    return world.real_ms(VERBS[verb].within_seconds)


def tick(turn: Turn, event: Ticked) -> None:
    """See whether commands under way are verified or overdue."""
    for key in list(turn.world.runs):
        _finish(turn, event, key)


def _finish(turn: Turn, event: Commanded | Ticked, key: str) -> None:
    if turn.fire(RUN, event, key) and turn.world.instance_of("run", key) is None:
        turn.put("runs", key, None)
