"""Remembers the open orders, logs what becomes of them, and gathers the private streams' rows."""

from __future__ import annotations

from typing import Any

from exchange import shapes
from exchange.account import Account
from exchange.book import Book
from exchange.decimals import text
from exchange.errors import Refused
from exchange.instruments import Instrument, Side
from exchange.market import Key, Market
from exchange.orders import Order, Position


class Records:
    """All open orders and the events that their changes made; the caller commits the book."""

    def __init__(self, market: Market, account: Account, book: Book) -> None:
        self.market = market
        self.account = account
        self.book = book
        self.orders: dict[str, Order] = {}
        self.events: list[tuple[str, shapes.Row]] = []  # topic and row, in order
        self.wallet_changed = False
        self._of: dict[Key, dict[str, Order]] = {}
        self._resting: dict[tuple[Key, Side], dict[str, Order]] = {}
        self.load_orders()

    def load_orders(self) -> None:
        """Reads the open orders from the book."""
        self.orders, self._of, self._resting = {}, {}, {}
        for order in self.book.open_orders():
            self._keep(order)

    def instrument(self, key: Key) -> Instrument:
        """The instrument of a known key."""
        found = self.market.catalogue.get(*key)
        if found is None:
            raise KeyError(f"expected an instrument of this exchange, found {key}")
        return found

    def active_keys(self) -> list[Key]:
        """The instruments that have open orders."""
        return [key for key, orders in self._of.items() if orders]

    def of(self, key: Key) -> list[Order]:
        """The open orders of an instrument, oldest first."""
        return list(self._of.get(key, {}).values())

    def resting(self, key: Key, side: Side) -> list[Order]:
        """Our orders of one side that stand in the book, best price first, then oldest."""
        found = self._resting.get((key, side))
        if not found:
            return []
        sign = -1 if side == "Buy" else 1
        return sorted(found.values(), key=lambda o: (sign * o.price, o.queued_n))

    def position_stops(self, symbol: str) -> list[Order]:
        """The open take-profits, stop-losses, and trailing stops of a linear position."""
        return [o for o in self.of(("linear", symbol)) if o.protects]

    def _keep(self, order: Order) -> None:
        """Files an order where it is looked for: under all, its instrument, and its side."""
        key = (order.category, order.symbol)
        places = (
            (self.orders, order.is_open),
            (self._of.setdefault(key, {}), order.is_open),
            (self._resting.setdefault((key, order.side), {}), order.rests),
        )
        for place, belongs in places:
            if belongs:
                place[order.order_id] = order
            else:
                place.pop(order.order_id, None)

    # Changes

    def changed(self, order: Order) -> None:
        """Stores and pushes an order as it now is."""
        self._keep(order)
        self.book.save_order(order)
        self.events.append(("order", shapes.order_push(order)))

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

    # Log

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
            "stopOrderType": order.stop_order_type,
        }
        at = order.updated_ms if kind == "fill" else self.market.clock.now_ms()
        self.book.log(kind, at, **(line | more))

    def log_stop(self, stop: Order) -> None:
        """Adds a log line about a take-profit or stop-loss that was set, moved, or removed."""
        gone = not stop.is_open
        self.book.log(
            "stop",
            self.market.clock.now_ms(),
            symbol=stop.symbol,
            category=stop.category,
            stopOrderType=stop.stop_order_type,
            triggerPrice="0" if gone else text(stop.trigger_price),
            qty=text(stop.qty),
        )

    def log_refusal(self, body: dict[str, Any], refusal: Refused) -> None:
        """Adds a log line about a create that was refused."""
        kind = "duplicate" if refusal.code in (110072, 170141) else "refused"
        names = ("orderLinkId", "category", "symbol", "side", "orderType", "qty", "price")
        line = {name: str(body.get(name) or "") for name in names}
        self.book.log(
            kind,
            self.market.clock.now_ms(),
            orderId="",
            **line,
            retCode=refusal.code,
            reason=refusal.message,
        )
