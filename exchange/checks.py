"""Decides whether an order may stand: grids, limits of price and size, brackets, and money."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from exchange.account import Account
from exchange.decimals import ZERO
from exchange.errors import Refused
from exchange.instruments import QUOTE, Category, Instrument, Side
from exchange.market import Market
from exchange.matching import PRICE_LIMIT
from exchange.orders import Leg, Order, attached_stops


class Checks:
    """Refuses with Bybit's codes what the exchange does not accept."""

    def __init__(self, market: Market, account: Account) -> None:
        self._market = market
        self._account = account

    def everything(self, order: Order, instrument: Instrument, others: Iterable[Order]) -> None:
        """All checks of an order as it would stand beside `others`; raises `Refused`."""
        self.grid(order, instrument)
        self.price_limit(order, instrument)
        self.legs(order, instrument)
        if order.occupies:
            self.money(order, instrument, others)

    def grid(self, order: Order, instrument: Instrument) -> None:
        """Quantity and price on the grid and within the instrument's limits."""
        code = codes(order.category)
        spot = order.category == "spot"
        if order.qty <= 0:
            raise Refused(code(170136), "Order quantity lower than the minimum.")
        # the whole of a position may be closed, also where the grid changed under it
        whole = order.close_on_trigger and order.qty == self._closable(order)
        if not order.in_quote and order.qty % instrument.step and not whole:
            raise Refused(code(170137), "Order volume decimal too long." if spot else "Qty invalid")
        if not order.in_quote and order.qty > instrument.max_qty:
            raise Refused(code(170135), "Order quantity exceeded upper limit.")
        if order.order_type == "Limit":
            self._on_tick(order.price, instrument)
        if order.trigger_price:
            self._on_tick(order.trigger_price, instrument)
        if not order.reduce_only and self.value(order, instrument) < instrument.min_notional:
            least = f"{instrument.min_notional}{QUOTE}"
            raise Refused(
                170140 if spot else 110094,
                "Order value exceeded lower limit."
                if spot
                else f"Order does not meet minimum order value {least}",
            )

    def _closable(self, order: Order) -> Decimal:
        return self._account.position(order.symbol).closable_by(order.side)

    def _on_tick(self, price: Decimal, instrument: Instrument) -> None:
        if price <= 0 or price % instrument.tick:
            raise Refused(codes(instrument.category)(170134), "Order price decimal too long.")

    def price_limit(self, order: Order, instrument: Instrument) -> None:
        """A limit price may be worse than the market's by at most `PRICE_LIMIT`."""
        if order.order_type != "Limit":
            return
        base = order.trigger_price if order.waits else self._market.mark(instrument)
        buys = order.side == "Buy"
        limit = base * (1 + PRICE_LIMIT if buys else 1 - PRICE_LIMIT)
        if order.price > limit if buys else order.price < limit:
            word = "higher" if buys else "lower"
            if order.category == "linear":
                raise Refused(110003, f"Order price is out of permissible range: {limit}")
            raise Refused(
                170193 if buys else 170194,
                f"{order.side} order price cannot be {word} than {limit}.",
            )

    def legs(self, order: Order, instrument: Instrument) -> None:
        """An attached bracket must lie on the right sides of the entry's price."""
        trigger = order.trigger_price if order.waits else ZERO
        base = order.price or trigger or self._market.last(instrument)
        for name, leg in attached_stops(order):
            if leg.price and order.reduce_only:
                raise Refused(10001, "params error: a reduce-only order carries no tp/sl")
            if leg.price:
                self.leg(name, leg, order.side, base, instrument)

    def leg(self, name: str, leg: Leg, side: Side, base: Decimal, instrument: Instrument) -> None:
        """One take-profit or stop-loss of a position of `side` whose price is `base`."""
        price = leg.price
        above = (name == "TakeProfit") == (side == "Buy")
        if price < 0 or price % instrument.tick:
            raise Refused(10001, f"{name}:{price} is not on the price grid")
        if price < base if above else price > base:
            word = "higher" if above else "lower"
            raise Refused(
                10001,
                f"{name}:{price} set for {side} position should be {word} than base_price:{base}",
            )
        if leg.order_type == "Limit":
            self._on_tick(leg.limit_price, instrument)

    def money(self, order: Order, instrument: Instrument, others: Iterable[Order]) -> None:
        """The account must be able to pay for the order."""
        value = self.value(order, instrument)
        share = order.leaves / order.qty
        if order.category == "spot":
            buys = order.side == "Buy"
            coin = QUOTE if buys else instrument.base
            need = (value if buys else value / self.price(order, instrument)) * share
            if self._account.available(coin, others) < need:
                raise Refused(170131, "Insufficient balance.")
            return
        position = self._account.position(order.symbol)
        opening = max(order.leaves - position.closable_by(order.side), ZERO)
        if order.reduce_only or not opening:
            return
        price = self.price(order, instrument)
        need = (
            opening
            * price
            * (1 / position.leverage + self._account.fees.rate(instrument, maker=False))
        )
        if self._account.available(QUOTE, others) < need:
            raise Refused(110007, "ab not enough for new order")

    def price(self, order: Order, instrument: Instrument) -> Decimal:
        """The price that an order is valued at: its own, its trigger's, or the best."""
        if order.price:
            return order.price
        if order.waits:
            return order.trigger_price
        return self._market.best(instrument, order.side).price

    def value(self, order: Order, instrument: Instrument) -> Decimal:
        """USDT that the whole order is worth."""
        if order.in_quote:
            return order.qty
        return order.qty * self.price(order, instrument)


def codes(category: Category) -> Callable[[int], int]:
    """Spot has a code of its own for each mistake; linear answers 10001 to all of them."""
    return lambda spot_code: spot_code if category == "spot" else 10001
