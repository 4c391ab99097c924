"""Names what is traded here: symbols with start prices, grids, and limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from exchange.errors import BadStart

Category = Literal["spot", "linear"]
Side = Literal["Buy", "Sell"]
CATEGORIES: tuple[Category, ...] = ("spot", "linear")
QUOTE = "USDT"
DEFAULT_SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")
SYMBOLS_MAX = 200


@dataclass(frozen=True, slots=True)
class Instrument:
    """One symbol of one category; prices in USDT, quantities in base coin."""

    category: Category
    symbol: str
    start_price: float
    tick: Decimal
    step: Decimal
    min_notional: Decimal
    max_leverage: Decimal
    volume_minute: float
    funding_minutes: int = 480

    @property
    def base(self) -> str:
        """The base coin, e.g. BTC."""
        return self.symbol.removesuffix(QUOTE)

    @property
    def max_qty(self) -> Decimal:
        """Largest quantity of one order, about 20 million USDT at the start price."""
        lots = Decimal(int(20_000_000 / self.start_price / float(self.step)) or 1)
        return lots * self.step

    @property
    def price_decimals(self) -> int:
        """Decimals of the tick."""
        return max(0, -int(self.tick.normalize().as_tuple().exponent))

    def price(self, value: float) -> Decimal:
        """`value` on this instrument's tick grid."""
        ticks = round(value / float(self.tick))
        return ticks * self.tick


# symbol: start price, linear tick and step, spot tick and step, USDT traded a minute
_KNOWN: dict[str, tuple[float, str, str, str, str, float]] = {
    "BTCUSDT": (65_000.0, "0.1", "0.001", "0.01", "0.000001", 9e6),
    "ETHUSDT": (3_200.0, "0.01", "0.01", "0.01", "0.00001", 5e6),
    "SOLUSDT": (150.0, "0.01", "0.1", "0.01", "0.001", 2e6),
    "XRPUSDT": (0.6, "0.0001", "0.1", "0.0001", "0.01", 1e6),
    "DOGEUSDT": (0.15, "0.00001", "1", "0.00001", "0.1", 1e6),
}


def _pair(symbol: str, row: tuple[float, str, str, str, str, float]) -> dict[Category, Instrument]:
    price, tick, step, spot_tick, spot_step, turnover = row
    linear = Instrument(
        category="linear",
        symbol=symbol,
        start_price=price,
        tick=Decimal(tick),
        step=Decimal(step),
        min_notional=Decimal(5),
        max_leverage=Decimal(100),
        volume_minute=turnover / price,
    )
    spot = replace(
        linear,
        category="spot",
        tick=Decimal(spot_tick),
        step=Decimal(spot_step),
    )
    return {"linear": linear, "spot": spot}


def _invented(symbol: str, price: float) -> dict[Category, Instrument]:
    tick = f"{10.0 ** (math.floor(math.log10(price)) - 4):.10f}".rstrip("0").rstrip(".")
    step = Decimal(10) ** math.floor(math.log10(1.0 / price))
    plain = format(step, "f")
    return _pair(symbol, (price, tick, plain, tick, plain, 5e5))


def symbol_names(wanted: str | None) -> tuple[str, ...]:
    """The symbols that a `--symbols` value means: none, a count, or a list of names."""
    if not wanted:
        return DEFAULT_SYMBOLS
    if wanted.isdigit():
        count = int(wanted)
        if not 1 <= count <= SYMBOLS_MAX:
            raise BadStart(f"--symbols: expected a count of 1 to {SYMBOLS_MAX}, found {count}")
        invented = tuple(f"C{n:02d}USDT" for n in range(len(DEFAULT_SYMBOLS), count))
        return (*DEFAULT_SYMBOLS, *invented)[:count]
    names = tuple(name.strip().upper() for name in wanted.split(",") if name.strip())
    for name in names:
        if not (name.isascii() and name.isalnum() and name.endswith(QUOTE) and name != QUOTE):
            raise BadStart(f"--symbols: expected names like BTCUSDT, found {name!r}")
    if len(set(names)) != len(names):
        raise BadStart(f"--symbols: expected each name once, found {wanted!r}")
    return names


class Catalogue:
    """All instruments by (category, symbol)."""

    def __init__(self, symbols: tuple[str, ...], prices: dict[str, float] | None = None) -> None:
        self.symbols = symbols
        self._rows: dict[tuple[str, str], Instrument] = {}
        for place, symbol in enumerate(symbols):
            seen = (prices or {}).get(symbol)
            if symbol in _KNOWN:
                pair = _pair(symbol, _KNOWN[symbol])
            else:
                pair = _invented(symbol, seen or round(2.0 * 1.9 ** (place % 13), 2))
            for category, instrument in pair.items():
                self._rows[category, symbol] = instrument

    def get(self, category: str, symbol: str) -> Instrument | None:
        """The instrument, or None."""
        return self._rows.get((category, symbol))

    def of(self, category: str) -> list[Instrument]:
        """All instruments of a category."""
        return [row for (kind, _), row in self._rows.items() if kind == category]

    def set_tick(self, category: Category, symbol: str, tick: Decimal) -> None:
        """Replaces an instrument's price grid."""
        key = (category, symbol)
        self._rows[key] = replace(self._rows[key], tick=tick)

    def set_step(self, category: Category, symbol: str, step: Decimal) -> None:
        """Replaces an instrument's quantity grid."""
        key = (category, symbol)
        self._rows[key] = replace(self._rows[key], step=step)
