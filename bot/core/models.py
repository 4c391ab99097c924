"""Models: a trained belief, from candidate to champion and out again. Key: model id (a content hash).

CANDIDATE waits for its verification; SHADOW and CHAMPION are asked at each candle and only scored;
RETIRED and ROLLED_BACK rest in the archive; QUARANTINED failed; DISCARDED has no files any more.
Invariants: no model gates a trade; at most one is CHAMPION, and only a named person makes one, or
the champion before comes back; whoever becomes champion was verified just before; what a person
rolled back or what failed never comes back by itself; shadows and archive are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from bot.core.asking import pending
from bot.core.effects import DiscardModel, Effect, Notify, VerifyModel
from bot.core.events import Commanded, Measured, Started
from bot.core.facts import ModelRecorded, ScoreKept
from bot.core.machine import BORN, Row, Table
from bot.core.model_events import (
    ModelDisplaced,
    ModelRefused,
    ModelsScored,
    ModelVerified,
    TrainingEnded,
)
from bot.core.turn import ScoreQuestion
from bot.core.world import Heir, Model

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

CONSTANT = 1e-9
"""Scores closer than this over a whole window say nothing about the market."""


class ModelState(StrEnum):
    """How far a model is trusted."""

    CANDIDATE = "CANDIDATE"
    SHADOW = "SHADOW"
    CHAMPION = "CHAMPION"
    RETIRED = "RETIRED"
    ROLLED_BACK = "ROLLED_BACK"
    QUARANTINED = "QUARANTINED"
    DISCARDED = "DISCARDED"


CANDIDATE, SHADOW, CHAMPION, RETIRED, ROLLED_BACK, QUARANTINED, DISCARDED = ModelState
ASKED = (SHADOW, CHAMPION)
ARCHIVED = (RETIRED, ROLLED_BACK, QUARANTINED)


# -- what is known ---------------------------------------------------------------------------------


def short(model: str) -> str:
    """Return as much of an id as people need."""
    return model[:12]


def standing(world: World, *states: str) -> list[str]:
    """Return the models in these states, the one that moved longest ago first."""
    known = world.machines.get("model", {})
    found = [(known[key].since, key) for key in known if known[key].state in states]
    return [key for _, key in sorted(found)]


def wanted(world: World) -> set[str]:
    """Return the models that are asked, or may be as soon as what is known is written down."""
    found = {*standing(world, CANDIDATE, *ASKED)}
    found |= {key for key, model in world.models.items() if model.requalify}
    return found | ({world.heir.model} if world.heir else set())


def champion(world: World) -> str:
    """Return the champion's id, "" if there is none."""
    return next(iter(standing(world, CHAMPION)), "")


def age_ms(world: World, model: str) -> int | None:
    """Return the age of the newest candle that a model learnt from, None if that is not known."""
    known = world.models.get(model)
    return max(0, world.at - known.trained_to) if known and known.trained_to else None


def previous(world: World) -> str:
    """Return the champion before that was replaced, not taken away; "" if there is none."""
    found = [
        (world.models[key].crowned_at, key)
        for key in standing(world, RETIRED)
        if key in world.models and world.models[key].crowned_at
    ]
    return max(found)[1] if found else ""


# -- the machine -----------------------------------------------------------------------------------


def made(world: World, event: TrainingEnded, key: str) -> str | None:
    """A training made it."""
    return f"made by training {event.run} from {event.rows} rows" if event.model else None


def crowned(world: World, event: ModelVerified, key: str) -> str | None:
    """It was chosen as champion, and its files verify."""
    return world.heir.why if world.heir and world.heir.model == key else None


def shadowed(world: World, event: ModelVerified, key: str) -> str:
    """Its files verify."""
    return f"verified; Brier skill {event.skill:+.4f} on held-out candles; scores in shadow"


def requalified(world: World, event: ModelVerified, key: str) -> str | None:
    """A named person wants it back, and its files verify."""
    return world.models[key].requalify or None


def refused(world: World, event: ModelRefused, key: str) -> str:
    """Its files do not verify."""
    return event.reason


def unsound(world: World, event: ModelsScored, key: str) -> str | None:
    """Too many of its votes had to be dropped, or it always says the same."""
    limits, recent = world.settings.models, world.models[key].recent
    faults = [score.fault for score in event.scores if score.model == key and score.fault]
    count = sum(value is None for value in recent)
    if faults and count >= limits.faults_max:
        return f"{count} of the last {len(recent)} votes were dropped, the last one: {faults[0]}"
    values = [value for value in recent if value is not None]
    if len(values) >= limits.window and max(values) - min(values) < CONSTANT:
        return f"the last {len(values)} scores are all {values[-1]:g}"
    return None


def displaced(world: World, event: ModelDisplaced, key: str) -> str:
    """Another model took its place."""
    return event.reason


def asked(verb: str) -> Any:
    """Return the predicate that a named person asked for this verb."""

    def told(world: World, event: Commanded, key: str) -> str | None:
        return f"{event.operator}: {event.reason}" if event.verb == verb else None

    told.__doc__ = f"A named person asks for {verb}"
    return told


def verify(world: World, event: object, key: str) -> Iterator[Effect]:
    """Have its files checked."""
    yield VerifyModel(model=key)


def discard(world: World, event: object, key: str) -> Iterator[Effect]:
    """Delete its files."""
    yield DiscardModel(model=key)


def tell(world: World, event: Commanded | ModelVerified, key: str) -> Iterator[Effect]:
    """Tell people who is champion now, or no longer."""
    now = "is CHAMPION" if isinstance(event, ModelVerified) else "is no longer in use"
    text = f"model {short(key)}, {world.state('model', key)} until now, {now}"
    yield Notify(severity="info", text=text)


def alarm(world: World, event: ModelRefused | ModelsScored, key: str) -> Iterator[Effect]:
    """Call people's attention to a model that failed."""
    if isinstance(event, ModelRefused):
        why: str | None = refused(world, event, key)
    else:
        why = unsound(world, event, key)
    text = f"model {short(key)} ({world.state('model', key)}) is QUARANTINED: {why}"
    yield Notify(severity="warning", text=text, runbook="model")


# fmt: off
LIVING = (CANDIDATE, SHADOW, CHAMPION, RETIRED, ROLLED_BACK)
MODEL = Table("model", ModelState, (
    #   from                    on              when                 to           then
    Row(BORN,                   TrainingEnded,  made,                CANDIDATE,   (verify,)),
    Row((SHADOW, RETIRED, ROLLED_BACK), ModelVerified, crowned,      CHAMPION,    (tell,)),
    Row(CANDIDATE,              ModelVerified,  shadowed,            SHADOW),
    Row(QUARANTINED,            ModelVerified,  requalified,         SHADOW),
    Row(LIVING,                 ModelRefused,   refused,             QUARANTINED, (alarm,)),
    Row(ASKED,                  ModelsScored,   unsound,             QUARANTINED, (alarm,)),
    Row(CHAMPION,               Commanded,      asked("rollback"),   ROLLED_BACK, (tell,)),
    Row((CANDIDATE, *ASKED),    Commanded,      asked("quarantine"), QUARANTINED, (tell,)),
    Row((CANDIDATE, SHADOW),    Commanded,      asked("retire"),     RETIRED),
    Row(ASKED,                  ModelDisplaced, displaced,           RETIRED),
    Row(ARCHIVED,               ModelDisplaced, displaced,           DISCARDED,   (discard,)),
), key="model id", final=frozenset({DISCARDED}))
# fmt: on


# -- what happens ----------------------------------------------------------------------------------


def started(turn: Turn, event: Started) -> None:
    """Trust no file because an earlier process did: whatever is to be asked is checked anew."""
    known = {key: replace(model, loaded=False) for key, model in turn.world.models.items()}
    turn.set(models=known)
    for key in standing(turn.world, *ASKED):
        check(turn, key)


def check(turn: Turn, model: str) -> None:
    """Have a model's files checked, unless that is under way."""
    wanted = VerifyModel(model=model)
    if wanted not in pending(turn.world, VerifyModel):
        turn.emit(wanted)


def born(turn: Turn, event: TrainingEnded) -> None:
    """Take a new model in as a candidate."""
    if event.model not in turn.world.models:
        turn.put("models", event.model, Model(run=event.run))
        turn.fire(MODEL, event, event.model)


def verified(turn: Turn, event: ModelVerified) -> None:
    """Use a model whose files are good: in shadow, or in the champion's place."""
    key, known = event.model, turn.world.models.get(event.model)
    if known is None:
        return  # discarded meanwhile
    heir = turn.world.heir
    if heir and heir.model == key and champion(turn.world) not in ("", key):
        displace(turn, champion(turn.world), f"replaced by {short(key)}: {heir.why}")
    known = replace(known, trained_to=event.trained_to, skill=event.skill, loaded=True, recent=())
    turn.put("models", key, known)
    step = turn.fire(MODEL, event, key)
    if step is not None and step.source == CANDIDATE:
        turn.note(ModelRecorded(key, known.run, event.manifest))
    crowned_at = turn.world.at if step and step.dest == CHAMPION else known.crowned_at
    turn.put("models", key, replace(known, crowned_at=crowned_at, requalify=""))
    if heir and heir.model == key:
        turn.set(heir=None)
    bound(turn)


def refuse(turn: Turn, event: ModelRefused) -> None:
    """Quarantine a model whose files are not good; the champion before it takes over."""
    key, heir = event.model, turn.world.heir
    was_champion = key == champion(turn.world)
    turn.fire(MODEL, event, key)
    if key in turn.world.models:
        known = replace(turn.world.models[key], loaded=False, requalify="")
        turn.put("models", key, known)
    was_coming_back = heir is not None and heir.model == key and heir.back
    if heir is not None and heir.model == key:
        turn.set(heir=None)
    if was_champion or was_coming_back:
        succeed(turn, f"{short(key)} failed: {event.reason}")
    bound(turn)


def ask(turn: Turn, event: Measured) -> None:
    """Ask every model that is in use what it says of this candle."""
    if not turn.world.settings.models.scoring:
        return
    models = turn.world.models
    found = [key for key in standing(turn.world, *ASKED) if key in models and models[key].loaded]
    if found:
        turn.ask(ScoreQuestion(event.symbol, tuple(found), event))


def scored(turn: Turn, event: ModelsScored) -> None:
    """Keep what the models said; whoever talks nonsense is quarantined."""
    limits = turn.world.settings.models
    for score in event.scores:
        key, known = score.model, turn.world.models.get(score.model)
        if known is None:
            continue
        turn.note(
            ScoreKept(
                key, event.symbol, event.open_time, score.value, score.fault, limits.scores_max
            )
        )
        recent = (*known.recent, score.value)[-limits.window :]
        turn.put("models", key, replace(known, recent=recent))
        was_champion = key == champion(turn.world)
        step = turn.fire(MODEL, event, key)
        if step is not None and was_champion:
            succeed(turn, f"{short(key)} failed: {step.reason}")
    bound(turn)


def succeed(turn: Turn, why: str) -> None:
    """Let the champion before take over once its files verify; without one there is none."""
    before = previous(turn.world)
    if before and not champion(turn.world):
        turn.set(heir=Heir(before, f"back as champion: {why}", back=True))
        check(turn, before)


def displace(turn: Turn, model: str, why: str) -> None:
    """Move a model out of another's way; out of the archive it is forgotten."""
    step = turn.fire(MODEL, ModelDisplaced(at=turn.world.at, reason=why), model)
    if step is not None and step.dest == DISCARDED:
        turn.put("models", model, None)


def bound(turn: Turn) -> None:
    """Keep shadows and archive within their limits; the champion before is kept."""
    limits = turn.world.settings.models
    shadows = standing(turn.world, SHADOW)
    heir = turn.world.heir.model if turn.world.heir else ""
    for key in shadows[: max(0, len(shadows) - limits.shadows_max)]:
        if key != heir:
            displace(turn, key, f"{len(shadows)} models in shadow, limit {limits.shadows_max}")
    resting = [
        key for key in standing(turn.world, *ARCHIVED) if key not in (previous(turn.world), heir)
    ]
    for key in resting[: max(0, len(resting) - limits.archive_max)]:
        displace(turn, key, f"{len(resting)} models in the archive, limit {limits.archive_max}")
