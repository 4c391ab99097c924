"""Whatever happens, models in use change no order, no permission, and no row of another machine."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from bot.core import model_verbs
from bot.core.decide import Decision, decide
from bot.core.effects import VerifyModel
from bot.core.events import Commanded
from bot.core.machine import Instance
from bot.core.model_events import ModelsScored, Score
from bot.core.turn import ScoreQuestion
from bot.core.world import Model, World
from tests.properties.life import ACTS, Act, live, the_beginning

SHADOW, CHAMPION = "a" * 64, "b" * 64
MODEL_VERBS = {verb.name for verb in model_verbs.VERBS}
SCORES = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=20)


def with_models(world: World) -> World:
    known = {
        SHADOW: Instance("SHADOW", 2, world.at, "r"),
        CHAMPION: Instance("CHAMPION", 3, world.at, "r"),
    }
    model = Model("t1", world.at, 0.1, loaded=True)
    return replace(
        world,
        machines={**world.machines, "model": known},
        models={SHADOW: model, CHAMPION: model},
    )


def theirs(decision: Decision) -> tuple[Any, ...]:
    """Return all that a decision comes to beside models: what may never differ."""
    checks = {d.id for d in decision.emitted if isinstance(d.effect, VerifyModel)}
    return (
        [s for s in decision.steps if s.machine != "model" and s.key not in checks],
        [d for d in decision.dispatches if not isinstance(d.effect, VerifyModel)],
        decision.facts,
        [q for q in decision.questions if not isinstance(q, ScoreQuestion)],
    )


MODELS_OWN = ("machines", "models", "heir", "deliveries")


def remembered(world: World) -> dict[str, Any]:
    """Return all that a world remembers beside models and what is told of them."""
    found = {k: v for k, v in asdict(world).items() if k not in MODELS_OWN}
    others = {k: v for k, v in world.machines.items() if k not in ("model", "delivery")}
    return {**found, "machines": others}


@given(ACTS, SCORES)
@settings(max_examples=40, deadline=None)
def test_the_same_events_give_the_same_orders_with_and_without_models(acts: list[Act], said):
    without = the_beginning()
    beside = with_models(without)
    asked = 0
    for moment in live(acts, without):
        event = moment.event
        if isinstance(event, Commanded) and event.verb in MODEL_VERBS:
            beside = with_models(moment.after)  # people do move models; that is not the question
            continue
        decision = decide(replace(beside, seq=moment.before.seq), event, moment.seq)
        assert theirs(decision) == theirs(moment.decision)
        beside = decision.world
        assert remembered(beside) == remembered(moment.after)
        for question in decision.questions:
            if isinstance(question, ScoreQuestion):
                value, asked = said[asked % len(said)], asked + 1
                fault = "" if value is not None else "NaN"
                scores = tuple(Score(model, value, fault) for model in question.models)
                answer = ModelsScored(
                    at=event.at, symbol=question.symbol, open_time=0, scores=scores
                )
                beside = decide(beside, answer, 10**9 + moment.seq).world
        if any(instance.state == "QUARANTINED" for instance in beside.machines["model"].values()):
            beside = with_models(moment.after)
