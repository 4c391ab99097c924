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
StopType = Literal[
    "",
    "Stop",  # a conditional order
    "tpslOrder",  # a spot order with a trigger that holds its coins from the start
    "TakeProfit",
    "StopLoss",
    "TrailingStop",
    "PartialTakeProfit",
    "PartialStopLoss",
]
TriggerBy = Literal["LastPrice", "MarkPrice", "IndexPrice"]
SmpType = Literal["None", "CancelMaker", "CancelTaker", "CancelBoth"]
PROTECTION = frozenset(
    {"TakeProfit", "StopLoss", "TrailingStop", "PartialTakeProfit", "PartialStopLoss"}
)
FINAL = frozenset({"Filled", "Cancelled", "PartiallyFilledCanceled", "Rejected", "Deactivated"})


class Leg(msgspec.Struct, omit_defaults=True):
    """One half of a bracket, take-profit or stop-loss; a price of 0 is none."""

    price: Decimal = ZERO
    trigger_by: TriggerBy = "LastPrice"
    order_type: Literal["Market", "Limit"] = "Market"
    limit_price: Decimal = ZERO
    size: Decimal = ZERO  # base coin; 0 is all


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
    close_on_trigger: bool = False
    smp_type: SmpType = "None"
    smp_order_id: str = ""  # the own order that this one met
    slippage_type: Literal["", "TickSize", "Percent"] = ""
    slippage: Decimal = ZERO
    tp: Leg = msgspec.field(default_factory=Leg)
    sl: Leg = msgspec.field(default_factory=Leg)
    tpsl_mode: Literal["", "Full", "Partial"] = ""
    armed: bool = False  # its bracket stands at the venue
    trigger_price: Decimal = ZERO
    trigger_by: TriggerBy = "LastPrice"
    trail: Decimal = ZERO  # a trailing stop's distance
    active_price: Decimal = ZERO  # where it begins to trail; 0: at once
    peak: Decimal = ZERO  # the best price since then; 0: it does not trail yet
    last_on_created: Decimal = ZERO
    queue_ahead: Decimal = ZERO  # what others want at its price before it, in base coin
    queued_n: int = 0  # its place among our own orders, in order of arrival
    trigger_direction: Literal[0, 1, 2] = 0  # 1: fires when the price rises to it, 2: when it falls
    stop_order_type: StopType = ""
    create_type: str = "CreateByUser"
    parent_id: str = ""  # what two stops share of which one ends the other
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
        """True for an order that a trigger price starts, or started."""
        return bool(self.stop_order_type)

    @property
    def waits(self) -> bool:
        """True until its trigger price is reached."""
        return self.status == "Untriggered"

    @property
    def protects(self) -> bool:
        """True for a take-profit, stop-loss, or trailing stop."""
        return self.stop_order_type in PROTECTION

    @property
    def rests(self) -> bool:
        """True while it stands in the book."""
        return self.order_type == "Limit" and self.status in ("New", "PartiallyFilled")

    @property
    def occupies(self) -> bool:
        """True if money is reserved for it: a conditional order waits without."""
        return not (self.waits and self.stop_order_type == "Stop")

    @property
    def take_profit(self) -> Decimal:
        """The take-profit that it carries; 0 is none."""
        return self.tp.price

    @property
    def stop_loss(self) -> Decimal:
        """The stop-loss that it carries; 0 is none."""
        return self.sl.price

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
    rises = kind.endswith("TakeProfit") == is_long
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
        close_on_trigger=category == "linear",
        trigger_direction=1 if rises else 2,
        stop_order_type=kind,
        create_type=f"CreateBy{kind}",
        status="Untriggered",
    )


def shape_stop(stop: Order, leg: Leg) -> None:
    """Gives a stop the trigger of a leg, and its limit price if it has one."""
    stop.trigger_price, stop.trigger_by = leg.price, leg.trigger_by
    stop.order_type, stop.price = leg.order_type, leg.limit_price
    stop.time_in_force = "GTC" if leg.order_type == "Limit" else "IOC"


def attached_stops(order: Order) -> tuple[tuple[StopType, Leg], ...]:
    """The stops that an entry carries; a price of 0 is none."""
    return ("TakeProfit", order.tp), ("StopLoss", order.sl)
