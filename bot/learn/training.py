"""Fits the first model: a logistic regression on the strategy's own indicators, as one ONNX graph.

The label asks what the strategy asks: does following the trend from here pay? It is 1 if a position
on the side of the fast average, opened at the next candle's open and closed ``horizon`` candles
after this one, earns more than the costs of the round trip (fixed horizon and meta-label: López de
Prado 2018, Advances in Financial Machine Learning, 3.2 and 3.6). Candles are split by time; those
whose label looks into the held-out part, and as many again before them, are left out (ibid. 7.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from bot.core.events import Measured
from bot.core.settings import Strategy
from bot.core.turn import Question
from bot.core.values import Candle
from bot.errors import Broken, Refused
from bot.learn.features import DTYPE, FEATURES, feature_hash, side, vector
from bot.learn.indicators import Oracle
from bot.learn.manifest import FORMAT, Golden, Manifest, Metrics
from bot.learn.scorer import INPUT, OUTPUT, Graph, examined

NAMES = tuple(FEATURES)
GOLDEN = 8
PARITY = 1e-5
"""The graph says what scikit-learn says, to this, on every held-out row."""
CANDLE_MS = 60_000
KIND = "logistic regression"
LABEL = "following the trend from the next open for the horizon earns more than the costs"


def warmup(strategy: Strategy) -> int:
    """Return after how many candles an average forgot where it began (e^-24 is left)."""
    return 12 * max(strategy.ema_fast, strategy.ema_slow, strategy.adx_period, strategy.atr_period)


class Plan(Struct, frozen=True):
    """How to learn. ``horizon`` in candles; ``cost`` and ``holdout`` are fractions of 1."""

    horizon: int
    cost: float
    holdout: float
    penalty: float
    rows_min: int


class Examples(Struct, frozen=True):
    """Rows to learn from: when, what was measured, its features, and whether it paid."""

    times: NDArray[np.int64]
    features: NDArray[np.float32]
    paid: NDArray[np.bool_]
    measured: list[Measured]
    dropped: int = 0


class Made(Struct, frozen=True):
    """A model: its graph, and everything about it but who made it with what."""

    graph: bytes
    manifest: Manifest


def examples(oracle: Oracle, symbol: str, candles: Sequence[Candle], plan: Plan) -> Examples:
    """Return a symbol's rows: indicators go over the candles one by one, just as live."""
    oracle.rebuild(symbol, list(candles[: oracle.warmup]))
    rows: list[tuple[int, Any, bool, Measured]] = []
    dropped = 0
    for i in range(oracle.warmup, len(candles) - plan.horizon):
        measured, state = oracle.ask(Question(symbol, (candles[i],)), candles[i].open_time)
        oracle.swap({symbol: state})
        row = vector(measured, NAMES) if measured else None
        if measured is None or row is None:
            dropped += 1
            continue
        earned = candles[i + plan.horizon].close / candles[i + 1].open - 1.0
        paid = side(measured) * earned > plan.cost
        rows.append((candles[i].open_time, row, paid, measured))
    return Examples(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.float32).reshape(len(rows), len(NAMES)),
        np.array([row[2] for row in rows], dtype=bool),
        [row[3] for row in rows],
        dropped,
    )


def together(parts: Sequence[Examples]) -> Examples:
    """Return the rows of all symbols, oldest first."""
    times = np.concatenate([part.times for part in parts])
    order = np.argsort(times, kind="stable")
    measured = [one for part in parts for one in part.measured]
    return Examples(
        times[order],
        np.concatenate([part.features for part in parts])[order],
        np.concatenate([part.paid for part in parts])[order],
        [measured[i] for i in order],
        sum(part.dropped for part in parts),
    )


def split(times: NDArray[np.int64], plan: Plan) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows to learn from and which are held out: the newest share of the time.

    Between them lies twice the horizon: labels that look over the border, and an embargo.
    """
    first, last = int(times.min()), int(times.max())
    border = last - int((last - first) * plan.holdout)
    return times < border - 2 * plan.horizon * CANDLE_MS, times >= border


def make(rows: Examples, plan: Plan, strategy: Strategy, symbols: Sequence[str]) -> Made:
    """Fit, measure, and export. Raises Refused where the candles do not allow it, Broken."""
    if len(rows.times) < plan.rows_min:
        raise Refused(f"expected at least {plan.rows_min} usable candles, found {len(rows.times)}")
    fit, held = split(rows.times, plan)
    for name, part in (("to learn from", fit), ("held out", held)):
        outcomes = len(set(rows.paid[part].tolist()))
        if outcomes < 2:
            raise Refused(f"{int(part.sum())} candles {name}: expected both outcomes of the label")
    mean, scale, model = _fitted(rows.features[fit], rows.paid[fit], plan.penalty)
    wanted = model.predict_proba((rows.features[held] - mean) / scale)[:, 1]
    body = exported(mean, scale, model.coef_[0], float(model.intercept_[0]))
    found = Graph(body).ask(rows.features[held])
    apart = float(np.max(np.abs(found - wanted)))
    if not apart <= PARITY:
        raise Broken(f"the graph and scikit-learn differ by {apart:g}, allowed {PARITY:g}")
    manifest = Manifest(
        format=FORMAT,
        kind=KIND,
        run="",
        created_at=0,
        graph_sha256=hashlib.sha256(body).hexdigest(),
        graph_bytes=len(body),
        features=NAMES,
        feature_hash=feature_hash(NAMES, strategy),
        dtype=DTYPE,
        label=LABEL,
        horizon=plan.horizon,
        cost=plan.cost,
        symbols=tuple(symbols),
        trained_from=int(rows.times[0]),
        trained_to=int(rows.times[fit][-1]),
        held_out_to=int(rows.times[-1]),
        rows_fit=int(fit.sum()),
        rows_held_out=int(held.sum()),
        rows_dropped=rows.dropped,
        metrics=measure(rows.paid[held], found, float(rows.paid[fit].mean())),
        golden=_golden(rows, np.flatnonzero(held), found),
        build="",
        libraries={},
    )
    examined(manifest, body)
    return Made(body, manifest)


def _fitted(features: Any, paid: Any, penalty: float) -> tuple[Any, Any, Any]:
    """Return mean and scale of each feature, and the regression on what they make of it."""
    from sklearn.linear_model import LogisticRegression

    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = features.std(axis=0, dtype=np.float64).astype(np.float32)
    scale[scale == 0] = 1.0  # a feature that never changes says nothing, and divides by nothing
    model = LogisticRegression(C=penalty, max_iter=1_000)
    return mean, scale, model.fit((features - mean) / scale, paid)


def measure(paid: NDArray[np.bool_], scores: Any, base: float) -> Metrics:
    """Return how good scores are against what came, and against always saying the base rate."""
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    always = np.full(len(paid), base)
    brier, base_brier = brier_score_loss(paid, scores), brier_score_loss(paid, always)
    return Metrics(
        log_loss=float(log_loss(paid, scores.astype(np.float64))),
        auc=float(roc_auc_score(paid, scores)),
        brier=float(brier),
        skill=float(1.0 - brier / base_brier),
        base_rate=base,
        base_log_loss=float(log_loss(paid, always)),
    )


def _golden(rows: Examples, held: Any, scores: Any) -> tuple[Golden, ...]:
    """Return some held-out rows over the whole range of scores."""
    ranked = np.argsort(scores, kind="stable")
    chosen = ranked[np.linspace(0, len(ranked) - 1, GOLDEN).astype(int)]
    return tuple(
        Golden(
            rows.measured[held[i]],
            tuple(map(float, rows.features[held[i]])),
            float(scores[i]),
        )
        for i in chosen
    )


def exported(mean: Any, scale: Any, weights: Any, bias: float) -> bytes:
    """Return standardising and regression as one graph: features in, probability out."""
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: Any) -> Any:
        return numpy_helper.from_array(np.asarray(values, dtype=np.float32), name)

    columns = len(mean)
    graph = helper.make_graph(
        [
            helper.make_node("Sub", [INPUT, "mean"], ["centred"]),
            helper.make_node("Div", ["centred", "scale"], ["standard"]),
            helper.make_node("Gemm", ["standard", "weights", "bias"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], [OUTPUT]),
        ],
        KIND,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", columns])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows", 1])],
        [
            constant("mean", mean),
            constant("scale", scale),
            constant("weights", np.asarray(weights).reshape(columns, 1)),
            constant("bias", [bias]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    found: bytes = model.SerializeToString(deterministic=True)
    return found
