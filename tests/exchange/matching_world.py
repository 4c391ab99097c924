"""A venue without sockets whose prices a test writes second by second; everything else is real."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from exchange.account import Account
from exchange.book import Book
from exchange.clock import MarketClock
from exchange.depth import Depth, Level
from exchange.engine import Engine
from exchange.errors import Refused
from exchange.instruments import Catalogue, Instrument, Side
from exchange.market import Market
from exchange.orders import Order
from exchange.paths import Floats

START_S = 1_700_000_040  # the first second of a minute
Row = dict[str, Any]


class ScriptedPath:
    """One price for all seconds until the test says otherwise; the same volume each minute."""

    def __init__(self, price: float, volume: float) -> None:
        self.later: list[tuple[int, float]] = [(0, price)]
        self.volume = volume

    def prices(self, symbol: str, start_s: int, stop_s: int) -> Floats:
        found = np.empty(stop_s - start_s)
        for since, price in self.later:
            found[max(since - start_s, 0) :] = price
        return found

    def volumes(self, symbol: str, start_m: int, stop_m: int) -> Floats:
        return np.full(stop_m - start_m, self.volume)

    def span(self, symbol: str) -> tuple[int, int | None]:
        return START_S - 86_400, None


class World:
    """An engine with its book at a price that only `go` changes."""

    def __init__(
        self, folder: Path, *, price: float = 100.0, volume: float = 600.0, **depth: Any
    ) -> None:
        self.path = ScriptedPath(price, volume)
        self.clock = MarketClock(START_S * 1000, 1.0, real=lambda: 0.0)
        self.book = Book(folder / "exchange.db")
        shape = {"spread_bps": 10.0, "impact_bps": 100.0, "liquidity": 100_000.0, **depth}
        catalogue = Catalogue(("SOLUSDT", "ETHUSDT"))
        self.market = Market(self.clock, self.path, catalogue, Depth(**shape))
        self.account = Account(self.book, self.market, Decimal(100_000))
        self.engine = Engine(self.market, self.account, self.book)

    def instrument(self, category: str = "linear", symbol: str = "SOLUSDT") -> Instrument:
        found = self.market.catalogue.get(category, symbol)
        assert found is not None
        return found

    def go(self, price: float | None = None, seconds: int = 1) -> None:
        """Lets seconds pass, all of them at `price`."""
        if price is not None:
            self.path.later.append((self.clock.now_s() + 1, price))
        self.clock.jump(seconds)
        self.engine.step()

    def order(self, **more: Any) -> Order:
        """A linear SOL order that is accepted; by default a limit buy of 1."""
        body = {"category": "linear", "symbol": "SOLUSDT", "side": "Buy", "orderType": "Limit"}
        return self.engine.create({**body, "qty": "1", **more})

    def market_order(self, **more: Any) -> Order:
        return self.order(orderType="Market", **more)

    def amend(self, order: Order, **changes: Any) -> Order:
        names = {"category": order.category, "symbol": order.symbol, "orderId": order.order_id}
        return self.engine.amend({**names, **changes})

    def stop(self, **body: Any) -> None:
        self.engine.trading_stop(
            {"category": "linear", "symbol": "SOLUSDT", "tpslMode": "Full", **body}
        )

    def now(self, order: Order) -> Order:
        """The order as the book has it."""
        [(_, found)] = self.book.orders("order_id = ?", [order.order_id], 1, 2**62)
        return found

    def stops(self) -> list[Order]:
        return self.engine.position_stops("SOLUSDT")

    def size(self) -> Decimal:
        return self.account.position("SOLUSDT").size

    def offers(self, side: Side, category: str = "linear") -> list[Level]:
        """What an order of `side` can take now."""
        return self.market.levels(self.instrument(category), side, self.clock.now_s())

    def rows(self, topic: str) -> list[Row]:
        return [row for name, row in self.engine.events if name == topic]

    def log(self, kind: str) -> list[Row]:
        self.book.commit()
        lines = self.book.log_path.read_text().splitlines()
        return [row for row in map(json.loads, lines) if row["kind"] == kind]


def refusal(call: Any, *args: Any, **more: Any) -> int:
    """The retCode with which a request is refused."""
    try:
        call(*args, **more)
    except Refused as refused:
        return refused.code
    raise AssertionError("expected a refusal, found the request accepted")
