"""Describes an order, from acceptance to its end, and the position that fills add up to."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from exchange.decimals import ZERO, cents
from exchange.instruments import Category, Side

Status = Literal[
    "New",
    "PartiallyFilled",
    "Untriggered",
    "Triggered",
    "Filled",
    "Cancelled",
    "PartiallyFilledCanceled",
    "Rejected",
    "Deactivated",
]
TimeInForce = Literal["GTC", "IOC", "FOK", "PostOnly"]
StopType = Literal["", "StopLoss", "TakeProfit"]
FINAL = frozenset({"Filled", "Cancelled", "PartiallyFilledCanceled", "Rejected", "Deactivated"})


class Order(msgspec.Struct, omit_defaults=True):
    """One order; prices in USDT, quantities in base coin (in USDT if `market_unit` says so)."""

    order_id: str
    category: Category
    symbol: str
    side: Side
    order_type: Literal["Market", "Limit"]
    qty: Decimal
    created_ms: int
    updated_ms: int
    link_id: str = ""
    price: Decimal = ZERO
    time_in_force: TimeInForce = "GTC"
    reduce_only: bool = False
    market_unit: Literal["", "baseCoin", "quoteCoin"] = ""
    take_profit: Decimal = ZERO
    stop_loss: Decimal = ZERO
    trigger_price: Decimal = ZERO
    trigger_direction: Literal[0, 1, 2] = 0  # 1: fires when the price rises to it, 2: when it falls
    stop_order_type: StopType = ""
    create_type: str = "CreateByUser"
    parent_id: str = ""  # the spot order whose fill made this stop
    status: Status = "New"
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    filled: Decimal = ZERO
    filled_value: Decimal = ZERO
    fees: dict[str, Decimal] = {}
    realised: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        """True while the order may still fill or fire."""
        return self.status not in FINAL

    @property
    def is_stop(self) -> bool:
        """True for a take-profit or stop-loss order."""
        return bool(self.stop_order_type)

    @property
    def in_quote(self) -> bool:
        """True if `qty` counts USDT instead of base coin."""
        return self.market_unit == "quoteCoin"

    @property
    def leaves(self) -> Decimal:
        """What is still to fill, in the unit of `qty`; zero when the order has ended."""
        if not self.is_open:
            return ZERO
        return self.qty - (self.filled_value if self.in_quote else self.filled)


class Position(msgspec.Struct):
    """A one-way linear position; `size` is negative when short, `cost` is entry value in USDT."""

    symbol: str
    size: Decimal = ZERO
    cost: Decimal = ZERO
    open_fees: Decimal = ZERO
    realised: Decimal = ZERO  # of this position, fees included
    realised_total: Decimal = ZERO  # of all time, fees included
    leverage: Decimal = Decimal(10)
    created_ms: int = 0
    updated_ms: int = 0

    @property
    def entry_price(self) -> Decimal:
        """Average entry price, 0 when flat."""
        return cents(self.cost / abs(self.size)) if self.size else ZERO

    @property
    def side(self) -> Literal["", "Buy", "Sell"]:
        """Buy when long, Sell when short, empty when flat."""
        if not self.size:
            return ""
        return "Buy" if self.size > 0 else "Sell"

    def closable_by(self, side: Side) -> Decimal:
        """The quantity of this position that an order of `side` would close."""
        closing = self.size if side == "Sell" else -self.size
        return max(closing, ZERO)

    def unrealised(self, price: Decimal) -> Decimal:
        """Profit if closed at `price`, before fees, in USDT."""
        value = abs(self.size) * price
        return value - self.cost if self.size > 0 else self.cost - value


class Closed(msgspec.Struct):
    """What one fill took off a position; money in USDT."""

    qty: Decimal
    entry_value: Decimal
    exit_value: Decimal
    open_fee: Decimal
    pnl: Decimal  # before fees


class Trade(NamedTuple):
    """One execution: USDT, base coin, and market milliseconds."""

    price: Decimal
    qty: Decimal
    maker: bool
    at_ms: int


def apply_fill(position: Position, side: Side, trade: Trade, fee: Decimal) -> Closed | None:
    """Moves the position by one fill and says what was closed; cost is never lost to rounding."""
    price, qty = trade.price, trade.qty
    closing = min(position.closable_by(side), qty)
    opening = qty - closing
    closed = None
    if closing:
        closed = _close(position, closing, price)
        position.realised += closed.pnl
        position.realised_total += closed.pnl
    position.realised -= fee
    position.realised_total -= fee
    if opening:
        if not position.size:
            position.created_ms = trade.at_ms
            position.realised = -cents(fee * opening / qty)
        position.size += opening if side == "Buy" else -opening
        position.cost += opening * price
        position.open_fees += cents(fee * opening / qty)
    position.updated_ms = trade.at_ms
    return closed


def _close(position: Position, qty: Decimal, price: Decimal) -> Closed:
    whole = qty == abs(position.size)
    share = qty / abs(position.size)
    entry = position.cost if whole else cents(position.cost * share)
    open_fee = position.open_fees if whole else cents(position.open_fees * share)
    exit_value = qty * price
    pnl = exit_value - entry if position.size > 0 else entry - exit_value
    position.size += -qty if position.size > 0 else qty
    position.cost -= entry
    position.open_fees -= open_fee
    return Closed(qty, entry, exit_value, open_fee, pnl)


def new_stop(category: Category, symbol: str, kind: StopType, is_long: bool, now_ms: int) -> Order:
    """An untriggered stop without quantity and price, for a position that is long or short."""
    rises = (kind == "TakeProfit") == is_long
    return Order(
        order_id=str(uuid.uuid4()),
        category=category,
        symbol=symbol,
        side="Sell" if is_long else "Buy",
        order_type="Market",
        time_in_force="IOC",
        qty=ZERO,
        created_ms=now_ms,
        updated_ms=now_ms,
        reduce_only=category == "linear",
        trigger_direction=1 if rises else 2,
        stop_order_type=kind,
        create_type=f"CreateBy{kind}",
        status="Untriggered",
    )


def attached_stops(order: Order) -> tuple[tuple[StopType, Decimal], ...]:
    """The stops that an entry carries, with their prices; 0 is none."""
    return ("TakeProfit", order.take_profit), ("StopLoss", order.stop_loss)
