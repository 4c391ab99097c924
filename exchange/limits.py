"""Counts requests per path and category, and says when there are too many."""

from __future__ import annotations

import uuid
from collections import deque
from typing import NamedTuple

from exchange.clock import MarketClock
from exchange.errors import Refused

# requests (of batches: orders) a second by path: spot, linear; other private paths have _OTHER
_RATES = {
    "/v5/order/create": (20, 10),
    "/v5/order/amend": (10, 10),
    "/v5/order/cancel": (20, 10),
    "/v5/order/cancel-all": (20, 10),
    "/v5/order/create-batch": (20, 10),
    "/v5/order/amend-batch": (20, 10),
    "/v5/order/cancel-batch": (20, 10),
    "/v5/order/pre-check": (20, 10),
    "/v5/order/disconnected-cancel-all": (5, 5),
    "/v5/account/query-dcp-info": (5, 5),
    "/v5/account/fee-rate": (5, 5),
    "/v5/account/transaction-log": (25, 25),
    "/v5/account/set-margin-mode": (5, 5),
    "/v5/account/instruments-info": (10, 10),
    "/v5/account/smp-group": (5, 5),
    "/v5/asset/coin/query-info": (5, 5),
    "/v5/user/query-api": (10, 10),
    "/v5/position/set-leverage": (10, 10),
    "/v5/position/switch-mode": (10, 10),
    "/v5/position/trading-stop": (10, 10),
    "/v5/position/set-auto-add-margin": (10, 10),
    "/v5/position/add-margin": (10, 10),
    "/v5/position/confirm-pending-mmr": (10, 10),
}
_OTHER = (50, 50)
_IP_REQUESTS, _IP_SECONDS = 600, 5.0
_DIALS, _DIAL_SECONDS = 500, 300.0
_UNLIMITED = 1_000_000  # what the headers say where nothing is refused: clients heed them
TOO_MANY = "Too many visits. Exceeded the API Rate Limit."


class Grant(NamedTuple):
    """How many of the wanted requests are allowed, and the headers that say so."""

    allowed: int
    headers: dict[str, str]

    def refusal(self, message: str = TOO_MANY) -> Refused:
        """The answer of a request that is not allowed."""
        refused = Refused(10006, message)
        refused.headers = self.headers
        return refused


class _Window:
    """The times of the last requests, oldest first."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self._seconds = seconds
        self._hits: deque[float] = deque()

    def take(self, now: float, wanted: int, enabled: bool) -> tuple[int, int, float]:
        """Allowed, left, and the seconds until the next is free; refused ones are not counted."""
        hits = self._hits
        while hits and hits[0] <= now - self._seconds:
            hits.popleft()
        left = max(0, self.most - len(hits))
        allowed = min(wanted, left) if enabled else wanted
        hits.extend([now] * min(allowed, left))
        left = max(0, left - allowed)
        wait_s = hits[0] + self._seconds - now if hits and not left else 0.0
        return allowed, left, wait_s


class RateLimits:
    """Counts in real time, over all keys of the account; market time is in the reset header."""

    def __init__(self, clock: MarketClock, enabled: bool) -> None:
        self._clock = clock
        self._enabled = enabled
        self._paths: dict[tuple[str, str], _Window] = {}
        self._requests = _Window(_IP_REQUESTS, _IP_SECONDS)
        self._dials = _Window(_DIALS, _DIAL_SECONDS)

    def check_ip(self) -> None:
        """Refuses with HTTP 403 when one address asks too often."""
        if not self._requests.take(self._clock.real(), 1, self._enabled)[0]:
            raise Refused(403, "access too frequent", 403)

    def may_dial(self) -> bool:
        """False when one address opened too many streams."""
        return bool(self._dials.take(self._clock.real(), 1, self._enabled)[0])

    def take(self, path: str, category: str, wanted: int = 1) -> Grant:
        """Takes up to `wanted` of what is left this second; raises 10006 if that is nothing."""
        window = self._paths.get((path, category))
        if window is None:
            spot, linear = _RATES.get(path, _OTHER)
            most = spot if category == "spot" else linear
            most = most if self._enabled else _UNLIMITED
            window = self._paths[path, category] = _Window(most, 1.0)
        allowed, left, wait_s = window.take(self._clock.real(), wanted, self._enabled)
        grant = Grant(allowed, self._headers(window.most, left, wait_s))
        if wanted and not allowed:
            raise grant.refusal()
        return grant

    def exhausted(self, path: str, wait_ms: int) -> Refused:
        """The refusal of a path whose rate is used up for `wait_ms` more."""
        most = _RATES.get(path, _OTHER)[1]
        return Grant(0, self._headers(most, 0, wait_ms / 1000)).refusal()

    def _headers(self, most: int, left: int, wait_s: float) -> dict[str, str]:
        """The reset is always in the future: clients sleep until it, and some cannot sleep < 0."""
        market = self._clock.shown_ms()
        return {
            "X-Bapi-Limit": str(most),
            "X-Bapi-Limit-Status": str(left),
            "X-Bapi-Limit-Reset-Timestamp": str(market + int(wait_s * 1000 * self._clock.rate) + 1),
            "Traceid": uuid.uuid4().hex,
            "Timenow": str(market),
        }
