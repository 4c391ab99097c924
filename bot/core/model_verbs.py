"""What people may do with models: promote and requalify loosen; roll back, quarantine, retire tighten."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core import models
from bot.core.models import CANDIDATE, CHAMPION, QUARANTINED, RETIRED, ROLLED_BACK, SHADOW
from bot.core.roles import ADMIN
from bot.core.verb import Verb
from bot.core.world import Heir

if TYPE_CHECKING:
    from bot.core.events import Commanded
    from bot.core.turn import Turn
    from bot.core.world import Run, World

WITHIN_SECONDS = 30.0
"""A verification may take its whole time before a promotion shows."""


def _model(source: Commanded | Run) -> str:
    return source.args.get("model", "")


def _from(*states: str) -> Callable[[World, Commanded], str | None]:
    """Return the question why a command may not be given: a model in one of these states."""

    def why_not(world: World, event: Commanded) -> str | None:
        model = _model(event)
        state = world.state("model", model)
        if state in states:
            return None
        found = f"{models.short(model)} is {state}" if state else f"no model {model!r} is known"
        return f"model: expected one that is {' or '.join(states)}; {found}"

    return why_not


def _is(*states: str) -> Callable[[World, Run], str | None]:
    def verified(world: World, run: Run) -> str | None:
        state = world.state("model", _model(run))
        return f"model {models.short(_model(run))} is {state}" if state in states else None

    return verified


def _why_not_promote(world: World, event: Commanded) -> str | None:
    why = _from(SHADOW, RETIRED, ROLLED_BACK)(world, event)
    if why:
        return why
    if world.heir is not None:
        return f"model {models.short(world.heir.model)} is about to become champion"
    skill, least = world.models[_model(event)].skill, world.settings.models.skill_min
    if not skill >= least:
        return (
            f"Brier skill {skill:+.4f} on held-out candles is under {least:+.4f} (models.skill_min)"
        )
    return None


def _promote(turn: Turn, event: Commanded) -> None:
    why = f"promoted by {event.operator}: {event.reason}"
    turn.set(heir=Heir(_model(event), why, back=False))
    models.check(turn, _model(event))


def _why_not_rollback(world: World, event: Commanded) -> str | None:
    return None if models.champion(world) else "there is no champion to roll back"


def _rollback(turn: Turn, event: Commanded) -> None:
    turn.fire(models.MODEL, event, models.champion(turn.world))
    models.succeed(turn, f"{event.operator} rolled back: {event.reason}")


def _rolled_back(world: World, run: Run) -> str | None:
    """The champion is gone; while a bot runs, the one before has come back or failed, too."""
    heir = world.heir
    if heir is not None and run.identity == "kernel":
        return None
    if heir is not None:
        return f"rolled back; {models.short(heir.model)} follows at the next start, if it verifies"
    now = models.champion(world)
    return f"champion is {models.short(now)}" if now else "rolled back; there is no champion"


def _quarantine(turn: Turn, event: Commanded) -> None:
    was_champion = _model(event) == models.champion(turn.world)
    turn.fire(models.MODEL, event, _model(event))
    if was_champion:
        models.succeed(turn, f"{event.operator} quarantined it: {event.reason}")
    models.bound(turn)


def _retire(turn: Turn, event: Commanded) -> None:
    turn.fire(models.MODEL, event, _model(event))
    models.bound(turn)


def _requalify(turn: Turn, event: Commanded) -> None:
    why = f"requalified by {event.operator}: {event.reason}"
    known = turn.world.models[_model(event)]
    turn.put("models", _model(event), replace(known, requalify=why))
    models.check(turn, _model(event))


# fmt: off
VERBS = (
    Verb("promote", "Make a model the champion: model=ID. It still gates no trade.", False,
         _why_not_promote, _promote, _is(CHAMPION), WITHIN_SECONDS, ADMIN),
    Verb("rollback", "Take the champion away; the one before comes back if its files verify.", True,
         _why_not_rollback, _rollback, _rolled_back, WITHIN_SECONDS),
    Verb("quarantine", "Use a model no more, as one that failed: model=ID.", True,
         _from(CANDIDATE, SHADOW, CHAMPION), _quarantine, _is(QUARANTINED)),
    Verb("retire", "Put a model that scores in shadow into the archive: model=ID.", True,
         _from(CANDIDATE, SHADOW), _retire, _is(RETIRED, "")),
    Verb("requalify", "Give a quarantined model another chance in shadow: model=ID.", False,
         _from(QUARANTINED), _requalify, _is(SHADOW), WITHIN_SECONDS),
)
# fmt: on
"""The commands on models."""
