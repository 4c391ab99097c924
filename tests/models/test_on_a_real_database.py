"""Models in the database: two champions are refused by SQLite, rows are kept or bounded, memory is rebuilt."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.core import model_events as e
from bot.engine import replay
from bot.learn.oracles import Oracles
from bot.learn.scorer import Graph, Loaded, Scorer
from bot.store import snapshots
from bot.store.database import IntegrityError
from tests.given import BTC, T, commanded, measured, started, tuned
from tests.models.made import a_graph, a_manifest
from tests.store.kept import kept, opened, rows

A, B = "a" * 64, "b" * 64


@pytest.fixture
def reactor(tmp_path):
    reactor = opened(tmp_path / "state.db")
    settings = tuned(models__scores_max=100)
    reactor.turn([started(reactor.world.at, settings)])
    scorer = Scorer()
    for model in (A, B):
        scorer.load(model, Loaded(a_manifest(), Graph(a_graph())), (A, B))
        trained(reactor, model)
        shadow(reactor, model)
    reactor.oracle = Oracles(reactor.oracle, scorer)
    return reactor


def trained(reactor, model):
    at, run = reactor.world.at, f"t-{model[:4]}"
    reactor.turn(
        [
            e.TrainingQueued(at=at, run=run, rows=9, operator="ana"),
            e.TrainingStarted(at=at, run=run, attempt=1, rows=9, pid=7),
            e.TrainingEnded(
                at=at, run=run, attempt=1, cause="ok", reason="made", seconds=1.0,
                peak_mb=9, rows=9, model=model,
            ),
        ]
    )  # fmt: skip


def shadow(reactor, model):
    verified = e.ModelVerified(
        at=reactor.world.at, model=model, manifest='{"rows_fit": 9}', trained_to=T, skill=0.1
    )
    reactor.turn([verified])


def promote(reactor, model):
    reactor.turn([commanded(reactor.world, "promote", model=model)])
    shadow(reactor, model)


def test_two_champions_are_refused_by_sqlite_itself_and_the_event_is_poison(reactor):
    promote(reactor, A)
    instances = dict(reactor.world.machines["model"])
    instances[A] = replace(instances[A], state="SHADOW")  # memory forgets who is champion
    machines = {**reactor.world.machines, "model": instances}
    reactor.world = replace(reactor.world, machines=machines)
    promote(reactor, B)
    champions = rows(reactor, "SELECT key FROM instance WHERE state = 'CHAMPION'")
    assert champions == [(A,)]
    (error,) = rows(
        reactor, "SELECT json_extract(body, '$.error') FROM journal WHERE kind = 'Poisoned'"
    )
    assert "UNIQUE" in error[0]
    assert reactor.world.state("hold") == "HELD"


def test_a_score_is_a_row_written_with_the_candle_and_old_ones_go(reactor):
    for n in range(60):
        reactor.turn([measured(reactor.world, open_time=T + n, adx=30.0 + n / 10)])
    found = rows(reactor, "SELECT model, score, open_time FROM model_score ORDER BY id")
    assert len(found) == 100
    assert found[-1][2] == T + 59
    assert {model for model, *_ in found} == {A, B}
    answer, cause = rows(
        reactor,
        "SELECT seq, cause FROM journal WHERE kind = 'ModelsScored' ORDER BY seq DESC LIMIT 1",
    )[0]
    assert rows(reactor, "SELECT kind FROM journal WHERE seq = ?", cause) == [("Measured",)]
    assert answer == cause + 1


def test_asking_a_model_leaves_the_indicators_where_they_are(reactor):
    before = dict(reactor.oracle.indicators.symbols)
    assert before[BTC] is not None
    reactor.turn([measured(reactor.world)])
    assert rows(reactor, "SELECT count(*) FROM model_score") == [(2,)]
    assert reactor.oracle.indicators.symbols == before


def test_history_with_scores_is_decided_again_without_a_model(reactor):
    promote(reactor, A)
    snapshots.save(reactor.writer, reactor.world, 1, "b")
    for n in range(5):
        reactor.turn([measured(reactor.world, open_time=T + n, adx=30.0 + n)])
    reactor.turn([commanded(reactor.world, "rollback")])
    assert replay.check(reactor.writer.connection).transitions > 20
    assert replay.recover(reactor.writer.connection).world == reactor.world


def test_memory_after_a_restart_knows_its_models(reactor, tmp_path):
    promote(reactor, B)
    reactor.writer.connection.close()
    again = kept(tmp_path / "state.db")
    assert again.world == reactor.world
    assert again.world.models[B].crowned_at


def test_what_is_registered_is_never_changed(reactor):
    (run,) = rows(reactor, "SELECT run FROM model_lineage WHERE model = ? AND rows_fit = 9", A)
    assert run == ("t-aaaa",)
    for sql in ("UPDATE model SET run = 'x'", "DELETE FROM model"):
        with pytest.raises(IntegrityError, match="a registered model is never"):
            reactor.writer.connection.execute(sql)


def test_a_snapshot_of_a_release_without_models_loads(reactor):
    import msgspec

    body = msgspec.json.decode(snapshots.pack(reactor.world))
    del body["models"], body["heir"], body["settings"]["models"], body["base"]["models"]
    world = snapshots._decode(msgspec.json.encode(body))
    assert (world.models, world.heir) == ({}, None)
    assert world.settings.models.shadows_max == 2
    assert BTC in world.feeds
