"""Makes prices from a seed: regimes of trend, range, quiet, and crash, second by second.

The path is a function of (seed, symbol, seconds since the origin) and of nothing else. It is made
in blocks of four hours; each block draws its own regimes, so any block can be made on its own, and
only the level at which it starts depends on its neighbours (blocks before the origin are walked
backwards, so that the price at the origin is the instrument's start price).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple

import numpy as np

from exchange.instruments import Catalogue
from exchange.paths import SECONDS_DAY, Floats, name_number

BLOCK_S = 4 * 3600
BLOCK_M = BLOCK_S // 60
HISTORY_S = 7 * SECONDS_DAY
_CACHED_BLOCKS = 8
_NEGATIVE_BLOCKS = 1_000_000  # seeds must not be negative, block numbers may be

RegimeName = Literal["up", "down", "range", "quiet", "crash"]
_NAMES: tuple[RegimeName, ...] = ("up", "down", "range", "quiet", "crash")
_CHANCES = (0.27, 0.27, 0.28, 0.14, 0.04)


class Regime(NamedTuple):
    """One stretch of market behaviour; minutes count from the start of its block."""

    name: RegimeName
    start_m: int
    stop_m: int
    volatility: float  # standard deviation of one minute's log return


class _Block(NamedTuple):
    log_path: Floats  # log price relative to the level at the block's start
    volumes: Floats  # per minute, relative to the instrument's usual volume


class GeneratedPath:
    """Endless prices for every symbol of a catalogue, with seven days of history."""

    def __init__(self, seed: int, catalogue: Catalogue, origin_s: int) -> None:
        self.seed = seed
        self.origin_s = origin_s
        self._instruments = {row.symbol: row for row in catalogue.of("linear")}
        self._levels: dict[str, dict[int, float]] = {s: {0: 0.0} for s in self._instruments}
        self._blocks: dict[str, OrderedDict[int, _Block]] = {
            symbol: OrderedDict() for symbol in self._instruments
        }

    def span(self, symbol: str) -> tuple[int, int | None]:
        """Seven days before the origin, and no end."""
        return self.origin_s - HISTORY_S, None

    def prices(self, symbol: str, start_s: int, stop_s: int) -> Floats:
        """One price per second of [start_s, stop_s)."""
        first, last = start_s - self.origin_s, stop_s - self.origin_s
        start_price = self._instruments[symbol].start_price
        parts = []
        for number in range(first // BLOCK_S, (last - 1) // BLOCK_S + 1):
            level = self._level(symbol, number)
            offset = number * BLOCK_S
            path = self._block(symbol, number).log_path
            part = path[max(first - offset, 0) : min(last - offset, BLOCK_S)]
            parts.append(start_price * np.exp(level + part))
        return np.concatenate(parts) if parts else np.empty(0)

    def volumes(self, symbol: str, start_m: int, stop_m: int) -> Floats:
        """Base coin traded in each minute of [start_m, stop_m)."""
        origin_m = self.origin_s // 60
        first, last = start_m - origin_m, stop_m - origin_m
        usual = self._instruments[symbol].volume_minute
        parts = []
        for number in range(first // BLOCK_M, (last - 1) // BLOCK_M + 1):
            offset = number * BLOCK_M
            volumes = self._block(symbol, number).volumes
            parts.append(usual * volumes[max(first - offset, 0) : min(last - offset, BLOCK_M)])
        return np.concatenate(parts) if parts else np.empty(0)

    def regimes(self, symbol: str, block: int) -> list[Regime]:
        """The regimes of one four-hour block, in order and without gaps."""
        return _draw_regimes(self._chance(symbol, block, 0))

    def _chance(self, symbol: str, block: int, stream: int) -> np.random.Generator:
        return np.random.default_rng(
            [self.seed, name_number(symbol), block + _NEGATIVE_BLOCKS, stream]
        )

    def _level(self, symbol: str, number: int) -> float:
        """The log price, relative to the start price, just before the block begins."""
        levels = self._levels[symbol]
        if number not in levels:
            for n in range(max(levels) + 1, number + 1):
                levels[n] = levels[n - 1] + float(self._block(symbol, n - 1).log_path[-1])
            for n in range(min(levels) - 1, number - 1, -1):
                levels[n] = levels[n + 1] - float(self._block(symbol, n).log_path[-1])
        return levels[number]

    def _block(self, symbol: str, number: int) -> _Block:
        blocks = self._blocks[symbol]
        found = blocks.get(number)
        if found is None:
            found = blocks[number] = self._make_block(symbol, number)
            if len(blocks) > _CACHED_BLOCKS:
                blocks.popitem(last=False)
        blocks.move_to_end(number)
        return found

    def _make_block(self, symbol: str, number: int) -> _Block:
        regimes = self.regimes(symbol, number)
        chance = self._chance(symbol, number, 1)
        parts, volumes, level = [], [], 0.0
        for regime in regimes:
            part = level + _regime_path(regime, chance)
            level = float(part[-1])
            parts.append(part)
            minutes = regime.stop_m - regime.start_m
            busy = regime.volatility / 0.001
            volumes.append(busy * np.exp(chance.normal(0.0, 0.35, minutes)))
        return _Block(np.concatenate(parts), np.concatenate(volumes))


def _draw_regimes(chance: np.random.Generator) -> list[Regime]:
    regimes: list[Regime] = []
    start = 0
    while start < BLOCK_M:
        stop = start + int(chance.integers(20, 121))
        if BLOCK_M - stop < 20:  # too short for a regime of its own
            stop = BLOCK_M
        name = _NAMES[int(chance.choice(len(_NAMES), p=_CHANCES))]
        regimes.append(Regime(name, start, stop, _volatility(name, chance)))
        start = stop
    return regimes


def _volatility(name: RegimeName, chance: np.random.Generator) -> float:
    low, high = {
        "up": (0.0005, 0.0009),
        "down": (0.0005, 0.0009),
        "range": (0.0006, 0.0011),
        "quiet": (0.0004, 0.0006),
        "crash": (0.0016, 0.0022),
    }[name]
    return float(chance.uniform(low, high))


def _regime_path(regime: Regime, chance: np.random.Generator) -> Floats:
    """Cumulative log return at each second of a regime."""
    seconds = (regime.stop_m - regime.start_m) * 60
    minutes = np.arange(1, seconds + 1) / 60.0
    calm = np.repeat(np.exp(chance.normal(0.0, 0.25, seconds // 60)), 60)
    shocks = chance.standard_t(5, seconds) / np.sqrt(5 / 3)
    noise = np.cumsum(shocks * calm) * regime.volatility / np.sqrt(60.0)
    return np.asarray(noise + _shape(regime, minutes, noise, chance), dtype=np.float64)


def _shape(regime: Regime, minutes: Floats, noise: Floats, chance: np.random.Generator) -> Floats:
    """What a regime adds to the noise: a drift, a wave around a level, or a fall."""
    length = float(minutes[-1])
    if regime.name in ("up", "down"):
        strength = float(chance.uniform(0.20, 0.50)) * regime.volatility
        slope = strength if regime.name == "up" else -strength
        return np.asarray(slope * minutes, dtype=np.float64)
    bridge = -noise[-1] * minutes / length
    if regime.name == "quiet":
        return np.asarray(bridge, dtype=np.float64)
    if regime.name == "range":
        waves = max(1.0, round(length / float(chance.uniform(14.0, 26.0))))
        height = float(chance.uniform(2.0, 4.0)) * regime.volatility
        return np.asarray(bridge + height * np.sin(2 * np.pi * waves * minutes / length))
    depth = float(chance.uniform(0.03, 0.07))
    back = depth * float(chance.uniform(0.2, 0.5))
    bottom = float(chance.uniform(5.0, 12.0))
    fall = np.interp(minutes, [0.0, bottom, length], [0.0, -depth, back - depth])
    return np.asarray(fall, dtype=np.float64)
