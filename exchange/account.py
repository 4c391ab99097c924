"""Keeps the money: coins, positions, leverage, what is locked, and what is free.

Only USDT is collateral (`collateralSwitch` is off for every other coin), so what spot trading buys
neither carries nor endangers a position. Money moves through `post` alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import msgspec

from exchange.book import Book
from exchange.decimals import ZERO
from exchange.errors import Refused
from exchange.fees import Fees
from exchange.instruments import QUOTE, Instrument
from exchange.margin import MAINTENANCE, Margin, liquidation_price, maintenance_of
from exchange.market import Market
from exchange.orders import Order, Position
from exchange.transactions import Entry, transaction_row

MoveKind = Literal["deposit", "withdraw", "transfer"]


class Reserved(NamedTuple):
    """What open orders hold back: coins of spot orders, and USDT margin of linear ones."""

    locked: dict[str, Decimal]
    margin: Decimal


class Account:
    """One unified account with cross margin, in USDT; the caller commits the book."""

    def __init__(self, book: Book, market: Market, deposit: Decimal) -> None:
        self._book = book
        self._market = market
        self.fees = Fees(book, market.clock)
        if book.get("coins") is None:
            book.put("coins", {QUOTE: deposit})
            book.put("positions", {})
        self.restore()

    def save(self) -> None:
        """Writes coins and positions into the book."""
        self._book.put("coins", self.coins)
        self._book.put("positions", self.positions)

    def restore(self) -> None:
        """Reads the money, at start and after the book was rolled back."""
        coins: dict[str, Any] = self._book.get("coins")
        self.coins = {coin: Decimal(value) for coin, value in coins.items()}
        rows: dict[str, Any] = self._book.get("positions")
        self.positions = {
            s: msgspec.convert(row, Position, strict=False) for s, row in rows.items()
        }
        self._entries = self._book.last_number("transactions")
        self.fees.restore()

    # Money

    def post(self, entry: Entry) -> None:
        """Changes one coin's wallet and writes the row that says why; `save` follows."""
        self._entries += 1
        self.coins[entry.currency] = self.coin(entry.currency) + entry.change
        row = transaction_row(entry, self.coins[entry.currency], self._entries)
        self._book.save_transaction(row)

    def move(self, coin: str, amount: Decimal, kind: MoveKind, orders: Iterable[Order]) -> Decimal:
        """Brings money from outside or takes it out, and returns the change of the wallet.

        A deposit and a withdrawal are positive amounts; a transfer is signed. Raises `Refused`
        when more would leave than is free.
        """
        known = {QUOTE, *(row.base for row in self._market.catalogue.of("spot"))}
        if coin not in known or not amount or (kind != "transfer" and amount < 0):
            raise Refused(10001, f"expected a coin and an amount, found {coin!r} and {amount}")
        change = -amount if kind == "withdraw" else amount
        if -change > max(self.available(coin, orders), ZERO):
            raise Refused(131212, "Insufficient balance")
        now = self._market.clock.now_ms()
        direction = "TRANSFER_IN" if change > 0 else "TRANSFER_OUT"
        self.post(Entry(direction, coin, now, cash_flow=change, qty=change))
        self.save()
        self._book.log("transfer", now, coin=coin, amount=str(change), reason=kind)
        return change

    def coin(self, coin: str) -> Decimal:
        """Wallet balance of a coin."""
        return self.coins.get(coin, ZERO)

    def usd(self, coin: str) -> Decimal:
        """The price of a coin in USDT."""
        return Decimal(1) if coin == QUOTE else self._market.last(self._known("spot", coin + QUOTE))

    # Positions

    def position(self, symbol: str) -> Position:
        """The symbol's position; a flat one if there was none."""
        return self.positions.setdefault(symbol, Position(symbol))

    def held(self) -> list[Position]:
        """The positions that are not flat."""
        return [row for row in self.positions.values() if row.size]

    def mark(self, symbol: str, second: int | None = None) -> Decimal:
        """The linear mark price in USDT, at a market second or now."""
        last = self._market.second(symbol)
        at = last if second is None else min(second, last)
        return self._market.mark(self._known("linear", symbol), at)

    def unrealised(self, second: int | None = None) -> Decimal:
        """Profit of all open positions at the mark price, in USDT."""
        return sum((row.unrealised(self.mark(row.symbol, second)) for row in self.held()), ZERO)

    # Margin

    def margin(self, second: int | None = None) -> Margin:
        """Margin balance and maintenance margin at a market second, or now."""
        balance, need = self.coin(QUOTE), ZERO
        for row in self.held():
            mark = self.mark(row.symbol, second)
            balance += row.unrealised(mark)
            need += maintenance_of(row, mark)
        return Margin(balance, need)

    def liquidation_price(self, position: Position) -> Decimal:
        """Where the mark price would liquidate the account; 0 if nowhere."""
        instrument = self._known("linear", position.symbol)
        mark = self.mark(position.symbol)
        return liquidation_price(position, mark, self.margin(), instrument.tick)

    def position_margin(self, position: Position) -> Decimal:
        """Initial margin of one position, in USDT."""
        return position.cost / position.leverage

    def positions_margin(self) -> Decimal:
        """Initial margin of all positions, in USDT."""
        return sum((self.position_margin(row) for row in self.held()), ZERO)

    def reserved(self, orders: Iterable[Order]) -> Reserved:
        """What open orders hold back; two stops of one spot entry hold its coins once."""
        locked: dict[str, Decimal] = {}
        values: dict[str, Decimal] = {}  # of linear orders that may open, by symbol
        seen: set[str] = set()
        for order in orders:
            if order.reduce_only or not order.occupies or order.parent_id in seen:
                continue
            if order.category == "linear":
                value = order.leaves * (order.price or self.mark(order.symbol))
                values[order.symbol] = values.get(order.symbol, ZERO) + value
                continue
            if order.parent_id:
                seen.add(order.parent_id)
            coin, need = self._spot_need(order)
            locked[coin] = locked.get(coin, ZERO) + need
        margins = (value / self.position(symbol).leverage for symbol, value in values.items())
        return Reserved(locked, sum(margins, ZERO))

    def _spot_need(self, order: Order) -> tuple[str, Decimal]:
        if order.side == "Sell":
            return self._known("spot", order.symbol).base, order.leaves
        return QUOTE, order.leaves if order.in_quote else order.leaves * order.price

    def available(self, coin: str, orders: Iterable[Order]) -> Decimal:
        """What may be used of a coin for new orders."""
        return self.free(coin, self.reserved(orders))

    def free(self, coin: str, reserved: Reserved) -> Decimal:
        """As `available`, for who has already asked what is reserved."""
        left = self.coin(coin) - reserved.locked.get(coin, ZERO)
        if coin == QUOTE:
            left += self.unrealised() - self.positions_margin() - reserved.margin
        return left

    def check_leverage(
        self, instrument: Instrument, leverage: Decimal, orders: Iterable[Order]
    ) -> None:
        """Raises `Refused` if the leverage is the present one, off limits, or asks too much margin.

        Lower leverage reserves more margin for the position and its orders; what is missing must
        be free.
        """
        position = self.position(instrument.symbol)
        if leverage == position.leverage:
            raise Refused(110043, "leverage not modified")
        if not 1 <= leverage <= instrument.max_leverage:
            raise Refused(110013, "cannot set leverage gt maxLeverage by risk limit")
        orders = list(orders)
        of_symbol = [order for order in orders if order.symbol == instrument.symbol]
        used = self.position_margin(position) + self.reserved(of_symbol).margin
        more = used * position.leverage / leverage - used
        if more > 0 and more > self.available(QUOTE, orders):
            raise Refused(110012, "insufficient available balance")

    def pre_check(self, order: Order, orders: Iterable[Order]) -> dict[str, Any]:
        """What an accepted linear order would do to the account, as in /v5/order/pre-check.

        Rates are ten-thousandths of the margin balance; the position that the order would open is
        counted in full, as if it had filled at its price or, for a market order, at the mark.
        """
        now = self.margin()
        initial = self.positions_margin() + self.reserved(orders).margin
        position = self.position(order.symbol)
        opening = max(order.qty - position.closable_by(order.side), ZERO)
        value = ZERO if order.reduce_only else opening * (order.price or self.mark(order.symbol))
        rates = {
            "preImrE4": initial,
            "preMmrE4": now.maintenance,
            "postImrE4": initial + value / position.leverage,
            "postMmrE4": now.maintenance + value * MAINTENANCE,
        }
        answer = {"orderId": order.order_id, "orderLinkId": order.link_id}
        return answer | {name: _e4(used, now.balance) for name, used in rates.items()}

    def switch_mode(self, mode: object) -> None:
        """Always refuses: the account is one-way, and hedge mode is not served here.

        Raises `Refused` 110025 (position mode is not modified) for mode 0 and 10001 otherwise.
        """
        if str(mode) == "0":
            raise Refused(110025, "Position mode is not modified")
        raise Refused(10001, "params error: only one-way mode (0) is served here")

    def _known(self, category: str, symbol: str) -> Instrument:
        instrument = self._market.catalogue.get(category, symbol)
        if instrument is None:
            raise KeyError(f"expected a {category} symbol of this exchange, found {symbol}")
        return instrument


def _e4(used: Decimal, balance: Decimal) -> int:
    return int(used / balance * 10_000) if balance > 0 else 0
