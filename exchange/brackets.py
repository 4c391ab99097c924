"""Keeps take-profits, stop-losses, and reduce-only orders in line with what they protect.

A linear position's full stops cover all of it, its partial stops a quantity, and a trailing stop
follows its best price; each grows and shrinks with the fills and ends with the position. A spot
buy's stops sell what it bought.
"""

from __future__ import annotations

from decimal import Decimal

from exchange.decimals import ZERO, text, truncate_to
from exchange.orders import (
    Leg,
    Order,
    Position,
    Status,
    StopType,
    attached_stops,
    new_stop,
    shape_stop,
)
from exchange.records import Records

_PARTIAL: dict[str, StopType] = {
    "TakeProfit": "PartialTakeProfit",
    "StopLoss": "PartialStopLoss",
}


class Brackets:
    """Sets, moves, and ends the orders that other orders and positions bring about."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._clock = records.market.clock

    def end(self, order: Order, status: Status, reason: str, cancel_type: str = "UNKNOWN") -> None:
        """Ends an order without a (further) fill; what a spot buy has bought is protected."""
        order.status, order.reject_reason, order.cancel_type = status, reason, cancel_type
        order.updated_ms = max(order.updated_ms, self._clock.now_ms())
        self._records.wallet_changed = True
        self._records.log_order(
            "order", order, status=status, reason=reason, cancelType=cancel_type
        )
        self._records.changed(order)
        if order.filled:
            self._protect_spot(order)

    # Linear

    def follow(self, order: Order, qty: Decimal, opened: bool) -> None:
        """Brings everything in line with a fill of `order`; `opened`: the position is a new one."""
        if order.category == "spot":
            if order.status == "Filled":
                self._protect_spot(order)
            return
        position = self._records.account.position(order.symbol)
        for other in self._records.of(("linear", order.symbol)):
            conditional = other.waits and not other.protects  # is fitted when it fires
            if other is not order and other.is_open and other.reduce_only and not conditional:
                self._fit(other, position)
        if not order.reduce_only and position.side == order.side:
            self._arm(order, position, min(qty, abs(position.size)), opened)

    def _fit(self, other: Order, position: Position) -> None:
        """Shrinks or grows a closing order to what the position leaves to close."""
        closable = position.closable_by(other.side)
        if not closable:
            if other.waits:
                self.end(other, "Deactivated", "EC_NoError", "CancelByTpSlTsClear")
            else:
                self.end(other, "Cancelled", "EC_NoError", "CancelByReduceOnly")
            return
        whole = other.stop_order_type in ("TakeProfit", "StopLoss", "TrailingStop")
        if other.waits and whole:
            other.qty = closable
            self._records.book.save_order(other)
        elif other.waits and other.qty > closable:
            other.qty = closable
            self._records.changed(other)
        elif other.rests and other.leaves > closable:
            other.qty = other.filled + closable
            self._records.changed(other)

    def _arm(self, order: Order, position: Position, qty: Decimal, opened: bool) -> None:
        """Places an entry's bracket with its first fill, or again if the position was closed."""
        for kind, leg in attached_stops(order):
            if leg.price and order.tpsl_mode == "Partial":
                self._grow_partial(order, position, _PARTIAL[kind], qty)
            elif leg.price and (opened or not order.armed):
                self.put_stop(position, kind, leg)
        order.armed = True

    def _grow_partial(self, entry: Order, position: Position, kind: StopType, qty: Decimal) -> None:
        """Adds a fill's quantity to the partial stop that this entry brought, or brings one."""
        leg = entry.tp if kind == "PartialTakeProfit" else entry.sl
        for stop in self._records.position_stops(position.symbol):
            if stop.stop_order_type == kind and stop.parent_id == entry.order_id and stop.waits:
                stop.qty += qty
                self._records.log_stop(stop)
                self._records.changed(stop)
                return
        self.add_partial(position, kind, leg, qty, parent_id=entry.order_id)

    def add_partial(
        self, position: Position, kind: StopType, leg: Leg, qty: Decimal, *, parent_id: str
    ) -> None:
        """Places one more partial stop; of those that share a `parent_id`, one ends the others."""
        now = self._clock.now_ms()
        stop = new_stop("linear", position.symbol, kind, position.side == "Buy", now)
        stop.qty, stop.parent_id = qty, parent_id
        shape_stop(stop, leg)
        self._records.log_stop(stop)
        self._records.changed(stop)

    def put_stop(self, position: Position, kind: StopType, leg: Leg) -> None:
        """Sets, moves, or (price 0) removes a stop of the whole position."""
        stop = self.full_stop(position.symbol, kind)
        if stop is None and not leg.price:
            return
        if stop is not None and not leg.price:
            self._remove(stop)
            return
        now = self._clock.now_ms()
        if stop is None:
            stop = new_stop("linear", position.symbol, kind, position.side == "Buy", now)
            stop.qty = abs(position.size)
        elif (stop.trigger_price, stop.trigger_by) == (leg.price, leg.trigger_by):
            return
        shape_stop(stop, leg)
        stop.updated_ms = now
        self._records.log_stop(stop)
        self._records.changed(stop)

    def full_stop(self, symbol: str, kind: StopType) -> Order | None:
        """The waiting stop of a kind that covers the whole position, or None."""
        for stop in self._records.position_stops(symbol):
            if stop.stop_order_type == kind and stop.waits:
                return stop
        return None

    def put_trailing(self, position: Position, distance: Decimal, active_price: Decimal) -> None:
        """Sets, changes, or (distance 0) removes the position's trailing stop."""
        stop = self.full_stop(position.symbol, "TrailingStop")
        if not distance:
            if stop is not None:
                self._remove(stop)
            return
        now = self._clock.now_ms()
        if stop is None:
            stop = new_stop("linear", position.symbol, "TrailingStop", position.side == "Buy", now)
            stop.qty = abs(position.size)
        stop.trail, stop.active_price, stop.peak, stop.updated_ms = (
            distance,
            active_price,
            ZERO,
            now,
        )
        stop.trigger_price = ZERO
        if not active_price:
            instrument = self._records.instrument(("linear", position.symbol))
            self.pull(stop, self._records.market.last(instrument))
        self._records.log_stop(stop)
        self._records.changed(stop)

    def pull(self, stop: Order, price: Decimal) -> None:
        """Moves a trailing stop after a price, if it is active and the price is its best."""
        sells = stop.side == "Sell"
        early = price < stop.active_price if sells else price > stop.active_price
        if not stop.peak and stop.active_price and early:
            return
        better = not stop.peak or (price > stop.peak if sells else price < stop.peak)
        if better:
            stop.peak = price
            stop.trigger_price = max(price - stop.trail if sells else price + stop.trail, ZERO)
            self._records.book.save_order(stop)

    def _remove(self, stop: Order) -> None:
        stop.status = "Deactivated"
        self._records.log_stop(stop)
        self.end(stop, "Deactivated", "EC_NoError", "CancelByTpSlTsClear")

    # Both

    def fired(self, order: Order, second: int) -> None:
        """Starts an order whose trigger was reached, stamped with that second."""
        order.status = "Triggered"
        order.updated_ms = max(order.updated_ms, second * 1000)
        self._records.log_order(
            "order",
            order,
            status="Triggered",
            reason=order.stop_order_type,
            stopOrderType=order.stop_order_type,
            triggerPrice=text(order.trigger_price),
        )
        if order.parent_id:
            self._end_siblings(order)
        self._records.changed(order)

    def _end_siblings(self, order: Order) -> None:
        for other in self._records.of((order.category, order.symbol)):
            if other is not order and other.parent_id == order.parent_id and other.waits:
                self.end(other, "Deactivated", "EC_NoError", "CancelByTpSlTsClear")

    # Spot

    def _protect_spot(self, entry: Order) -> None:
        """Places the stops that an ended spot buy carried; what one sells, the other lets go."""
        if entry.category != "spot" or entry.side != "Buy" or entry.armed:
            return
        instrument = self._records.instrument(("spot", entry.symbol))
        held = truncate_to(entry.filled - entry.fees.get(instrument.base, ZERO), instrument.step)
        entry.armed = True
        for kind, leg in attached_stops(entry):
            if not leg.price or not held:
                continue
            stop = new_stop("spot", entry.symbol, kind, True, self._clock.now_ms())
            stop.qty, stop.parent_id = held, entry.order_id
            shape_stop(stop, leg)
            self._records.log_stop(stop)
            self._records.changed(stop)
