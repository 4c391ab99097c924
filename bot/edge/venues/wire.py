"""Reads the rows of Bybit V5 and refuses what cannot be true, at the border."""

from __future__ import annotations

import re
from decimal import Decimal

from msgspec import Struct

from bot.core.values import (
    ZERO,
    Candle,
    Instrument,
    OrderStatus,
    Side,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from bot.edge.text import safe_text

MINUTE_MS = 60_000
ABSURD = 15  # decimal places left of the point: nothing traded is worth or counts so much
TRADES = frozenset({"Trade", "AdlTrade", "BustTrade"})  # the other executions move no position

_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?(?:[eE][-+]?\d{1,2})?", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9-]{2,30}", re.ASCII)
_STATUS = {
    "New": OrderStatus.OPEN,
    "Untriggered": OrderStatus.OPEN,
    "Triggered": OrderStatus.OPEN,
    "PartiallyFilled": OrderStatus.PARTIAL,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELED,
    "PartiallyFilledCanceled": OrderStatus.CANCELED,
    "Deactivated": OrderStatus.CANCELED,
    "Rejected": OrderStatus.REJECTED,
}


def number(text: str, what: str) -> Decimal:
    """Return a finite number. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"expected {what} to be a number, found {safe_text(text, 40)!r}")
    value = Decimal(text)
    if value and value.adjusted() >= ABSURD:
        raise ValueError(f"expected {what} of a possible size, found {safe_text(text, 40)!r}")
    return value


def price(text: str, what: str) -> float:
    """Return a price above zero, as a statistic. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"expected {what} to be a number, found {safe_text(text, 40)!r}")
    value = float(text)
    if not 0 < value < 10.0**ABSURD:
        raise ValueError(f"expected {what} above 0, found {safe_text(text, 40)!r}")
    return value


def _not_negative(text: str, what: str) -> Decimal:
    value = number(text, what)
    if value < 0:
        raise ValueError(f"expected {what} of 0 or more, found {text!r}")
    return value


def _level(text: str, what: str) -> Decimal | None:
    """Return a stop or target; None where the venue says "" or "0"."""
    return (_not_negative(text, what) or None) if text else None


def symbol(text: str) -> str:
    """Return a well-formed symbol. Raises ValueError."""
    if not _SYMBOL.fullmatch(text):
        raise ValueError(f"expected a symbol, found {safe_text(text, 40)!r}")
    return text


class OrderRow(Struct):
    """A row of the order lists and of the ``order`` topic."""

    orderId: str
    orderLinkId: str
    symbol: str
    side: Side
    qty: str
    cumExecQty: str
    orderStatus: str
    rejectReason: str = ""
    cancelType: str = ""
    stopOrderType: str = ""
    category: str = ""

    @property
    def is_stop(self) -> bool:
        """A stop or target that the venue holds."""
        return self.stopOrderType not in ("", "UNKNOWN")

    def value(self) -> VenueOrder:
        """Return the row in the bot's words. Raises ValueError."""
        filled = _not_negative(self.cumExecQty or "0", "cumExecQty")
        status = _STATUS.get(self.orderStatus)
        if status is None:
            raise ValueError(f"unknown orderStatus {safe_text(self.orderStatus, 40)!r}")
        if status is OrderStatus.REJECTED and filled:
            status = OrderStatus.CANCELED
        said = (self.rejectReason, self.cancelType)
        reasons = [safe_text(r) for r in said if r not in ("", "EC_NoError", "UNKNOWN")]
        return VenueOrder(
            order=safe_text(self.orderLinkId, 64),
            venue_id=safe_text(self.orderId, 64),
            symbol=symbol(self.symbol),
            side=self.side,
            qty=_not_negative(self.qty, "qty"),
            filled=filled,
            status=status,
            reason=" ".join(reasons),
        )


class FillRow(Struct):
    """A row of the execution list and of the ``execution`` topic."""

    execId: str
    orderLinkId: str
    symbol: str
    side: Side
    execQty: str
    execPrice: str
    execTime: str
    execFee: str = "0"
    execType: str = "Trade"
    stopOrderType: str = ""
    category: str = ""

    def value(self) -> VenueFill:
        """Return the row in the bot's words. Raises ValueError."""
        forced = self.execType if self.execType != "Trade" else ""
        by = self.stopOrderType if self.stopOrderType != "UNKNOWN" else ""
        return VenueFill(
            fill=safe_text(self.execId, 64),
            order=safe_text(self.orderLinkId, 64),
            symbol=symbol(self.symbol),
            side=self.side,
            qty=number(self.execQty, "execQty"),
            price=number(self.execPrice, "execPrice"),
            fee=number(self.execFee or "0", "execFee"),
            at=int(number(self.execTime, "execTime")),
            by=safe_text(by or forced, 40),
        )


class PositionRow(Struct):
    """A row of the position list (``avgPrice``) and of the ``position`` topic (``entryPrice``)."""

    symbol: str
    side: str
    size: str
    avgPrice: str = ""
    entryPrice: str = ""
    stopLoss: str = ""
    takeProfit: str = ""
    category: str = ""

    def value(self) -> VenuePosition:
        """Return the row in the bot's words, with a signed quantity. Raises ValueError."""
        size = _not_negative(self.size or "0", "size")
        entry = _not_negative(self.entryPrice or self.avgPrice or "0", "entry price")
        if size and (self.side not in ("Buy", "Sell") or not entry):
            raise ValueError(f"expected a side and a price of {size}, found {self.side!r} {entry}")
        return VenuePosition(
            symbol=symbol(self.symbol),
            qty=-size if self.side == "Sell" else size,
            entry=entry,
            stop=_level(self.stopLoss, "stopLoss"),
            take=_level(self.takeProfit, "takeProfit"),
        )


class KlineRow(Struct):
    """A row of the ``kline`` topic."""

    start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    confirm: bool

    def value(self) -> Candle:
        """Return the candle. Raises ValueError."""
        return candle(self.start, (self.open, self.high, self.low, self.close), self.volume)


def candle(start: int, prices: tuple[str, str, str, str], volume: str) -> Candle:
    """Return a candle of one minute from open, high, low, close. Raises ValueError."""
    if not 0 < start < 10**ABSURD or start % MINUTE_MS:
        raise ValueError(f"expected a candle to start on a minute, found {start}")
    opened, high, low, close = (price(text, "candle price") for text in prices)
    return Candle(start, opened, high, low, close, float(_not_negative(volume, "volume")))


class _Lots(Struct):
    qtyStep: str = ""
    basePrecision: str = ""
    minOrderQty: str = "0"
    minNotionalValue: str = ""
    minOrderAmt: str = "0"


class _Ticks(Struct):
    tickSize: str


class InstrumentRow(Struct):
    """A row of instruments-info, linear or spot."""

    symbol: str
    status: str
    lotSizeFilter: _Lots
    priceFilter: _Ticks
    contractType: str = ""
    settleCoin: str = ""
    quoteCoin: str = ""

    def value(self, taker_fee: Decimal) -> Instrument:
        """Return the instrument. Raises ValueError."""
        lots = self.lotSizeFilter
        return Instrument(
            symbol=symbol(self.symbol),
            tick=number(self.priceFilter.tickSize, "tickSize"),
            lot=number(lots.qtyStep or lots.basePrecision, "qtyStep"),
            qty_min=_not_negative(lots.minOrderQty or "0", "minOrderQty"),
            notional_min=_not_negative(lots.minNotionalValue or lots.minOrderAmt, "minNotional"),
            taker_fee=taker_fee,
        )


class FeeRow(Struct):
    """A row of fee-rate."""

    symbol: str
    takerFeeRate: str


class CoinRow(Struct):
    """A coin of the wallet."""

    coin: str
    walletBalance: str


class WalletRow(Struct):
    """The unified account."""

    coin: list[CoinRow]


class TickerRow(Struct):
    """A ticker of the list."""

    lastPrice: str
    markPrice: str = ""


class OrderIds(Struct):
    """The acknowledgement of an order."""

    orderId: str
    orderLinkId: str = ""
