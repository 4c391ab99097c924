"""Plays candles as a path of prices, one a second; replayed files and live history share it."""

from __future__ import annotations

import numpy as np

from exchange.paths import Floats, candle_knots, knots_to_seconds, name_number

# columns of a candle table
OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)


class CandleTable:
    """Candles of one symbol without gaps: rows of open, high, low, close, volume."""

    def __init__(self, symbol: str, first_m: int, minutes: int, rows: Floats) -> None:
        self.first_m = first_m  # epoch minute at which the first candle opens
        self.minutes = minutes  # of one candle
        self.rows = rows
        self._name = name_number(symbol)

    @property
    def stop_m(self) -> int:
        """The epoch minute after the last candle."""
        return self.first_m + len(self.rows) * self.minutes

    def prices(self, start_s: int, stop_s: int, seed: int) -> Floats:
        """One price per second; the seed chooses in each candle whether low or high comes first."""
        length = self.minutes * 60
        first = (start_s - self.first_m * 60) // length
        last = (stop_s - 1 - self.first_m * 60) // length
        rows = self.rows[first : last + 1]
        numbers = np.arange(first, last + 1, dtype=np.uint64)
        path = knots_to_seconds(candle_knots(rows, self._low_first(numbers, seed)), length)
        offset = start_s - self.first_m * 60 - first * length
        return path[offset : offset + stop_s - start_s]

    def volumes(self, start_m: int, stop_m: int) -> Floats:
        """Base coin per minute: a longer candle's volume is spread evenly."""
        places = (np.arange(start_m, stop_m) - self.first_m) // self.minutes
        return np.asarray(self.rows[places, VOLUME] / self.minutes, dtype=np.float64)

    def _low_first(
        self, numbers: np.ndarray[tuple[int], np.dtype[np.uint64]], seed: int
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """One stable bit per candle, without keeping any: a multiplicative hash."""
        mixed = (numbers + np.uint64(self._name + seed * 7919)) * np.uint64(0x9E3779B97F4A7C15)
        return (mixed >> np.uint64(63)).astype(np.bool_)
