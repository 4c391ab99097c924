"""Decides funding rates, and pays them on linear positions at each interval's boundary.

A rate is Bybit's F = P + clamp(I - P, -0.05 %, 0.05 %), clamped to +-0.75 % (help centre,
"Introduction to Funding Rate"), with the interest I of 0.03 % a day and a premium P that is drawn
from (seed, symbol, boundary): two exchanges of one seed pay the same. Boundaries are the multiples
of the interval since the epoch, so 00:00, 08:00, and 16:00 UTC for eight hours.
"""

from __future__ import annotations

import random
import uuid
from decimal import Decimal
from typing import Any

from exchange import shapes
from exchange.decimals import ZERO, cents, text
from exchange.errors import Refused
from exchange.instruments import QUOTE, Instrument
from exchange.orders import Order, Position, Trade
from exchange.records import Records
from exchange.transactions import Entry

Row = dict[str, Any]
RATE_MAX = Decimal("0.0075")
_INTEREST_DAY = Decimal("0.0003")
_DAMPER = Decimal("0.0005")
_PREMIUM_SPREAD = 0.0006  # standard deviation: about three rates in five are the interest itself
_MINUTES_DAY = 1440


class Funding:
    """Rates of all symbols, drawn or pinned, and their payment."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._book = records.book
        self._market = records.market
        self._pins: dict[str, list[tuple[int, Decimal | None]]] = {}
        self.restore()

    def restore(self) -> None:
        """Reads the pins from the book, at start and after it was rolled back."""
        kept: dict[str, Any] = self._book.get("funding_pins") or {}
        self._pins = {
            symbol: [(since, None if rate is None else Decimal(rate)) for since, rate in rows]
            for symbol, rows in kept.items()
        }

    # Rates

    def pin(self, symbol: str, rate: Decimal | None) -> None:
        """Fixes the rate of all boundaries from now on; None draws them again."""
        if rate is not None and abs(rate) > RATE_MAX:
            raise Refused(10001, f"expected a rate within +-{RATE_MAX}, found {rate}")
        self._pins.setdefault(symbol, []).append((self._market.clock.now_ms(), rate))
        self._book.put("funding_pins", self._pins)

    def rate(self, instrument: Instrument, at_ms: int) -> Decimal:
        """The rate of the boundary at `at_ms`; positive is paid by longs to shorts."""
        for since, rate in reversed(self._pins.get(instrument.symbol, [])):
            if since <= at_ms:
                if rate is not None:
                    return rate
                break
        chance = random.Random(f"{self._market.depth.seed}/{instrument.symbol}/{at_ms}/funding")
        premium = cents(Decimal(chance.gauss(0.0, _PREMIUM_SPREAD)))
        interest = _INTEREST_DAY * instrument.funding_minutes / _MINUTES_DAY
        drawn = premium + max(-_DAMPER, min(interest - premium, _DAMPER))
        return max(-RATE_MAX, min(drawn, RATE_MAX))

    def next_ms(self, instrument: Instrument, after_ms: int) -> int:
        """The first boundary that is later than `after_ms`."""
        interval = instrument.funding_minutes * 60_000
        return (after_ms // interval + 1) * interval

    def ticker(self, instrument: Instrument) -> Row:
        """What a linear ticker tells of funding."""
        due = self.next_ms(instrument, self._market.clock.now_ms())
        return {
            "fundingRate": text(self.rate(instrument, due)),
            "nextFundingTime": str(due),
            "fundingIntervalHour": str(instrument.funding_minutes // 60),
            "fundingCap": text(RATE_MAX),
        }

    def history(self, instrument: Instrument, start_ms: int, end_ms: int, limit: int) -> list[Row]:
        """Rates of past boundaries in [start_ms, end_ms], newest first."""
        first_s, _ = self._market.path.span(instrument.symbol)
        start_ms = max(start_ms, first_s * 1000)
        interval = instrument.funding_minutes * 60_000
        last = min(end_ms, self._market.clock.now_ms()) // interval * interval
        return [
            {
                "symbol": instrument.symbol,
                "fundingRate": text(self.rate(instrument, at)),
                "fundingRateTimestamp": str(at),
            }
            for at in range(last, max(start_ms - 1, last - limit * interval), -interval)
        ]

    # Payment

    def next_due(self, held: list[Position], start_s: int) -> int:
        """The first second from `start_s` on at which one of the positions pays or receives."""
        return min(self.next_ms(self._linear(row), start_s * 1000 - 1) // 1000 for row in held)

    def pay(self, second: int) -> None:
        """Pays what is due at `second`; the execution's id makes a second payment impossible."""
        for position in self._records.account.held():
            instrument = self._linear(position)
            if self.next_ms(instrument, second * 1000 - 1) == second * 1000:
                self._pay(position, instrument, second)

    def _linear(self, position: Position) -> Instrument:
        return self._records.instrument(("linear", position.symbol))

    def _pay(self, position: Position, instrument: Instrument, second: int) -> None:
        """Longs pay a positive rate and receive a negative one, shorts the other way round."""
        records, at_ms = self._records, second * 1000
        mark = records.account.mark(position.symbol, second)
        rate = self.rate(instrument, at_ms)
        value = abs(position.size) * mark
        own_rate = rate if position.size > 0 else -rate
        fee = cents(value * own_rate)
        exec_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{position.symbol}/{at_ms}/funding"))
        position.realised -= fee
        position.realised_total -= fee
        position.updated_ms = at_ms
        entry = Entry(
            "SETTLEMENT",
            QUOTE,
            at_ms,
            funding=-fee,
            category="linear",
            symbol=position.symbol,
            side=position.side,
            qty=abs(position.size),
            size=position.size,
            price=mark,
            fee_rate=rate,
            trade_id=exec_id,
            order_id=exec_id,
        )
        records.account.post(entry)
        records.account.save()
        row = _execution(entry, value, fee, own_rate)
        self._book.save_execution(row)
        records.events.append(("execution", row))
        records.push_position(position)
        records.wallet_changed = True
        self._book.log(
            "funding",
            at_ms,
            symbol=position.symbol,
            category="linear",
            side=position.side,
            qty=text(abs(position.size)),
            price=text(mark),
            execId=exec_id,
            rate=text(rate),
            fee=text(fee),
        )


def _execution(entry: Entry, value: Decimal, fee: Decimal, own_rate: Decimal) -> Row:
    """The execution row of a payment: execFee = execValue * feeRate, positive was paid.

    Side is the position's; feeRate has the sign that it has for this side.
    """
    mark = entry.price or ZERO
    order = Order(
        order_id=entry.order_id,
        category="linear",
        symbol=entry.symbol,
        side="Buy" if entry.side == "Buy" else "Sell",
        order_type="Market",
        qty=ZERO,
        create_type="",
        created_ms=entry.at_ms,
        updated_ms=entry.at_ms,
    )
    row = shapes.execution_row(order, Trade(mark, entry.qty, False, entry.at_ms), mark)
    row.update(
        orderType="UNKNOWN",
        execId=entry.trade_id,
        execType="Funding",
        execFee=text(fee),
        feeRate=text(own_rate),
        feeCurrency="",
        execValue=text(value),
        leavesQty="0",
    )
    return row
