"""The values that events carry: candles, instruments, and what the venue says of orders."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

ZERO = Decimal(0)


class Side(StrEnum):
    """The side of an order or execution."""

    BUY = "Buy"
    SELL = "Sell"

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @staticmethod
    def of(qty: Decimal) -> Side:
        """The side that opened a signed quantity, which is not zero."""
        return Side.BUY if qty > 0 else Side.SELL

    @property
    def opposite(self) -> Side:
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


class Candle(Struct, frozen=True, array_like=True):
    """One closed candle; prices are statistics (float). Raises ValueError if it cannot be true."""

    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    def __post_init__(self) -> None:
        for name in ("open", "high", "low", "close"):
            price = getattr(self, name)
            if not (math.isfinite(price) and price > 0):
                raise ValueError(f"expected a finite {name} price above 0, found {price!r}")
        if not (math.isfinite(self.volume) and self.volume >= 0):
            raise ValueError(f"expected a finite volume of 0 or more, found {self.volume!r}")
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError(
                f"expected low ≤ open, close ≤ high, found open {self.open} high {self.high} "
                f"low {self.low} close {self.close}"
            )


class Instrument(Struct, frozen=True):
    """What the venue allows for a symbol; sizes in base units, prices in quote units."""

    symbol: str
    tick: Decimal
    lot: Decimal
    qty_min: Decimal
    notional_min: Decimal
    taker_fee: Decimal

    def __post_init__(self) -> None:
        for name in ("tick", "lot"):
            if not (getattr(self, name).is_finite() and getattr(self, name) > 0):
                raise ValueError(
                    f"expected {self.symbol} {name} above 0, found {getattr(self, name)}"
                )

    def round_qty(self, qty: Decimal) -> Decimal:
        """Round a quantity down to the lot size."""
        return qty // self.lot * self.lot

    def round_price(self, price: float) -> Decimal:
        """Round a price to the nearest tick."""
        return (Decimal(str(price)) / self.tick).quantize(Decimal(1)) * self.tick


class OrderStatus(StrEnum):
    """An order's status as the venue reports it, in the bot's own words."""

    OPEN = "OPEN"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"


class VenueOrder(Struct, frozen=True):
    """An order row of the venue. ``order`` is the client id, empty for the venue's own stop orders.

    ``price`` is its limit, None at market.
    """

    order: str
    venue_id: str
    symbol: str
    side: Side
    qty: Decimal
    filled: Decimal
    status: OrderStatus
    reason: str = ""
    price: Decimal | None = None


class VenueFill(Struct, frozen=True):
    """One execution. ``order`` is empty where a venue-held stop closed the position."""

    fill: str
    order: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    at: int
    by: str = ""

    def __post_init__(self) -> None:
        if not (
            self.qty.is_finite() and self.qty > 0 and self.price.is_finite() and self.price > 0
        ):
            raise ValueError(
                f"expected a fill of finite size and price, found {self.qty} @ {self.price}"
            )


class CashMove(Struct, frozen=True):
    """Cash that came or went without an execution: funding, a transfer; quote units."""

    move: str
    kind: str
    symbol: str
    change: Decimal
    at: int

    def __post_init__(self) -> None:
        if not self.change.is_finite():
            raise ValueError(f"expected a finite change of cash, found {self.change}")


class VenuePosition(Struct, frozen=True):
    """A position as the venue sees it; ``qty`` is signed, long above zero."""

    symbol: str
    qty: Decimal
    entry: Decimal
    stop: Decimal | None = None
    take: Decimal | None = None
