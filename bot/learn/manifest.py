"""A model's manifest: what it is, what it learnt from, how good it was, and how to test it.

A model's id is the SHA-256 of its manifest, and the manifest holds the SHA-256 of the graph: so the
id vouches for both files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from bot.core.events import Measured
from bot.core.settings import Strategy
from bot.errors import Refused
from bot.learn.features import DTYPE, FEATURES, feature_hash

FORMAT = 1


class Metrics(Struct, frozen=True, forbid_unknown_fields=True):
    """How good it was on the held-out candles. ``skill``: 1 - Brier / Brier of the base rate.

    Brier 1950, Monthly Weather Review 78; the base rate is that of the candles it learnt from.
    """

    log_loss: float
    auc: float
    brier: float
    skill: float
    base_rate: float
    base_log_loss: float


class Golden(Struct, frozen=True, forbid_unknown_fields=True):
    """A test of its own: what was measured, the features of it, and the score, as of training."""

    measured: Measured
    features: tuple[float, ...]
    score: float


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is to be known of a model beside its graph. Times are market ms UTC."""

    format: int
    kind: str
    run: str
    created_at: int
    graph_sha256: str
    graph_bytes: int
    features: tuple[str, ...]
    feature_hash: str
    dtype: str
    label: str
    horizon: int
    cost: float
    symbols: tuple[str, ...]
    trained_from: int
    trained_to: int
    held_out_to: int
    rows_fit: int
    rows_held_out: int
    rows_dropped: int
    metrics: Metrics
    golden: tuple[Golden, ...]
    build: str
    libraries: dict[str, str]


def encode(manifest: Manifest) -> bytes:
    """Return the manifest's canonical bytes."""
    return msgspec.json.encode(manifest, order="sorted") + b"\n"


def model_id(body: bytes) -> str:
    """Return the id of the model whose manifest has these bytes."""
    return hashlib.sha256(body).hexdigest()


def opened(model: str, body: bytes, graph: bytes) -> Manifest:
    """Return the manifest if both files are what the id says. Raises Refused. Parses no graph."""
    found = model_id(body)
    if found != model:
        raise Refused(f"manifest.json: expected SHA-256 {model[:12]}, found {found[:12]}")
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Refused(f"manifest.json is not understood: {error}") from error
    if len(graph) != manifest.graph_bytes:
        raise Refused(f"model.onnx: expected {manifest.graph_bytes} bytes, found {len(graph)}")
    found = hashlib.sha256(graph).hexdigest()
    if found != manifest.graph_sha256:
        raise Refused(
            f"model.onnx: expected SHA-256 {manifest.graph_sha256[:12]}, found {found[:12]}"
        )
    return manifest


def why_not_used(manifest: Manifest, strategy: Strategy) -> str | None:
    """Tell why a model does not fit this code and this strategy, or None."""
    if manifest.format != FORMAT or manifest.dtype != DTYPE:
        return f"expected format {FORMAT} in {DTYPE}, found {manifest.format} in {manifest.dtype}"
    strange = _strange(manifest.features)
    if strange:
        return f"features: expected among {', '.join(FEATURES)}; found {', '.join(strange)}"
    wanted = feature_hash(manifest.features, strategy)
    if manifest.feature_hash != wanted:
        return (
            f"features: expected hash {wanted[:12]} of these names and the strategy's periods,"
            f" found {manifest.feature_hash[:12]}: it learnt from other indicators"
        )
    return None if manifest.golden else "expected vectors for its own test, found none"


def _strange(names: Sequence[str]) -> list[str]:
    return [name for name in names if name not in FEATURES]
