"""Answers Bybit V5's public REST paths: time, instruments, candles, tickers, book, trades."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange import shapes
from exchange.errors import Refused
from exchange.instruments import Instrument
from exchange.venue import Venue

Query = dict[str, str]
Answer = dict[str, Any]
INTERVALS = {
    **{str(n): n for n in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)},
    "D": 1440,
    "W": 10_080,
}


def market_time(venue: Venue, query: Query) -> Answer:
    """Market time in seconds and nanoseconds."""
    now = venue.clock.now_ms()
    return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}


def instruments_info(venue: Venue, query: Query) -> Answer:
    """The instruments of a category."""
    rows = [shapes.instrument_row(row) for row in selected(venue, query)]
    if query.get("status") not in (None, "", "Trading"):
        rows = []
    answer: Answer = {"category": query.get("category"), "list": rows}
    if query.get("category") != "spot":
        answer["nextPageCursor"] = ""
    return answer


def kline(venue: Venue, query: Query) -> Answer:
    """Candles, newest first, at most 1000; the first row may be open."""
    instrument = named(venue, query)
    minutes = INTERVALS.get(query.get("interval", ""))
    if minutes is None:
        raise Refused(10001, "Invalid period!")
    limit = number(query, "limit", 200, 1000)
    now_m = venue.market.second(instrument.symbol) // 60
    end_m = min(number(query, "end", now_m * 60_000) // 60_000, now_m)
    last = end_m // minutes * minutes
    first = last - (limit - 1) * minutes
    if query.get("start"):
        start = -(-number(query, "start", 0) // 60_000)
        first = max(first, -(-start // minutes) * minutes)
    candles = venue.market.candles(instrument, minutes, first, last + minutes)
    rows = [shapes.kline_row(candle) for candle in reversed(candles)]
    return {"symbol": instrument.symbol, "category": instrument.category, "list": rows}


def tickers(venue: Venue, query: Query) -> Answer:
    """Tickers of a category, or of one symbol."""
    rows = [shapes.ticker_row(venue.market, row, venue.day(row)) for row in selected(venue, query)]
    return {"category": query.get("category"), "list": rows}


def orderbook(venue: Venue, query: Query) -> Answer:
    """The levels that orders can take in this second."""
    row = shapes.book_row(venue.market, named(venue, query), number(query, "limit", 25, 1000))
    now = venue.clock.now_ms()
    return {**row, "ts": now, "cts": now}


def recent_trade(venue: Venue, query: Query) -> Answer:
    """One trade a second, newest first."""
    instrument = named(venue, query)
    rows = shapes.trade_rows(venue.market, instrument, number(query, "limit", 60, 1000))
    answer = [
        {
            "execId": row["i"],
            "symbol": row["s"],
            "price": row["p"],
            "size": row["v"],
            "side": row["S"],
            "time": str(row["T"]),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(row["seq"]),
        }
        for row in reversed(rows)
    ]
    return {"category": instrument.category, "list": answer}


def selected(venue: Venue, query: Query) -> list[Instrument]:
    """The instruments that category and symbol select; an unknown symbol is refused."""
    if query.get("category") not in ("spot", "linear"):
        raise Refused(10001, "params error: category invalid")
    if query.get("symbol"):
        return [named(venue, query)]
    return venue.market.catalogue.of(query["category"])


def named(venue: Venue, query: Query) -> Instrument:
    """The one instrument that the query names."""
    category = query.get("category", "linear")
    found = venue.market.catalogue.get(category, query.get("symbol", ""))
    if found is None:
        raise Refused(10001, "Not supported symbols")
    return found


def number(query: Query, name: str, default: int, largest: int | None = None) -> int:
    """A whole number of the query, at most `largest`."""
    value = query.get(name) or str(default)
    if not value.isdigit():
        raise Refused(10001, f"params error: {name} invalid")
    return int(value) if largest is None else max(1, min(int(value), largest))


PATHS: dict[str, Callable[[Venue, Query], Answer]] = {
    "/v5/market/time": market_time,
    "/v5/market/instruments-info": instruments_info,
    "/v5/market/kline": kline,
    "/v5/market/tickers": tickers,
    "/v5/market/orderbook": orderbook,
    "/v5/market/recent-trade": recent_trade,
}
