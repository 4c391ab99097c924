"""Defines the port that every source of prices fills: one price per market second."""

from __future__ import annotations

from typing import Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SECONDS_DAY = 86_400


class Path(Protocol):
    """Prices of some symbols over market time; seconds are UTC epoch seconds."""

    def prices(self, symbol: str, start_s: int, stop_s: int) -> Floats:
        """One price per second of [start_s, stop_s), which must lie inside `span`."""

    def volumes(self, symbol: str, start_m: int, stop_m: int) -> Floats:
        """Base coin traded in each epoch minute of [start_m, stop_m)."""

    def span(self, symbol: str) -> tuple[int, int | None]:
        """The first second with a price, and the second after the last (None: endless)."""


def name_number(symbol: str) -> int:
    """A stable number for a symbol, used to seed its own random stream."""
    return crc32(symbol.encode())


def knots_to_seconds(knots: Floats, seconds: int) -> Floats:
    """Straight lines through four knots per candle (rows), as `seconds` prices per candle.

    The first second is the first knot, the last second the last; the two extremes fall on whole
    seconds at one and two thirds, so that a candle made from the result equals its source.
    """
    places = [0, seconds // 3, 2 * seconds // 3, seconds - 1]
    weights = np.stack([np.interp(np.arange(seconds), places, row) for row in np.eye(4)])
    return np.asarray(knots @ weights, dtype=np.float64).reshape(-1)


def candle_knots(candles: Floats, low_first: NDArray[np.bool_]) -> Floats:
    """Open, first extreme, second extreme, close, from rows of open, high, low, close."""
    opens, highs, lows, closes = (
        candles[:, 0],
        candles[:, 1],
        candles[:, 2],
        candles[:, 3],
    )
    first = np.where(low_first, lows, highs)
    second = np.where(low_first, highs, lows)
    return np.stack([opens, first, second, closes], axis=1)
