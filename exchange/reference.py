"""Answers Bybit V5's public REST paths beside prices: funding, interest, limits, notices."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from exchange import quotes
from exchange.decimals import text
from exchange.errors import Refused
from exchange.instruments import QUOTE, Instrument
from exchange.margin import MAINTENANCE
from exchange.paths import SECONDS_DAY
from exchange.query import Answer, Query, named, number, selected
from exchange.venue import Venue

_PERIODS_S = {"5min": 300, "15min": 900, "30min": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400}
_RISK_LIMIT_USDT = 20_000_000  # as Instrument.max_qty: nothing larger can be ordered at once
_POOL_USDT = Decimal(10_000_000)
_POOL_FLOOR_USDT = Decimal(10_000)


def funding_history(venue: Venue, query: Query) -> Answer:
    """Funding rates that were settled, newest first."""
    instrument = _linear(venue, query)
    if query.get("startTime") and not query.get("endTime"):
        raise Refused(10001, "params error: endTime is required with startTime")
    start = number(query, "startTime", 0)
    end = number(query, "endTime", venue.clock.now_ms())
    limit = number(query, "limit", 200, 200)
    rows = venue.engine.clearing.funding.history(instrument, start, end, limit)
    return {"category": instrument.category, "list": rows}


def open_interest(venue: Venue, query: Query) -> Answer:
    """Open interest at the end of each interval, newest first."""
    instrument = _linear(venue, query)
    limit = number(query, "limit", 50, 200)
    ends = _ends(venue, instrument, query, "intervalTime")
    start = number(query, "cursor", 0)
    rows = [
        {
            "openInterest": text(quotes.open_interest(venue.market, instrument, second)),
            "timestamp": str(second * 1000),
        }
        for second in ends[start : start + limit]
    ]
    return {
        "category": instrument.category,
        "symbol": instrument.symbol,
        "list": rows,
        "nextPageCursor": str(start + limit) if start + limit < len(ends) else "",
    }


def account_ratio(venue: Venue, query: Query) -> Answer:
    """Which share of users is long, newest first; the crowd follows the last day's move."""
    instrument = _linear(venue, query)
    limit = number(query, "limit", 50, 500)
    start = number(query, "cursor", 0)
    ends = _ends(venue, instrument, query, "period")
    rows = []
    for second in ends[start : start + limit]:
        long = _long_share(venue, instrument, second)
        rows.append(
            {
                "symbol": instrument.symbol,
                "buyRatio": text(long),
                "sellRatio": text(1 - long),
                "timestamp": str(second * 1000),
            }
        )
    return {"list": rows, "nextPageCursor": str(start + limit) if start + limit < len(ends) else ""}


def _long_share(venue: Venue, instrument: Instrument, second: int) -> Decimal:
    first, _ = venue.market.path.span(instrument.symbol)
    then = venue.market.last(instrument, max(second - SECONDS_DAY, first))
    change = float(venue.market.last(instrument, second) / then) - 1
    return Decimal(f"{0.5 + 0.3 * math.tanh(10 * change):.4f}")


def _ends(venue: Venue, instrument: Instrument, query: Query, name: str) -> list[int]:
    """The interval ends (epoch seconds) that a query selects, newest first."""
    step = _PERIODS_S.get(query.get(name, ""))
    if step is None:
        raise Refused(10001, f"params error: {name} invalid")
    now = venue.market.second(instrument.symbol)
    first, _ = venue.market.path.span(instrument.symbol)
    since = max(number(query, "startTime", 0) // 1000, first)
    until = min(number(query, "endTime", now * 1000) // 1000, now)
    return list(range(until // step * step, since - 1, -step))


def risk_limit(venue: Venue, query: Query) -> Answer:
    """One tier for each symbol: the margin rates that this exchange reckons with."""
    if query.get("category") != "linear":
        raise Refused(10001, "params error: category invalid")
    rows = [
        {
            "id": 1,
            "symbol": row.symbol,
            "riskLimitValue": str(_RISK_LIMIT_USDT),
            "maintenanceMargin": text(MAINTENANCE),
            "initialMargin": text(1 / row.max_leverage),
            "isLowestRisk": 1,
            "maxLeverage": text(row.max_leverage),
            "mmDeduction": "",
        }
        for row in selected(venue, query)
    ]
    return {"category": "linear", "list": rows, "nextPageCursor": ""}


def insurance(venue: Venue, query: Query) -> Answer:
    """The insurance pool, counted once a day."""
    day = venue.clock.now_s() // SECONDS_DAY * SECONDS_DAY
    symbols = ",".join(venue.market.catalogue.symbols)
    rows = [
        {"coin": QUOTE, "symbols": symbols, "balance": text(_POOL_USDT), "value": text(_POOL_USDT)}
    ]
    if query.get("coin") not in (None, "", QUOTE):
        rows = []
    return {"updatedTime": str(day * 1000), "list": rows}


def adl_alert(venue: Venue, query: Query) -> Answer:
    """How far each symbol is from auto-deleveraging: the pool is full."""
    rows = [
        {
            "coin": QUOTE,
            "symbol": row.symbol,
            "balance": text(_POOL_USDT),
            "maxBalance": text(_POOL_USDT),
            "insurancePnlRatio": "-0.3",
            "pnlRatio": "0",
            "adlTriggerThreshold": text(_POOL_FLOOR_USDT),
            "adlStopRatio": "-0.25",
        }
        for row in selected(venue, {**query, "category": "linear"})
    ]
    return {"updatedTime": str(venue.clock.now_s() // 60 * 60_000), "list": rows}


def index_components(venue: Venue, query: Query) -> Answer:
    """What the index is made of: the spot market of this exchange."""
    instrument = named(venue, {"category": "spot", "symbol": query.get("indexName", "")})
    price = text(venue.market.mark(instrument))
    part = {
        "exchange": "Bybit",
        "spotPair": instrument.symbol,
        "equivalentPrice": price,
        "multiplier": "1",
        "price": price,
        "weight": "1",
    }
    return {
        "indexName": instrument.symbol,
        "lastPrice": price,
        "updateTime": str(venue.clock.now_ms()),
        "components": [part],
    }


def fee_groups(venue: Venue, query: Query) -> Answer:
    """The groups that weight a market maker's volume: one of all symbols, without special fees."""
    if query.get("productType") != "contract":
        raise Refused(10001, "params error: productType invalid")
    symbols = list(venue.market.catalogue.symbols)
    group = {
        "groupName": "G1(Major Coins)",
        "weightingFactor": 1,
        "symbolsNumbers": len(symbols),
        "symbols": symbols,
        "feeRates": {"pro": [], "marketMaker": []},
        "updateTime": str(venue.started_ms),
    }
    return {"list": [group] if query.get("groupId") in (None, "", "1") else []}


def delivery_price(venue: Venue, query: Query) -> Answer:
    """Delivery prices: perpetuals and spot are never delivered."""
    if query.get("category") != "linear":
        raise Refused(10001, "params error: category invalid")
    return {"category": "linear", "list": [], "nextPageCursor": ""}


def announcements(venue: Venue, query: Query) -> Answer:
    """What the venue has announced: nothing."""
    if not query.get("locale"):
        raise Refused(10001, "params error: locale is required")
    return {"total": 0, "list": []}


def system_status(venue: Venue, query: Query) -> Answer:
    """Planned maintenance: none."""
    return {"list": []}


def _linear(venue: Venue, query: Query) -> Instrument:
    if query.get("category") != "linear":
        raise Refused(10001, "params error: category invalid")
    return named(venue, query)


PATHS: dict[str, Callable[[Venue, Query], Answer]] = {
    "/v5/market/funding/history": funding_history,
    "/v5/market/open-interest": open_interest,
    "/v5/market/account-ratio": account_ratio,
    "/v5/market/risk-limit": risk_limit,
    "/v5/market/insurance": insurance,
    "/v5/market/adlAlert": adl_alert,
    "/v5/market/index-price-components": index_components,
    "/v5/market/fee-group-info": fee_groups,
    "/v5/market/delivery-price": delivery_price,
    "/v5/announcements/index": announcements,
    "/v5/system/status": system_status,
}
