"""Answers the private paths about orders and executions, one order at a time or in batches."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from exchange import shapes
from exchange.errors import Refused
from exchange.instruments import QUOTE
from exchange.limits import TOO_MANY
from exchange.orders import Order
from exchange.paging import LAST, between, chosen, page
from exchange.query import Answer, named, number
from exchange.venue import Venue

Body = dict[str, Any]
BATCH_MAX = {"spot": 10, "linear": 20}
_RECENT_CLOSED = 500


def create(venue: Venue, body: Body) -> Answer:
    """Accepts an order."""
    fault = venue.faults.draw("order", ("reject_rest",), "")
    share = None if fault is None else Decimal(str(fault.share))
    return _ack(venue.engine.create(body, reject_after=share))


def amend(venue: Venue, body: Body) -> Answer:
    """Changes an open order."""
    return _ack(venue.engine.amend(body))


def cancel(venue: Venue, body: Body) -> Answer:
    """Cancels one open order."""
    order = venue.engine.find_open(body)
    if order.status != "Untriggered" and venue.faults.draw("order", ("race",), ""):
        venue.engine.cancel_too_late(order)
    else:
        venue.engine.cancel(order)
    return _ack(order)


def cancel_all(venue: Venue, body: Body) -> Answer:
    """Cancels open orders; linear without a filter cancels take-profits and stop-losses too."""
    return {"list": [_ack(order) for order in venue.engine.cancel_all(body)], "success": "1"}


def pre_check(venue: Venue, body: Body) -> Answer:
    """What an order would do to the margin, without placing it."""
    if body.get("category") != "linear" or body.get("triggerPrice"):
        raise Refused(10001, "params error: only linear orders without trigger are checked")
    order = venue.engine.intake.order(body, venue.engine.orders)
    return venue.account.pre_check(order, venue.engine.orders.values())


SINGLE: dict[str, Callable[[Venue, Body], Answer]] = {
    "/v5/order/create": create,
    "/v5/order/amend": amend,
    "/v5/order/cancel": cancel,
}
BATCHES = {f"{path}-batch": path for path in SINGLE}


def batch_size(body: Body) -> int:
    """The number of orders in a batch; raises `Refused` if it is no batch or too large."""
    category, rows = body.get("category"), body.get("request")
    if category not in BATCH_MAX:
        raise Refused(10001, "params error: category invalid")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Refused(10001, "params error: request invalid")
    if len(rows) > BATCH_MAX[category]:
        raise Refused(10001, f"The number of orders exceeds the limit {BATCH_MAX[category]}.")
    return len(rows)


def batch(venue: Venue, path: str, body: Body, allowed: int) -> tuple[Answer, Answer]:
    """Does what `path` does to each order; orders beyond `allowed` exceed the rate.

    Returns the result and the parallel list of codes; a failed order fails alone.
    """
    single = SINGLE[BATCHES[path]]
    done: list[Answer] = []
    codes: list[Answer] = []
    for n, row in enumerate(body["request"]):
        order = {**row, "category": body["category"]}
        shown = {name: str(row.get(name) or "") for name in ("symbol", "orderId", "orderLinkId")}
        shown = {"category": body["category"], **shown}
        fault = venue.faults.draw("order", ("batch_item",), "")
        if n >= allowed:
            codes.append({"code": 10006, "msg": TOO_MANY})
        elif fault is not None:
            codes.append({"code": fault.code, "msg": fault.message})
        else:
            try:
                shown.update(single(venue, order))
                codes.append({"code": 0, "msg": "OK"})
            except Refused as refusal:
                codes.append({"code": refusal.code, "msg": refusal.message})
        if single is create:
            shown["createAt"] = str(venue.clock.now_ms()) if not codes[-1]["code"] else ""
        done.append(shown)
    return {"list": done}, {"list": codes}


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
        where, values = chosen(query)
        where += " AND NOT is_open AND updated_ms >= ?"
        most = limit if by_id else _RECENT_CLOSED
        found = venue.book.orders(where, [*values, venue.started_ms], most, LAST)
        rows = [order for _, order in reversed(found)]
    rows.reverse()
    start = number(query, "cursor", 0)
    cursor = str(start + limit) if start + limit < len(rows) else ""
    return {
        "list": [shapes.order_row(order) for order in rows[start : start + limit]],
        "nextPageCursor": cursor,
        "category": query["category"],
    }


def history(venue: Venue, query: Body) -> Answer:
    """Ended orders, newest first, over restarts."""
    where, values = chosen(query)
    where += " AND NOT is_open"
    if query.get("orderStatus"):
        where, values = where + " AND status = ?", [*values, query["orderStatus"]]
    if query.get("orderFilter") in ("StopOrder", "tpslOrder", "Order"):
        where += " AND is_stop" if query["orderFilter"] != "Order" else " AND NOT is_stop"
    if query.get("baseCoin"):
        where, values = where + " AND symbol = ?", [*values, query["baseCoin"] + QUOTE]
    where, values = between(query, "updated_ms", (where, values))
    limit = number(query, "limit", 20, 50)
    found = venue.book.orders(where, values, limit + 1, number(query, "cursor", LAST))
    return page(query, [(n, shapes.order_row(order)) for n, order in found], limit)


def executions(venue: Venue, query: Body) -> Answer:
    """Fills and funding, newest first."""
    where, values = chosen(query)
    if query.get("baseCoin"):
        where, values = where + " AND symbol = ?", [*values, query["baseCoin"] + QUOTE]
    if query.get("execType"):
        where, values = where + " AND exec_type = ?", [*values, query["execType"]]
    where, values = between(query, "at_ms", (where, values))
    limit = number(query, "limit", 50, 100)
    found = venue.book.executions(where, values, limit + 1, number(query, "cursor", LAST))
    rows = [(n, {k: v for k, v in row.items() if k != "category"}) for n, row in found]
    return page(query, rows, limit)


def borrow_check(venue: Venue, query: Body) -> Answer:
    """What a spot order could take at most; nothing can be borrowed here."""
    instrument = named(venue, {"category": "spot", "symbol": query.get("symbol") or ""})
    side = query.get("side")
    if query.get("category") != "spot" or side not in ("Buy", "Sell"):
        raise Refused(10001, "params error: category or side invalid")
    coin = QUOTE if side == "Buy" else instrument.base
    free = max(venue.account.available(coin, venue.engine.orders.values()), Decimal(0))
    best = venue.market.best(instrument, side).price
    qty, amount = (free / best, free) if side == "Buy" else (free, free * best)
    row = {"maxTradeQty": f"{qty:.8f}", "maxTradeAmount": f"{amount:.8f}"}
    row |= {f"spotM{name[1:]}": value for name, value in row.items()}
    return {"symbol": instrument.symbol, "side": side, **row, "borrowCoin": coin}


def _ack(order: Order) -> Answer:
    return {"orderId": order.order_id, "orderLinkId": order.link_id}


def _need_scope(query: Body) -> None:
    if query.get("category") not in ("spot", "linear"):
        raise Refused(10001, "params error: category invalid")
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
