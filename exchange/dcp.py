"""Cancels orders when every private stream that asked for it stays away too long (DCP)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exchange.connection import Connection
from exchange.errors import Refused
from exchange.instruments import Category
from exchange.venue import Venue

_PRODUCTS: dict[str, tuple[str, Category | None]] = {
    "DERIVATIVES": ("dcp.future", "linear"),
    "SPOT": ("dcp.spot", "spot"),
    "OPTIONS": ("dcp.option", None),
}
TOPICS = tuple(topic for topic, _ in _PRODUCTS.values())
_WINDOW_S = (3, 300)


class Dcp:
    """Disconnect protection, in market time; armed while a private stream has its topic.

    The account must be enabled for it, as at the venue, where only institutions are.
    """

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._alive_ms: dict[str, int] = {}  # product: when a stream with its topic was last seen

    @staticmethod
    def configure(venue: Venue, body: dict[str, Any]) -> dict[str, Any]:
        """POST /v5/order/disconnected-cancel-all: sets the window of a product, in seconds."""
        if not venue.dcp_enabled:
            raise Refused(10005, "Permission denied, DCP is not enabled for this account.")
        product, window = body.get("product") or "OPTIONS", str(body.get("timeWindow"))
        if product not in _PRODUCTS:
            raise Refused(10001, "params error: product invalid")
        if not window.isdigit() or not _WINDOW_S[0] <= int(window) <= _WINDOW_S[1]:
            raise Refused(10001, "params error: timeWindow should be between 3 and 300")
        venue.book.put("dcp", {**(venue.book.get("dcp") or {}), product: int(window)})
        return {}

    @staticmethod
    def info(venue: Venue) -> list[dict[str, str]]:
        """The configured products, as in GET /v5/account/query-dcp-info."""
        windows: dict[str, int] = (venue.book.get("dcp") or {}) if venue.dcp_enabled else {}
        return [
            {"product": product, "dcpStatus": "ON", "timeWindow": str(window)}
            for product, window in windows.items()
        ]

    def watch(self, connections: Iterable[Connection]) -> None:
        """Notes who is there, and cancels the orders of a product whose window has passed."""
        now = self._venue.clock.now_ms()
        held = {topic for c in connections if c.kind == "private" for topic in c.topics}
        for product, (topic, _) in _PRODUCTS.items():
            if topic in held or "dcp" in held:
                self._alive_ms[product] = now
        if all(seen_ms == now for seen_ms in self._alive_ms.values()):
            return
        windows: dict[str, int] = self._venue.book.get("dcp") or {}
        for product, seen_ms in list(self._alive_ms.items()):
            if seen_ms == now:
                continue
            if product not in windows:
                del self._alive_ms[product]
            elif now - seen_ms > windows[product] * 1000:
                del self._alive_ms[product]
                self._protect(_PRODUCTS[product][1])

    def _protect(self, category: Category | None) -> None:
        if category is not None:
            self._venue.carry_out(lambda: self._venue.engine.cancel_by_dcp(category))
