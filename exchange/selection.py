"""Chooses the open orders that a cancel-all request means, category by category as Bybit does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exchange.errors import Refused
from exchange.instruments import QUOTE
from exchange.orders import Order

CANCEL_MAX = 500
_FILTERS = {
    "spot": ("Order", "StopOrder", "tpslOrder"),
    "linear": ("", "Order", "StopOrder", "OpenOrder"),
}


def cancellable(orders: Iterable[Order], body: dict[str, Any]) -> list[Order]:
    """The orders that the body selects, oldest first; raises `Refused` for a body without scope.

    Linear without orderFilter means everything, stops of positions included; "Order" spares all
    that waits for a trigger, "StopOrder" means only that (with stopOrderType "Stop" not the
    protection of positions), "OpenOrder" spares only the protection of positions. Spot without
    orderFilter means "Order".
    """
    category = str(body.get("category") or "")
    if category not in _FILTERS:
        raise Refused(10001, "params error: category invalid")
    scope = [str(body.get(name) or "") for name in ("symbol", "baseCoin", "settleCoin")]
    if category == "linear" and not any(scope):
        raise Refused(10001, "params error: symbol, baseCoin, or settleCoin is required")
    wanted = str(body.get("orderFilter") or ("Order" if category == "spot" else ""))
    if wanted not in _FILTERS[category]:
        raise Refused(10001, "params error: orderFilter invalid")
    kind = str(body.get("stopOrderType") or "")
    return [
        order
        for order in orders
        if order.category == category
        and _in_scope(order, *scope)
        and (_spot_fits(order, wanted) if category == "spot" else _linear_fits(order, wanted, kind))
    ]


def _in_scope(order: Order, symbol: str, base: str, settle: str) -> bool:
    """The narrowest of the three decides."""
    if symbol:
        return order.symbol == symbol
    if base:
        return order.symbol.removesuffix(QUOTE) == base
    return settle in ("", QUOTE)


def _spot_fits(order: Order, wanted: str) -> bool:
    if wanted == "Order":
        return not order.waits
    conditional = order.stop_order_type == "Stop"
    return order.waits and conditional == (wanted == "StopOrder")


def _linear_fits(order: Order, wanted: str, kind: str) -> bool:
    if wanted == "Order":
        return not order.waits and not order.protects
    if wanted == "OpenOrder":
        return not order.protects
    if wanted == "StopOrder":
        return order.waits and (kind != "Stop" or not order.protects)
    return True
