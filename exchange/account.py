"""Keeps the money: coins, positions, leverage, what is locked, and what is free."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from exchange.book import Book
from exchange.decimals import ZERO
from exchange.instruments import QUOTE, Instrument
from exchange.market import Market
from exchange.orders import Order, Position

MAINTENANCE = Decimal("0.005")  # of the position's value


class Account:
    """One unified account with cross margin, in USDT; the caller commits the book."""

    def __init__(self, book: Book, market: Market, deposit: Decimal) -> None:
        self._book = book
        self._market = market
        coins = book.get("coins")
        if coins is None:
            coins = {QUOTE: str(deposit)}
        self.coins: dict[str, Decimal] = {coin: Decimal(v) for coin, v in coins.items()}
        rows = book.get("positions") or {}
        self.positions = {
            s: msgspec.convert(row, Position, strict=False) for s, row in rows.items()
        }
        self.save()

    def save(self) -> None:
        """Writes coins and positions into the book."""
        self._book.put("coins", self.coins)
        self._book.put("positions", self.positions)

    def restore(self) -> None:
        """Reads coins and positions again, after the book was rolled back."""
        coins: dict[str, Any] = self._book.get("coins")
        self.coins = {coin: Decimal(value) for coin, value in coins.items()}
        rows: dict[str, Any] = self._book.get("positions")
        self.positions = {
            s: msgspec.convert(row, Position, strict=False) for s, row in rows.items()
        }

    def position(self, symbol: str) -> Position:
        """The symbol's position; a flat one if there was none."""
        return self.positions.setdefault(symbol, Position(symbol))

    def coin(self, coin: str) -> Decimal:
        """Wallet balance of a coin."""
        return self.coins.get(coin, ZERO)

    def add(self, coin: str, amount: Decimal) -> None:
        """Changes a wallet balance."""
        self.coins[coin] = self.coin(coin) + amount

    def mark(self, symbol: str) -> Decimal:
        """The linear mark price, in USDT."""
        return self._market.last(self._linear(symbol))

    def unrealised(self) -> Decimal:
        """Profit of all open positions at the mark price, in USDT."""
        held = (row for row in self.positions.values() if row.size)
        return sum((row.unrealised(self.mark(row.symbol)) for row in held), ZERO)

    def position_margin(self, position: Position) -> Decimal:
        """Initial margin of one position, in USDT."""
        return position.cost / position.leverage

    def order_margin(self, orders: Iterable[Order]) -> Decimal:
        """Initial margin that open linear orders reserve, in USDT."""
        total = ZERO
        for order in orders:
            if order.category == "linear" and not order.reduce_only:
                price = order.price or self.mark(order.symbol)
                total += order.leaves * price / self.position(order.symbol).leverage
        return total

    def locked(self, coin: str, orders: Iterable[Order]) -> Decimal:
        """What open spot orders lock of a coin; two stops of one entry lock it once."""
        total = ZERO
        seen: set[str] = set()
        for order in orders:
            if order.category != "spot" or order.parent_id in seen:
                continue
            seen.update({order.parent_id} - {""})
            if order.side == "Sell" and coin == self._spot(order.symbol).base:
                total += order.leaves
            elif order.side == "Buy" and coin == QUOTE:
                total += order.leaves if order.in_quote else order.leaves * order.price
        return total

    def available(self, coin: str, orders: Iterable[Order]) -> Decimal:
        """What may be used of a coin for new orders."""
        orders = list(orders)
        free = self.coin(coin) - self.locked(coin, orders)
        if coin == QUOTE:
            used = sum((self.position_margin(row) for row in self.positions.values()), ZERO)
            free += self.unrealised() - used - self.order_margin(orders)
        return free

    def usd(self, coin: str) -> Decimal:
        """The price of a coin in USDT."""
        return Decimal(1) if coin == QUOTE else self._market.last(self._spot(coin + QUOTE))

    def _linear(self, symbol: str) -> Instrument:
        return self._known("linear", symbol)

    def _spot(self, symbol: str) -> Instrument:
        return self._known("spot", symbol)

    def _known(self, category: str, symbol: str) -> Instrument:
        instrument = self._market.catalogue.get(category, symbol)
        if instrument is None:
            raise KeyError(f"expected a {category} symbol of this exchange, found {symbol}")
        return instrument
