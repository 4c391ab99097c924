"""Reads a request to amend an open order and makes the order as it would then stand."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from exchange.account import Account
from exchange.checks import Checks
from exchange.decimals import ZERO, parse
from exchange.errors import Refused
from exchange.instruments import Instrument
from exchange.intake import Body, check_mode, check_trigger, trigger_by
from exchange.market import Market
from exchange.orders import Leg, Order


class Amends:
    """Turns bodies of /v5/order/amend into changed copies of orders."""

    def __init__(self, market: Market, account: Account, checks: Checks) -> None:
        self._market = market
        self._account = account
        self._checks = checks

    def order(
        self, old: Order, body: Body, instrument: Instrument, others: Iterable[Order]
    ) -> Order:
        """The order with the changes that the body asks for, checked; fields absent stay."""
        new = msgspec.structs.replace(old)
        self._amend_size(old, new, body)
        self._amend_trigger(old, new, body, instrument)
        self._amend_legs(old, new, body)
        if new.reduce_only and (new.protects or not new.waits):
            closable = self._account.position(new.symbol).closable_by(new.side)
            new.qty = min(new.qty, new.filled + closable)
        if new == old:
            raise Refused(
                10001,
                "The order remains unchanged as the parameters entered match the existing ones.",
            )
        rest = [order for order in others if order.order_id != old.order_id]
        if new.protects:
            self._checks.grid(new, instrument)
        else:
            self._checks.everything(new, instrument, rest)
        return new

    def _amend_size(self, old: Order, new: Order, body: Body) -> None:
        new.qty = _given(body, "qty", old.qty)
        new.price = _given(body, "price", old.price)
        if new.price != old.price and old.order_type == "Market":
            raise Refused(10001, "params error: a market order has no price")
        if new.qty != old.qty and old.protects and not old.stop_order_type.startswith("Partial"):
            raise Refused(10001, "params error: this stop covers the whole position")
        if new.qty <= old.filled:
            if old.category == "spot":
                raise Refused(170136, "Order quantity lower than the minimum.")
            raise Refused(
                110064,
                "The modified contract quantity cannot be less than or equal to the filled one",
            )

    def _amend_trigger(self, old: Order, new: Order, body: Body, instrument: Instrument) -> None:
        new.trigger_price = _given(body, "triggerPrice", old.trigger_price)
        if body.get("triggerBy"):
            new.trigger_by = trigger_by(body, "triggerBy")
        if new.trigger_price == old.trigger_price:
            return
        if not old.waits:
            raise Refused(10001, "params error: the order has no trigger that could be amended")
        last = self._market.mark(instrument)
        if old.category == "linear":
            check_trigger(new, last)
        else:
            new.trigger_direction = 1 if new.trigger_price > last else 2

    def _amend_legs(self, old: Order, new: Order, body: Body) -> None:
        new.tp = _amended_leg(old.tp, body, "tp", "takeProfit")
        new.sl = _amended_leg(old.sl, body, "sl", "stopLoss")
        if (new.tp, new.sl) == (old.tp, old.sl):
            return
        if old.filled:
            raise Refused(110059, "Cannot modify the TP/SL of a partially filled open order")
        if old.category == "linear":
            mode = body.get("tpslMode") or old.tpsl_mode or "Full"
            check_mode(mode, new.tp, new.sl)
            new.tpsl_mode = mode


def keeps_place(old: Order, new: Order) -> bool:
    """True if an amended order stays where it is in the queue of its price."""
    return new.price == old.price and new.qty <= old.qty


def _given(body: Body, name: str, old: Decimal) -> Decimal:
    value: Any = body.get(name)
    return old if value in (None, "") else parse(value, name)


def _amended_leg(old: Leg, body: Body, prefix: str, name: str) -> Leg:
    """A leg with what the body changes of it; a price of 0 removes it."""
    leg = msgspec.structs.replace(old, price=_given(body, name, old.price))
    if leg.price == ZERO:
        return Leg()
    if body.get(f"{prefix}TriggerBy"):
        leg.trigger_by = trigger_by(body, f"{prefix}TriggerBy")
    leg.limit_price = _given(body, f"{prefix}LimitPrice", old.limit_price)
    if leg.order_type == "Market":
        leg.limit_price = ZERO
    return leg
