"""What people may do with the account and its symbols: hold, reduce, kill, flatten, stop tighten; release and rearm loosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bot.core import account, alerts, protection
from bot.core.events import StopAsked
from bot.core.guard import GUARD, cancel_entries
from bot.core.holds import HOLD
from bot.core.killswitch import KILL, rearm_blockers, still_open
from bot.core.machine import Level
from bot.core.permission import lowered
from bot.core.process import PROCESS
from bot.core.roles import ADMIN
from bot.core.verb import Verb
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.events import Commanded
    from bot.core.turn import Turn
    from bot.core.world import Run, World


def key_of(args: dict[str, str]) -> str:
    """Return the key of the machine that a command speaks to: a symbol or the account."""
    return args.get("symbol") or ACCOUNT


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


def _rearms_account(world: World, event: Commanded) -> str | None:
    """For the account, not for a symbol."""
    return "it re-arms the account's kill switch" if key_of(event.args) == ACCOUNT else None


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


VERBS = (
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
        least=ADMIN,
        two_people=_rearms_account,
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
)
"""The commands on the account."""
