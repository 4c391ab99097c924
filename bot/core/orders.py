"""Orders: from intent to end. INTENDED SENT UNKNOWN OPEN PARTIAL; ends FILLED CANCELED REJECTED EXPIRED LOST.

Invariants: an intent is committed before a byte leaves; an order in doubt is UNKNOWN and is asked
about, never sent again; only the venue's word ends UNKNOWN; no event moves an order out of an end.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core import rejections
from bot.core.asking import ask_account, pending
from bot.core.effects import Cancel, Effect, Inquire, Submit
from bot.core.events import (
    Absent,
    Accepted,
    Doubted,
    Intended,
    Limited,
    NotSent,
    OrderReported,
    Reconciled,
    Recovered,
    Rejected,
    Ticked,
)
from bot.core.holds import HOLD
from bot.core.machine import BORN, Level, Row, Table, When
from bot.core.values import OrderStatus, Side, VenueOrder
from bot.core.world import Intent, Order

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


class OrderState(StrEnum):
    """What is known of an order."""

    INTENDED = "INTENDED"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    LOST = "LOST"


INTENDED, SENT, UNKNOWN, OPEN, PARTIAL, FILLED, CANCELED, REJECTED, EXPIRED, LOST = OrderState
LIVE = (INTENDED, SENT, UNKNOWN, OPEN, PARTIAL)
RESTING = (OrderStatus.OPEN, OrderStatus.PARTIAL)
INTENTS_KEPT_MS = 3_600_000
LATE_REAL_SECONDS = 30.0
"""An execution may be readable this long after the venue told of its order's end."""
INTENTS_REMEMBERED = 2_000


def intended(world: World, event: Intended, key: str) -> str:
    """The bot decided on it."""
    return event.reason


def accepted(world: World, event: Accepted, key: str) -> str:
    """The venue acknowledged the request."""
    return f"acknowledged as {event.venue_id}"


def not_sent(world: World, event: NotSent, key: str) -> str:
    """It provably never reached the venue."""
    return event.reason


def rejected(world: World, event: Rejected, key: str) -> str:
    """The venue refused it."""
    return f"{event.code}: {event.reason}"


def doubted(world: World, event: Doubted, key: str) -> str:
    """No answer tells its outcome."""
    return event.reason


def absent(world: World, event: Absent, key: str) -> str:
    """The venue does not have it and can no longer accept it."""
    return event.reason


def crashed(world: World, event: Recovered, key: str) -> str:
    """The process died while it may have been on the wire."""
    return "the process died while the request may have been on the wire"


def silent(world: World, event: Ticked, key: str) -> str | None:
    """Nothing was heard of it for too long."""
    order = world.orders[key]
    age, limit = world.at - order.news_at, world.real_ms(world.settings.orders.silent_real_seconds)
    return f"no news for {age / 1000:.0f} s of market time" if age > limit else None


def _reported(status: OrderStatus, doc: str) -> When:
    def when(world: World, event: OrderReported, key: str) -> str | None:
        row = event.row
        if row.status is not status:
            return None
        return (
            f"venue: {row.filled:f} of {row.qty:f} filled{f' ({row.reason})' if row.reason else ''}"
        )

    when.__doc__ = doc
    return when


is_open = _reported(OrderStatus.OPEN, "The venue has it on the book.")
is_partial = _reported(OrderStatus.PARTIAL, "The venue filled a part.")
is_filled = _reported(OrderStatus.FILLED, "The venue filled it.")
is_canceled = _reported(OrderStatus.CANCELED, "The venue ended it.")
is_rejected = _reported(OrderStatus.REJECTED, "The venue rejected it.")


def ask(world: World, event: object, key: str) -> Iterator[Effect]:
    """Ask the venue what became of it; nothing of ours is on the wire any more."""
    order = world.orders[key]
    yield Inquire(order=key, symbol=order.symbol, sent_at=world.at)


# fmt: off
ORDER = Table("order", OrderState, (
    #   from                      on             when         to        then
    Row(BORN,                     Intended,      intended,    INTENDED),
    Row((INTENDED, UNKNOWN),      Accepted,      accepted,    SENT),
    Row((INTENDED, UNKNOWN),      Rejected,      rejected,    REJECTED),
    Row(INTENDED,                 NotSent,       not_sent,    EXPIRED),
    Row((INTENDED, SENT, OPEN, PARTIAL), Doubted, doubted,    UNKNOWN,  (ask,)),
    Row(INTENDED,                 Recovered,     crashed,     UNKNOWN,  (ask,)),
    Row((INTENDED, SENT),         Ticked,        silent,      UNKNOWN,  (ask,)),
    Row(LIVE,                     OrderReported, is_filled,   FILLED),
    Row(LIVE,                     OrderReported, is_canceled, CANCELED),
    Row(LIVE,                     OrderReported, is_rejected, REJECTED),
    Row(LIVE[:-1],                OrderReported, is_partial,  PARTIAL),
    Row(LIVE[:3],                 OrderReported, is_open,     OPEN),
    Row((INTENDED, SENT, UNKNOWN), Absent,       absent,      LOST),
), key="client id", lowers={UNKNOWN: Level.REDUCE_ONLY},
   final=frozenset({FILLED, CANCELED, REJECTED, EXPIRED, LOST}))
# fmt: on


def intend(
    turn: Turn,
    symbol: str,
    side: Side,
    qty: Decimal,
    reason: str,
    *,
    price: Decimal | None = None,
    bracket: tuple[Decimal, Decimal] | None = None,
) -> str:
    """Decide on an order; an entry has a limit price and carries its bracket ``(stop, take)``.

    An exit has neither. The order's id is made of the effect that will send it, and the effect of
    the event.
    """
    world = turn.world
    entry = bracket is not None
    # the id is the Submit's: no other effect is emitted between here and there
    order = world.order_id(turn.seq, len(turn.emitted))
    row = Order(
        order, symbol, side, qty, entry, world.at, world.at, price=price, worked_at=world.at
    )
    turn.put("orders", order, row)
    if entry:
        kept = [i for i in world.intents if i.at > world.at - INTENTS_KEPT_MS][-INTENTS_REMEMBERED:]
        turn.set(intents=(*kept, Intent(order, symbol, side, qty, world.at)))
    event = Intended(at=world.at, order=order, symbol=symbol, entry=entry, reason=reason)
    turn.fire(ORDER, event, order)
    stop, take = bracket or (None, None)
    ttl = world.real_ms(world.settings.orders.entry_ttl_real_seconds)
    instrument = world.instruments.get(symbol)
    off_lot = instrument is not None and bool(qty % instrument.lot)
    turn.emit(
        Submit(
            order=order,
            symbol=symbol,
            side=side,
            qty=qty,
            reduce_only=not entry,
            close_all=off_lot and not entry,
            price=price,
            stop=stop,
            take=take,
            expires_at=world.at + ttl if entry else None,
        )
    )
    return order


def news(
    turn: Turn, event: Accepted | Rejected | NotSent | Doubted | Absent | OrderReported
) -> None:
    """Move an order by what was heard of it."""
    key = event.row.order if isinstance(event, OrderReported) else event.order
    order = turn.world.orders.get(key)
    if order is None:  # not ours, or at its end already
        if isinstance(event, OrderReported) and event.row.status in RESTING:
            _rests_unknown(turn, event.row)
        return
    order = replace(order, news_at=turn.world.at)
    if isinstance(event, OrderReported):
        price = order.price if event.row.price is None else event.row.price
        order = replace(order, filled=max(order.filled, event.row.filled), price=price)
    turn.put("orders", key, order)
    step = turn.fire(ORDER, event, key)
    if step is not None and turn.world.instance_of("order", key) is None:
        _ended(turn, key)
        rejections.heed(turn, order, step)
    if isinstance(event, Rejected) and not order.entry:
        ask_account(turn)  # a refused exit says that the account is not what it seems


def _rests_unknown(turn: Turn, row: VenueOrder) -> None:
    """An order rests that is not known here: a reading cancels it if it is ours, or shows whose it is."""
    account = turn.world.account
    if row.venue_id not in turn.world.foreign and not account.reread:
        turn.set(account=replace(account, reread="light", reread_at=0))


def booked(turn: Turn, key: str, qty: Decimal) -> None:
    """Count an execution towards its order; one that ended and is all booked is forgotten."""
    order = turn.world.orders.get(key)
    if order is None and key.startswith(f"{turn.world.instance}-"):
        late = f"{key}: {qty:f} filled after it was taken for ended"
        turn.fire(HOLD, Limited(at=turn.world.at, control="ledger", reason=late))
    if order is not None:
        if not order.booked and order.entry:
            turn.set(
                intents=tuple(
                    replace(i, executed=True) if i.order == key else i for i in turn.world.intents
                )
            )
        turn.put("orders", key, replace(order, booked=order.booked + qty))
        if order.booked + qty > order.qty:
            over = f"{key}: {order.booked + qty:f} filled of {order.qty:f} decided on"
            turn.fire(HOLD, Limited(at=turn.world.at, control="ledger", reason=over))
        if order.ended:
            _ended(turn, key)


def _ended(turn: Turn, key: str) -> None:
    """Forget an order at its end, or keep it until its executions have arrived."""
    order = turn.world.orders[key]
    missing = order.filled > order.booked
    ended_at = order.ended_at or turn.world.at
    kept = replace(order, ended=True, ended_at=ended_at)
    turn.put("orders", key, kept if missing else None)


def all_booked(turn: Turn, as_of: int) -> None:
    """After the account was read whole, no execution of an order that ended before is on its way."""
    before = as_of - turn.world.real_ms(LATE_REAL_SECONDS)
    for key, order in list(turn.world.orders.items()):
        if order.ended and order.ended_at <= before:
            turn.put("orders", key, None)


def missing(turn: Turn, event: Reconciled) -> None:
    """An order that the venue had and that a reading does not show is in doubt."""
    shown = {row.order for row in (*event.orders, *event.foreign)}
    for key, order in list(turn.world.orders.items()):
        old = order.news_at < event.as_of and turn.world.state("order", key) in (
            SENT,
            OPEN,
            PARTIAL,
        )
        if old and key not in shown:
            reason = "a reading of the account does not show it"
            turn.fire(ORDER, Doubted(at=turn.world.at, order=key, reason=reason), key)


def tick(turn: Turn, event: Ticked) -> None:
    """Ask about orders that are silent, and about executions that do not arrive."""
    limit = turn.world.real_ms(turn.world.settings.orders.silent_real_seconds)
    for key, order in list(turn.world.orders.items()):
        if turn.world.at - order.news_at <= limit:
            continue
        if order.ended:
            turn.put("orders", key, replace(order, news_at=turn.world.at))
            ask_account(turn)
        else:
            turn.fire(ORDER, event, key)


def recover(turn: Turn, event: Recovered) -> None:
    """After a start: orders that may have been on the wire are UNKNOWN and asked about."""
    for key in list(turn.world.orders):
        turn.fire(ORDER, event, key)


def cancel(turn: Turn, order: Order) -> None:
    """Cancel an order, unless that is on its way."""
    wanted = Cancel(order=order.order, symbol=order.symbol)
    if not order.ended and wanted not in pending(turn.world, Cancel):
        turn.emit(wanted)
