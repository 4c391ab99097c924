"""Whatever happens, the wallet is the deposit and its transaction log, and positions their fills."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exchange.errors import Refused
from exchange.instruments import Category
from tests.exchange.money_desk import DEPOSIT, Desk

SYMBOLS = st.sampled_from(["BTCUSDT", "ETHUSDT"])
SIDES = st.sampled_from(["Buy", "Sell"])
RATES = st.decimals("-0.0075", "0.0075", places=8)
MOVES = st.decimals("-5000", "5000", places=8)


class Money(RuleBasedStateMachine):
    """Fills, prices, funding, transfers, liquidations, restarts, and rollbacks in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.desk = Desk(Path(self.folder.name) / "book.db")

    def teardown(self) -> None:
        self.desk.book.close()
        self.folder.cleanup()

    @rule(
        category=st.sampled_from(["spot", "linear"]),
        symbol=SYMBOLS,
        side=SIDES,
        lots=st.integers(1, 3000),
        away=st.integers(-50, 50),
        maker=st.booleans(),
    )
    def fill(
        self,
        category: Category,
        symbol: str,
        side: Literal["Buy", "Sell"],
        lots: int,
        away: int,
        maker: bool,
    ) -> None:
        instrument = self.desk.records.instrument((category, symbol))
        price = self.desk.market.last(instrument) + away * instrument.tick
        qty = lots * instrument.step
        self.desk.fill(side, str(qty), category=category, symbol=symbol, price=price, maker=maker)

    @rule(symbol=SYMBOLS, factor=st.floats(0.6, 1.6))
    def price(self, symbol: str, factor: float) -> None:
        now = self.desk.path.steps[symbol][-1][1]
        self.desk.price(symbol, min(max(now * factor, 100.0), 1e6))

    @rule(seconds=st.integers(1, 100_000))
    def pass_time(self, seconds: int) -> None:
        self.desk.pass_time(seconds)

    @rule(symbol=SYMBOLS, rate=st.none() | RATES)
    def pin_funding(self, symbol: str, rate: Decimal | None) -> None:
        self.desk.clearing.funding.pin(symbol, rate)

    @rule(category=st.sampled_from(["spot", "linear"]), maker=st.decimals("-0.001", "0.001"))
    def pin_rates(self, category: Category, maker: Decimal) -> None:
        self.desk.account.fees.pin_rates(category, maker, Decimal("0.001"))

    @rule(coin=st.sampled_from(["USDT", "BTC"]), amount=MOVES)
    def move(self, coin: str, amount: Decimal) -> None:
        if amount and -amount <= max(self.desk.account.available(coin, []), 0):
            self.desk.account.move(coin, amount, "transfer", [])
            return
        with pytest.raises(Refused):
            self.desk.account.move(coin, amount, "transfer", [])

    @rule(symbol=SYMBOLS, share=st.integers(1, 100))
    def deleverage(self, symbol: str, share: int) -> None:
        size = abs(self.desk.account.position(symbol).size)
        step = self.desk.records.instrument(("linear", symbol)).step
        qty = size * share // (100 * step) * step
        if qty:
            self.desk.clearing.adl(symbol, qty)

    @rule()
    def restart(self) -> None:
        self.desk.reopen()

    @rule()
    def roll_back(self) -> None:
        self.desk.settle()
        before = dict(self.desk.account.coins)
        self.desk.fill("Buy", "0.1")
        self.desk.book.rollback()
        self.desk.account.restore()
        self.desk.records.load_orders()
        assert self.desk.account.coins == before

    @invariant()
    def the_wallet_is_the_deposit_and_the_log(self) -> None:
        balances = {"USDT": DEPOSIT}
        for row in self.desk.transactions():
            coin = row["currency"]
            balances[coin] = balances.get(coin, Decimal(0)) + Decimal(row["change"])
            assert balances[coin] == Decimal(row["cashBalance"])
        assert balances == self.desk.account.coins

    @invariant()
    def a_position_is_the_sum_of_its_executions(self) -> None:
        sizes = {symbol: Decimal(0) for symbol in self.desk.path.steps}
        profits = dict(sizes)
        for row in self.desk.executions():
            if row["category"] == "linear":
                profits[row["symbol"]] += Decimal(row["execPnl"]) - Decimal(row["execFee"])
                if row["execType"] != "Funding":
                    signed = Decimal(row["execQty"]) * (1 if row["side"] == "Buy" else -1)
                    sizes[row["symbol"]] += signed
        for symbol, size in sizes.items():
            assert self.desk.account.position(symbol).size == size
            assert self.desk.account.position(symbol).realised_total == profits[symbol]

    @invariant()
    def every_execution_has_its_transactions(self) -> None:
        named = [row["tradeId"] for row in self.desk.transactions() if row["tradeId"]]
        expected = [
            row["execId"]
            for row in self.desk.executions()
            for _ in range(2 if row["category"] == "spot" else 1)
        ]
        assert named == expected


TestMoney = Money.TestCase
TestMoney.settings = settings(stateful_step_count=25)
