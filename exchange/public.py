"""Answers Bybit V5's public REST paths of prices: time, instruments, candles, books, trades."""

from __future__ import annotations

from collections.abc import Callable

from exchange import quotes, reference
from exchange.decimals import ceil_to, floor_to, text
from exchange.errors import Refused
from exchange.instruments import Instrument
from exchange.intervals import INTERVALS, candles, step
from exchange.market import Candle
from exchange.matching import PRICE_LIMIT
from exchange.query import Answer, Query, named, number, selected
from exchange.venue import Venue

_BOOK_ROWS = {"spot": (1, 200), "linear": (25, 500)}  # by default, at most
_TRADE_ROWS = {"spot": (60, 60), "linear": (500, 1000)}


def market_time(venue: Venue, query: Query) -> Answer:
    """The time that clients are shown, in seconds and nanoseconds."""
    now = venue.clock.shown_ms()
    return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}


def instruments_info(venue: Venue, query: Query) -> Answer:
    """The instruments of a category; spot comes in one page."""
    wanted = query.get("status") or "Trading"
    chosen = [row for row in selected(venue, query) if quotes.status(venue.market, row) == wanted]
    if query["category"] == "spot":
        rows = [quotes.instrument_row(venue.market, row) for row in chosen]
        return {"category": "spot", "list": rows}
    if query.get("baseCoin"):
        chosen = [row for row in chosen if row.base == query["baseCoin"]]
    limit = number(query, "limit", 500, 1000)
    start = number(query, "cursor", 0)
    page = chosen[start : start + limit]
    return {
        "category": query["category"],
        "list": [quotes.instrument_row(venue.market, row) for row in page],
        "nextPageCursor": str(start + limit) if start + limit < len(chosen) else "",
    }


def kline(venue: Venue, query: Query) -> Answer:
    """Candles, newest first, at most 1000; the first row may be open."""
    instrument, found = _candles(venue, query)
    return _candle_page(instrument, [quotes.kline_row(candle) for candle in found])


def mark_kline(venue: Venue, query: Query) -> Answer:
    """Candles of the mark price, which is the index price too, without volumes."""
    instrument, found = _candles(venue, _linear(query))
    return _candle_page(instrument, [quotes.kline_row(candle)[:5] for candle in found])


def premium_kline(venue: Venue, query: Query) -> Answer:
    """Candles of the perpetual's premium over its index: none here, so always 0."""
    instrument, found = _candles(venue, _linear(query))
    rows = [[str(candle.start_m * 60_000), "0", "0", "0", "0"] for candle in found]
    return _candle_page(instrument, rows)


def _linear(query: Query) -> Query:
    if (query.get("category") or "linear") != "linear":
        raise Refused(10001, "params error: category invalid")
    return query


def _candles(venue: Venue, query: Query) -> tuple[Instrument, list[Candle]]:
    """The candles that interval, start, end, and limit select, newest first."""
    instrument = named(venue, query)
    name = query.get("interval", "")
    if name not in INTERVALS:
        raise Refused(10001, "Invalid period!")
    limit = number(query, "limit", 200, 1000)
    now_m = venue.market.second(instrument.symbol) // 60
    last = step(name, min(number(query, "end", now_m * 60_000) // 60_000, now_m), 0)
    first = step(name, last, 1 - limit)
    if query.get("start"):
        start_m = min(-(-number(query, "start", 0) // 60_000), now_m + 1)
        since = step(name, start_m - 1, 1)
        if not query.get("end"):  # forward from the start; with an end, backward from there
            last = min(last, step(name, since, limit - 1))
        first = max(step(name, last, 1 - limit), since)
    rows = candles(venue.market, instrument, name, first, last)
    return instrument, rows[::-1]


def _candle_page(instrument: Instrument, rows: list[list[str]]) -> Answer:
    return {"symbol": instrument.symbol, "category": instrument.category, "list": rows}


def tickers(venue: Venue, query: Query) -> Answer:
    """Tickers of a category, or of one symbol."""
    funding = venue.engine.clearing.funding
    rows = [
        quotes.ticker_row(venue.market, row, venue.day(row), funding.ticker(row))
        for row in selected(venue, query)
    ]
    return {"category": query.get("category"), "list": rows}


def orderbook(venue: Venue, query: Query) -> Answer:
    """The levels that orders can take in this second."""
    instrument = named(venue, query)
    depth = number(query, "limit", *_BOOK_ROWS[instrument.category])
    now = venue.clock.shown_ms()
    return {**quotes.book_row(venue.market, instrument, depth), "ts": now, "cts": now}


def rpi_orderbook(venue: Venue, query: Query) -> Answer:
    """The same levels; nobody offers retail price improvement here, so that size is always 0."""
    answer = orderbook(venue, {**query, "limit": str(number(query, "limit", 50, 50))})
    for side in ("b", "a"):
        answer[side] = [[*level, "0"] for level in answer[side]]
    return answer


def recent_trade(venue: Venue, query: Query) -> Answer:
    """One trade a second, newest first."""
    instrument = named(venue, query)
    count = number(query, "limit", *_TRADE_ROWS[instrument.category])
    rows = quotes.trade_rows(venue.market, instrument, count)
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


def price_limit(venue: Venue, query: Query) -> Answer:
    """The highest price at which one may buy, the lowest at which one may sell."""
    instrument = named(venue, query)
    mark = venue.market.mark(instrument)
    return {
        "symbol": instrument.symbol,
        "buyLmt": text(floor_to(mark * (1 + PRICE_LIMIT), instrument.tick)),
        "sellLmt": text(ceil_to(mark * (1 - PRICE_LIMIT), instrument.tick)),
        "ts": str(venue.clock.shown_ms()),
    }


PATHS: dict[str, Callable[[Venue, Query], Answer]] = {
    "/v5/market/time": market_time,
    "/v5/market/instruments-info": instruments_info,
    "/v5/market/kline": kline,
    "/v5/market/mark-price-kline": mark_kline,
    "/v5/market/index-price-kline": mark_kline,
    "/v5/market/premium-index-price-kline": premium_kline,
    "/v5/market/tickers": tickers,
    "/v5/market/orderbook": orderbook,
    "/v5/market/rpi_orderbook": rpi_orderbook,
    "/v5/market/recent-trade": recent_trade,
    "/v5/market/price-limit": price_limit,
    **reference.PATHS,
}
