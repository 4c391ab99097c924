"""A model's life: who becomes champion, what quarantines, who follows, and what is thrown away."""

from __future__ import annotations

import pytest

from bot.core import model_events as e
from bot.core.effects import DiscardModel, Notify, VerifyModel
from bot.core.facts import ModelRecorded, ScoreKept
from bot.core.models import age_ms, champion, previous, standing, wanted
from bot.core.turn import ScoreQuestion
from bot.core.world import World
from tests.given import BTC, T, a_world, answered, but, commanded, go, measured, started, tuned

A, B, C = "a" * 64, "b" * 64, "c" * 64


def trained(world: World, model: str):
    """A training made a model."""
    run = f"t-{model[:4]}"
    return go(
        world,
        e.TrainingQueued(at=world.at, run=run, rows=9, operator="ana"),
        e.TrainingStarted(at=world.at, run=run, attempt=1, rows=9, pid=7),
        e.TrainingEnded(
            at=world.at, run=run, attempt=1, cause="ok", reason="made", seconds=1.0,
            peak_mb=9, rows=9, model=model,
        ),
    )  # fmt: skip


def verified(world: World, model: str, **changes):
    usual = {"manifest": "{}", "trained_to": T, "skill": 0.1}
    return go(world, e.ModelVerified(at=world.at, model=model, **{**usual, **changes}))


def refused(world: World, model: str):
    return go(world, e.ModelRefused(at=world.at, model=model, reason="model.onnx: damaged"))


def scored(world: World, model: str, *values: float | None):
    scores = [e.Score(model, value, "" if value is not None else "it said nan") for value in values]
    return go(
        world,
        *(e.ModelsScored(at=world.at, symbol=BTC, open_time=T, scores=(s,)) for s in scores),
    )


def shadowing(*models: str, **settings) -> World:
    world = a_world(settings=tuned(**settings))
    for model in models:
        world = but(answered(verified(trained(world, model).world, model).world), at=world.at + 1)
    return world


def crowned(world: World, model: str) -> World:
    world = go(world, commanded(world, "promote", model=model)).world
    return but(verified(answered(world), model).world, at=world.at + 1)


def test_a_new_model_is_checked_before_it_scores():
    told = trained(a_world(), A)
    assert told.world.state("model", A) == "CANDIDATE"
    assert told.effects(VerifyModel) == [VerifyModel(model=A)]
    told = verified(told.world, A)
    assert told.world.state("model", A) == "SHADOW"
    assert told.noted(ModelRecorded)[0].run == "t-aaaa"


def test_a_candidate_whose_files_are_damaged_is_quarantined_and_told():
    told = refused(trained(a_world(), A).world, A)
    assert told.world.state("model", A) == "QUARANTINED"
    assert told.reason("model") == "model.onnx: damaged"
    assert told.effects(Notify)[0].severity == "warning"


def test_only_a_model_that_is_in_use_and_loaded_is_asked():
    world = shadowing(A)
    asked = [q for q in go(world, measured(world)).questions if isinstance(q, ScoreQuestion)]
    assert [q.models for q in asked] == [(A,)]
    world = go(world, started(world.at)).world
    assert world.state("model", A) == "SHADOW"
    assert not go(world, measured(world)).questions, "what an earlier process loaded is not here"


def test_a_start_has_every_model_in_use_checked_again():
    world = crowned(shadowing(A, B), A)
    told = go(answered(world), started(world.at))
    assert {effect.model for effect in told.effects(VerifyModel)} == {A, B}


def test_a_promotion_needs_a_person_seen_by_the_kernel_and_a_reason():
    world = shadowing(A)
    for changes in ({"identity": "claimed"}, {"reason": " "}, {"operator": ""}):
        told = go(world, commanded(world, "promote", model=A, **changes))
        assert told.moves[-1].endswith("REFUSED")
    assert (
        go(world, commanded(world, "promote", model=C)).reason("run").startswith("model: expected")
    )


def test_a_promotion_waits_for_the_files_and_retires_the_one_before():
    world = crowned(shadowing(A, B), A)
    told = go(world, commanded(world, "promote", model=B))
    assert told.effects(VerifyModel) == [VerifyModel(model=B)]
    assert champion(told.world) == A
    told = verified(told.world, B)
    assert told.moves[:2] == [f"model {A}: CHAMPION → RETIRED", f"model {B}: SHADOW → CHAMPION"]
    assert (champion(told.world), previous(told.world)) == (B, A)


def test_a_promotion_whose_files_do_not_verify_changes_no_champion():
    world = crowned(shadowing(A, B), A)
    world = go(world, commanded(world, "promote", model=B)).world
    world = refused(world, B).world
    assert (champion(world), world.state("model", B), world.heir) == (A, "QUARANTINED", None)


def test_a_model_without_skill_is_not_promoted():
    world = shadowing(A, models__skill_min=0.2)
    told = go(world, commanded(world, "promote", model=A))
    assert (
        told.reason("run")
        == "Brier skill +0.1000 on held-out candles is under +0.2000 (models.skill_min)"
    )


def test_a_rollback_takes_the_champion_away_at_once_and_the_one_before_follows():
    world = answered(crowned(crowned(shadowing(A, B), A), B))
    told = go(world, commanded(world, "rollback"))
    assert (told.world.state("model", B), champion(told.world)) == ("ROLLED_BACK", "")
    assert told.effects(VerifyModel) == [VerifyModel(model=A)]
    assert champion(verified(told.world, A).world) == A


def test_an_heir_is_wanted_before_it_is_champion_so_that_nobody_unloads_it():
    world = answered(crowned(crowned(shadowing(A, B, C), A), B))
    assert wanted(world) == {B, C}
    assert wanted(go(world, commanded(world, "rollback")).world) == {A, C}
    assert wanted(trained(world, "d" * 64).world) == {B, C, "d" * 64}


def test_a_rollback_whose_heir_is_damaged_leaves_no_champion():
    world = answered(crowned(crowned(shadowing(A, B), A), B))
    world = refused(go(world, commanded(world, "rollback")).world, A).world
    assert champion(world) == ""
    assert world.state("model", A) == "QUARANTINED"
    assert world.heir is None


def test_what_a_person_rolled_back_never_comes_back_by_itself():
    world = answered(crowned(crowned(shadowing(A, B), A), B))
    world = answered(verified(go(world, commanded(world, "rollback")).world, A).world)
    world = refused(world, A).world
    assert (champion(world), world.heir) == ("", None)


def test_a_champion_that_does_not_load_gives_way_to_the_one_before():
    world = answered(crowned(crowned(shadowing(A, B), A), B))
    told = refused(go(world, started(world.at)).world, B)
    assert told.world.state("model", B) == "QUARANTINED"
    told = verified(told.world, A)
    assert champion(told.world) == A
    assert told.reason("model") == "back as champion: bbbbbbbbbbbb failed: model.onnx: damaged"


def test_too_many_dropped_votes_quarantine_and_the_one_before_takes_over():
    world = answered(crowned(crowned(shadowing(A, B, models__faults_max=3), A), B))
    told = scored(world, B, 0.5, None, 0.6, None)
    assert champion(told.world) == B
    assert [fact.fault for fact in told.noted(ScoreKept)] == ["", "it said nan"] * 2
    told = scored(told.world, B, None)
    assert told.world.state("model", B) == "QUARANTINED"
    assert told.reason("model") == "3 of the last 5 votes were dropped, the last one: it said nan"
    assert told.world.heir.model == A


def test_a_model_that_always_says_the_same_is_quarantined():
    world = shadowing(A, models__window=5)
    assert scored(world, A, *[0.5] * 4).world.state("model", A) == "SHADOW"
    told = scored(world, A, *[0.5] * 5)
    assert told.reason("model") == "the last 5 scores are all 0.5"


def test_a_quarantined_model_returns_only_when_a_person_says_so_and_its_files_verify():
    world = answered(refused(shadowing(A), A).world)
    assert verified(world, A).world.state("model", A) == "QUARANTINED"
    world = go(world, commanded(world, "requalify", model=A)).world
    assert world.state("model", A) == "QUARANTINED"
    assert verified(world, A).world.state("model", A) == "SHADOW"


def test_shadows_are_bounded_and_so_is_the_archive():
    world = shadowing(A, B, C, models__shadows_max=1, models__archive_max=1)
    assert standing(world, "SHADOW") == [C]
    assert standing(world, "RETIRED") == [B]
    assert (world.state("model", A), A in world.models) == ("", False)
    told = go(world, commanded(world, "retire", model=C))
    assert told.effects(DiscardModel) == [DiscardModel(model=B)]


def test_the_champion_before_is_kept_however_small_the_archive():
    world = crowned(crowned(shadowing(A, B, models__archive_max=1), A), B)
    for model in (C, "d" * 64, "e" * 64):
        world = answered(refused(trained(world, model).world, model).world)
    assert world.state("model", A) == "RETIRED"
    assert len(standing(world, "QUARANTINED")) == 1


def test_the_age_of_a_model_is_that_of_what_it_learnt_from():
    world = shadowing(A)
    assert age_ms(world, A) == world.at - T
    assert age_ms(world, B) is None


def test_a_rollback_while_the_bot_is_stopped_is_done_at_once():
    world = answered(crowned(crowned(shadowing(A, B), A), B))
    told = go(world, commanded(world, "rollback", identity="claimed"))
    assert told.moves[-1].endswith("DONE")
    assert "follows at the next start" in told.reason("run")


@pytest.mark.parametrize("verb", ["quarantine", "retire", "requalify", "promote"])
def test_a_verb_on_a_model_nobody_knows_is_refused(verb):
    world = a_world()
    told = go(world, commanded(world, verb, model="x"))
    assert told.reason("run").endswith("no model 'x' is known")
