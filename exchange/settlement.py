"""Books what happens to orders: each fill, end, and stop, with its money, rows, and pushes."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from exchange import shapes
from exchange.account import Account
from exchange.book import Book
from exchange.decimals import ZERO, cents, text, truncate_to
from exchange.errors import Refused
from exchange.instruments import QUOTE, Category, Instrument, Side
from exchange.market import Market
from exchange.orders import (
    Closed,
    Order,
    Position,
    Status,
    StopType,
    Trade,
    apply_fill,
    attached_stops,
    new_stop,
)

Key = tuple[Category, str]


class Settlement:
    """All open orders and the events that their changes made for the private streams."""

    def __init__(self, market: Market, account: Account, book: Book) -> None:
        self.market = market
        self.account = account
        self.book = book
        self.orders: dict[str, Order] = {}
        self.events: list[tuple[str, shapes.Row]] = []  # topic and row, in order
        self.taken: dict[tuple[str, Side], tuple[int, Decimal]] = {}  # second, quantity used
        self.wallet_changed = False
        self.load_orders()

    def load_orders(self) -> None:
        """Reads the open orders from the book."""
        self.orders = {order.order_id: order for order in self.book.open_orders()}

    def instrument(self, key: Key) -> Instrument:
        """The instrument of a known key."""
        found = self.market.catalogue.get(*key)
        if found is None:
            raise KeyError(f"expected an instrument of this exchange, found {key}")
        return found

    def of(self, key: Key) -> list[Order]:
        """The open orders of an instrument, oldest first."""
        return [o for o in self.orders.values() if (o.category, o.symbol) == key]

    def position_stops(self, symbol: str) -> list[Order]:
        """The open stop orders of a linear position."""
        return [o for o in self.of(("linear", symbol)) if o.is_stop]

    # Orders

    def changed(self, order: Order) -> None:
        """Stores and pushes an order as it now is."""
        if not order.is_open:
            self.orders.pop(order.order_id, None)
        self.book.save_order(order)
        self.events.append(("order", shapes.order_push(order)))

    def end(self, order: Order, status: Status, reason: str, cancel_type: str = "UNKNOWN") -> None:
        """Ends an order without a (further) fill."""
        order.status, order.reject_reason, order.cancel_type = (
            status,
            reason,
            cancel_type,
        )
        order.updated_ms = max(order.updated_ms, self.market.clock.now_ms())
        self.wallet_changed = True
        self.log_order("order", order, status=status, reason=reason, cancelType=cancel_type)
        self.changed(order)

    def log_order(self, kind: str, order: Order, **more: Any) -> None:
        """Adds a log line about an order."""
        line: dict[str, Any] = {
            "orderId": order.order_id,
            "orderLinkId": order.link_id,
            "category": order.category,
            "symbol": order.symbol,
            "side": order.side,
            "orderType": order.order_type,
            "qty": text(order.qty),
            "price": text(order.price),
        }
        at = order.updated_ms if kind == "fill" else self.market.clock.now_ms()
        self.book.log(kind, at, **(line | more))

    def log_refusal(self, body: dict[str, Any], refusal: Refused) -> None:
        """Adds a log line about a create that was refused."""
        kind = "duplicate" if refusal.code in (110072, 170141) else "refused"
        names = (
            "orderLinkId",
            "category",
            "symbol",
            "side",
            "orderType",
            "qty",
            "price",
        )
        line = {name: str(body.get(name) or "") for name in names}
        self.book.log(
            kind,
            self.market.clock.now_ms(),
            orderId="",
            **line,
            retCode=refusal.code,
            reason=refusal.message,
        )

    # Fills

    def fill(self, order: Order, price: Decimal, qty: Decimal, second: int, *, maker: bool) -> None:
        """Books one execution: money, position, order, rows, log, and pushes."""
        instrument = self.instrument((order.category, order.symbol))
        at, used = self.taken.get((order.symbol, order.side), (second, ZERO))
        self.taken[order.symbol, order.side] = (
            second,
            (used if at == second else ZERO) + qty,
        )
        rate = instrument.maker if maker else instrument.taker
        now = max(order.updated_ms, min(second * 1000 + 999, self.market.clock.now_ms()))
        trade = Trade(price, qty, maker, now)
        coin, fee, closed = self._settle(order, instrument, trade, rate)
        order.filled += qty
        order.filled_value += price * qty
        order.fees[coin] = order.fees.get(coin, ZERO) + fee
        order.realised += closed.pnl if closed else ZERO
        order.updated_ms = now
        order.status = "Filled" if order.leaves <= 0 else "PartiallyFilled"
        row = self._execution(order, instrument, trade)
        row.update(execFee=text(fee), feeRate=text(rate), feeCurrency=coin)
        if closed:
            row.update(closedSize=text(closed.qty), execPnl=text(closed.pnl))
            self._book_closed(order, closed, fee, now)
        self.book.save_execution(row)
        self.events.append(("execution", row))
        self.log_order(
            "fill",
            order,
            qty=text(qty),
            price=text(price),
            execId=row["execId"],
            fee=text(fee),
            feeCurrency=coin,
            isMaker=maker,
            pnl=row["execPnl"],
            stopOrderType=order.stop_order_type,
        )
        self._after_fill(order)

    def _settle(
        self,
        order: Order,
        instrument: Instrument,
        trade: Trade,
        rate: Decimal,
    ) -> tuple[str, Decimal, Closed | None]:
        """Moves the money of one fill; returns the fee's coin, the fee, and what was closed."""
        price, qty = trade.price, trade.qty
        value = price * qty
        self.wallet_changed = True
        if order.category == "linear":
            fee = cents(value * rate)
            position = self.account.position(order.symbol)
            closed = apply_fill(position, order.side, trade, fee)
            self.account.add(QUOTE, (closed.pnl if closed else ZERO) - fee)
            self.account.save()
            return QUOTE, fee, closed
        buys = order.side == "Buy"
        coin = instrument.base if buys else QUOTE
        fee = cents((qty if buys else value) * rate)
        self.account.add(instrument.base, qty - fee if buys else -qty)
        self.account.add(QUOTE, -value if buys else value - fee)
        self.account.save()
        return coin, fee, None

    def _execution(self, order: Order, instrument: Instrument, trade: Trade) -> shapes.Row:
        spot = order.category == "spot"
        return {
            "category": order.category,
            "symbol": order.symbol,
            "isLeverage": "0",
            "orderId": order.order_id,
            "orderLinkId": order.link_id,
            "side": order.side,
            "orderPrice": text(order.price),
            "orderQty": text(order.qty),
            "leavesQty": text(order.leaves),
            "createType": "" if spot else order.create_type,
            "orderType": order.order_type,
            "stopOrderType": order.stop_order_type or "UNKNOWN",
            "execId": str(uuid.uuid4()),
            "execPrice": text(trade.price),
            "execQty": text(trade.qty),
            "execValue": text(trade.price * trade.qty),
            "execPnl": "0",
            "execType": "Trade",
            "execTime": str(trade.at_ms),
            "isMaker": trade.maker,
            "tradeIv": "",
            "markIv": "",
            "markPrice": text(self.market.last(instrument)),
            "indexPrice": "",
            "underlyingPrice": "",
            "blockTradeId": "",
            "closedSize": "0",
            "extraFees": "",
            "marketUnit": order.market_unit,
            "seq": trade.at_ms,
        }

    def _book_closed(self, order: Order, closed: Closed, fee: Decimal, now: int) -> None:
        """Adds a closing fill to the order's closed-pnl row, which is net of fees."""
        row = self.book.closed_of(order.order_id) or {
            "symbol": order.symbol,
            "orderId": order.order_id,
            "side": order.side,
            "orderType": order.order_type,
            "orderPrice": text(order.price),
            "execType": "Trade",
            "leverage": text(self.account.position(order.symbol).leverage),
            "createdTime": str(order.created_ms),
        }
        old = {k: Decimal(row.get(k, "0")) for k in _CLOSED_SUMS}
        closed_size = old["closedSize"] + closed.qty
        entry = old["cumEntryValue"] + closed.entry_value
        exit_value = old["cumExitValue"] + closed.exit_value
        row.update(
            qty=text(order.qty),
            closedSize=text(closed_size),
            cumEntryValue=text(entry),
            cumExitValue=text(exit_value),
            avgEntryPrice=text(cents(entry / closed_size)),
            avgExitPrice=text(cents(exit_value / closed_size)),
            openFee=text(old["openFee"] + closed.open_fee),
            closeFee=text(old["closeFee"] + fee),
            closedPnl=text(old["closedPnl"] + closed.pnl - closed.open_fee - fee),
            fillCount=str(int(row.get("fillCount", "0")) + 1),
            updatedTime=str(now),
        )
        self.book.save_closed(row)

    def _after_fill(self, order: Order) -> None:
        """Brings the position's stops in line with the fill, then pushes the order."""
        if order.category == "linear":
            self._follow_position(order)
        if order.status == "Filled":
            if order.category == "spot" and order.side == "Buy":
                self._spot_stops(order)
            if order.parent_id:
                self._end_siblings(order)
        self.changed(order)
        if order.category == "linear":
            self.push_position(self.account.position(order.symbol))

    def _follow_position(self, order: Order) -> None:
        position = self.account.position(order.symbol)
        for other in self.of((order.category, order.symbol)):
            if other is order or not (other.reduce_only or other.is_stop):
                continue
            closable = position.closable_by(other.side)
            if not closable:
                gone = "CancelByTpSlTsClear" if other.is_stop else "CancelByReduceOnly"
                self.end(
                    other,
                    "Deactivated" if other.is_stop else "Cancelled",
                    "EC_NoError",
                    gone,
                )
            elif other.status == "Untriggered":
                other.qty = closable
                self.book.save_order(other)
        if not order.is_stop and position.side == order.side:
            for kind, price in attached_stops(order):
                if price:
                    self.put_stop(position, kind, price)

    # Stops

    def put_stop(self, position: Position, kind: StopType, price: Decimal) -> None:
        """Sets, moves, or (price 0) removes the stop of a linear position."""
        stops = {stop.stop_order_type: stop for stop in self.position_stops(position.symbol)}
        stop = stops.get(kind)
        if (stop.trigger_price if stop else ZERO) == price:
            return
        now = self.market.clock.now_ms()
        self.book.log(
            "stop",
            now,
            symbol=position.symbol,
            category="linear",
            stopOrderType=kind,
            triggerPrice=text(price),
            qty=text(abs(position.size)),
        )
        if stop is None:
            stop = new_stop("linear", position.symbol, kind, position.side == "Buy", now)
            stop.qty = abs(position.size)
        elif not price:
            self.end(stop, "Deactivated", "EC_NoError", "CancelByTpSlTsClear")
            return
        stop.trigger_price, stop.updated_ms = price, now
        self.orders[stop.order_id] = stop
        self.changed(stop)

    def _spot_stops(self, entry: Order) -> None:
        """Places the stops that a filled spot buy carried; what one sells, the other lets go."""
        instrument = self.instrument((entry.category, entry.symbol))
        held = entry.filled - entry.fees.get(instrument.base, ZERO)
        for kind, price in attached_stops(entry):
            if not price:
                continue
            stop = new_stop("spot", entry.symbol, kind, True, self.market.clock.now_ms())
            stop.qty = truncate_to(held, instrument.step)
            stop.trigger_price, stop.parent_id = price, entry.order_id
            self.book.log(
                "stop",
                stop.created_ms,
                symbol=entry.symbol,
                category="spot",
                stopOrderType=kind,
                triggerPrice=text(price),
                qty=text(stop.qty),
            )
            self.orders[stop.order_id] = stop
            self.changed(stop)

    def _end_siblings(self, order: Order) -> None:
        for other in self.of((order.category, order.symbol)):
            if other is not order and other.parent_id == order.parent_id:
                self.end(other, "Deactivated", "EC_NoError", "CancelByTpSlTsClear")

    def trigger(self, order: Order, second: int) -> None:
        """Turns an untriggered stop into a market order, stamped with the second of its trigger."""
        order.status = "Triggered"
        order.updated_ms = max(order.updated_ms, second * 1000)
        self.log_order(
            "order",
            order,
            status="Triggered",
            reason=order.stop_order_type,
            stopOrderType=order.stop_order_type,
            triggerPrice=text(order.trigger_price),
        )
        if order.parent_id:
            self._end_siblings(order)
        self.changed(order)

    # Pushes

    def push_position(self, position: Position) -> None:
        """Pushes a position as it now is."""
        stops = self.position_stops(position.symbol)
        self.events.append(("position", shapes.position_push(position, self.account, stops)))

    def flush_wallet(self) -> None:
        """Pushes the wallet once if anything of it changed."""
        if self.wallet_changed:
            self.wallet_changed = False
            row = shapes.wallet_row(self.account, list(self.orders.values()))
            self.events.append(("wallet", row))


_CLOSED_SUMS = (
    "closedSize",
    "cumEntryValue",
    "cumExitValue",
    "openFee",
    "closeFee",
    "closedPnl",
)
