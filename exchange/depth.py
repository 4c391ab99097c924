"""Draws what the rest of the market does in one second: its price levels, and how much it trades.

Everything is drawn from (seed, symbol, second), so that two runs see the same book. Sizes grow away
from the best price; together a side offers `liquidity` USDT within `impact_bps`.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from exchange.decimals import floor_to
from exchange.instruments import Instrument, Side

LEVELS = 50
_GROWTH = 1 / 25  # of a level's usual size over the level before, in sizes of the first
_JITTER = 0.3  # a level's size differs from its usual size by at most this part


@dataclass(frozen=True, slots=True)
class Depth:
    """How the market charges size: basis points of price, and USDT."""

    spread_bps: float = 1.0  # best ask above best bid
    impact_bps: float = 5.0  # the deepest level beyond the best price
    liquidity: float = 200_000.0  # USDT that one side offers in one market second
    seed: int = 0


class Level(NamedTuple):
    """One price level of the book."""

    price: Decimal
    qty: Decimal


def draw_levels(
    instrument: Instrument, side: Side, last: Decimal, depth: Depth, second: int
) -> list[Level]:
    """What an order of `side` meets in that second, best price first; one row for each price."""
    chance = random.Random(f"{depth.seed}/{instrument.symbol}/{second}/{side}")
    middle, tick = float(last), float(instrument.tick)
    half = middle * depth.spread_bps / 20_000
    apart = middle * depth.impact_bps / 10_000 / (LEVELS - 1)
    sizes = [(1 + n * _GROWTH) * (1 + _JITTER * (2 * chance.random() - 1)) for n in range(LEVELS)]
    lots = depth.liquidity / middle / sum(sizes) / float(instrument.step)
    found: dict[int, int] = {}  # quantity in lots by price in ticks
    for n, size in enumerate(sizes):
        away = half + n * apart
        if side == "Buy":
            ticks = math.ceil((middle + away) / tick - 1e-6)
        else:
            ticks = max(math.floor((middle - away) / tick + 1e-6), 1)
        found[ticks] = found.get(ticks, 0) + max(int(lots * size), 1)
    return [Level(ticks * instrument.tick, n * instrument.step) for ticks, n in found.items()]


def draw_volumes(symbol: str, minute: int, volume: float, depth: Depth) -> list[float]:
    """The volume of one minute spread over its seconds, in base coin."""
    chance = random.Random(f"{depth.seed}/{symbol}/{minute}/volume")
    shares = [chance.expovariate(1.0) for _ in range(60)]
    whole = sum(shares)
    return [volume * share / whole for share in shares]


def lots(value: float, instrument: Instrument) -> Decimal:
    """A quantity on the instrument's grid, rounded down."""
    return floor_to(Decimal(value), instrument.step)
