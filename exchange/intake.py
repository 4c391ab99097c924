"""Reads a request to create an order and makes the order, or refuses it with Bybit's code."""

from __future__ import annotations

import re
import uuid
from decimal import Decimal
from typing import Any, cast

from exchange.account import Account
from exchange.book import Book
from exchange.checks import Checks, codes
from exchange.decimals import ZERO, parse
from exchange.errors import Refused
from exchange.instruments import Category, Instrument, Side
from exchange.market import Market
from exchange.orders import Leg, Order, SmpType, TimeInForce, TriggerBy

Body = dict[str, Any]
_LINK = re.compile(r"[A-Za-z0-9_-]{1,36}")
OPEN_ORDERS_MAX = 500  # active orders of a linear symbol, or of all spot symbols together
CONDITIONAL_MAX = 10  # waiting conditional orders of a linear symbol
SPOT_STOPS_MAX = 30  # waiting orders of a spot symbol


class Intake:
    """Turns bodies of /v5/order/create into accepted orders."""

    def __init__(self, market: Market, account: Account, book: Book) -> None:
        self.checks = Checks(market, account)
        self._market = market
        self._account = account
        self._book = book
        self._spot_ids = int(book.get("spot_ids") or 1_800_000_000_000_000_000)

    def instrument(self, body: Body) -> Instrument:
        """The instrument that a request names."""
        category, symbol = body.get("category"), str(body.get("symbol") or "")
        if category not in ("spot", "linear"):
            raise Refused(10001, "params error: category invalid")
        found = self._market.catalogue.get(category, symbol)
        if found is None:
            raise (
                Refused(170121, "Invalid symbol.")
                if category == "spot"
                else Refused(10001, "params error: symbol invalid")
            )
        return found

    def order(self, body: Body, open_orders: dict[str, Order]) -> Order:
        """The order that the body asks for, checked against grids, money, and used ids."""
        instrument = self.instrument(body)
        if not self._market.is_live(instrument):
            raise (
                Refused(170121, "Invalid symbol.")
                if instrument.category == "spot"
                else Refused(110074, "This contract is not live")
            )
        order = self._draft(body, instrument)
        self._make_conditional(order, body, instrument)
        if order.link_id and self._book.link_used(order.link_id):
            if instrument.category == "spot":
                raise Refused(170141, "Duplicate clientOrderId.")
            raise Refused(110072, "OrderLinkedID is duplicate")
        _check_count(order, open_orders)
        self._close_or_clip(order)
        self.checks.everything(order, instrument, open_orders.values())
        order.order_id = self._new_id(instrument.category)
        return order

    def _draft(self, body: Body, instrument: Instrument) -> Order:
        code = codes(instrument.category)
        linear = instrument.category == "linear"
        side, kind = body.get("side"), body.get("orderType")
        if side not in ("Buy", "Sell"):
            raise Refused(code(170117), "Invalid side.")
        if kind not in ("Market", "Limit"):
            raise Refused(code(170116), "Invalid orderType.")
        force = "IOC" if kind == "Market" else body.get("timeInForce") or "GTC"
        if force not in ("GTC", "IOC", "FOK", "PostOnly"):
            raise Refused(code(170115), "Invalid timeInForce.")
        if body.get("positionIdx") not in (None, "", 0, "0"):
            raise Refused(10001, "position idx not match position mode")
        now = self._market.clock.now_ms()
        order = Order(
            order_id="",
            category=instrument.category,
            symbol=instrument.symbol,
            side=cast("Side", side),
            order_type="Market" if kind == "Market" else "Limit",
            qty=parse(body.get("qty"), "qty"),
            price=parse(body.get("price"), "price") if kind == "Limit" else ZERO,
            time_in_force=cast("TimeInForce", force),
            link_id=_link(body),
            reduce_only=linear and _flag(body.get("reduceOnly")),
            close_on_trigger=linear and _flag(body.get("closeOnTrigger")),
            market_unit=_market_unit(body, instrument.category),
            smp_type=_smp_type(body),
            last_on_created=self._market.last(instrument),
            created_ms=now,
            updated_ms=now,
        )
        _attach(order, body)
        _tolerate(order, body)
        return order

    def _make_conditional(self, order: Order, body: Body, instrument: Instrument) -> None:
        """A trigger price makes the order wait until the market reaches it."""
        order.trigger_price = parse(body.get("triggerPrice"), "triggerPrice")
        spot_filter = body.get("orderFilter") or "Order" if order.category == "spot" else ""
        if spot_filter not in ("", "Order", "StopOrder", "tpslOrder"):
            raise Refused(10001, "params error: orderFilter invalid")
        if spot_filter in ("StopOrder", "tpslOrder") and not order.trigger_price:
            raise Refused(10001, "params error: triggerPrice is required")
        if spot_filter == "Order" and order.trigger_price:
            raise Refused(10001, "params error: triggerPrice needs orderFilter")
        if not order.trigger_price:
            return
        order.status = "Untriggered"
        order.stop_order_type = "tpslOrder" if spot_filter == "tpslOrder" else "Stop"
        order.trigger_by = trigger_by(body, "triggerBy")
        last = self._market.mark(instrument)
        if order.category == "spot":
            order.trigger_direction = 1 if order.trigger_price > last else 2
            return
        direction = str(body.get("triggerDirection") or "")
        if direction not in ("1", "2"):
            raise Refused(10001, "params error: triggerDirection invalid")
        order.trigger_direction = 1 if direction == "1" else 2
        check_trigger(order, last)

    def _new_id(self, category: Category) -> str:
        """Bybit's spot ids look like numbers, its linear ids are uuids."""
        if category == "linear":
            return str(uuid.uuid4())
        self._spot_ids += 1
        self._book.put("spot_ids", self._spot_ids)
        return str(self._spot_ids)

    def _close_or_clip(self, order: Order) -> None:
        """Reduce-only orders never exceed the position; quantity 0 means all of it."""
        if not order.reduce_only:
            return
        closable = self._account.position(order.symbol).closable_by(order.side)
        if not closable:
            raise Refused(110017, "current position is zero, cannot fix reduce-only order qty")
        if not order.qty and order.close_on_trigger:
            order.qty = closable
        order.qty = min(order.qty, closable)


def check_trigger(order: Order, last: Decimal) -> None:
    """Refuses a linear trigger price on the wrong side of the market."""
    if order.trigger_direction == 1 and order.trigger_price <= last:
        raise Refused(
            110092, f"expect Rising, but trigger_price[{order.trigger_price}] <= current[{last}]"
        )
    if order.trigger_direction == 2 and order.trigger_price >= last:
        raise Refused(
            110093, f"expect Falling, but trigger_price[{order.trigger_price}] >= current[{last}]"
        )


def trigger_by(body: Body, name: str) -> TriggerBy:
    """Which price fires; the last price unless the body says another."""
    value = body.get(name) or "LastPrice"
    if value not in ("LastPrice", "MarkPrice", "IndexPrice"):
        raise Refused(10001, f"params error: {name} invalid")
    return cast("TriggerBy", value)


def read_leg(body: Body, prefix: str) -> Leg:
    """The take-profit ("tp") or stop-loss ("sl") half of a bracket that the body gives."""
    name = "takeProfit" if prefix == "tp" else "stopLoss"
    limit = parse(body.get(f"{prefix}LimitPrice"), f"{prefix}LimitPrice")
    implied = "Limit" if limit and body.get("category") == "spot" else "Market"
    kind = body.get(f"{prefix}OrderType") or implied
    if kind not in ("Market", "Limit"):
        raise Refused(10001, f"params error: {prefix}OrderType invalid")
    if kind == "Limit" and not limit:
        raise Refused(10001, f"params error: {prefix}LimitPrice is required")
    return Leg(
        price=parse(body.get(name), name),
        trigger_by=trigger_by(body, f"{prefix}TriggerBy"),
        order_type="Limit" if kind == "Limit" else "Market",
        limit_price=limit if kind == "Limit" else ZERO,
        size=parse(body.get(f"{prefix}Size"), f"{prefix}Size"),
    )


def check_mode(mode: Any, *legs: Leg) -> None:
    """Full brackets are market orders; only partial ones may be limit orders."""
    if mode not in ("Full", "Partial"):
        raise Refused(10001, "params error: tpslMode invalid")
    if mode == "Full" and any(leg.order_type == "Limit" for leg in legs):
        raise Refused(10001, "params error: tpslMode Full supports only Market tp/sl")


def _attach(order: Order, body: Body) -> None:
    """Reads the bracket that travels with an order."""
    order.tp, order.sl = read_leg(body, "tp"), read_leg(body, "sl")
    if order.category == "linear" and (order.tp.price or order.sl.price):
        mode = body.get("tpslMode") or "Full"
        check_mode(mode, order.tp, order.sl)
        order.tpsl_mode = "Partial" if mode == "Partial" else "Full"


def _tolerate(order: Order, body: Body) -> None:
    """Reads the slippage tolerance of a market order: 5-2000 ticks, or 0.05-1 percent."""
    kind = body.get("slippageToleranceType") or ""
    if kind in ("", "UNKNOWN"):
        return
    amount = parse(body.get("slippageTolerance"), "slippageTolerance")
    if order.order_type != "Market" or order.tp.price or order.sl.price:
        raise Refused(10001, "params error: slippageTolerance is for plain market orders only")
    if kind == "TickSize" and 5 <= amount <= 2000 and not amount % 1:
        order.slippage_type = "TickSize"
    elif kind == "Percent" and Decimal("0.05") <= amount <= 1 and not amount * 100 % 1:
        order.slippage_type = "Percent"
    else:
        raise Refused(10001, "params error: slippageTolerance invalid")
    order.slippage = amount


def _check_count(order: Order, open_orders: dict[str, Order]) -> None:
    """Refuses an order beyond the number that may be open at once."""
    if len(open_orders) < (CONDITIONAL_MAX if order.waits else OPEN_ORDERS_MAX):
        return
    linear = order.category == "linear"
    same = [
        o
        for o in open_orders.values()
        if o.category == order.category and o.waits == order.waits and not o.protects
    ]
    if order.waits or linear:
        same = [o for o in same if o.symbol == order.symbol]
    if order.waits and len(same) >= (CONDITIONAL_MAX if linear else SPOT_STOPS_MAX):
        raise Refused(
            110009 if linear else 170810, "The number of stop orders exceeds maximum limit allowed"
        )
    if not order.waits and len(same) >= OPEN_ORDERS_MAX:
        raise Refused(
            110020 if linear else 170810, "Not allowed to have more than 500 active orders"
        )


def _link(body: Body) -> str:
    link = str(body.get("orderLinkId") or "")
    if link and not _LINK.fullmatch(link):
        raise Refused(10001, "params error: orderLinkId invalid")
    return link


def _smp_type(body: Body) -> SmpType:
    value = body.get("smpType") or "None"
    if value not in ("None", "CancelMaker", "CancelTaker", "CancelBoth"):
        raise Refused(10001, "params error: smpType invalid")
    return cast("SmpType", value)


def _market_unit(body: Body, category: Category) -> Any:
    if category != "spot" or body.get("orderType") != "Market":
        return ""
    unit = body.get("marketUnit") or ("quoteCoin" if body.get("side") == "Buy" else "baseCoin")
    if unit not in ("baseCoin", "quoteCoin"):
        raise Refused(10001, "params error: marketUnit invalid")
    return unit


def _flag(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
