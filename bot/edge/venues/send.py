"""Sends an order: the only function of the project that does."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bot.core.effects import Submit
from bot.core.text import safe_text
from bot.edge.venues.budget import Priority
from bot.edge.venues.bybit import TRIGGER, Bybit
from bot.edge.venues.codes import CLOCK, Kind
from bot.edge.venues.rest import WhyNot
from bot.edge.venues.wire import OrderIds
from bot.errors import Retryable


class Outcome(Struct, frozen=True):
    """What is known of an order's request: the kind, the venue's code and words, and its id."""

    kind: Kind
    code: int = 0
    reason: str = ""
    venue_id: str = ""


async def send_order(venue: Bybit, submit: Submit, why_not: WhyNot | None = None) -> Outcome:
    """Send an order, once; trouble of venue or network is told by the outcome's kind.

    At its price or better, good till cancelled; at market where it names none. No slippage limit
    goes with a market order: the venue would cancel what lies beyond it, and an exit would stay
    open in the very market that it is to leave; the venue's own price band holds for all orders.

    ``why_not`` is asked once more right before the first byte leaves.

    A cancelled call leaves the outcome unknown: whoever cancels must ask the venue.
    """
    body = {
        "category": venue.category,
        "symbol": submit.symbol,
        "side": submit.side.value,
        "orderType": "Market" if submit.price is None else "Limit",
        "qty": "0" if submit.close_all else f"{submit.qty:f}",
        "orderLinkId": submit.order,
        "reduceOnly": submit.reduce_only,
        "positionIdx": 0,
    }
    if submit.price is not None:
        body |= {"price": f"{submit.price:f}", "timeInForce": "GTC"}
    if submit.close_all:
        body["closeOnTrigger"] = True
    if submit.stop is not None or submit.take is not None:
        body["tpslMode"] = "Full"
    if submit.stop is not None:
        body |= {"stopLoss": f"{submit.stop:f}", "slTriggerBy": TRIGGER}
    if submit.take is not None:
        body |= {"takeProfit": f"{submit.take:f}", "tpTriggerBy": TRIGGER}
    priority = Priority.EXIT if submit.reduce_only else Priority.ENTRY
    reply = await venue.rest.post("/v5/order/create", body, priority, why_not)
    if reply.kind is not Kind.ACK:
        if reply.code == CLOCK:
            await _follow_clock(venue)
        return Outcome(reply.kind, reply.code, reply.reason)
    try:
        ids = msgspec.json.decode(reply.result, type=OrderIds)
    except msgspec.DecodeError as error:
        return Outcome(Kind.UNKNOWN, 0, f"acknowledged without an order id: {error}")
    if ids.order_link_id not in ("", submit.order):
        return Outcome(Kind.UNKNOWN, 0, f"acknowledged as {safe_text(ids.order_link_id, 64)}")
    return Outcome(Kind.ACK, 0, reply.reason, safe_text(ids.order_id, 64))


async def _follow_clock(venue: Bybit) -> None:
    """The order was refused for its timestamp; the next one should not be."""
    try:
        await venue.resync()
    except Retryable:
        return  # the order's outcome is what matters here: the next refusal tries again
