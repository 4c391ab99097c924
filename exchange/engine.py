"""Carries out what clients ask of orders and positions, and lets time pass over them."""

from __future__ import annotations

from decimal import Decimal

from exchange import shapes
from exchange.account import Account
from exchange.amends import Amends, keeps_place
from exchange.book import Book
from exchange.brackets import Brackets
from exchange.clearing import Clearing
from exchange.decimals import text, truncate_to
from exchange.errors import Refused
from exchange.instruments import Instrument
from exchange.intake import Body, Intake
from exchange.market import Key, Market
from exchange.matching import Matcher
from exchange.orders import Order, Status
from exchange.protection import Protection
from exchange.records import Records
from exchange.selection import CANCEL_MAX, cancellable
from exchange.settlement import Settlement
from exchange.triggers import fires, next_due


class Engine(Records):
    """Requests, time, and matching; the caller commits the book and sends `events` on."""

    def __init__(self, market: Market, account: Account, book: Book) -> None:
        super().__init__(market, account, book)
        self.intake = Intake(market, account, book)
        self.brackets = Brackets(self)
        self.settlement = Settlement(self, self.brackets)
        self.matcher = Matcher(self, self.brackets, self.settlement)
        self.clearing = Clearing(self, self.settlement, self.brackets)
        self._amends = Amends(market, account, self.intake.checks)
        self._protection = Protection(self, self.brackets, self.intake.checks)
        market.closed = {(category, symbol) for category, symbol in book.get("closed") or ()}
        self.stepped_s: int = book.get("stepped_s") or market.clock.now_s()

    # Requests

    def create(self, body: Body, *, reject_after: Decimal | None = None) -> Order:
        """Accepts and matches an order; logs the attempt whatever its outcome.

        With `reject_after` (a test's fault) that share of it fills and the rest is rejected.
        """
        try:
            order = self.intake.order(body, self.orders)
        except Refused as refusal:
            self.log_refusal(body, refusal)
            raise
        self.log_order(
            "create",
            order,
            timeInForce=order.time_in_force,
            reduceOnly=order.reduce_only,
            takeProfit=text(order.take_profit),
            stopLoss=text(order.stop_loss),
        )
        if reject_after is not None:
            self._reject_after(order, reject_after)
        elif order.waits:
            self.changed(order)
            self.wallet_changed = True
        else:
            self.matcher.start(order, self.market.second(order.symbol))
        self.flush_wallet()
        return order

    def amend(self, body: Body) -> Order:
        """Changes an open order; it is matched again if its price or quantity grew or moved."""
        old = self.find_open(body, "order not exists or too late to replace")
        instrument = self.instrument((old.category, old.symbol))
        new = self._amends.order(old, body, instrument, self.orders.values())
        new.updated_ms = max(old.updated_ms, self.market.clock.now_ms())
        self.log_order(
            "amend",
            new,
            triggerPrice=text(new.trigger_price),
            takeProfit=text(new.take_profit),
            stopLoss=text(new.stop_loss),
        )
        self.wallet_changed = True
        if new.waits or keeps_place(old, new):
            self.changed(new)
        else:
            self.matcher.start(new, self.market.second(new.symbol))
        if new.protects:
            self.log_stop(new)
            self.push_position(self.account.position(new.symbol))
        self.flush_wallet()
        return new

    def cancel(self, order: Order, cancel_type: str = "CancelByUser") -> None:
        """Cancels an open order."""
        partly = order.category == "spot" and order.filled
        status: Status = "PartiallyFilledCanceled" if partly else "Cancelled"
        if order.waits:
            status = "Deactivated"
        self.log_order("cancel", order, cancelType=cancel_type)
        self.brackets.end(order, status, "EC_PerCancelRequest", cancel_type)
        if order.protects and order.category == "linear":
            self.push_position(self.account.position(order.symbol))
        self.flush_wallet()

    def cancel_all(self, body: Body) -> list[Order]:
        """Cancels the open orders that the body selects, at most 500 linear ones."""
        ended = cancellable(self.orders.values(), body)
        if body.get("category") == "linear":
            ended = ended[:CANCEL_MAX]
        for order in ended:
            if order.is_open:
                self.cancel(order)
        return ended

    def cancel_by_dcp(self, category: str | None = None) -> list[Order]:
        """Cancels every order of a category (None: of all) but what protects positions."""
        chosen = [
            order
            for order in self.orders.values()
            if category in (None, order.category) and not order.protects
        ]
        for order in chosen:
            if order.is_open:
                self.cancel(order, "CancelByDCP")
        return chosen

    def find_open(
        self, body: Body, missing: str = "order not exists or too late to cancel"
    ) -> Order:
        """The open order that a request names by orderId or orderLinkId."""
        instrument = self.intake.instrument(body)
        wanted_id, wanted_link = body.get("orderId"), body.get("orderLinkId")
        if not wanted_id and not wanted_link:
            raise Refused(10001, "params error: orderId or orderLinkId is required")
        for order in self.of((instrument.category, instrument.symbol)):
            if order.order_id == wanted_id if wanted_id else order.link_id == wanted_link:
                return order
        if instrument.category == "spot":
            raise Refused(170213, "Order does not exist.")
        raise Refused(110001, missing)

    def set_leverage(self, instrument: Instrument, leverage: Decimal) -> None:
        """Changes a symbol's leverage."""
        self.account.check_leverage(instrument, leverage, self.orders.values())
        position = self.account.position(instrument.symbol)
        position.leverage = leverage
        self.account.save()
        self.book.log(
            "leverage",
            self.market.clock.now_ms(),
            symbol=instrument.symbol,
            leverage=text(leverage),
        )
        self.push_position(position)

    def trading_stop(self, body: Body) -> None:
        """Sets, moves, and removes the stops of a linear position."""
        instrument = self.intake.instrument({**body, "category": body.get("category") or "linear"})
        if instrument.category != "linear":
            raise Refused(10001, "params error: category invalid")
        self._protection.request(instrument, body)

    # Faults that tests ask for

    def cancel_too_late(self, order: Order) -> None:
        """A cancel that loses its race: the order fills, then a second row says it was too late."""
        price = (
            order.price
            or self.market.best(self.instrument((order.category, order.symbol)), order.side).price
        )
        second = self.market.second(order.symbol)
        self.settlement.fill(order, price, order.leaves, second, maker=True)
        row = shapes.order_push(order) | {"rejectReason": "EC_OrigClOrdIDDoesNotExist"}
        self.events.append(("order", row))
        self.flush_wallet()

    def _reject_after(self, order: Order, share: Decimal) -> None:
        instrument = self.instrument((order.category, order.symbol))
        second = self.market.second(order.symbol)
        best = self.market.best(instrument, order.side, second).price
        price = order.price or best
        qty = order.qty / price if order.in_quote else order.qty
        order.status = "New"
        self.changed(order)
        part = max(truncate_to(qty * share, instrument.step), instrument.step)
        if part < qty:
            self.settlement.fill(order, price, part, second, maker=False)
        self.brackets.end(order, "Rejected", "EC_Others")

    # Listing

    def delist(self, instrument: Instrument) -> None:
        """Ends trading in an instrument: open orders go, new ones are refused."""
        self.market.closed.add((instrument.category, instrument.symbol))
        self.book.put("closed", sorted(self.market.closed))
        for order in self.of((instrument.category, instrument.symbol)):
            if order.is_open:
                self.cancel(order, "CancelByAdmin")

    def relist(self, instrument: Instrument) -> None:
        """Takes up trading in an instrument again."""
        self.market.closed.discard((instrument.category, instrument.symbol))
        self.book.put("closed", sorted(self.market.closed))

    # Time

    def step(self) -> None:
        """Processes every market second since the last step in which something can happen."""
        now_s = self.market.clock.now_s()
        if now_s == self.stepped_s:
            return
        start_s, self.stepped_s = self.stepped_s + 1, now_s
        due = {key: self._next_due(key, start_s, now_s) for key in self.active_keys()}
        while True:
            seconds = [second for second in due.values() if second is not None]
            clearing_s = self.clearing.next_due(start_s, now_s)
            second = min([*seconds, *([] if clearing_s is None else [clearing_s])], default=None)
            if second is None:
                break
            if clearing_s == second:
                self.clearing.before_orders(second)
            for key in sorted(key for key, at in due.items() if at == second):
                self._process(key, second)
                due[key] = self._next_due(key, second + 1, now_s)
            self.clearing.after_orders(second)
            start_s = second + 1
        self.flush_wallet()

    def _next_due(self, key: Key, start_s: int, now_s: int) -> int | None:
        """The first second of [start_s, now_s] in which an order of `key` can fill or fire."""
        stop_s = min(now_s, self.market.second(key[1])) + 1
        orders = self.of(key)
        if start_s >= stop_s or not orders:
            return None
        prices = self.market.prices(key[1], start_s, stop_s)
        found = next_due(orders, prices, float(self.instrument(key).tick) / 2)
        return None if found is None else start_s + found

    def _process(self, key: Key, second: int) -> None:
        """One second of one instrument: resting orders trade, stops fire, closing goes on."""
        instrument = self.instrument(key)
        self.matcher.trade(key, second)
        price = self.market.mark(instrument, second)
        for order in self.of(key):
            if not order.is_open:
                continue
            if order.waits:
                if order.trail:
                    self.brackets.pull(order, price)
                if fires(order, price):
                    self._fire(order, instrument, second)
            elif order.order_type == "Market":
                self.matcher.proceed(order, second)

    def _fire(self, order: Order, instrument: Instrument, second: int) -> None:
        """Turns a waiting order into an active one, if the account can pay for it now."""
        self.brackets.fired(order, second)
        if order.reduce_only:
            order.qty = min(order.qty, self.account.position(order.symbol).closable_by(order.side))
            if not order.qty:
                self.brackets.end(order, "Cancelled", "EC_NoError", "CancelByReduceOnly")
                return
        elif order.stop_order_type == "Stop":
            others = [o for o in self.orders.values() if o is not order]
            try:
                self.intake.checks.money(order, instrument, others)
            except Refused:
                self.brackets.end(order, "Cancelled", "EC_Others")
                return
        self.matcher.start(order, second)
