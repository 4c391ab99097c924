"""Decides when orders can fill or fire: at once for a whole stretch of prices, or for one price."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import numpy as np

from exchange.decimals import ZERO
from exchange.orders import Order
from exchange.paths import Floats


def fires(order: Order, price: Decimal) -> bool:
    """True if a waiting order's trigger is reached at this price."""
    if order.trigger_price == ZERO:  # a trailing stop that is not yet active
        return False
    if order.trigger_direction == 1:
        return price >= order.trigger_price
    return price <= order.trigger_price


def next_due(orders: Iterable[Order], prices: Floats, half_tick: float) -> int | None:
    """The place of the first price at which one of the orders can fill or fire, or None.

    Prices are not on the grid yet: one within half a tick of an order's counts as reaching it.
    """
    rise, fall = np.inf, -np.inf  # the nearest prices above and below at which something happens
    stops: list[Order] = []
    for order in orders:
        if order.trail:
            stops.append(order)
        elif order.waits:
            if order.trigger_direction == 1:
                rise = min(rise, float(order.trigger_price))
            else:
                fall = max(fall, float(order.trigger_price))
        elif order.order_type == "Market":
            return 0 if len(prices) else None
        elif order.side == "Sell":
            rise = min(rise, float(order.price))
        else:
            fall = max(fall, float(order.price))
    acts = (prices >= rise - half_tick) | (prices <= fall + half_tick)
    for stop in stops:
        acts |= _trails(stop, prices, half_tick)
    found = int(acts.argmax()) if len(acts) else 0
    return found if len(acts) and acts[found] else None


def _trails(stop: Order, prices: Floats, half_tick: float) -> np.ndarray:
    """Where a trailing stop moves or fires: every better price moves it, and must be seen."""
    if not stop.peak:
        reached = float(stop.active_price)
        return (
            prices >= reached - half_tick if stop.side == "Sell" else prices <= reached + half_tick
        )
    peak, trigger = float(stop.peak), float(stop.trigger_price)
    if stop.side == "Sell":
        return (prices > peak + half_tick) | (prices <= trigger + half_tick)
    return (prices < peak - half_tick) | (prices >= trigger - half_tick)
