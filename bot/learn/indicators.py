"""The oracle of indicators: TA-Lib stream handles, one set a symbol, advanced by copies.

A handle's value equals TA-Lib's batch function to the last bit. A question is answered on copies;
the caller swaps them in after COMMIT, so that an event that is dropped leaves no trace.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import talib
from talib import stream

from bot.core.events import Measured
from bot.core.settings import Strategy
from bot.core.turn import Question
from bot.core.values import Candle

CROSS_AGE_MAX = 1_000


class Indicators:
    """The handles of one symbol after its newest candle; ``short``: candles while too few."""

    __slots__ = ("cross_age", "handles", "short", "sign")

    def __init__(self) -> None:
        self.handles: tuple[Any, ...] | None = None
        self.sign = 0
        self.cross_age = CROSS_AGE_MAX
        self.short: list[Candle] = []

    def copy(self) -> Indicators:
        """Return an independent copy (about 10 µs)."""
        twin = Indicators()
        twin.handles = self.handles and tuple(handle.copy() for handle in self.handles)
        twin.sign, twin.cross_age, twin.short = self.sign, self.cross_age, list(self.short)
        return twin


class Oracle:
    """Answers ``Question`` with ``Measured``. ``warmup`` is how many candles open a symbol."""

    def __init__(self, strategy: Strategy, warmup: int) -> None:
        self.strategy, self.warmup = strategy, warmup
        self.symbols: dict[str, Indicators] = {}

    def ask(
        self, question: Question, at: int, base: Indicators | None = None
    ) -> tuple[Measured | None, Indicators]:
        """Return the answer, None while there are too few candles, and the symbol's next state.

        ``base`` is the state to go on from if an earlier question of the same turn made one.
        """
        known = base or self.symbols.get(question.symbol)
        state = Indicators() if known is None or question.reset else known.copy()
        if state.handles is None:
            state.short = [*state.short, *question.candles][-self.warmup :]
            if len(state.short) >= self.warmup:
                self._open(state)
        else:
            for candle in question.candles:
                self._advance(state, candle)
        if state.handles is None:
            return None, state
        last = question.candles[-1]
        fast, slow, adx, atr = (float(handle.value) for handle in state.handles)
        return (
            Measured(
                at=at,
                symbol=question.symbol,
                open_time=last.open_time,
                close=last.close,
                ema_fast=fast,
                ema_slow=slow,
                adx=adx,
                atr=atr,
                cross_age=state.cross_age,
            ),
            state,
        )

    def rebuild(self, symbol: str, candles: list[Candle]) -> None:
        """Open a symbol from stored candles, as at boot; too few wait until there are enough."""
        state = Indicators()
        state.short = candles[-self.warmup :]
        if len(state.short) >= self.warmup:
            self._open(state)
        self.symbols[symbol] = state

    def swap(self, states: dict[str, Indicators]) -> None:
        """Make answered questions count."""
        self.symbols.update(states)

    def _open(self, state: Indicators) -> None:
        periods = self.strategy
        high = np.array([c.high for c in state.short])
        low = np.array([c.low for c in state.short])
        close = np.array([c.close for c in state.short])
        state.handles = (
            stream.EMA(close, periods.ema_fast),
            stream.EMA(close, periods.ema_slow),
            stream.ADX(high, low, close, periods.adx_period),
            stream.ATR(high, low, close, periods.atr_period),
        )
        above = talib.EMA(close, periods.ema_fast) > talib.EMA(close, periods.ema_slow)
        state.sign = 1 if above[-1] else -1
        same = np.flatnonzero(above[periods.ema_slow :] != above[-1])
        since = len(above) - periods.ema_slow - 2 - int(same[-1]) if len(same) else CROSS_AGE_MAX
        state.cross_age = min(since, CROSS_AGE_MAX)
        state.short = []

    def _advance(self, state: Indicators, candle: Candle) -> None:
        assert state.handles is not None
        fast_handle, slow_handle, adx_handle, atr_handle = state.handles
        fast = fast_handle.update(candle.close)
        slow = slow_handle.update(candle.close)
        adx_handle.update(candle.high, candle.low, candle.close)
        atr_handle.update(candle.high, candle.low, candle.close)
        sign = 1 if fast > slow else -1
        state.cross_age = 0 if sign != state.sign else min(state.cross_age + 1, CROSS_AGE_MAX)
        state.sign = sign
