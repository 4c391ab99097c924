"""Holds the exchange's money without its sockets and its matching: prices and fills are given."""

from __future__ import annotations

import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import numpy as np

from exchange.account import Account
from exchange.book import Book
from exchange.brackets import Brackets
from exchange.clearing import Clearing
from exchange.clock import MarketClock
from exchange.depth import Depth
from exchange.instruments import Catalogue
from exchange.market import Market
from exchange.orders import Order
from exchange.paths import Floats
from exchange.records import Records
from exchange.settlement import Settlement

Json = dict[str, Any]
START_S = 1_767_225_600  # 2026-01-01T00:00 UTC, a funding boundary
HOUR_S, DAY_S = 3600, 86_400
DEPOSIT = Decimal(10_000)


class Steps:
    """Prices that stand still until they are told to step."""

    def __init__(self, prices: dict[str, float]) -> None:
        self.steps = {symbol: [(0, price)] for symbol, price in prices.items()}

    def prices(self, symbol: str, start_s: int, stop_s: int) -> Floats:
        found = np.empty(max(stop_s - start_s, 0))
        for since, price in self.steps[symbol]:
            found[max(since - start_s, 0) :] = price
        return found

    def volumes(self, symbol: str, start_m: int, stop_m: int) -> Floats:
        return np.ones(stop_m - start_m)

    def span(self, symbol: str) -> tuple[int, int | None]:
        return START_S - 7 * DAY_S, None


class Desk:
    """The money of one exchange; `pass_time` and `fill` do what the engine does."""

    def __init__(self, book: Path, seed: int = 7, deposit: Decimal = DEPOSIT) -> None:
        self.path = Steps({"BTCUSDT": 50_000.0, "ETHUSDT": 2_000.0})
        self.real = 0.0
        self.clock = MarketClock(START_S * 1000 + 500, 1.0, lambda: self.real)
        self.seed, self.deposit = seed, deposit
        self.open(book)

    def open(self, book: Path) -> None:
        """Opens a book and everything that stands on it."""
        self.book = Book(book)
        catalogue = Catalogue(tuple(self.path.steps))
        self.market = Market(self.clock, self.path, catalogue, Depth(seed=self.seed))
        self.account = Account(self.book, self.market, self.deposit)
        self.records = Records(self.market, self.account, self.book)
        brackets = Brackets(self.records)
        self.settlement = Settlement(self.records, brackets)
        self.clearing = Clearing(self.records, self.settlement, brackets)
        self.stepped_s = int(self.book.get("stepped_s") or self.clock.now_s())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.book.close()

    def reopen(self) -> None:
        """Closes the book and begins again from what it remembers."""
        self.settle()
        self.book.close()
        self.open(self.book.path)

    def settle(self) -> None:
        self.book.put("stepped_s", self.stepped_s)
        self.book.commit()

    def now_s(self) -> int:
        return self.clock.now_s()

    def price(self, symbol: str, price: float) -> None:
        """The price from the next second on; one second passes."""
        self.path.steps[symbol].append((self.now_s() + 1, price))
        self.pass_time(1)

    def pass_time(self, seconds: int) -> None:
        """Lets market time pass at once, and does what falls due on the way."""
        self.real += seconds
        now_s = self.now_s()
        while (second := self.clearing.next_due(self.stepped_s + 1, now_s)) is not None:
            self.clearing.before_orders(second)
            self.clearing.after_orders(second)
            self.stepped_s = second
        self.stepped_s = now_s

    def order(self, side: Literal["Buy", "Sell"], qty: str, **more: Any) -> Order:
        """An order that was accepted and rests in the book."""
        now = self.clock.now_ms()
        fields: Json = {
            "order_id": str(uuid.uuid4()),
            "category": "linear",
            "symbol": "BTCUSDT",
            "order_type": "Limit",
            "price": Decimal(50_000),
        }
        fields |= more
        order = Order(side=side, qty=Decimal(qty), created_ms=now, updated_ms=now, **fields)
        self.records.changed(order)
        return order

    def fill(self, side: Literal["Buy", "Sell"], qty: str, **more: Any) -> Order:
        """An order that fills at once, at `price` or at the last price."""
        maker = bool(more.pop("maker", False))
        order = self.order(side, qty, **more)
        instrument = self.records.instrument((order.category, order.symbol))
        price = more.get("price", self.market.last(instrument))
        self.settlement.fill(order, price, order.qty, self.now_s(), maker=maker)
        return order

    def events(self, topic: str) -> list[Json]:
        """The rows that were pushed to a private topic so far."""
        return [row for name, row in self.records.events if name == topic]

    def transactions(self) -> list[Json]:
        """The whole transaction log, oldest first."""
        return [row for _, row in reversed(self.book.rows("transactions", "1", [], 9999, 2**62))]

    def executions(self) -> list[Json]:
        return [row for _, row in reversed(self.book.rows("executions", "1", [], 9999, 2**62))]

    def log(self, kind: str) -> list[Json]:
        """The committed log lines of a kind."""
        self.settle()
        lines = self.book.log_path.read_bytes().splitlines()
        return [line for line in map(msgspec.json.decode, lines) if line["kind"] == kind]
