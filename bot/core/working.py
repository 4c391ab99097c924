"""Working an entry: it rests a moment at its limit, follows the market, and is cancelled when its time is over.

Invariants: an entry never rests for longer than its time; it never follows further than the
pre-trade controls allow; what may no longer be entered is cancelled at once.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core import controls, orders
from bot.core.asking import pending
from bot.core.controls import Asked, Denial
from bot.core.effects import Amend, Cancel
from bot.core.entries import limit_price
from bot.core.events import Ticked
from bot.core.facts import OrderRefused
from bot.core.machine import Level
from bot.core.permission import lowered

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Order, World


CANCEL_AGAIN_SECONDS = 1.0
"""Real seconds that the report of a cancelled order may take before it is cancelled again."""


def tick(turn: Turn, event: Ticked) -> None:
    """See to every entry that rests at the venue."""
    resting = [o for o in turn.world.orders.values() if o.entry and _rests(turn.world, o)]
    if not resting:
        return
    moves, cancels = pending(turn.world, Amend), pending(turn.world, Cancel)
    under_way = {effect.order for effect in moves} | {effect.order for effect in cancels}
    pause = turn.world.real_ms(CANCEL_AGAIN_SECONDS)
    for order in resting:
        if order.order not in under_way and turn.world.at - order.cancel_at >= pause:
            _work(turn, order)


def _rests(world: World, order: Order) -> bool:
    return not order.ended and world.state("order", order.order) in (orders.OPEN, orders.PARTIAL)


def _work(turn: Turn, order: Order) -> None:
    world = turn.world
    forbidden = any(level < Level.REDUCED for level, _ in lowered(world, order.symbol))
    rested = world.at - order.worked_at >= world.real_ms(world.settings.orders.rest_real_seconds)
    if not forbidden and not rested:
        return
    price = limit_price(world, order.symbol, order.side)
    moves_left = order.moves < world.settings.orders.moves_max
    if forbidden or not moves_left or price == order.price or not _may_follow(turn, order, price):
        turn.put("orders", order.order, replace(order, worked_at=world.at, cancel_at=world.at))
        orders.cancel(turn, order)
        return
    turn.put("orders", order.order, replace(order, worked_at=world.at, moves=order.moves + 1))
    ttl = world.real_ms(world.settings.orders.rest_real_seconds)
    amend = Amend(order=order.order, symbol=order.symbol, price=price, expires_at=world.at + ttl)
    turn.emit(amend)


def denials(world: World, order: Order, price: Decimal, *, counted: bool = False) -> list[Denial]:
    """Return every reason why what is left of an order may not move to a price."""
    left = order.qty - order.booked
    asked = Asked(order.symbol, order.side, left, price, not order.entry, order.order, counted)
    return controls.denials(world, asked)


def _past(world: World, order: Order, price: Decimal) -> str | None:
    """Tell whether the market ran too far towards the target: stop and target stay where they are."""
    position = world.positions.get(order.symbol)
    if order.price is None or position is None or position.take is None:
        return None
    way, gone = abs(position.take - order.price), abs(price - order.price)
    if gone * 2 <= way:
        return None
    return f"{gone:f} of the {way:f} to the target {position.take:f} are gone already"


def _may_follow(turn: Turn, order: Order, price: Decimal) -> bool:
    found = denials(turn.world, order, price)
    why = _past(turn.world, order, price)
    if why:
        found.append(Denial("follow", why))
    for denial in found:
        turn.note(OrderRefused(order.symbol, order.side, denial.control, denial.reason))
    return not found
