"""Asks models: loads their graphs, tests them, and answers what they say of a candle.

A model that cannot answer costs its vote and nothing else. onnxruntime is loaded with the first
model: without one the bot does not pay for it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import Struct

from bot.core.model_events import ModelsScored, Score
from bot.core.turn import ScoreQuestion
from bot.errors import Refused
from bot.learn.features import vector
from bot.learn.manifest import Manifest

INPUT, OUTPUT = "features", "probability"
TOLERANCE = 1e-6
"""A loaded graph says what it said when it was made, to this (float32 on other processors)."""


class Graph:
    """A graph that can be asked, with one thread of its caller's."""

    def __init__(self, body: bytes) -> None:
        """Parse the graph. Raises Refused if it is none."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_cpu_mem_arena = False  # one row at a time needs no pool
        try:
            self._session = onnxruntime.InferenceSession(
                body, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no root of their own
            raise Refused(f"model.onnx is no graph: {_first_line(error)}") from error

    def ask(self, rows: Any) -> Any:
        """Return a probability for each row. Raises what onnxruntime raises."""
        return self._session.run([OUTPUT], {INPUT: rows})[0][:, 0]


class Loaded(Struct, frozen=True):
    """A verified model that may be asked."""

    manifest: Manifest
    graph: Graph


def examined(manifest: Manifest, body: bytes) -> Graph:
    """Return the graph if it passes the model's own test. Raises Refused."""
    graph = Graph(body)
    for golden in manifest.golden:
        row = vector(golden.measured, manifest.features)
        if row is None or tuple(map(float, row)) != golden.features:
            found = "no numbers" if row is None else [round(float(x), 6) for x in row]
            raise Refused(f"features: expected {list(golden.features)}, found {found}")
        score = _asked(graph, row)
        if isinstance(score, str):
            raise Refused(f"its own test: {score}")
        if not abs(score - golden.score) <= TOLERANCE:
            raise Refused(f"its own test: expected {golden.score:.7f}, found {score:.7f}")
    return graph


def _asked(graph: Graph, row: Any) -> float | str:
    """Return the graph's word on one row, or why it does not count."""
    try:
        score = float(graph.ask(row[None, :])[0])
    except Exception as error:  # noqa: BLE001 whatever it is, the vote is dropped and counted
        return f"it failed: {_first_line(error)}"
    return score if 0.0 <= score <= 1.0 else f"it said {score:g}, which is no probability"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


class Scorer:
    """The models that are loaded. Filled by verification, asked by the reactor's thread."""

    def __init__(self) -> None:
        self._loaded: dict[str, Loaded] = {}

    def load(self, model: str, loaded: Loaded, keep: Collection[str]) -> None:
        """Have a model answer from now on, and those in ``keep``; all others are let go."""
        kept = {key: known for key, known in self._loaded.items() if key in keep}
        self._loaded = {**kept, model: loaded}  # replaced, not changed: another thread reads it

    def ask(self, question: ScoreQuestion, at: int) -> ModelsScored:
        """Return what each model says; one that cannot answer says why."""
        scores = tuple(self._score(model, question) for model in question.models)
        measured = question.measured
        return ModelsScored(
            at=at, symbol=question.symbol, open_time=measured.open_time, scores=scores
        )

    def _score(self, model: str, question: ScoreQuestion) -> Score:
        known = self._loaded.get(model)
        if known is None:
            return Score(model, None, "it is not loaded")
        row = vector(question.measured, known.manifest.features)
        if row is None:
            return Score(model, None, "a feature is no finite number")
        score = _asked(known.graph, row)
        return Score(model, None, score) if isinstance(score, str) else Score(model, score)
