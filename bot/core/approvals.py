"""Approvals: a run that waits for a person's word, and what becomes of it when that is given.

Invariants: what waits does nothing and is remembered; it ends by a word, or by its time; where a
second person is needed, that is another account than the first, and never root, which is nobody's
own; whoever approves has the role that the run itself needs; at the approval all its needs are
asked again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bot.core import roles, slo
from bot.core.arguments import DESPITE
from bot.core.effects import Effect, Notify
from bot.core.events import Commanded, Ticked
from bot.core.roles import ADMIN
from bot.core.run_events import Answered
from bot.core.verb import PROPOSED, Verb

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Run, World

ONE, OTHER = "one", "other"
"""Whose word a run waits for: any person's who may, or that of another than who proposed it."""
ROOT = 0


class Waiting(Struct, frozen=True):
    """A run that waits for a word: what was proposed, by whom, and who may give the word."""

    what: str
    by: str
    needs: str
    least: str
    uid: int = -1


def waiting(world: World) -> dict[str, Waiting]:
    """Return what waits for a person's word, by the id of its run."""
    found = {
        key: Waiting(run.verb, run.operator, run.needs, run.least, run.uid)
        for key, run in world.runs.items()
        if run.needs
    }
    return found | {
        key: Waiting(attempt.remedy, "the bot", ONE, ADMIN)
        for key, attempt in world.attempts.items()
        if world.state("run", key) == PROPOSED
    }


def short(run: str) -> str:
    """Return as much of a run's id as people need; an attempt's says where it comes from."""
    return run if run.startswith("heal-") else run[:8]


def named(world: World, args: dict[str, str]) -> str:
    """Return the id of the run that waits and is meant, "" if that is not exactly one."""
    name, known = args.get("run", ""), waiting(world)
    found = [key for key in known if name and key.startswith(name)]
    return name if name in known else found[0] if len(found) == 1 else ""


# -- before it waits -------------------------------------------------------------------------------


def why_two(world: World, event: Commanded, verb: Verb) -> str | None:
    """Tell why one person is not enough, or None."""
    if not world.settings.roles.two:
        return None
    spent = slo.why_not_loosen(world) if event.args.get(DESPITE) == "budget" else None
    return f"it loosens although {spent}" if spent else verb.two_people(world, event)


def why_not_wait(world: World, event: Commanded, verb: Verb) -> str | None:
    """Tell why a command that needs a second person cannot even wait for one, or None."""
    if event.id in world.runs or why_two(world, event, verb) is None:
        return None
    if event.uid <= ROOT:
        return (
            f"{event.verb} needs two people, who are told apart by their accounts: "
            f"expected a person's own, found {event.operator} (roles.two_people)"
        )
    most = world.settings.roles.waiting_max
    found = {key: run for key, run in world.runs.items() if run.needs}
    for key, run in found.items():
        if (run.verb, run.args) == (event.verb, event.args):
            return f"{run.operator} proposed the same: approve or decline run={short(key)}"
    if len(found) >= most:
        return f"expected at most {most} commands that wait for a word, found {len(found)}"
    return None


def waits(world: World, event: Commanded, verb: Verb, key: str) -> str | None:
    """Tell what a command waits for, or None if it need not."""
    why = why_two(world, event, verb)
    if why is None:
        return None
    seconds = world.settings.roles.approve_real_seconds
    return (
        f"{event.verb} by {event.operator} needs a second person, for {why}: "
        f"`bot do approve run={short(key)}` within {seconds:g} s"
    )


def call(world: World, event: Commanded, key: str) -> Iterator[Effect]:
    """Call for the second person; it cannot wait for the end of quiet hours."""
    text = (
        f"{event.verb} {_told(event.args)}proposed by {event.operator}: {event.reason}; "
        f"needs a second person: bot do approve run={short(key)}"
    )
    yield Notify(severity="warning", text=text, latch=True, runbook="second-person")


def _told(args: dict[str, str]) -> str:
    return "".join(f"{name}={value} " for name, value in sorted(args.items()))


def limit_ms(world: World) -> int:
    """Return how long a run may wait for a word, market ms."""
    return world.real_ms(world.settings.roles.approve_real_seconds)


# -- the word --------------------------------------------------------------------------------------


def why_not_answer(world: World, event: Commanded) -> str | None:
    """Tell why there is nothing to say yes or no to, or None."""
    if named(world, event.args):
        return None
    known = ", ".join(short(key) for key in waiting(world)) or "none waits"
    return f"run: expected one that waits for a word ({known}); found {event.args.get('run', '')!r}"


def why_not_approve(world: World, event: Commanded) -> str | None:
    """Tell why somebody may not say yes, or None."""
    why = why_not_answer(world, event)
    if why:
        return why
    run = waiting(world)[named(world, event.args)]
    if why := roles.why_not(event, run.least, f"{run.what}, which it would approve"):
        return why
    if run.needs == OTHER and event.uid in (run.uid, ROOT, -1):
        return (
            f"expected another person than {run.by} (uid {run.uid}), in an account of their "
            f"own; found {event.operator} (uid {event.uid})"
        )
    return None


def answered(world: World, run: Run) -> str | None:
    """The run waits no more."""
    return None if named(world, run.args) else f"run {run.args['run']} waits no more"


def granted(turn: Turn, key: str, word: Answered, limit_ms: int) -> Commanded:
    """Take a yes down; return the command as it is carried out now, in both names."""
    run = turn.world.runs[key]
    by = f"{run.operator}, approved by {word.operator}"
    deadline = turn.world.at + limit_ms
    turn.put("runs", key, replace(run, operator=by, needs="", deadline=deadline))
    return asked(turn.world, key)


def asked(world: World, key: str) -> Commanded:
    """Return the command of a run as if it came again now."""
    run = world.runs[key]
    return Commanded(
        at=world.at,
        id=key,
        verb=run.verb,
        args=run.args,
        operator=run.operator,
        identity=run.identity,
        reason=run.reason,
        expires_at=0,
        role=run.role,
        uid=run.uid,
    )


# -- what the table of runs asks -------------------------------------------------------------------


def declined(world: World, event: Answered, key: str) -> str | None:
    """A person said no."""
    return None if event.granted else f"declined by {event.operator}: {event.reason}"


def approved(world: World, event: Answered, key: str) -> str:
    """A person said yes."""
    return f"approved by {event.operator}: {event.reason}"


def unanswered(world: World, event: Ticked, key: str) -> str | None:
    """Nobody said a word in time."""
    run = world.runs.get(key)
    if run is None or not run.needs or world.at < run.deadline:
        return None
    return f"nobody approved it within {world.settings.roles.approve_real_seconds:g} s"


def tell_end(world: World, event: Ticked, key: str) -> Iterator[Effect]:
    """Tell those who were called that nobody answered."""
    run = world.runs.get(key)
    if run is not None:
        text = f"{run.verb} by {run.operator} was not done: {unanswered(world, event, key)}"
        yield Notify(severity="warning", text=text, runbook="second-person")
