"""Decides whether a request is signed, fresh, and within its rate."""

from __future__ import annotations

import hashlib
import hmac
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from exchange.clock import MarketClock
from exchange.errors import Refused

RECV_WINDOW_MAX_MS = 600_000
_AHEAD_MS = 1000  # a timestamp may lie this far in the future (times the market's rate)

# requests a second by path: spot, linear; other private paths have _OTHER
_RATES = {
    "/v5/order/create": (20, 10),
    "/v5/order/cancel": (20, 10),
    "/v5/order/cancel-all": (20, 10),
    "/v5/account/fee-rate": (5, 5),
    "/v5/user/query-api": (10, 10),
    "/v5/position/set-leverage": (10, 10),
    "/v5/position/trading-stop": (10, 10),
}
_OTHER = (50, 50)
_IP_REQUESTS, _IP_SECONDS = 600, 5.0


@dataclass(frozen=True, slots=True)
class Keys:
    """The one API key that this exchange knows."""

    key: str
    secret: str

    def sign(self, message: str) -> str:
        """Hex HMAC-SHA256 of `message`."""
        return hmac.new(self.secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def check_request(headers: Mapping[str, str], payload: str, keys: Keys, clock: MarketClock) -> None:
    """Refuses a private REST request that is not signed with `keys` at market time."""
    key = headers.get("X-BAPI-API-KEY", "")
    stamp = headers.get("X-BAPI-TIMESTAMP", "")
    signature = headers.get("X-BAPI-SIGN", "")
    window = headers.get("X-BAPI-RECV-WINDOW", "5000")
    if not key or not stamp or not signature:
        raise Refused(10001, "empty value: apiTimestamp[] apiKey[] apiSignature[]", 401)
    if key != keys.key:
        raise Refused(10003, "API key is invalid.")
    if not stamp.isdigit() or not window.isdigit() or int(window) > RECV_WINDOW_MAX_MS:
        raise Refused(10001, "params error: timestamp or recv_window invalid")
    now = clock.now_ms()
    ahead = _AHEAD_MS * max(1.0, clock.rate)
    if not now - int(window) <= int(stamp) < now + ahead:
        raise Refused(
            10002,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]",
        )
    for candidate in (
        payload,
        unquote(payload),
    ):  # clients sign the raw or the unescaped query
        if hmac.compare_digest(keys.sign(f"{stamp}{key}{window}{candidate}"), signature):
            return
    raise Refused(10004, f"error sign! origin_string[{stamp}{key}{window}{payload}]")


def stream_login(args: list[object], keys: Keys, clock: MarketClock) -> bool:
    """True if the arguments of a stream's `auth` are a valid login."""
    if len(args) != 3:
        return False
    key, expires, signature = args
    if key != keys.key or not str(expires).isdigit() or int(str(expires)) <= clock.now_ms():
        return False
    return hmac.compare_digest(keys.sign(f"GET/realtime{expires}"), str(signature))


class RateLimits:
    """Counts requests in real time; market time only appears in the reset header."""

    def __init__(self, clock: MarketClock, enabled: bool) -> None:
        self._clock = clock
        self._enabled = enabled
        self._hits: dict[tuple[str, str], deque[float]] = {}
        self._all: deque[float] = deque()

    def check_ip(self) -> None:
        """Refuses with HTTP 403 when one address asks too often."""
        now = time.monotonic()
        while self._all and self._all[0] <= now - _IP_SECONDS:
            self._all.popleft()
        if self._enabled and len(self._all) >= _IP_REQUESTS:
            raise Refused(403, "access too frequent", 403)
        self._all.append(now)

    def check(self, path: str, category: str) -> dict[str, str]:
        """The rate headers of an answer; raises `Refused` 10006 (with headers) over the limit."""
        spot, linear = _RATES.get(path, _OTHER)
        limit = spot if category == "spot" else linear
        hits = self._hits.setdefault((path, category), deque())
        now = time.monotonic()
        while hits and hits[0] <= now - 1.0:
            hits.popleft()
        full = len(hits) >= limit
        wait_s = hits[0] + 1.0 - now if full else 0.0
        market = self._clock.now_ms()
        headers = {
            "X-Bapi-Limit": str(limit),
            "X-Bapi-Limit-Status": str(max(0, limit - len(hits) - 1)),
            "X-Bapi-Limit-Reset-Timestamp": str(market + int(wait_s * 1000 * self._clock.rate) + 1),
            "Traceid": uuid.uuid4().hex,
            "Timenow": str(market),
        }
        if full and self._enabled:
            refusal = Refused(10006, "Too many visits. Exceeded the API Rate Limit.")
            refusal.headers = headers
            raise refusal
        if not full:
            hits.append(now)
        return headers
