"""Matches orders with the rest of the market by price and time.

An incoming order takes the levels of the current second, best first, up to its limit. What it does
not get there rests (GTC, PostOnly) or is cancelled (Market, IOC, FOK). A market order's limit is
the last price changed by `PRICE_LIMIT`, or what its slippage tolerance allows beyond the best
price. The one exception: a market order that closes a position because its trigger fired
(closeOnTrigger) goes on taking in later seconds until the position is closed.

A resting order stands behind the quantity that others showed at its price when it came. When the
market trades at that price, the traded quantity first goes to those before it; when the market
trades through the price, the order fills at once and wholly, at its own price.

Own orders never trade with each other: what `smpType` names is cancelled, the resting order if it
names none.
"""

from __future__ import annotations

from decimal import Decimal

from exchange.brackets import Brackets
from exchange.decimals import ZERO, truncate_to
from exchange.depth import Level, lots
from exchange.instruments import QUOTE, Instrument, Side
from exchange.market import Key
from exchange.orders import Order, Status
from exchange.records import Records
from exchange.settlement import Settlement

PRICE_LIMIT = Decimal("0.05")  # of the last price; both priceLimitRatioX and Y of all instruments


def better(side: Side, price: Decimal, than: Decimal) -> bool:
    """True if an order of `side` would rather trade at `price`."""
    return price < than if side == "Buy" else price > than


class Matcher:
    """The book of our own orders, and how they meet the market."""

    def __init__(self, records: Records, brackets: Brackets, settlement: Settlement) -> None:
        self._records = records
        self._brackets = brackets
        self._settlement = settlement
        self._market = records.market
        self._account = records.account
        self._queued_n = max((o.queued_n for o in records.orders.values()), default=0)
        self._market.own = self._own_levels

    # Taking

    def start(self, order: Order, second: int) -> None:
        """Matches an order that arrives, or whose trigger fired, and lets its rest stand or end."""
        instrument = self._records.instrument((order.category, order.symbol))
        limit = self.limit(order, instrument, second)
        crosses = self._crosses(order, instrument, limit, second)
        if order.time_in_force == "PostOnly" and crosses:
            status: Status = "Rejected" if order.category == "spot" else "Cancelled"
            self._brackets.end(order, status, "EC_PostOnlyWillTakeLiquidity")
            return
        if (
            order.time_in_force == "FOK"
            and self._offered(order, instrument, limit, second) < order.leaves
        ):
            self._brackets.end(order, "Cancelled", "EC_NoImmediateQtyToFill")
            return
        order.status = "PartiallyFilled" if order.filled else "New"
        if order.order_type == "Limit" and order.time_in_force in ("GTC", "PostOnly"):
            self._queue(order, instrument, second)
        self._records.changed(order)
        self._records.wallet_changed = True
        if crosses:
            self.take(order, second)
        self._finish(order, instrument, limit)

    def limit(self, order: Order, instrument: Instrument, second: int) -> Decimal:
        """The worst price at which an order may trade."""
        if order.order_type == "Limit":
            return order.price
        sign = 1 if order.side == "Buy" else -1
        best = self._market.best(instrument, order.side, second).price
        if order.slippage_type == "TickSize":
            return best + sign * order.slippage * instrument.tick
        if order.slippage_type == "Percent":
            return best * (1 + sign * order.slippage / 100)
        return self._market.last(instrument, second) * (1 + sign * PRICE_LIMIT)

    def take(self, order: Order, second: int) -> None:
        """Takes what this second offers up to the order's limit."""
        instrument = self._records.instrument((order.category, order.symbol))
        limit = self.limit(order, instrument, second)
        for level in self._market.levels(instrument, order.side, second):
            if better(order.side, limit, level.price):
                break
            self._prevent_self_trade(order, level.price, instrument, inclusive=False)
            wanted = self._wanted(order, level.price, instrument)
            if not order.is_open or wanted <= 0:
                return
            taken = Level(level.price, min(wanted, level.qty))
            self._market.eat(instrument, order.side, second, taken)
            self._settlement.fill(order, *taken, second, maker=False)
        if order.is_open and self._wanted(order, limit, instrument) > 0:
            self._prevent_self_trade(order, limit, instrument, inclusive=True)

    def proceed(self, order: Order, second: int) -> None:
        """Goes on with a market order that closes a position until the position is closed."""
        instrument = self._records.instrument((order.category, order.symbol))
        self.take(order, second)
        self._finish(order, instrument, self.limit(order, instrument, second))

    def _crosses(self, order: Order, instrument: Instrument, limit: Decimal, second: int) -> bool:
        rows = self._market.levels(instrument, order.side, second)
        if rows and not better(order.side, limit, rows[0].price):
            return True
        return bool(self._met(order, limit, inclusive=True))

    def _offered(
        self, order: Order, instrument: Instrument, limit: Decimal, second: int
    ) -> Decimal:
        rows = self._market.levels(instrument, order.side, second)
        return sum((qty for price, qty in rows if not better(order.side, limit, price)), ZERO)

    def _met(self, order: Order, limit: Decimal, *, inclusive: bool) -> list[Order]:
        """Our own resting orders that `order` would meet up to a price, in their order."""
        other: Side = "Sell" if order.side == "Buy" else "Buy"
        resting = self._records.resting((order.category, order.symbol), other)
        return [
            own
            for own in resting
            if better(order.side, own.price, limit) or (inclusive and own.price == limit)
        ]

    def _prevent_self_trade(
        self, order: Order, limit: Decimal, instrument: Instrument, *, inclusive: bool
    ) -> None:
        for own in self._met(order, limit, inclusive=inclusive):
            if not order.is_open or self._wanted(order, own.price, instrument) <= 0:
                return
            if order.smp_type != "CancelTaker":
                own.smp_order_id = order.order_id
                self._cancel_rest(own, "EC_BySelfMatch", "CancelBySmp")
            if order.smp_type in ("CancelTaker", "CancelBoth"):
                order.smp_order_id = own.order_id
                self._cancel_rest(order, "EC_BySelfMatch", "CancelBySmp")

    def _finish(self, order: Order, instrument: Instrument, limit: Decimal) -> None:
        """Ends the rest of an order that may not stand in the book."""
        if not order.is_open or (order.rests and order.time_in_force in ("GTC", "PostOnly")):
            return
        done = self._wanted(order, limit, instrument) <= 0
        if done and order.in_quote and order.filled:
            self._brackets.end(order, "Filled", "EC_NoError")
        elif done and order.reduce_only:
            self._cancel_rest(order, "EC_NoError", "CancelByReduceOnly")
        elif not (order.close_on_trigger and order.is_stop and order.order_type == "Market"):
            self._cancel_rest(order, "EC_NoImmediateQtyToFill", "UNKNOWN")

    def _cancel_rest(self, order: Order, reason: str, cancel_type: str) -> None:
        partly = order.category == "spot" and order.filled
        status: Status = "PartiallyFilledCanceled" if partly else "Cancelled"
        self._brackets.end(order, status, reason, cancel_type)

    def _wanted(self, order: Order, price: Decimal, instrument: Instrument) -> Decimal:
        """Base coin that the order still wants at `price`."""
        wanted = order.leaves
        if order.in_quote:
            wanted = truncate_to(order.leaves / price, instrument.step)
        if order.reduce_only:
            return min(wanted, self._account.position(order.symbol).closable_by(order.side))
        if order.category == "spot":  # cannot spend what the wallet does not hold
            coin = QUOTE if order.side == "Buy" else instrument.base
            held = max(self._account.coin(coin), ZERO)
            held = truncate_to(held / price if order.side == "Buy" else held, instrument.step)
            wanted = min(wanted, held)
        return wanted

    # Resting

    def _queue(self, order: Order, instrument: Instrument, second: int) -> None:
        """Puts an order behind everything that stands at its price."""
        other: Side = "Sell" if order.side == "Buy" else "Buy"
        rows = self._market.levels(instrument, other, second)
        order.queue_ahead = next((qty for price, qty in rows if price == order.price), ZERO)
        self._queued_n += 1
        order.queued_n = self._queued_n

    def trade(self, key: Key, second: int) -> None:
        """Lets the market's trades of one second meet our resting orders."""
        instrument = self._records.instrument(key)
        last = self._market.last(instrument, second)
        sides: tuple[Side, Side] = ("Buy", "Sell")
        for side in sides:
            traded = lots(self._market.traded(instrument.symbol, second), instrument)
            for order in self._records.resting(key, side):
                if better(side, last, order.price):
                    self._make(order, instrument, second, None)
                elif last == order.price:
                    traded -= self._make(order, instrument, second, traded)

    def _make(
        self, order: Order, instrument: Instrument, second: int, traded: Decimal | None
    ) -> Decimal:
        """Fills a resting order as far as the traded quantity (None: all) reaches it."""
        if not order.is_open:
            return ZERO
        wanted = self._wanted(order, order.price, instrument)
        got = wanted
        if traded is not None:
            got = min(wanted, max(traded - order.queue_ahead, ZERO))
            order.queue_ahead = max(order.queue_ahead - traded, ZERO)
        else:
            order.queue_ahead = ZERO
        if got > 0:
            self._settlement.fill(order, order.price, got, second, maker=True)
        else:
            self._records.book.save_order(order)
        if order.leaves and self._wanted(order, order.price, instrument) <= 0:
            kind = "CancelByReduceOnly" if order.reduce_only else "UNKNOWN"
            self._cancel_rest(order, "EC_NoError", kind)
        return got

    def _own_levels(self, instrument: Instrument, side: Side) -> list[Level]:
        """What our own orders show to an order of `side`."""
        other: Side = "Sell" if side == "Buy" else "Buy"
        key = (instrument.category, instrument.symbol)
        return [Level(o.price, o.leaves) for o in self._records.resting(key, other)]
