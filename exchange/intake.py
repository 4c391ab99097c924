"""Checks a request to create an order and makes the order, or refuses it with Bybit's code."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from exchange.account import Account
from exchange.book import Book
from exchange.decimals import ZERO, parse
from exchange.errors import Refused
from exchange.instruments import QUOTE, Category, Instrument, Side
from exchange.market import Market
from exchange.orders import Order, TimeInForce

Body = dict[str, Any]
_LINK = re.compile(r"[A-Za-z0-9_-]{1,36}")
OPEN_ORDERS_MAX = 500


class Intake:
    """Turns bodies of /v5/order/create into accepted orders."""

    def __init__(self, market: Market, account: Account, book: Book) -> None:
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
            spot = category == "spot"
            raise (
                Refused(170121, "Invalid symbol.")
                if spot
                else Refused(10001, "params error: symbol invalid")
            )
        return found

    def order(self, body: Body, open_orders: list[Order]) -> Order:
        """The order that the body asks for, checked against grids, money, and used ids."""
        instrument = self.instrument(body)
        order = self._draft(body, instrument)
        if order.link_id and self._book.link_used(order.link_id):
            if instrument.category == "spot":
                raise Refused(170141, "Duplicate clientOrderId.")
            raise Refused(110072, "OrderLinkedID is duplicate")
        if len(open_orders) >= OPEN_ORDERS_MAX:
            raise Refused(110020, "Not allowed to have more than 500 active orders")
        self._close_or_clip(order, body)
        self._check_grid(order, instrument)
        self._check_stops(order, instrument)
        self._check_money(order, instrument, open_orders)
        return order

    def _draft(self, body: Body, instrument: Instrument) -> Order:
        code = _codes(instrument.category)
        side, kind = body.get("side"), body.get("orderType")
        if side not in ("Buy", "Sell"):
            raise Refused(code(170117), "Invalid side.")
        if kind not in ("Market", "Limit"):
            raise Refused(code(170116), "Invalid orderType.")
        force = "IOC" if kind == "Market" else body.get("timeInForce") or "GTC"
        if force not in ("GTC", "IOC", "FOK", "PostOnly"):
            raise Refused(code(170115), "Invalid timeInForce.")
        link = str(body.get("orderLinkId") or "")
        if link and not _LINK.fullmatch(link):
            raise Refused(10001, "params error: orderLinkId invalid")
        if body.get("triggerPrice"):
            raise Refused(10001, "params error: triggerPrice is not served here")
        if body.get("positionIdx") not in (None, 0, "0"):
            raise Refused(10001, "position idx not match position mode")
        now = self._market.clock.now_ms()
        return Order(
            order_id=self._new_id(instrument.category),
            category=instrument.category,
            symbol=instrument.symbol,
            side=cast("Side", side),
            order_type="Market" if kind == "Market" else "Limit",
            qty=parse(body.get("qty"), "qty"),
            price=parse(body.get("price"), "price") if kind == "Limit" else ZERO,
            time_in_force=cast("TimeInForce", force),
            link_id=link,
            reduce_only=instrument.category == "linear" and _flag(body.get("reduceOnly")),
            market_unit=_market_unit(body, instrument.category),
            take_profit=parse(body.get("takeProfit"), "takeProfit"),
            stop_loss=parse(body.get("stopLoss"), "stopLoss"),
            created_ms=now,
            updated_ms=now,
        )

    def _new_id(self, category: Category) -> str:
        """Bybit's spot ids look like numbers, its linear ids are uuids."""
        if category == "linear":
            return str(uuid.uuid4())
        self._spot_ids += 1
        self._book.put("spot_ids", self._spot_ids)
        return str(self._spot_ids)

    def _close_or_clip(self, order: Order, body: Body) -> None:
        """Reduce-only orders never exceed the position; quantity 0 means all of it."""
        if not order.reduce_only:
            return
        closable = self._account.position(order.symbol).closable_by(order.side)
        if not closable:
            raise Refused(110017, "current position is zero, cannot fix reduce-only order qty")
        if not order.qty and _flag(body.get("closeOnTrigger")):
            order.qty = closable
        order.qty = min(order.qty, closable)

    def _check_grid(self, order: Order, instrument: Instrument) -> None:
        code = _codes(order.category)
        spot = order.category == "spot"
        if order.qty <= 0:
            raise Refused(code(170136), "Order quantity lower than the minimum.")
        if not order.in_quote and order.qty % instrument.step:
            raise Refused(
                code(170137),
                "Order volume decimal too long." if spot else "Qty invalid",
            )
        if not order.in_quote and order.qty > instrument.max_qty:
            raise Refused(code(170135), "Order quantity exceeded upper limit.")
        if order.order_type == "Limit" and (order.price <= 0 or order.price % instrument.tick):
            raise Refused(code(170134), "Order price decimal too long.")
        if order.reduce_only:
            return
        if self._value(order, instrument) < instrument.min_notional:
            least = f"{instrument.min_notional}{QUOTE}"
            raise Refused(
                170140 if spot else 110094,
                "Order value exceeded lower limit."
                if spot
                else f"Order does not meet minimum order value {least}",
            )

    def _check_stops(self, order: Order, instrument: Instrument) -> None:
        base = order.price or self._market.last(instrument)
        for name, price in (
            ("TakeProfit", order.take_profit),
            ("StopLoss", order.stop_loss),
        ):
            if price:
                check_stop_price(name, order.side, price, base, instrument)

    def _check_money(self, order: Order, instrument: Instrument, open_orders: list[Order]) -> None:
        value = self._value(order, instrument)
        if order.category == "spot":
            coin, need = (
                (QUOTE, value)
                if order.side == "Buy"
                else (instrument.base, value / self._price(order, instrument))
            )
            if self._account.available(coin, open_orders) < need:
                raise Refused(170131, "Insufficient balance.")
            return
        position = self._account.position(order.symbol)
        opening = max(order.qty - position.closable_by(order.side), ZERO)
        if order.reduce_only or not opening:
            return
        price = self._price(order, instrument)
        need = opening * price * (1 / position.leverage + instrument.taker)
        if self._account.available(QUOTE, open_orders) < need:
            raise Refused(110007, "ab not enough for new order")

    def _price(self, order: Order, instrument: Instrument) -> Decimal:
        return order.price or self._market.best(instrument, order.side).price

    def _value(self, order: Order, instrument: Instrument) -> Decimal:
        if order.in_quote:
            return order.qty
        return order.qty * self._price(order, instrument)


def check_stop_price(
    name: str, side: Side, price: Decimal, base: Decimal, instrument: Instrument
) -> None:
    """Refuses a stop off the grid or, for a position of `side`, on the wrong side of `base`."""
    above = (name == "TakeProfit") == (side == "Buy")
    if price < 0 or price % instrument.tick:
        raise Refused(10001, f"{name}:{price} is not on the price grid")
    if (price > base) if not above else (price < base):
        word = "higher" if above else "lower"
        raise Refused(
            10001,
            f"{name}:{price} set for {side} position should be {word} than base_price:{base}",
        )


def _market_unit(body: Body, category: Category) -> Any:
    if category != "spot" or body.get("orderType") != "Market":
        return ""
    unit = body.get("marketUnit") or ("quoteCoin" if body.get("side") == "Buy" else "baseCoin")
    if unit not in ("baseCoin", "quoteCoin"):
        raise Refused(10001, "params error: marketUnit invalid")
    return unit


def _flag(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _codes(category: Category) -> Callable[[int], int]:
    """Spot has a code of its own for each mistake; linear answers 10001 to all of them."""
    return lambda spot_code: spot_code if category == "spot" else 10001
