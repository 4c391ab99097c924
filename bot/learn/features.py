"""What a model sees of a candle: the strategy's own indicators, seen along the trend.

Training and scoring compute features with the same functions from the same ``Measured``, so they
cannot differ. Everything is seen from the side of the fast average: up and down are one case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from math import log1p

import msgspec
import numpy as np
from numpy.typing import NDArray

from bot.core.events import Measured
from bot.core.settings import Strategy

DTYPE = "float32"
"""Models learn and are asked in it: what is learnt in float64 answers otherwise in float32."""

Vector = NDArray[np.float32]


def side(measured: Measured) -> int:
    """Return 1 while the fast average is over the slow one, else -1."""
    return 1 if measured.ema_fast > measured.ema_slow else -1


# fmt: off
FEATURES: dict[str, Callable[[Measured], float]] = {
    "gap_atr":     lambda m: abs(m.ema_fast - m.ema_slow) / m.atr,
    "stretch_atr": lambda m: side(m) * (m.close - m.ema_fast) / m.atr,
    "adx":         lambda m: m.adx / 100.0,
    "atr_share":   lambda m: m.atr / m.close,
    "cross_age":   lambda m: log1p(m.cross_age),
}
# fmt: on
"""Name → value: gaps in ATR, ADX in 0..1, ATR as a fraction of the price, log candles."""


def vector(measured: Measured, names: Sequence[str]) -> Vector | None:
    """Return the named features in their order, or None if one of them is no finite number."""
    try:
        found = np.array([FEATURES[name](measured) for name in names], dtype=np.float32)
    except ArithmeticError:
        return None
    return found if bool(np.isfinite(found).all()) else None


def feature_hash(names: Sequence[str], strategy: Strategy) -> str:
    """Return what identifies an input: names in order, type, and the periods of the indicators."""
    periods = (strategy.ema_fast, strategy.ema_slow, strategy.adx_period, strategy.atr_period)
    return hashlib.sha256(msgspec.json.encode([DTYPE, list(names), periods])).hexdigest()
