"""The venue's own books in the month: orders, positions with their stops, executions, and cash.

The bot dies and comes back; these books go on. ``mischief`` says what becomes of the next order,
``tell`` hands what happened to the private stream, and what should never be is in ``wrong``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bot.core.values import (
    ZERO,
    CashMove,
    OrderStatus,
    Side,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from tests.simulation.month_market import INSTRUMENTS, Market

DEPOSIT = Decimal(100_000)
RESTING = (OrderStatus.OPEN, OrderStatus.PARTIAL)
KEPT = 600
"""More orders and executions than there are in a day and an hour."""
THIN_MS = 20_000
"""After a part of an order was filled, nobody takes the rest for so long."""
EXACT = Decimal("1e-8")
FEES = {i.symbol: i.taker_fee for i in INSTRUMENTS}


class Bracket(Struct, frozen=True):
    """The stop and the target that an order carries or a position has."""

    stop: Decimal | None = None
    take: Decimal | None = None


class Books:
    """One account. ``now`` is the venue's clock, ms."""

    def __init__(self, market: Market, now: Callable[[], int]) -> None:
        self.market, self.now = market, now
        self.wallet = DEPOSIT
        self.positions: dict[str, VenuePosition] = {}
        self.orders: dict[str, VenueOrder] = {}
        self.fills: list[VenueFill] = []
        self.moves: list[CashMove] = []
        self.wrong: list[str] = []
        self.received: Counter[str] = Counter()
        self.protected: Counter[str] = Counter()
        self.tell: Callable[[Any], None] = lambda told: None
        self._reducing: set[str] = set()
        self._brackets: dict[str, Bracket] = {}
        self._thin: dict[str, int] = {}
        self._number = self.executed = 0

    def price(self, symbol: str) -> Decimal:
        """Return the present price."""
        return Decimal(str(self.market.paths[symbol].price(self.market.at)))

    def next_id(self, kind: str) -> str:
        """Return an id of the venue's own."""
        self._number += 1
        return f"{kind}{self._number}"

    # -- orders ------------------------------------------------------------------------------------

    def create(self, body: dict[str, Any], mischief: str = "") -> tuple[int, str]:
        """Take an order in; return the venue's code and words. ``mischief``: reject or partial."""
        link, symbol = body["orderLinkId"], body["symbol"]
        self.received[link] += 1
        if link in self.orders:
            self.wrong.append(f"{link} was sent to the venue again")
            return 110072, "OrderLinkedID is duplicate"
        if mischief == "reject":
            return 110007, "ab not enough for new order"
        held = self.positions.get(symbol)
        side, price = Side(body["side"]), Decimal(body["price"]) if "price" in body else None
        qty = Decimal(body["qty"]) or (abs(held.qty) if held else ZERO)
        if body["reduceOnly"]:
            if held is None or held.qty * side.sign >= 0:
                return 110017, "current position is zero, cannot fix reduce-only order qty"
            qty = min(qty, abs(held.qty))
            self._reducing.add(link)
        stops = [Decimal(body[k]) if k in body else None for k in ("stopLoss", "takeProfit")]
        self._brackets[link] = Bracket(*stops)
        row = VenueOrder(
            link, self.next_id("v"), symbol, side, qty, ZERO, OrderStatus.OPEN, price=price
        )
        self.orders[link] = row
        self._match(row, self.price(symbol), partly=mischief == "partial")
        if self.orders[link].status in RESTING:
            self.tell(self.orders[link])
        return 0, row.venue_id

    def rest(self, link: str, symbol: str, side: Side, qty: Decimal, price: Decimal) -> None:
        """Put an order of somebody else on the book, far from the market."""
        self.orders[link] = VenueOrder(
            link, self.next_id("v"), symbol, side, qty, ZERO, OrderStatus.OPEN, price=price
        )
        self._brackets[link] = Bracket()

    def cancel(self, link: str, *, race: bool = False) -> bool:
        """Cancel an order; False if it is gone. ``race``: it fills a moment before."""
        row = self.orders.get(link)
        if row is None or row.status not in RESTING:
            return False
        if race:
            self._fill(row, row.qty - row.filled, row.price or self.price(row.symbol))
            return False
        self._row(replace(row, status=OrderStatus.CANCELED, reason="cancelled by user"))
        return True

    def amend(self, link: str, price: Decimal, *, race: bool = False) -> bool:
        """Move an order; False if it is gone. ``race``: it fills a moment before."""
        row = self.orders.get(link)
        if row is None or row.status not in RESTING:
            return False
        if race:
            self._fill(row, row.qty - row.filled, row.price or price)
            return False
        self.orders[link] = row = replace(row, price=price)
        self._match(row, self.price(row.symbol))
        return True

    def _match(self, row: VenueOrder, market: Decimal, *, partly: bool = False) -> None:
        left = row.qty - row.filled
        reached = row.price is None or (row.price - market) * row.side.sign >= 0
        if not reached or self.now() < self._thin.get(row.order, 0):
            return
        lot = Decimal("0.001")
        if partly and row.price is not None and left > lot:
            left = max(left / 2 // lot * lot, lot)
            self._thin[row.order] = self.now() + THIN_MS
        self._fill(row, left, market)

    def _fill(self, row: VenueOrder, qty: Decimal, price: Decimal) -> None:
        filled = row.filled + qty
        status = OrderStatus.FILLED if filled == row.qty else OrderStatus.PARTIAL
        bracket = None if row.order in self._reducing else self._brackets[row.order]
        self.orders[row.order] = replace(row, filled=filled, status=status)
        self.execute(row.symbol, row.side, qty, price, order=row.order, bracket=bracket)
        self._row(self.orders[row.order])

    def _row(self, row: VenueOrder) -> None:
        self.orders[row.order] = row
        self.tell(row)

    # -- executions --------------------------------------------------------------------------------

    def execute(
        self,
        symbol: str,
        side: Side,
        qty: Decimal,
        price: Decimal,
        *,
        order: str = "",
        by: str = "",
        bracket: Bracket | None = None,
    ) -> None:
        """Book an execution and tell of it, and of the position that it leaves."""
        fee = (qty * price * FEES[symbol]).quantize(EXACT)
        fill = VenueFill(self.next_id("f"), order, symbol, side, qty, price, fee, self.now(), by=by)
        self.fills.append(fill)
        self.executed += 1
        before = self.positions.get(symbol) or VenuePosition(symbol, ZERO, price)
        change = qty * side.sign
        after = before.qty + change
        if before.qty * change >= 0:
            cost = abs(before.qty) * before.entry + qty * price
            entry = cost / abs(after)
        else:
            closed = min(qty, abs(before.qty))
            profit = (price - before.entry) * closed * (1 if before.qty > 0 else -1)
            self.wallet += profit.quantize(EXACT)
            entry = before.entry if after * before.qty > 0 else price
        self.wallet -= fee
        kept = bracket or (Bracket(before.stop, before.take) if before.qty else Bracket())
        if after:
            self.positions[symbol] = VenuePosition(symbol, after, entry, kept.stop, kept.take)
        else:
            self.positions.pop(symbol, None)
        self.tell(fill)
        self.tell(self.positions.get(symbol) or VenuePosition(symbol, ZERO, ZERO))

    def protect(self, symbol: str, stop: Decimal | None, take: Decimal | None) -> bool:
        """Hold a stop and a target for a position; False if there is none."""
        held = self.positions.get(symbol)
        if held is None:
            return False
        self.protected[symbol] += stop is not None
        self.positions[symbol] = replace(held, stop=stop, take=take)
        return True

    def shift(self, symbol: str, change: Decimal) -> None:
        """Change a position without an execution."""
        held = self.positions.get(symbol) or VenuePosition(symbol, ZERO, self.price(symbol))
        if held.qty + change:
            self.positions[symbol] = replace(held, qty=held.qty + change)
        else:
            del self.positions[symbol]

    def pay(self, kind: str, change: Decimal) -> None:
        """Move cash without an execution, with a row that says so."""
        self.wallet += change
        self.moves.append(CashMove(self.next_id("m"), kind, "", change, self.now()))

    # -- time --------------------------------------------------------------------------------------

    def pass_by(self, prices: dict[str, float]) -> None:
        """Let prices come by: stops and targets fire, resting orders fill."""
        for symbol, held in list(self.positions.items()):
            price = Decimal(str(prices[symbol]))
            sign = 1 if held.qty > 0 else -1
            if held.stop is not None and (price - held.stop) * sign <= 0:
                self.execute(symbol, Side.of(-held.qty), abs(held.qty), price, by="StopLoss")
            elif held.take is not None and (price - held.take) * sign >= 0:
                self.execute(symbol, Side.of(-held.qty), abs(held.qty), price, by="TakeProfit")
        for row in self.open_orders():
            self._match(row, Decimal(str(prices[row.symbol])))

    def open_orders(self) -> list[VenueOrder]:
        """Return what is on the book."""
        return [row for row in self.orders.values() if row.status in RESTING]

    def forget(self) -> None:
        """Drop what ended long ago: only the newest is asked about."""
        del self.fills[:-KEPT], self.moves[:-KEPT]
        ended = [link for link, row in self.orders.items() if row.status not in RESTING]
        for link in ended[:-KEPT]:
            del self.orders[link], self._brackets[link]
            self._thin.pop(link, None)
            self._reducing.discard(link)
