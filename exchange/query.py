"""Reads the parameters of a request: which instruments it names, and its whole numbers."""

from __future__ import annotations

from typing import Any

from exchange.errors import Refused
from exchange.instruments import Instrument
from exchange.venue import Venue

Query = dict[str, str]
Answer = dict[str, Any]


def selected(venue: Venue, query: Query) -> list[Instrument]:
    """The instruments that category and symbol select; an unknown symbol is refused."""
    if query.get("category") not in ("spot", "linear"):
        raise Refused(10001, "params error: category invalid")
    if query.get("symbol"):
        return [named(venue, query)]
    return venue.market.catalogue.of(query["category"])


def named(venue: Venue, query: Query) -> Instrument:
    """The one instrument that the query names; without a category a linear one."""
    category = query.get("category") or "linear"
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
