"""Exposure: what open positions and orders on their way come to, everything in doubt at its worst."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bot.core.values import ZERO

if TYPE_CHECKING:
    from bot.core.world import Order, World


def worth(world: World, symbol: str, qty: Decimal, price: Decimal | None) -> Decimal:
    """Return what a quantity comes to at the mark, or at its price if that is higher; quote units."""
    position = world.positions.get(symbol)
    mark = Decimal(str(world.marks.get(symbol, float(position.avg) if position else 0.0)))
    return qty * max(mark, price or ZERO)


def coming(order: Order) -> Decimal:
    """Return what an entry may still add to its position, base units; an exit adds nothing."""
    if not order.entry:
        return ZERO
    return max((order.filled if order.ended else order.qty) - order.booked, ZERO)


def gross_exposure(world: World, but: str = "") -> Decimal:
    """Return positions and entries on their way (but for one order) at their worst, quote units."""
    total = ZERO
    for position in world.positions.values():
        if position.qty:
            total += worth(world, position.symbol, abs(position.qty), None)
    for order in world.orders.values():
        if order.order != but:
            total += worth(world, order.symbol, coming(order), order.price)
    for row in world.foreign.values():
        total += worth(world, row.symbol, max(row.qty - row.filled, ZERO), row.price)
    return total
