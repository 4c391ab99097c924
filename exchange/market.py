"""Answers what the market shows now: prices, candles, quotes, and how much can be taken."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from exchange.clock import MarketClock
from exchange.decimals import ceil_to, floor_to
from exchange.instruments import Catalogue, Instrument, Side
from exchange.paths import SECONDS_DAY, Floats, Path

LEVELS = 5
DAY_M = SECONDS_DAY // 60


@dataclass(frozen=True, slots=True)
class Depth:
    """How the market charges size: basis points of price, and USDT."""

    spread_bps: float = 1.0  # best ask above best bid
    impact_bps: float = 5.0  # the deepest level beyond the best price
    liquidity: float = 200_000.0  # USDT that one side can take in one market second


class Level(NamedTuple):
    """One price level of the book."""

    price: Decimal
    qty: Decimal


class Candle(NamedTuple):
    """One candle; `start_m` is its epoch minute, prices are on the instrument's tick."""

    start_m: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: float
    turnover: float


class Market:
    """The path of prices, seen through the clock, the shocks, and an instrument's grid."""

    def __init__(self, clock: MarketClock, path: Path, catalogue: Catalogue, depth: Depth) -> None:
        self.clock = clock
        self.path = path
        self.catalogue = catalogue
        self.depth = depth
        self.shocks: dict[str, list[tuple[int, float]]] = {}  # from second, factor

    def second(self, symbol: str) -> int:
        """The market second whose price is current: now, or the last one of the path."""
        _, stop = self.path.span(symbol)
        now = self.clock.now_s()
        return now if stop is None else min(now, stop - 1)

    def edge(self, symbol: str) -> int:
        """The second up to which time has passed for the symbol; a candle ending here is closed."""
        _, stop = self.path.span(symbol)
        now = self.clock.now_s()
        return now if stop is None else min(now, stop)

    def shock(self, symbol: str, factor: float) -> None:
        """Multiplies every later price of the symbol by `factor`."""
        self.shocks.setdefault(symbol, []).append((self.clock.now_s() + 1, factor))

    def prices(self, symbol: str, start_s: int, stop_s: int) -> Floats:
        """Prices of the seconds [start_s, stop_s), shocks included."""
        prices = self.path.prices(symbol, start_s, stop_s)
        for since, factor in self.shocks.get(symbol, ()):
            if since < stop_s:
                prices[max(since - start_s, 0) :] *= factor
        return prices

    def last(self, instrument: Instrument, second: int | None = None) -> Decimal:
        """The last traded price, at `second` or now."""
        at = self.second(instrument.symbol) if second is None else second
        return instrument.price(float(self.prices(instrument.symbol, at, at + 1)[0]))

    def levels(self, instrument: Instrument, side: Side, second: int) -> list[Level]:
        """What an order of `side` can take in that second, best price first."""
        last = self.last(instrument, second)
        half = float(last) * self.depth.spread_bps / 20_000
        worse = float(last) * self.depth.impact_bps / 10_000 / (LEVELS - 1)
        share = Decimal(self.depth.liquidity / LEVELS / float(last))
        qty = max(floor_to(share, instrument.step), instrument.step)
        rows = []
        for n in range(LEVELS):
            away = Decimal(half + n * worse)
            if side == "Buy":
                price = ceil_to(last + away, instrument.tick)
            else:
                price = max(floor_to(last - away, instrument.tick), instrument.tick)
            rows.append(Level(price, qty))
        return rows

    def best(self, instrument: Instrument, side: Side, second: int | None = None) -> Level:
        """The first level that an order of `side` would meet, at `second` or now."""
        at = self.second(instrument.symbol) if second is None else second
        return self.levels(instrument, side, at)[0]

    def candles(
        self, instrument: Instrument, minutes: int, start_m: int, stop_m: int
    ) -> list[Candle]:
        """Candles that open in [start_m, stop_m), oldest first; the last may be open."""
        first_s, _ = self.path.span(instrument.symbol)
        start_m = max(start_m, -(-first_s // 60))
        start_m = -(-start_m // minutes) * minutes
        stop_m = min(stop_m, self.second(instrument.symbol) // 60 + 1)
        stop_m = -(-stop_m // minutes) * minutes
        span = max(DAY_M // minutes, 1) * minutes  # a day at a time keeps the memory small
        rows: list[Candle] = []
        for at in range(start_m, stop_m, span):
            rows += self._chunk(instrument, minutes, at, min(at + span, stop_m))
        return rows

    def _chunk(
        self, instrument: Instrument, minutes: int, start_m: int, stop_m: int
    ) -> list[Candle]:
        stop_s = min(stop_m * 60, self.second(instrument.symbol) + 1)
        prices = self.prices(instrument.symbol, start_m * 60, stop_s)
        volumes = self.path.volumes(instrument.symbol, start_m, -(-stop_s // 60))
        volumes[-1] *= (stop_s - 1) % 60 / 60 + 1 / 60  # the open minute's share
        edges = np.arange(0, len(prices), minutes * 60)
        highs = np.maximum.reduceat(prices, edges)
        lows = np.minimum.reduceat(prices, edges)
        lasts = np.append(edges[1:], len(prices)) - 1
        sums = np.add.reduceat(volumes, np.arange(0, len(volumes), minutes))
        grid = instrument.price
        return [
            Candle(
                start_m + n * minutes,
                grid(float(prices[edge])),
                grid(float(highs[n])),
                grid(float(lows[n])),
                grid(float(prices[lasts[n]])),
                float(sums[n]),
                float(sums[n] * (highs[n] + lows[n]) / 2),
            )
            for n, edge in enumerate(edges)
        ]


class DayStatistics(NamedTuple):
    """The last 24 market hours of one instrument."""

    first: Decimal
    hour_ago: Decimal
    high: Decimal
    low: Decimal
    volume: float


def day_statistics(market: Market, instrument: Instrument) -> DayStatistics:
    """Looks back 24 hours, or as far as the path goes."""
    now = market.second(instrument.symbol)
    first_s, _ = market.path.span(instrument.symbol)
    start = max(now - SECONDS_DAY, first_s)
    prices = market.prices(instrument.symbol, start, now + 1)
    volumes = market.path.volumes(instrument.symbol, start // 60, now // 60 + 1)
    grid = instrument.price
    return DayStatistics(
        first=grid(float(prices[0])),
        hour_ago=grid(float(prices[-min(3600, len(prices))])),
        high=grid(float(prices.max())),
        low=grid(float(prices.min())),
        volume=float(volumes.sum()),
    )
