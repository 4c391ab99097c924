"""Matches orders against the path of prices, fires stops, and books every fill.

Market orders and crossing limit orders take the levels of the current second; what a market order
does not get there it goes on taking in the next seconds. A resting limit order fills as maker when
the price trades through it. Nothing fills beyond what a second offers, so large orders fill in
several executions.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from exchange.account import Account
from exchange.book import Book
from exchange.decimals import ZERO, text, truncate_to
from exchange.errors import Refused
from exchange.instruments import QUOTE, Instrument
from exchange.intake import Body, Intake, check_stop_price
from exchange.market import Market
from exchange.orders import Order, Status, StopType
from exchange.settlement import Key, Settlement


class Engine(Settlement):
    """Requests, time, and matching; the caller commits the book and sends `events` on."""

    def __init__(self, market: Market, account: Account, book: Book) -> None:
        super().__init__(market, account, book)
        self.intake = Intake(market, account, book)
        self.stepped_s: int = book.get("stepped_s") or market.clock.now_s()

    # Requests

    def create(self, body: Body) -> Order:
        """Accepts and matches an order; logs the attempt whatever its outcome."""
        try:
            order = self.intake.order(body, list(self.orders.values()))
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
        self.orders[order.order_id] = order
        self._start(order)
        self.flush_wallet()
        return order

    def cancel(self, order: Order, cancel_type: str = "CancelByUser") -> None:
        """Cancels an open order."""
        partly = order.category == "spot" and order.filled
        status: Status = "PartiallyFilledCanceled" if partly else "Cancelled"
        if order.is_stop and order.category == "linear":
            status = "Deactivated"
        self.log_order("cancel", order, cancelType=cancel_type)
        self.end(order, status, "EC_PerCancelRequest", cancel_type)
        self.flush_wallet()

    def find_open(self, body: Body) -> Order:
        """The open order that a request names by orderId or orderLinkId."""
        category = self.intake.instrument(body).category
        wanted_id, wanted_link = body.get("orderId"), body.get("orderLinkId")
        if not wanted_id and not wanted_link:
            raise Refused(10001, "params error: orderId or orderLinkId is required")
        for order in self.orders.values():
            same = order.order_id == wanted_id if wanted_id else order.link_id == wanted_link
            if same and order.category == category and order.symbol == body.get("symbol"):
                return order
        if category == "spot":
            raise Refused(170213, "Order does not exist.")
        raise Refused(110001, "order not exists or too late to cancel")

    def set_leverage(self, instrument: Instrument, leverage: Decimal) -> None:
        """Changes a symbol's leverage."""
        position = self.account.position(instrument.symbol)
        if leverage == position.leverage:
            raise Refused(110043, "leverage not modified")
        if not 1 <= leverage <= instrument.max_leverage:
            raise Refused(110013, "cannot set leverage gt maxLeverage by risk limit")
        position.leverage = leverage
        self.account.save()
        self.book.log(
            "leverage",
            self.market.clock.now_ms(),
            symbol=instrument.symbol,
            leverage=text(leverage),
        )
        self.push_position(position)

    def set_stops(self, instrument: Instrument, wanted: dict[StopType, Decimal]) -> None:
        """Changes the position's take-profit and stop-loss; a price of 0 removes one."""
        position = self.account.position(instrument.symbol)
        if not position.size:
            raise Refused(10001, "can not set tp/sl/ts for zero position")
        stops = {order.stop_order_type: order for order in self.position_stops(instrument.symbol)}
        now = {kind: order.trigger_price for kind, order in stops.items()}
        if all(now.get(kind, ZERO) == price for kind, price in wanted.items()):
            raise Refused(34040, "not modified")
        side, last = position.side, self.market.last(instrument)
        for kind, price in wanted.items():
            if price and side:
                check_stop_price(kind, side, price, last, instrument)
        for kind, price in wanted.items():
            self.put_stop(position, kind, price)
        self.push_position(position)

    # Time

    def step(self) -> None:
        """Processes every market second since the last step in which something can happen."""
        now_s = self.market.clock.now_s()
        start_s, self.stepped_s = self.stepped_s + 1, now_s
        keys: set[Key] = {(order.category, order.symbol) for order in self.orders.values()}
        due = {key: self._next_due(key, start_s, now_s) for key in keys}
        while due:
            key = min(due, key=lambda k: (due[k] is None, due[k] or 0, k))
            second = due[key]
            if second is None:
                break
            self._process(key, second)
            due[key] = self._next_due(key, second + 1, now_s)
        self.flush_wallet()

    def _next_due(self, key: Key, start_s: int, now_s: int) -> int | None:
        """The first second of [start_s, now_s] in which an order of `key` can fill or fire."""
        stop_s = min(now_s, self.market.second(key[1])) + 1
        orders = self.of(key)
        if start_s >= stop_s or not orders:
            return None
        prices = self.market.prices(key[1], start_s, stop_s)
        half_tick = float(self.instrument(key).tick) / 2
        acts = np.zeros(len(prices), dtype=np.bool_)
        for order in orders:
            if order.status == "Untriggered":
                level = float(order.trigger_price)
                rises = order.trigger_direction == 1
                acts |= prices > level - half_tick if rises else prices < level + half_tick
            elif order.order_type == "Market":
                acts[:] = True
            else:
                level = float(order.price)
                buys = order.side == "Buy"
                acts |= prices < level - half_tick if buys else prices > level + half_tick
        found = int(acts.argmax())
        return start_s + found if acts[found] else None

    def _process(self, key: Key, second: int) -> None:
        instrument = self.instrument(key)
        last = self.market.last(instrument, second)
        for order in self.of(key):
            if not order.is_open:
                continue
            if order.status == "Untriggered":
                rises = order.trigger_direction == 1
                if last >= order.trigger_price if rises else last <= order.trigger_price:
                    self.trigger(order, second)
                    self._take(order, second)
            elif order.order_type == "Market":
                self._take(order, second)
            elif last < order.price if order.side == "Buy" else last > order.price:
                self._make(order, second)

    # Matching

    def _start(self, order: Order) -> None:
        """Matches a new order once, at the current second."""
        instrument = self.instrument((order.category, order.symbol))
        second = self.market.second(order.symbol)
        best = self.market.best(instrument, order.side, second).price
        crosses = order.order_type == "Market" or (
            best <= order.price if order.side == "Buy" else best >= order.price
        )
        if order.time_in_force == "PostOnly" and crosses:
            spot = order.category == "spot"
            self.end(
                order,
                "Rejected" if spot else "Cancelled",
                "EC_PostOnlyWillTakeLiquidity",
            )
            return
        if order.time_in_force == "FOK" and self._offered(order, second) < order.qty:
            self.end(order, "Cancelled", "EC_NoImmediateQtyToFill")
            return
        self.changed(order)
        self.wallet_changed = True
        if crosses:
            self._take(order, second)
        if order.is_open and order.order_type == "Limit" and order.time_in_force in ("IOC", "FOK"):
            partly = order.category == "spot" and order.filled
            status: Status = "PartiallyFilledCanceled" if partly else "Cancelled"
            self.end(order, status, "EC_NoImmediateQtyToFill")

    def _offers(self, order: Order, second: int) -> list[tuple[Decimal, Decimal]]:
        """Prices and quantities that the order can take in this second, best first."""
        instrument = self.instrument((order.category, order.symbol))
        at, used = self.taken.get((order.symbol, order.side), (second, ZERO))
        used = used if at == second else ZERO
        rows = []
        for level in self.market.levels(instrument, order.side, second):
            if order.price and (
                level.price > order.price if order.side == "Buy" else level.price < order.price
            ):
                break
            left = max(level.qty - used, ZERO)
            used -= level.qty - left
            if left:
                rows.append((level.price, left))
        return rows

    def _offered(self, order: Order, second: int) -> Decimal:
        return sum((qty for _, qty in self._offers(order, second)), ZERO)

    def _take(self, order: Order, second: int) -> None:
        """Takes what this second offers."""
        for price, offered in self._offers(order, second):
            wanted = self._wanted(order, price)
            if wanted <= 0 or not order.is_open:
                break
            self.fill(order, price, min(wanted, offered), second, maker=False)
        if order.is_open and order.order_type == "Market":
            self._finish_if_done(order)

    def _make(self, order: Order, second: int) -> None:
        """Fills a resting order whose price was traded through."""
        offered = self._offered(order, second)
        wanted = self._wanted(order, order.price)
        if wanted <= 0:
            self._finish_if_done(order)
        elif offered:
            self.fill(order, order.price, min(wanted, offered), second, maker=True)

    def _wanted(self, order: Order, price: Decimal) -> Decimal:
        """Base coin that the order still wants at `price`."""
        instrument = self.instrument((order.category, order.symbol))
        wanted = order.leaves
        if order.in_quote:
            wanted = truncate_to(order.leaves / price, instrument.step)
        if order.reduce_only:
            wanted = min(wanted, self.account.position(order.symbol).closable_by(order.side))
        elif order.category == "spot":
            wanted = min(wanted, self._affordable(order, price, instrument))
        return wanted

    def _affordable(self, order: Order, price: Decimal, instrument: Instrument) -> Decimal:
        """Spot cannot spend what the wallet does not hold, whatever the price became."""
        if order.side == "Sell":
            return self.account.coin(instrument.base)
        return truncate_to(max(self.account.coin(QUOTE), ZERO) / price, instrument.step)

    def _finish_if_done(self, order: Order) -> None:
        """Ends an order that wants no more: a rest below one lot, or no position left to reduce."""
        price = self.market.last(self.instrument((order.category, order.symbol)))
        if self._wanted(order, price) > 0:
            return
        if order.in_quote and order.filled:
            self.end(order, "Filled", "EC_NoError")
        else:
            self.end(order, "Cancelled", "EC_NoError", "CancelByReduceOnly")
