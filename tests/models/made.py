"""Models made by hand: real graphs and manifests, published as training publishes them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from bot.core.events import Measured
from bot.core.settings import Strategy
from bot.edge import artefacts
from bot.learn import manifest as m
from bot.learn.features import FEATURES, feature_hash, vector
from bot.learn.training import NAMES, exported
from tests.given import BTC, T

STRATEGY = Strategy()
COLUMNS = len(FEATURES)


def a_measure(**changes: Any) -> Measured:
    """What the oracle says of a candle in a trend."""
    usual = Measured(
        at=T,
        symbol=BTC,
        open_time=T,
        close=101.0,
        ema_fast=100.5,
        ema_slow=100.0,
        adx=30.0,
        atr=0.5,
        cross_age=3,
    )
    return replace(usual, **changes)


def a_graph(bias: float = 0.0, weight: float = 1.0) -> bytes:
    """The graph of a regression with all weights the same."""
    return exported(np.zeros(COLUMNS), np.ones(COLUMNS), np.full(COLUMNS, weight), bias)


def says(measured: Measured, bias: float = 0.0, weight: float = 1.0) -> float:
    """What that graph must say, computed here."""
    total = np.float32(vector(measured, NAMES).sum() * weight + bias)
    return float(1 / (1 + np.exp(-total)))


def a_manifest(graph: bytes | None = None, golden: tuple[Any, ...] | None = None, **changes: Any):
    """A manifest that fits a graph; its own test is what the graph says of two candles."""
    graph = a_graph() if graph is None else graph
    candles = (a_measure(), a_measure(ema_fast=99.0, adx=10.0))
    if golden is None:
        golden = tuple(
            m.Golden(one, tuple(map(float, vector(one, NAMES))), says(one)) for one in candles
        )
    usual = m.Manifest(
        format=m.FORMAT,
        kind="by hand",
        run="t1",
        created_at=1,
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        graph_bytes=len(graph),
        features=NAMES,
        feature_hash=feature_hash(NAMES, STRATEGY),
        dtype="float32",
        label="l",
        horizon=30,
        cost=0.001,
        symbols=(BTC,),
        trained_from=T - 1000,
        trained_to=T,
        held_out_to=T + 1000,
        rows_fit=10,
        rows_held_out=5,
        rows_dropped=0,
        metrics=m.Metrics(0.6, 0.6, 0.2, 0.1, 0.5, 0.69),
        golden=golden,
        build="b",
        libraries={},
    )
    return replace(usual, **changes)


def published(folder: Path, graph: bytes | None = None, **changes: Any) -> str:
    """Write a model down and return its id."""
    graph = a_graph() if graph is None else graph
    return artefacts.publish(folder, m.encode(a_manifest(graph, **changes)), graph, 1)
