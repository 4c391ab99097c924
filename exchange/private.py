"""Answers Bybit V5's private REST paths: account, orders, executions, positions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange import shapes
from exchange.decimals import parse, text
from exchange.errors import Refused
from exchange.instruments import QUOTE
from exchange.orders import Order, Position, StopType
from exchange.public import named, number, selected
from exchange.venue import Venue

Body = dict[str, Any]
Answer = dict[str, Any]
_LAST = 2**62
_RECENT_CLOSED = 500
_WEEK_MS = 7 * 86_400_000


def query_api(venue: Venue, query: Body) -> Answer:
    """What the key may do: trade, and never withdraw."""
    return {
        "id": "1",
        "note": "exchange",
        "apiKey": venue.keys.key,
        "readOnly": 0,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Derivatives": ["DerivativesTrade"],
            "Wallet": [],
            "Options": [],
            "Exchange": [],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "2099-01-01T00:00:00Z",
        "createdAt": "2025-01-01T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": 1,
        "isMaster": True,
        "parentUid": "0",
    }


def account_info(venue: Venue, query: Body) -> Answer:
    """A unified account with cross margin."""
    return {
        "marginMode": "REGULAR_MARGIN",
        "updatedTime": str(venue.started_ms),
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def wallet_balance(venue: Venue, query: Body) -> Answer:
    """The wallet, or some coins of it."""
    if query.get("accountType") != "UNIFIED":
        raise Refused(10001, "accountType only support UNIFIED.")
    row = shapes.wallet_row(venue.account, list(venue.engine.orders.values()))
    if query.get("coin"):
        wanted = set(query["coin"].split(","))
        row["coin"] = [coin for coin in row["coin"] if coin["coin"] in wanted]
    return {"list": [row]}


def fee_rate(venue: Venue, query: Body) -> Answer:
    """Taker and maker fees."""
    rows = [
        {
            "symbol": row.symbol,
            "takerFeeRate": text(row.taker),
            "makerFeeRate": text(row.maker),
        }
        for row in selected(venue, query)
    ]
    return {"list": rows} | ({"category": "spot"} if query.get("category") == "spot" else {})


def create(venue: Venue, body: Body) -> Answer:
    """Accepts an order."""
    return _ack(venue.engine.create(body))


def cancel(venue: Venue, body: Body) -> Answer:
    """Cancels one open order."""
    order = venue.engine.find_open(body)
    venue.engine.cancel(order)
    return _ack(order)


def cancel_all(venue: Venue, body: Body) -> Answer:
    """Cancels open orders; linear without a filter cancels take-profits and stop-losses too."""
    category = body.get("category")
    if category not in ("spot", "linear"):
        raise Refused(10001, "params error: category invalid")
    if category == "linear" and not any(map(body.get, ("symbol", "baseCoin", "settleCoin"))):
        raise Refused(10001, "params error: symbol, baseCoin, or settleCoin is required")
    wanted = body.get("orderFilter") or ("Order" if category == "spot" else "")
    ended = []
    for order in _narrow(list(venue.engine.orders.values()), {**body, "orderFilter": ""}):
        stop_wanted = wanted in ("", "StopOrder", "tpslOrder")
        if order.is_open and (stop_wanted if order.is_stop else wanted in ("", "Order")):
            venue.engine.cancel(order)
            ended.append(_ack(order))
    return {"list": ended, "success": "1"}


def realtime(venue: Venue, query: Body) -> Answer:
    """Open orders; with openOnly=1 those that ended since this process started.

    By id it answers whatever the order's state, except orders that ended before this process
    started: like Bybit's, this memory is lost with a restart, and history is where to look.
    """
    _need_scope(query)
    limit = number(query, "limit", 20, 50)
    by_id = query.get("orderId") or query.get("orderLinkId")
    rows: list[Order] = []
    if by_id or str(query.get("openOnly") or "0") == "0":
        rows = _narrow(list(venue.engine.orders.values()), query)
    if not rows and (by_id or str(query.get("openOnly")) == "1"):
        where, values = _where(query)
        where += " AND NOT is_open AND updated_ms >= ?"
        most = limit if by_id else _RECENT_CLOSED
        found = venue.book.orders(where, [*values, venue.started_ms], most, _LAST)
        rows = [order for _, order in reversed(found)]
    rows.reverse()
    start = number(query, "cursor", 0)
    page = rows[start : start + limit]
    cursor = str(start + limit) if start + limit < len(rows) else ""
    return {
        "list": [shapes.order_row(order) for order in page],
        "nextPageCursor": cursor,
        "category": query["category"],
    }


def history(venue: Venue, query: Body) -> Answer:
    """Ended orders, newest first, over restarts."""
    where, values = _where(query)
    where += " AND NOT is_open"
    if query.get("orderStatus"):
        where, values = where + " AND status = ?", [*values, query["orderStatus"]]
    where, values = _between(query, "updated_ms", where, values)
    limit = number(query, "limit", 20, 50)
    found = venue.book.orders(where, values, limit + 1, number(query, "cursor", _LAST))
    return _page(query, [(n, shapes.order_row(order)) for n, order in found], limit)


def executions(venue: Venue, query: Body) -> Answer:
    """Fills, newest first."""
    where, values = _where(query)
    where, values = _between(query, "at_ms", where, values)
    limit = number(query, "limit", 50, 100)
    found = venue.book.executions(where, values, limit + 1, number(query, "cursor", _LAST))
    rows = [(n, {k: v for k, v in row.items() if k != "category"}) for n, row in found]
    if query.get("execType") not in (None, "", "Trade"):
        rows = []
    return _page(query, rows, limit)


def positions(venue: Venue, query: Body) -> Answer:
    """By symbol the row even if flat; by settleCoin only open positions."""
    if query.get("category") != "linear":
        raise Refused(10001, "params error: category invalid")
    if query.get("symbol"):
        wanted = [venue.account.position(named(venue, query).symbol)]
    elif query.get("settleCoin"):
        held = [row for row in venue.account.positions.values() if row.size]
        wanted = held if query["settleCoin"] == QUOTE else []
    else:
        raise Refused(10001, "params error: symbol or settleCoin is required")
    rows = [_position_row(venue, row) for row in wanted]
    return {"list": rows, "nextPageCursor": "", "category": "linear"}


def trading_stop(venue: Venue, body: Body) -> Answer:
    """Changes a position's take-profit and stop-loss; "0" removes one, absent keeps it."""
    instrument = named(venue, {"category": "linear", "symbol": str(body.get("symbol") or "")})
    if body.get("tpslMode") == "Partial" or body.get("trailingStop") not in (
        None,
        "",
        "0",
    ):
        raise Refused(
            10001,
            "params error: only tpslMode Full without trailingStop is served here",
        )
    names: dict[str, StopType] = {"takeProfit": "TakeProfit", "stopLoss": "StopLoss"}
    wanted = {
        kind: parse(body[name], name)
        for name, kind in names.items()
        if body.get(name) not in (None, "")
    }
    venue.engine.set_stops(instrument, wanted)
    return {}


def set_leverage(venue: Venue, body: Body) -> Answer:
    """Changes a symbol's leverage; both sides must be equal."""
    instrument = named(venue, {"category": "linear", "symbol": str(body.get("symbol") or "")})
    buy, sell = (
        parse(body.get("buyLeverage"), "buyLeverage"),
        parse(body.get("sellLeverage"), "sellLeverage"),
    )
    if buy != sell:
        raise Refused(10001, "buy leverage must equal sell leverage in one-way mode")
    venue.engine.set_leverage(instrument, buy)
    return {}


def closed_pnl(venue: Venue, query: Body) -> Answer:
    """What orders closed, net of opening and closing fees, newest first."""
    where, values = "1", []
    if query.get("symbol"):
        where, values = "symbol = ?", [query["symbol"]]
    where, values = _between(query, "at_ms", where, values)
    limit = number(query, "limit", 50, 100)
    found = venue.book.closed(where, values, limit + 1, number(query, "cursor", _LAST))
    return _page(query, found, limit)


def _ack(order: Order) -> Answer:
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def _position_row(venue: Venue, position: Position) -> Answer:
    stops = venue.engine.position_stops(position.symbol)
    return shapes.position_row(position, venue.account, stops)


def _need_scope(query: Body) -> None:
    names = ("symbol", "baseCoin", "settleCoin", "orderId", "orderLinkId")
    if query.get("category") == "linear" and not any(map(query.get, names)):
        raise Refused(10001, "params error: symbol, baseCoin, or settleCoin is required")


def _narrow(orders: list[Order], query: Body) -> list[Order]:
    """The orders that a query selects."""

    def fits(order: Order) -> bool:
        stops_only = query.get("orderFilter") in ("StopOrder", "tpslOrder")
        return (
            order.category == query.get("category")
            and query.get("symbol") in (None, "", order.symbol)
            and query.get("orderId") in (None, "", order.order_id)
            and query.get("orderLinkId") in (None, "", order.link_id)
            and query.get("baseCoin") in (None, "", order.symbol.removesuffix(QUOTE))
            and query.get("settleCoin") in (None, "", QUOTE)
            and not (stops_only and not order.is_stop)
            and not (query.get("orderFilter") == "Order" and order.is_stop)
        )

    return [order for order in orders if fits(order)]


def _where(query: Body) -> tuple[str, list[Any]]:
    if query.get("category") not in ("spot", "linear"):
        raise Refused(10001, "params error: category invalid")
    where, values = "category = ?", [query["category"]]
    for name, column in (
        ("symbol", "symbol"),
        ("orderId", "order_id"),
        ("orderLinkId", "link_id"),
    ):
        if query.get(name):
            where, values = f"{where} AND {column} = ?", [*values, query[name]]
    return where, values


def _between(query: Body, column: str, where: str, values: list[Any]) -> tuple[str, list[Any]]:
    """Adds startTime and endTime, which may span seven days; one of them implies the other."""
    if not query.get("startTime") and not query.get("endTime"):
        return where, values
    if query.get("startTime"):
        start = number(query, "startTime", 0)
        end = number(query, "endTime", start + _WEEK_MS)
    else:
        end = number(query, "endTime", 0)
        start = end - _WEEK_MS
    if not 0 <= end - start <= _WEEK_MS:
        raise Refused(10001, "The time range between startTime and endTime cannot exceed 7 days.")
    return f"{where} AND {column} BETWEEN ? AND ?", [*values, start, end]


def _page(query: Body, rows: list[tuple[int, Answer]], limit: int) -> Answer:
    cursor = str(rows[limit - 1][0]) if len(rows) > limit else ""
    page = [row for _, row in rows[:limit]]
    return {"list": page, "nextPageCursor": cursor, "category": query.get("category")}


GETS: dict[str, Callable[[Venue, Body], Answer]] = {
    "/v5/user/query-api": query_api,
    "/v5/account/info": account_info,
    "/v5/account/wallet-balance": wallet_balance,
    "/v5/account/fee-rate": fee_rate,
    "/v5/order/realtime": realtime,
    "/v5/order/history": history,
    "/v5/execution/list": executions,
    "/v5/position/list": positions,
    "/v5/position/closed-pnl": closed_pnl,
}
POSTS: dict[str, Callable[[Venue, Body], Answer]] = {
    "/v5/order/create": create,
    "/v5/order/cancel": cancel,
    "/v5/order/cancel-all": cancel_all,
    "/v5/position/trading-stop": trading_stop,
    "/v5/position/set-leverage": set_leverage,
}
