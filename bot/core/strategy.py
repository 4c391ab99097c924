"""The first strategy: trend by EMA cross with an ADX filter. A strategy is a pure question.

Every strategy has the same shape: what was measured goes in; a ``Signal``, or a sentence that says
why there is none, comes out. Later strategies and models take this place without touching orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from bot.core.events import Measured
from bot.core.values import Side

if TYPE_CHECKING:
    from bot.core.settings import Strategy


class Signal(Struct, frozen=True):
    """A wish to be long or short. ``confidence`` in 0..1; distances in quote units."""

    symbol: str
    side: Side
    confidence: float
    stop_distance: float
    take_distance: float
    reason: str


def trend(measured: Measured, limits: Strategy) -> Signal | str:
    """Follow a young EMA cross while ADX says that there is a trend (Wilder 1978)."""
    up = measured.ema_fast > measured.ema_slow
    if not measured.atr > 0:
        return "ATR is 0: nothing moves"
    if not 0 <= measured.cross_age <= limits.cross_age_max:
        return (
            f"the last EMA cross is {measured.cross_age} candles old, limit {limits.cross_age_max}"
        )
    if not measured.adx >= limits.adx_min:
        return f"ADX {measured.adx:.1f} under {limits.adx_min:g}"
    return Signal(
        symbol=measured.symbol,
        side=Side.BUY if up else Side.SELL,
        confidence=confidence(measured.adx),
        stop_distance=limits.stop_atr * measured.atr,
        take_distance=limits.take_atr * measured.atr,
        reason=f"EMA cross {'up' if up else 'down'} {measured.cross_age} candles ago, ADX {measured.adx:.1f}",
    )


def confidence(adx: float) -> float:
    """Map ADX to 0.5..1: 0.5 at no trend, 1 at ADX 50 and above."""
    return 0.5 + min(max(adx, 0.0), 50.0) / 100.0


def against(measured: Measured, qty_sign: int) -> str | None:
    """Tell why an open position should be closed: the averages crossed against it."""
    up = measured.ema_fast > measured.ema_slow
    if (qty_sign > 0) != up:
        return f"EMA crossed {'up' if up else 'down'} against the position"
    return None
