"""Reads the rows of Bybit V5 and refuses what cannot be true, at the border."""

from __future__ import annotations

import re
from decimal import Decimal

from msgspec import Struct

from bot.core.text import safe_text
from bot.core.values import (
    Candle,
    Instrument,
    OrderStatus,
    Side,
    VenueFill,
    VenueOrder,
    VenuePosition,
)

MINUTE_MS = 60_000
QUOTE = "USDT"
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
    """Return a limit, stop, or target; None where the venue says "" or "0"."""
    return (_not_negative(text, what) or None) if text else None


def symbol(text: str) -> str:
    """Return a well-formed symbol. Raises ValueError."""
    if not _SYMBOL.fullmatch(text):
        raise ValueError(f"expected a symbol, found {safe_text(text, 40)!r}")
    return text


class OrderRow(Struct, rename="camel"):
    """A row of the order lists and of the ``order`` topic."""

    order_id: str
    order_link_id: str
    symbol: str
    side: Side
    qty: str
    cum_exec_qty: str
    order_status: str
    reject_reason: str = ""
    cancel_type: str = ""
    stop_order_type: str = ""
    category: str = ""
    order_type: str = ""
    price: str = ""
    reduce_only: bool = False
    close_on_trigger: bool = False

    @property
    def protects(self) -> bool:
        """A stop, target, or trailing stop, or another that can only reduce once triggered.

        A conditional order ("Stop") without these flags waits to open something: an entry.
        """
        if self.stop_order_type == "Stop":
            return self.only_reduces
        return self.stop_order_type not in ("", "UNKNOWN")

    @property
    def only_reduces(self) -> bool:
        """It is bound to close what is open: a person's limit at a target, say, or our own exit."""
        return self.reduce_only or self.close_on_trigger

    def value(self) -> VenueOrder:
        """Return the row in the bot's words. Raises ValueError."""
        filled = _not_negative(self.cum_exec_qty or "0", "cumExecQty")
        status = _STATUS.get(self.order_status)
        if status is None:
            raise ValueError(f"unknown orderStatus {safe_text(self.order_status, 40)!r}")
        if status is OrderStatus.REJECTED and filled:
            status = OrderStatus.CANCELED
        said = (self.reject_reason, self.cancel_type)
        reasons = [safe_text(r) for r in said if r not in ("", "EC_NoError", "UNKNOWN")]
        return VenueOrder(
            order=safe_text(self.order_link_id, 64),
            venue_id=safe_text(self.order_id, 64),
            symbol=symbol(self.symbol),
            side=self.side,
            qty=_not_negative(self.qty, "qty"),
            filled=filled,
            status=status,
            reason=" ".join(reasons),
            price=None if self.order_type == "Market" else _level(self.price, "price"),
        )


class FillRow(Struct, rename="camel"):
    """A row of the execution list and of the ``execution`` topic."""

    exec_id: str
    order_link_id: str
    symbol: str
    side: Side
    exec_qty: str
    exec_price: str
    exec_time: str
    exec_fee: str = "0"
    exec_type: str = "Trade"
    stop_order_type: str = ""
    category: str = ""
    fee_currency: str = ""

    @property
    def fee_is_booked(self) -> bool:
        """The fee was taken from the wallet that is kept here."""
        return self.fee_currency in ("", QUOTE)

    def value(self) -> VenueFill:
        """Return the row in the bot's words; a fee in another coin is none. Raises ValueError."""
        fee = number(self.exec_fee or "0", "execFee")
        forced = self.exec_type if self.exec_type != "Trade" else ""
        by = self.stop_order_type if self.stop_order_type != "UNKNOWN" else ""
        return VenueFill(
            fill=safe_text(self.exec_id, 64),
            order=safe_text(self.order_link_id, 64),
            symbol=symbol(self.symbol),
            side=self.side,
            qty=number(self.exec_qty, "execQty"),
            price=number(self.exec_price, "execPrice"),
            fee=fee if self.fee_is_booked else Decimal(0),
            at=int(number(self.exec_time, "execTime")),
            by=safe_text(by or forced, 40),
        )


class PositionRow(Struct, rename="camel"):
    """A row of the position list (``avgPrice``) and of the ``position`` topic (``entryPrice``)."""

    symbol: str
    side: str
    size: str
    avg_price: str = ""
    entry_price: str = ""
    stop_loss: str = ""
    take_profit: str = ""
    category: str = ""
    position_idx: int = 0  # 1 and 2 are the sides of hedge mode

    def value(self) -> VenuePosition:
        """Return the row in the bot's words, with a signed quantity. Raises ValueError."""
        size = _not_negative(self.size or "0", "size")
        entry = _not_negative(self.entry_price or self.avg_price or "0", "entry price")
        if size and (self.side not in ("Buy", "Sell") or not entry):
            raise ValueError(f"expected a side and a price of {size}, found {self.side!r} {entry}")
        return VenuePosition(
            symbol=symbol(self.symbol),
            qty=-size if self.side == "Sell" else size,
            entry=entry,
            stop=_level(self.stop_loss, "stopLoss"),
            take=_level(self.take_profit, "takeProfit"),
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


class _Lots(Struct, rename="camel"):
    qty_step: str = ""
    base_precision: str = ""
    min_order_qty: str = "0"
    min_notional_value: str = ""
    min_order_amt: str = "0"


class _Ticks(Struct, rename="camel"):
    tick_size: str


class InstrumentRow(Struct, rename="camel"):
    """A row of instruments-info, linear or spot."""

    symbol: str
    status: str
    lot_size_filter: _Lots
    price_filter: _Ticks
    contract_type: str = ""
    settle_coin: str = ""
    quote_coin: str = ""

    def value(self, taker_fee: Decimal) -> Instrument:
        """Return the instrument. Raises ValueError."""
        lots = self.lot_size_filter
        return Instrument(
            symbol=symbol(self.symbol),
            tick=number(self.price_filter.tick_size, "tickSize"),
            lot=number(lots.qty_step or lots.base_precision, "qtyStep"),
            qty_min=_not_negative(lots.min_order_qty or "0", "minOrderQty"),
            notional_min=_not_negative(
                lots.min_notional_value or lots.min_order_amt, "minNotional"
            ),
            taker_fee=taker_fee,
        )


class FeeRow(Struct, rename="camel"):
    """A row of fee-rate."""

    symbol: str
    taker_fee_rate: str


class CoinRow(Struct, rename="camel"):
    """A coin of the wallet."""

    coin: str
    wallet_balance: str


class WalletRow(Struct, rename="camel"):
    """The unified account."""

    coin: list[CoinRow]


class TickerRow(Struct, rename="camel"):
    """A ticker of the list."""

    last_price: str
    mark_price: str = ""


class OrderIds(Struct, rename="camel"):
    """The acknowledgement of an order."""

    order_id: str
    order_link_id: str = ""


class DcpRow(Struct, rename="camel"):
    """The disconnect protection of a product."""

    product: str
    dcp_status: str = ""
    time_window: str = "0"


class DcpRows(Struct, rename="camel"):
    """The products that have it."""

    dcp_infos: list[DcpRow] = []
