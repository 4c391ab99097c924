"""Writes the transaction log: one row for each change of a wallet, none changes without.

A row satisfies Bybit's own definition, change = cashFlow + funding - fee, and its cashBalance is
the coin's wallet balance after the change. What the fields mean per type:

    TRADE         linear: cashFlow is the profit that the fill realised, fee is in USDT, size is the
                  position after it. Spot: a row per coin; qty and cashFlow are what came in (+) or
                  went out (-), fee stands in the row of the coin that pays it
    LIQUIDATION   as TRADE, for a position that the exchange took over
    ADL           as TRADE, for a position that auto-deleveraging reduced
    SETTLEMENT    funding: positive was received; tradePrice is the mark price, feeRate the rate
    TRANSFER_IN   cashFlow came from outside; TRANSFER_OUT: cashFlow (negative) left
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from exchange.book import Book
from exchange.decimals import ZERO, text
from exchange.errors import Refused
from exchange.instruments import QUOTE

Row = dict[str, Any]
_DAY_MS = 86_400_000
_WINDOW_MS = 7 * _DAY_MS
_LAST = 2**62
_COLUMNS = {"category": "category", "currency": "currency", "type": "type"}


class Entry(NamedTuple):
    """One change of one coin's wallet, in that coin."""

    type: str
    currency: str
    at_ms: int
    cash_flow: Decimal = ZERO
    fee: Decimal = ZERO
    funding: Decimal | None = None
    category: str = ""
    symbol: str = ""
    side: str = "None"
    qty: Decimal = ZERO
    size: Decimal = ZERO
    price: Decimal | None = None
    fee_rate: Decimal | None = None
    trade_id: str = ""
    order_id: str = ""
    link_id: str = ""

    @property
    def change(self) -> Decimal:
        """What the wallet gains."""
        return self.cash_flow + (self.funding or ZERO) - self.fee


def transaction_row(entry: Entry, balance: Decimal, number: int) -> Row:
    """The entry as in /v5/account/transaction-log; `number` makes its id unique."""
    return {
        "id": f"1_{entry.symbol or entry.currency}_{number}",
        "symbol": entry.symbol,
        "category": entry.category,
        "side": entry.side,
        "transactionTime": str(entry.at_ms),
        "type": entry.type,
        "transSubType": "",
        "qty": text(entry.qty),
        "size": text(entry.size),
        "currency": entry.currency,
        "tradePrice": _optional(entry.price),
        "funding": _optional(entry.funding),
        "fee": text(entry.fee),
        "cashFlow": text(entry.cash_flow),
        "change": text(entry.change),
        "cashBalance": text(balance),
        "feeRate": _optional(entry.fee_rate),
        "bonusChange": "",
        "tradeId": entry.trade_id,
        "orderId": entry.order_id,
        "orderLinkId": entry.link_id,
        "extraFees": "",
    }


def _optional(value: Decimal | None) -> str:
    return "" if value is None else text(value)


def page(book: Book, query: Row, now_ms: int) -> Row:
    """Answers /v5/account/transaction-log: newest first, a day unless asked, at most seven."""
    if query.get("accountType") not in (None, "", "UNIFIED"):
        raise Refused(10001, "accountType only support UNIFIED.")
    start, end = _window(query, now_ms)
    where = "at_ms BETWEEN ? AND ?"
    values: list[Any] = [start, end]
    for name, column in _COLUMNS.items():
        if query.get(name):
            where, values = f"{where} AND {column} = ?", [*values, query[name]]
    if query.get("baseCoin"):
        where, values = f"{where} AND symbol = ?", [*values, f"{query['baseCoin']}{QUOTE}"]
    if query.get("transSubType"):
        where += " AND 0"  # positions are never moved between accounts here
    limit = max(1, min(_whole(query, "limit", 20), 50))
    found = book.rows("transactions", where, values, limit + 1, _whole(query, "cursor", _LAST))
    cursor = str(found[limit - 1][0]) if len(found) > limit else ""
    return {"list": [row for _, row in found[:limit]], "nextPageCursor": cursor}


def _window(query: Row, now_ms: int) -> tuple[int, int]:
    """One of startTime and endTime implies the other a day away; neither means the last day."""
    start, end = query.get("startTime"), query.get("endTime")
    last = _whole(query, "endTime", now_ms)
    if not start:
        return last - _DAY_MS, last
    first = _whole(query, "startTime", 0)
    if not end:
        return first, first + _DAY_MS
    if not 0 <= last - first <= _WINDOW_MS:
        raise Refused(10001, "The time range between startTime and endTime cannot exceed 7 days.")
    return first, last


def _whole(query: Row, name: str, default: int) -> int:
    value = str(query.get(name) or default)
    if not (value.isascii() and value.isdigit()):
        raise Refused(10001, f"params error: {name} invalid")
    return int(value)
