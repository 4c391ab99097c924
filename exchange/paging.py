"""Turns the filters, times, and cursors of a query into a selection of the book's rows."""

from __future__ import annotations

from typing import Any

from exchange.errors import Refused
from exchange.query import Answer, Query, number

LAST = 2**62  # a row number beyond every row
WEEK_MS = 7 * 86_400_000
Where = tuple[str, list[Any]]  # SQL with ? marks, and their values


def chosen(query: Query) -> Where:
    """Rows of the category, symbol, and ids that the query names."""
    if query.get("category") not in ("spot", "linear"):
        raise Refused(10001, "params error: category invalid")
    where, values = "category = ?", [query["category"]]
    for name, column in (("symbol", "symbol"), ("orderId", "order_id"), ("orderLinkId", "link_id")):
        if query.get(name):
            where, values = f"{where} AND {column} = ?", [*values, query[name]]
    return where, values


def between(query: Query, column: str, selection: Where) -> Where:
    """Adds startTime and endTime, which may span seven days; one of them implies the other."""
    where, values = selection
    if not query.get("startTime") and not query.get("endTime"):
        return selection
    if query.get("startTime"):
        start = number(query, "startTime", 0)
        end = number(query, "endTime", start + WEEK_MS)
    else:
        end = number(query, "endTime", 0)
        start = end - WEEK_MS
    if not 0 <= end - start <= WEEK_MS:
        raise Refused(10001, "The time range between startTime and endTime cannot exceed 7 days.")
    return f"{where} AND {column} BETWEEN ? AND ?", [*values, start, end]


def page(query: Query, rows: list[tuple[int, Answer]], limit: int) -> Answer:
    """The first `limit` of numbered rows, with a cursor if there are more."""
    cursor = str(rows[limit - 1][0]) if len(rows) > limit else ""
    shown = [row for _, row in rows[:limit]]
    return {"list": shown, "nextPageCursor": cursor, "category": query.get("category")}
