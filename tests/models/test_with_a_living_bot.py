"""Models beside a real bot and exchange: trained, killed, scored, damaged, rolled back, replayed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest

from bot.core.settings import Strategy
from bot.learn.features import feature_hash
from bot.learn.training import NAMES
from tests.faults.places import BUSY, ROOT, Place, connected, gone, until
from tests.faults.seen import Since
from tests.models.made import a_graph, published

NEEDS = {"training": {"rows_min": 300, "rows_max": 4_000}, "models": {"skill_min": -1.0}}
STRATEGY = Strategy(**BUSY["strategy"])
FITS = {"feature_hash": feature_hash(NAMES, STRATEGY)}


class Models(Place):
    """A place whose bot has models."""

    def __init__(self, folder) -> None:
        super().__init__(folder, NEEDS)
        self.models = folder / "models"

    def cli(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bot", *words, "--state", str(self.state)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def run(self, *words: str) -> tuple[int, Any, str]:
        """Run a command with --json; return its exit code, its document, and what it said."""
        process = self.cli(*words, "--json")
        out, err = process.communicate(timeout=90)
        return process.returncode, json.loads(out) if out else None, err

    def report(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Tell the bot what a trainer tells it."""
        event = {"type": kind, **fields}
        with connected(self.socket) as client, client.makefile("rwb") as stream:
            stream.write(json.dumps({"op": "report", "event": event}).encode() + b"\n")
            stream.flush()
            return json.loads(stream.readline())

    def hand_in(self, model: str) -> None:
        """Report a training that made this model."""
        run = uuid.uuid4().hex[:8]
        self.report("TrainingQueued", run=run, rows=9)
        self.report("TrainingStarted", run=run, attempt=1, rows=9, pid=1)
        ended = {"cause": "ok", "reason": "made", "seconds": 1.0, "peak_mb": 1, "rows": 9}
        said = self.report("TrainingEnded", run=run, attempt=1, model=model, **ended)
        assert said["state"] == "SUCCEEDED", said

    def a_shadow(self, bias: float) -> str:
        """Make a model by hand and wait until the bot lets it score."""
        model = published(self.models, a_graph(bias), golden=goldens(bias), **FITS)
        self.hand_in(model)
        self.until_state("model", "SHADOW", key=model)
        return model

    def why(self, model: str) -> str:
        sql = "SELECT reason FROM instance WHERE machine = 'model' AND key = ?"
        return self.rows(sql, model)[0][0]

    def candles(self) -> int:
        return self.rows("SELECT count(*) FROM candle")[0][0]

    def damage(self, model: str) -> None:
        path = self.models / model / "model.onnx"
        path.parent.chmod(0o750)
        path.chmod(0o640)
        body = bytearray(path.read_bytes())
        body[len(body) // 2] ^= 1
        path.write_bytes(bytes(body))


def goldens(bias: float):
    from bot.learn.features import vector
    from bot.learn.manifest import Golden
    from tests.models.made import a_measure, says

    one = a_measure()
    return (Golden(one, tuple(map(float, vector(one, NAMES))), says(one, bias)),)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Models(tmp_path_factory.mktemp("models") / "p")
    made.start_exchange()
    made.start_bot()
    made.until_state("process", "RUNNING", seconds=40)
    yield made
    made.close()
    for path in made.models.glob("*"):
        path.chmod(0o750)
    shutil.rmtree(made.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def learnt(place):
    """Train beside the bot; the first process is killed as the kernel kills what is too large."""
    training = place.cli("train", "--json")
    for line in training.stderr:
        found = re.match(r"attempt 1 is process (\d+)", line)
        if found:
            os.kill(int(found[1]), signal.SIGKILL)
            break
    out, err = training.communicate(timeout=100)
    assert training.returncode == 0, err
    return json.loads(out)


def test_a_trainer_that_is_killed_is_a_row_and_half_the_candles_make_a_model(place, learnt):
    rows = place.rows(
        "SELECT attempt, cause, signal, rows, reduced, model, peak_mb > 0 FROM training_attempt"
        " WHERE run = ? ORDER BY attempt",
        learnt["run"],
    )
    half = "half the candles: 2000 instead of 4000"
    assert rows[0][:6] == (1, "killed", 9, 0, half, "")
    assert (rows[1][1], rows[1][5], rows[1][6]) == ("ok", learnt["model"], 1)
    moves = place.rows(
        "SELECT dest FROM transition WHERE machine = 'training' AND key = ? ORDER BY id",
        learnt["run"],
    )
    expected = ["QUEUED", "RUNNING", "RETRYING", "RUNNING", "SUCCEEDED"]
    assert [dest for (dest,) in moves] == expected


def test_every_closed_candle_is_scored_in_shadow(place, learnt):
    place.until_state("model", "SHADOW", key=learnt["model"])
    until(lambda: place.rows("SELECT count(*) FROM model_score")[0][0] > 20, "scores")
    scores = place.rows("SELECT score, fault FROM model_score")
    assert all(0 <= score <= 1 and not fault for score, fault in scores)
    code, document, _ = place.run("status")
    assert (code, document["models"][0]["state"]) == (0, "SHADOW")
    assert document["models"][0]["age_seconds"] > 0


def test_promotion_and_rollback_are_one_command_each(place, learnt):
    first = learnt["model"]
    place.until_state("model", "SHADOW", key=first)
    second = place.a_shadow(0.1)
    assert place.run("models", "promote", first[:10], "--reason", "best so far")[0] == 0
    assert place.do("promote", model=second)["state"] == "DONE"
    assert (place.state_of("model", first), place.state_of("model", second)) == (
        "RETIRED",
        "CHAMPION",
    )
    began = time.perf_counter()
    said = place.do("rollback")
    took = time.perf_counter() - began
    walls = place.rows(
        "SELECT j.wall FROM transition t JOIN journal j USING(seq)"
        " WHERE t.dest = 'ROLLED_BACK' OR t.dest = 'CHAMPION' ORDER BY t.id DESC LIMIT 2"
    )
    print(f"rollback: {walls[0][0] - walls[1][0]} ms until the one before, verified anew, is back;")
    print(f"told as DONE after {took:.2f} s")
    assert said["reason"] == f"champion is {first[:12]}"
    assert place.state_of("model", second) == "ROLLED_BACK"


@pytest.mark.parametrize("fault", ["damaged", "missing", "other features"])
def test_files_that_are_not_what_they_should_be_are_quarantined_and_the_bot_lives(place, fault):
    bias = {"damaged": 0.2, "missing": 0.3, "other features": 0.4}[fault]
    since = Since(place)
    model, why = "f" * 64, r"manifest\.json cannot be read: No such file or directory"
    if fault == "damaged":
        model = place.a_shadow(bias)
        place.damage(model)
        assert place.run("models", "verify", model)[0] == 1
        place.ask("promote", model=model)
        why = r"model\.onnx: expected SHA-256 [0-9a-f]{12}, found [0-9a-f]{12}"
    elif fault == "missing":
        place.hand_in(model)
    else:
        model = published(place.models, a_graph(bias), golden=goldens(bias))
        place.hand_in(model)
        why = "features: expected hash .* it learnt from other indicators"
    place.until_state("model", "QUARANTINED", key=model)
    assert re.match(why, place.why(model))
    state = "SHADOW" if fault == "damaged" else "CANDIDATE"
    since.moved("model", state, "QUARANTINED", key=model)
    since.told("warning", "model", f"model {model[:12]} ({state}) is QUARANTINED: ")
    before = place.candles()
    until(lambda: place.candles() > before, "the bot goes on")


def test_a_report_that_is_nonsense_or_out_of_order_is_refused(place):
    assert (
        "not known" in place.report("TrainingStarted", run="x", attempt=1, rows=1, pid=1)["error"]
    )
    assert "error" in place.report("Filled", run="x")
    assert "error" in place.report("TrainingQueued", run="x")
    assert "error" in place.report("TrainingQueued", rows=1)


def test_a_trainer_that_a_person_ends_says_so_and_leaves_no_process(place):
    training = place.cli("train", "--json")
    for line in training.stderr:
        found = re.match(r"attempt 1 is process (\d+)", line)
        if found:
            break
    training.send_signal(signal.SIGTERM)
    out, err = training.communicate(timeout=60)
    assert training.returncode == 1, err
    (attempt,) = json.loads(out)["attempts"]
    assert (attempt["cause"], attempt["model"]) == ("interrupted", "")
    until(lambda: gone(int(found[1])), "the process that learns is gone")
    run = json.loads(out)["run"]
    assert place.state_of("training", run) == "FAILED"


def test_a_champion_damaged_while_the_bot_was_dead_gives_way_at_boot_and_trading_goes_on(
    place, learnt
):
    champion = place.a_shadow(0.5)
    for model in (learnt["model"], champion):
        if place.state_of("model", model) != "CHAMPION":
            assert place.do("promote", model=model)["state"] == "DONE"
    (bot,) = [p for p in place._started if p.poll() is None and "run" in p.args]
    bot.kill()
    bot.wait(10)
    since = Since(place)
    place.damage(champion)
    place.start_bot()
    place.until_state("model", "QUARANTINED", key=champion, seconds=40)
    place.until_state("model", "CHAMPION", key=learnt["model"])
    place.until_state("process", "RUNNING", seconds=40)
    since.moved("model", "CHAMPION", "QUARANTINED", key=champion)
    since.told("warning", "model", f"model {champion[:12]} (CHAMPION) is QUARANTINED: ")
    assert f"warning: model {champion[:12]} (CHAMPION) is QUARANTINED" in place.said()
    assert place.why(learnt["model"]).startswith(f"back as champion: {champion[:12]} failed")
    before = place.rows("SELECT count(*) FROM model_score")[0][0]
    until(lambda: place.rows("SELECT count(*) FROM model_score")[0][0] > before, "scores again")


def test_a_stopped_bot_takes_reports_and_its_history_with_scores_replays(place):
    """The last test of the file: it stops the bot."""
    (bot,) = [p for p in place._started if p.poll() is None and "run" in p.args]
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(40) == 0, place.said()[-2000:]
    since, config = Since(place, alive=False), place.file.read_text()
    place.file.write_text(config.replace("[training]", "[training]\nmemory_mb = 256\nretries = 1"))
    code, document, err = place.run("train")
    assert code == 1, err
    causes = [a["cause"] for a in document["attempts"]]
    assert len(causes) == 2, err
    assert set(causes) <= {"memory", "crashed"}, err  # some libraries crash where memory ends
    rows = place.rows(
        "SELECT cause, exit_code, reduced FROM training_attempt WHERE run = ? ORDER BY attempt",
        document["run"],
        alive=False,
    )
    assert [row[0] for row in rows] == causes
    assert [row[2] for row in rows] == ["half the candles: 2000 instead of 4000", ""]
    sql = "SELECT state, reason FROM instance WHERE machine = 'training' AND key = ?"
    state, reason = place.rows(sql, document["run"], alive=False)[0]
    assert state == "FAILED"
    assert "ran out of" in reason
    since.moved("training", "RUNNING", "RETRYING", "attempt 1: ", "again with half the candles")
    since.moved("training", "RUNNING", "FAILED", key=document["run"])
    since.told("warning", "training", f"training {document['run']} FAILED: ", "ran out of")
    replay = place.cli("replay", "--check")
    out, err = replay.communicate(timeout=60)
    assert replay.returncode == 0, out + err
