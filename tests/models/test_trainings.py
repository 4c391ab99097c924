"""A training: every attempt is a row, silence is a failure, and a late report is refused."""

from bot.core import model_events as e
from bot.core.effects import Notify
from bot.core.facts import AttemptEnded
from bot.core.trainings import why_not
from bot.desk.files import Beside
from bot.engine.models import lost
from bot.store.lease import Lease
from tests.given import a_world, go, ticked


def queued(world):
    return e.TrainingQueued(at=world.at, run="t1", rows=100, operator="ana")


def begun(world, attempt=1):
    return e.TrainingStarted(at=world.at, run="t1", attempt=attempt, rows=100, pid=7)


def ended(world, **changes):
    usual = {"attempt": 1, "cause": "killed", "reason": "signal 9", "seconds": 1.0}
    usual |= {"peak_mb": 9, "rows": 0, "signal": 9}
    return e.TrainingEnded(at=world.at, run="t1", **{**usual, **changes})


def test_an_attempt_that_is_killed_is_a_row_and_another_follows_with_less():
    world = a_world()
    told = go(world, queued(world), begun(world), ended(world, again=True, reduced="half"))
    assert told.world.state("training", "t1") == "RETRYING"
    assert told.reason("training") == "attempt 1: signal 9; again with half"
    assert told.world.models == {}
    (row,) = told.noted(AttemptEnded)
    assert (row.cause, row.signal, row.reduced) == ("killed", 9, "half")


def test_the_last_attempt_fails_with_a_sentence_and_people_are_told():
    world = a_world()
    told = go(
        world,
        queued(world),
        begun(world),
        ended(world, again=True, reduced="half"),
        begun(world, 2),
        ended(world, attempt=2),
    )
    assert "training t1: RUNNING → FAILED" in told.moves
    assert len(told.noted(AttemptEnded)) == 2
    assert told.effects(Notify)[-1].text == "training t1 FAILED: attempt 2: signal 9"
    assert not told.world.machines["training"], "what is at its end is forgotten"


def test_a_training_that_ends_before_it_began_has_failed():
    world = a_world()
    told = go(world, queued(world), ended(world, cause="interrupted", reason="a person"))
    assert "training t1: QUEUED → FAILED" in told.moves
    assert told.world.state("training", "t1") == ""
    assert told.noted(AttemptEnded)[0].cause == "interrupted"


def test_a_trainer_that_falls_silent_has_failed():
    world = a_world()
    world = go(world, queued(world), begun(world)).world
    limit = world.settings.models.silent_real_seconds
    assert go(world, ticked(world, limit)).world.state("training", "t1") == "RUNNING"
    told = go(world, ticked(world, limit + 1))
    assert told.reason("training") == "the trainer said nothing for more than 1800 s of real time"


def test_a_report_out_of_its_order_cannot_be_taken():
    world = a_world()
    assert "not known" in why_not(world, begun(world))
    assert why_not(world, queued(world)) is None
    world = go(world, queued(world)).world
    assert why_not(world, queued(world)) == "TrainingQueued: training t1 is QUEUED"
    assert why_not(world, begun(world)) is None


def test_a_trainer_without_its_lease_is_gone_whatever_its_training_has_come_to(tmp_path):
    state, world = tmp_path / "state.db", a_world()
    queue, begin = queued(world), begun(world)
    retried = ended(world, again=True, reduced="half")
    assert lost(state, world, world.at) == [], "nobody trains"
    for events in ((queue,), (queue, begin), (queue, begin, retried)):
        here = go(world, *events).world
        lease = Lease(Beside(state).training, {"pid": 7, "run": "t1"})
        assert lost(state, here, here.at) == []
        lease.release()
        (gone,) = lost(state, here, here.at)
        told = go(here, gone)
        assert told.world.state("training", "t1") == ""
        assert any(
            move.startswith("training t1: ") and move.endswith("→ FAILED") for move in told.moves
        )
        assert told.noted(AttemptEnded)[0].cause == "lost"
        another = Lease(Beside(state).training, {"pid": 8, "run": "t2"})
        assert [event.run for event in lost(state, here, here.at)] == ["t1"]
        another.release()
