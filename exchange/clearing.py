"""Does to positions what nobody asked for: funding, liquidation, and auto-deleveraging.

Liquidation is that of a cross-margin account with one maintenance tier: when the margin balance is
below the maintenance margin, first every order that uses margin is cancelled (CancelByPrepareLiq),
then every position is taken over at its bankruptcy price, at which it costs its share of the margin
balance, taker fee included. So the account ends near zero and never owes; the insurance fund has
the rest. Bybit's ladder of partial liquidations needs maintenance tiers, which are not served.
"""

from __future__ import annotations

import uuid
from decimal import Decimal

import numpy as np

from exchange import shapes
from exchange.brackets import Brackets
from exchange.decimals import text
from exchange.errors import Refused
from exchange.funding import Funding
from exchange.instruments import QUOTE, Side
from exchange.margin import MAINTENANCE, Margin, bankruptcy_price, maintenance_of
from exchange.orders import Order, Position, Status
from exchange.records import Records
from exchange.settlement import Settlement

_AHEAD_S = 4 * 3600  # prices are searched for a liquidation this far at a time
_FORGET_S = 3600


class Clearing:
    """Acts on positions as market time passes; the engine asks when, and calls in order."""

    def __init__(self, records: Records, settlement: Settlement, brackets: Brackets) -> None:
        self.funding = Funding(records)
        self._records = records
        self._settlement = settlement
        self._brackets = brackets
        self._liquidations: list[shapes.Row] = []

    # Time

    def next_due(self, start_s: int, now_s: int) -> int | None:
        """A second of [start_s, now_s] before which nothing is to be done here; None if none."""
        if start_s > now_s:
            return None
        due = [-(-start_s // _FORGET_S) * _FORGET_S]
        if held := self._records.account.held():
            due.append(self.funding.next_due(held, start_s))
            due.append(self._first_short(held, start_s, min(now_s + 1, start_s + _AHEAD_S)))
        first = min(due)
        return first if first <= now_s else None

    def before_orders(self, second: int) -> None:
        """Pays the funding that is due, on positions as they stood before this second's trades."""
        self.funding.pay(second)
        if second % _FORGET_S == 0:
            self._records.book.forget(second * 1000)

    def after_orders(self, second: int) -> None:
        """Liquidates the account if its margin is short at this second's prices."""
        account = self._records.account
        if account.held() and (margin := account.margin(second)).is_short:
            self._liquidate(margin, second)

    def _first_short(self, held: list[Position], start_s: int, stop_s: int) -> int:
        """The first second in which margin may be short; `stop_s` if there is none before it.

        Prices are taken unrounded, so half a tick of each position's value is doubted, too.
        """
        market = self._records.market
        spare = np.full(stop_s - start_s, float(self._records.account.coin(QUOTE)))
        for row in held:
            last = market.second(row.symbol)
            instrument = self._records.instrument(("linear", row.symbol))
            prices = market.prices(row.symbol, min(start_s, last), min(stop_s, last + 1))
            size, cost = float(row.size), float(row.cost)
            own = (size - abs(size) * float(MAINTENANCE)) * prices
            own -= abs(size) * float(instrument.tick) + (cost if size > 0 else -cost)
            spare[: len(own)] += own
            spare[len(own) :] += own[-1]
        short = np.flatnonzero(spare <= 0)
        return start_s + int(short[0]) if len(short) else stop_s

    # Liquidation

    def _liquidate(self, margin: Margin, second: int) -> None:
        """Cancels what uses margin, then takes every position over."""
        records = self._records
        records.book.log(
            "liquidation",
            second * 1000,
            balance=text(margin.balance),
            maintenance=text(margin.maintenance),
            symbols=[row.symbol for row in records.account.held()],
        )
        for order in list(records.orders.values()):
            if order.is_open and _uses_margin(order):
                self._brackets.end(order, _ended(order), "EC_NoError", "CancelByPrepareLiq")
        for position in records.account.held():
            self._take_over(position, margin, second)

    def _take_over(self, position: Position, margin: Margin, second: int) -> None:
        """Closes one position at the price that costs its share of the margin balance."""
        instrument = self._records.instrument(("linear", position.symbol))
        mark = self._records.account.mark(position.symbol, second)
        share = margin.balance * maintenance_of(position, mark) / margin.maintenance
        taker = self._records.account.fees.rate(instrument, maker=False)
        price = bankruptcy_price(position, mark, share, taker, instrument.tick)
        row = {
            "T": second * 1000,
            "s": position.symbol,
            "S": position.side,
            "v": text(abs(position.size)),
            "p": text(price),
        }
        self._liquidations.append(row)
        self._push(position, "Liq")
        self._force(position, abs(position.size), price, second, "CreateByTakeOver_PassThrough")

    def drain_liquidations(self) -> list[shapes.Row]:
        """Rows for the topic allLiquidation.{s} since the last call; S is the position's side."""
        rows, self._liquidations = self._liquidations, []
        return rows

    # Auto-deleveraging

    def adl(self, symbol: str, qty: Decimal | None = None) -> None:
        """Reduces a position at the mark price by `qty` base coin, or closes it (None)."""
        position = self._records.account.position(symbol)
        size = abs(position.size) if qty is None else qty
        if not 0 < size <= abs(position.size):
            raise Refused(10001, f"expected a quantity up to {abs(position.size)}, found {size}")
        second = self._records.market.clock.now_s()
        mark = self._records.account.mark(symbol)
        self._records.book.log(
            "adl",
            second * 1000,
            symbol=symbol,
            side=position.side,
            qty=text(size),
            price=text(mark),
        )
        self._push(position, "Adl")
        self._force(position, size, mark, second, "CreateByAdl_PassThrough")
        self._records.flush_wallet()

    # Both

    def _push(self, position: Position, status: str) -> None:
        stops = self._records.position_stops(position.symbol)
        row = shapes.position_push(position, self._records.account, stops)
        self._records.events.append(("position", row | {"positionStatus": status}))

    def _force(
        self, position: Position, qty: Decimal, price: Decimal, second: int, create_type: str
    ) -> None:
        """Books a fill against the position as an order of the exchange's own."""
        side: Side = "Sell" if position.size > 0 else "Buy"
        order = Order(
            order_id=str(uuid.uuid4()),
            category="linear",
            symbol=position.symbol,
            side=side,
            order_type="Market",
            time_in_force="IOC",
            qty=qty,
            reduce_only=True,
            create_type=create_type,
            created_ms=second * 1000,
            updated_ms=second * 1000,
        )
        self._settlement.fill(order, price, qty, second, maker=False)


def _ended(order: Order) -> Status:
    if order.waits:
        return "Deactivated"
    return "PartiallyFilledCanceled" if order.category == "spot" and order.filled else "Cancelled"


def _uses_margin(order: Order) -> bool:
    """Linear orders that may open a position, and spot buys: both hold USDT."""
    if order.category == "spot":
        return order.side == "Buy"
    return not order.reduce_only
