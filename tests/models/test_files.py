"""The files of a model: written whole, hashed before they are parsed, examined by a process that may die."""

from __future__ import annotations

import asyncio
import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper

from bot.core.model_events import Score
from bot.core.turn import ScoreQuestion
from bot.edge import artefacts
from bot.errors import Refused, Retryable
from bot.learn import manifest as m
from bot.learn.features import FEATURES
from bot.learn.scorer import Graph, Loaded, Scorer
from bot.learn.training import exported
from tests.models.made import (
    COLUMNS,
    STRATEGY,
    a_graph,
    a_manifest,
    a_measure,
    published,
    says,
)


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "models"
    for path in (tmp_path / "models").glob("*"):
        if path.is_dir():
            path.chmod(0o750)


def verify(folder: Path, model: str, seconds: float = 30.0, strategy=STRATEGY):
    return asyncio.run(artefacts.verify(folder, model, strategy, seconds))


def damage(path: Path, change) -> None:
    """Change a file that is only readable, as a bad disk does."""
    body = bytearray(path.read_bytes())
    path.parent.chmod(0o750)
    path.chmod(0o640)
    path.write_bytes(bytes(change(body)))


def flipped(body: bytearray, at: int) -> bytearray:
    body[at % len(body)] ^= 1 << (at % 8)
    return body


# -- writing ---------------------------------------------------------------------------------------


def test_a_model_is_named_by_its_content_and_nobody_may_change_it(folder):
    model = published(folder)
    assert model == m.model_id((folder / model / "manifest.json").read_bytes())
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (folder / model).iterdir()}
    assert modes == {"manifest.json": 0o440, "model.onnx": 0o440}
    assert stat.S_IMODE((folder / model).stat().st_mode) == 0o550
    assert [p.name for p in folder.iterdir()] == [model]


def test_a_disk_without_room_is_refused_before_anything_is_written(folder):
    with pytest.raises(Refused, match="expected 1000000000 MiB of free disk space"):
        artefacts.publish(folder, m.encode(a_manifest()), a_graph(), 10**9)
    assert list(folder.iterdir()) == []


def test_a_write_that_fails_leaves_nothing(folder, monkeypatch):
    def no_space(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(Retryable, match="No space left on device"):
        published(folder)
    assert list(folder.iterdir()) == []


def test_what_a_dead_trainer_left_is_swept_and_what_is_discarded_is_gone(folder):
    model = published(folder)
    (folder / ".new-abc-77").mkdir()
    (folder / ".new-abc-77" / "model.onnx").write_bytes(b"half")
    artefacts.sweep(folder, 77)
    assert [p.name for p in folder.iterdir()] == [model]
    artefacts.discard(folder, model)
    artefacts.discard(folder, model)
    artefacts.discard(folder, "../models")
    assert list(folder.iterdir()) == []


# -- verification ----------------------------------------------------------------------------------


def test_a_good_model_is_verified(folder):
    model = published(folder)
    manifest, _, graph = verify(folder, model)
    assert (manifest.run, graph) == ("t1", a_graph())


def test_every_bit_counts_and_nothing_damaged_is_parsed(folder, monkeypatch):
    model = published(folder)
    chance = random.Random(7)

    async def never(*args):
        raise AssertionError("a damaged file was given to a parser")

    monkeypatch.setattr(artefacts, "_self_test", never)
    for name in ("model.onnx", "manifest.json"):
        path = folder / model / name
        whole = path.read_bytes()
        for _ in range(40):
            at = chance.randrange(len(whole) * 8)
            damage(path, lambda body, at=at: flipped(body, at))
            with pytest.raises(Refused, match="expected"):
                verify(folder, model)
            cut = chance.randrange(len(whole))
            damage(path, lambda body, whole=whole, cut=cut: whole[:cut])
            with pytest.raises(Refused, match="expected"):
                verify(folder, model)
            path.write_bytes(whole)


def test_missing_files_swapped_files_and_strange_ids_are_refused(folder):
    model, other = published(folder), published(folder, run="t2")
    with pytest.raises(Refused, match=r"manifest\.json cannot be read: No such file"):
        verify(folder, "0" * 64)
    with pytest.raises(Refused, match="expected an id of 64 hexadecimal digits"):
        verify(folder, "../state.db")
    (folder / model).rename(folder / "aside")
    (folder / other).rename(folder / model)
    with pytest.raises(Refused, match=r"manifest\.json: expected SHA-256"):
        verify(folder, model)


def test_a_model_of_other_indicators_is_refused(folder):
    model = published(folder)
    with pytest.raises(Refused, match="it learnt from other indicators"):
        verify(folder, model, strategy=replace(STRATEGY, ema_slow=30))
    model = published(folder, features=tuple(FEATURES)[::-1])
    with pytest.raises(Refused, match="features: expected hash"):
        verify(folder, model)
    with pytest.raises(Refused, match=r"features: expected among .* found moon"):
        verify(folder, published(folder, features=("moon",)))
    with pytest.raises(Refused, match="expected format 1 in float32, found 2"):
        verify(folder, published(folder, format=2))


def test_a_graph_that_cannot_be_parsed_or_says_something_else_is_refused(folder):
    cut = a_graph()[:100]
    with pytest.raises(Refused, match=r"model\.onnx is no graph"):
        verify(folder, published(folder, cut, golden=a_manifest().golden))
    with pytest.raises(Refused, match="its own test: expected 0"):
        verify(folder, published(folder, a_graph(bias=0.01), golden=a_manifest().golden))
    golden = replace(a_manifest().golden[0], features=(0.0,) * COLUMNS)
    with pytest.raises(Refused, match="features: expected"):
        verify(folder, published(folder, golden=(golden,)))


def test_a_process_that_dies_or_hangs_of_a_model_is_the_models_fault(folder, tmp_path, monkeypatch):
    model = published(folder)
    for script, why, seconds in (
        ("kill -SEGV $$", "its own test was ended by signal 11", 30.0),
        ("exec sleep 600", "its own test did not end within 0.3 s", 0.3),
        ("echo nonsense; exit 1", "its own test ended with 1 and no verdict", 30.0),
    ):
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(artefacts.sys, "executable", str(program))
        with pytest.raises(Refused, match=why):
            verify(folder, model, seconds)


# -- asking ----------------------------------------------------------------------------------------


def a_node(kind: str) -> bytes:
    """A graph of one operation on the sum of the features."""
    nodes = [
        helper.make_node("ReduceSum", ["features"], ["sum"], keepdims=1),
        helper.make_node(kind, ["sum"], ["probability"]),
    ]
    told = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", COLUMNS])]
    said = [helper.make_tensor_value_info("probability", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, kind, told, said)
    opset = helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


WIDER = exported(np.zeros(COLUMNS + 1), np.ones(COLUMNS + 1), np.ones(COLUMNS + 1), 0.0)


def asked(graph: bytes, **measured) -> Score:
    scorer = Scorer()
    scorer.load("a", Loaded(a_manifest(), Graph(graph)), ())
    question = ScoreQuestion("BTCUSDT", ("a",), a_measure(**measured))
    return scorer.ask(question, 1).scores[0]


def test_a_model_says_what_the_formula_says():
    score = asked(a_graph(bias=0.2))
    assert score.value == pytest.approx(says(a_measure(), 0.2), abs=1e-6)


@pytest.mark.parametrize(
    ("graph", "measured", "fault"),
    [
        (a_graph(), {"atr": 0.0}, "a feature is no finite number"),
        (a_graph(), {"adx": float("nan")}, "a feature is no finite number"),
        (a_node("Neg"), {}, "which is no probability"),
        (a_graph(bias=float("nan")), {}, "it said nan, which is no probability"),
        (WIDER, {}, "it failed"),
    ],
)
def test_a_vote_that_is_no_probability_is_dropped_with_its_reason(graph, measured, fault):
    score = asked(graph, **measured)
    assert score.value is None
    assert fault in score.fault


def test_a_model_that_is_not_loaded_says_so_and_those_that_are_not_kept_are_let_go():
    scorer, loaded = Scorer(), Loaded(a_manifest(), Graph(a_graph()))
    scorer.load("a", loaded, ())
    scorer.load("b", loaded, ())
    question = ScoreQuestion("BTCUSDT", ("a", "b"), a_measure())
    a, b = scorer.ask(question, 1).scores
    assert a == Score("a", None, "it is not loaded")
    assert b.value is not None


def test_without_a_model_nothing_of_onnx_is_loaded():
    code = "import sys, bot.engine.service; print([n for n in sys.modules if n.startswith('onnx')])"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=artefacts._ROOT,
        env={**os.environ, "PYTHONPATH": str(artefacts._ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"


def test_asking_a_model_loads_nothing_heavy():
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from bot.learn.scorer import Graph\n"
        f"Graph(bytes.fromhex('{a_graph().hex()}'))\n"
        "heavy = ('pandas', 'sklearn', 'scipy', 'onnx', 'talib')\n"
        "print([n for n in heavy if sys.modules.get(n)])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=artefacts._ROOT,
        env={**os.environ, "PYTHONPATH": str(artefacts._ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
