"""Decides when a request may leave, so that the venue's limits are kept and cancels always fit.

A bucket has one token for each request that the venue allows in its window; a token comes back
one window after it was taken. A fifth of every bucket is left to what protects: cancels, stops,
exits. A token that a more urgent request waits for is not free. Nothing here waits, and time is an
argument (monotonic ns, real time).
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum

SECOND_NS = 1_000_000_000
WINDOW_NS = 1_050_000_000  # the venue's second, and some time for requests to bunch on their way
IP_LIMIT, IP_WINDOW_NS = 600, 5_250_000_000
CONNECTIONS = 64
RESERVED = 5  # one token in so many is left to what protects
WAITING_MAX = 256
SLOT_WAIT_SECONDS = 1.0  # a freed connection is told of earlier

# requests a second and account, (spot, linear); a path that is not here counts for the address only
RATES = {
    "/v5/order/create": (20, 10),
    "/v5/order/amend": (10, 10),
    "/v5/order/cancel": (20, 10),
    "/v5/order/cancel-all": (20, 10),
    "/v5/order/realtime": (50, 50),
    "/v5/order/history": (50, 50),
    "/v5/execution/list": (50, 50),
    "/v5/position/list": (50, 50),
    "/v5/position/set-leverage": (10, 10),
    "/v5/position/trading-stop": (10, 10),
    "/v5/account/wallet-balance": (50, 50),
    "/v5/account/fee-rate": (5, 5),
    "/v5/account/transaction-log": (25, 25),
    "/v5/user/query-api": (10, 10),
}


class Priority(IntEnum):
    """What a request is for; the smaller number leaves first."""

    CANCEL = 0
    PROTECT = 1
    EXIT = 2
    INQUIRE = 3  # what became of an order, what is in the account
    ENTRY = 4
    MARKET = 5

    @property
    def protects(self) -> bool:
        """It may use the tokens that are kept back."""
        return self <= Priority.EXIT


class Request:
    """One request that wants to leave; ``order`` is its place among equals."""

    __slots__ = ("bucket", "name", "order", "priority")

    def __init__(self, path: str, category: str, priority: Priority) -> None:
        self.name = f"{path} {category}".rstrip()
        self.bucket = path
        self.priority = priority
        self.order = 0  # set when it waits


class _Bucket:
    """The tokens of one limit: when each that is out was taken."""

    def __init__(self, limit: int, window_ns: int) -> None:
        self.limit = limit
        self.window_ns = window_ns
        self.taken: deque[int] = deque()
        self.shut_until_ns = 0

    def out(self, now_ns: int) -> int:
        """Return how many tokens are out."""
        while self.taken and self.taken[0] + self.window_ns <= now_ns:
            self.taken.popleft()
        return len(self.taken)

    def wait_ns(self, now_ns: int, spoken_for: int) -> int:
        """Return in how long a token beyond those ``spoken_for`` is free."""
        lacking = self.out(now_ns) + spoken_for + 1 - self.limit
        shut = max(0, self.shut_until_ns - now_ns)
        if lacking <= 0:
            return shut
        if lacking > len(self.taken):
            return max(shut, self.window_ns)
        return max(shut, self.taken[lacking - 1] + self.window_ns - now_ns)


class Budget:
    """All limits of one key at one address."""

    def __init__(self) -> None:
        self._all = _Bucket(IP_LIMIT, IP_WINDOW_NS)
        self._buckets: dict[str, _Bucket] = {}
        self._waiting: list[Request] = []
        self._count = 0
        self._open_requests = 0
        self._shut: tuple[int, Priority, str] = (0, Priority.CANCEL, "")

    # -- leaving -----------------------------------------------------------------------------------

    def take(self, request: Request, now_ns: int) -> float:
        """Take what a request needs and return 0; or take nothing, return the seconds to wait."""
        until_ns, open_to, _ = self._shut
        if now_ns < until_ns and request.priority > open_to:
            return (until_ns - now_ns) / SECOND_NS
        own = self._bucket(request)
        wait_ns = max(
            self._all.wait_ns(now_ns, self._kept(request, IP_LIMIT) + self._ahead(request, None)),
            own.wait_ns(now_ns, self._kept(request, own.limit) + self._ahead(request, request.name))
            if own is not None
            else 0,
        )
        if wait_ns:
            return wait_ns / SECOND_NS
        if self._open_requests + self._kept(request, CONNECTIONS) >= CONNECTIONS:
            return SLOT_WAIT_SECONDS
        self._all.taken.append(now_ns)
        if own is not None:
            own.taken.append(now_ns)
        self._open_requests += 1
        return 0.0

    def ended(self) -> None:
        """Give back the connection of a request that has left."""
        self._open_requests -= 1

    @property
    def waits(self) -> bool:
        """Whether any request waits for room."""
        return bool(self._waiting)

    def queue(self, request: Request) -> str | None:
        """Let a request wait in its place; return why it may not, or None."""
        if len(self._waiting) + self._kept(request, WAITING_MAX) >= WAITING_MAX:
            return f"{len(self._waiting)} requests wait already (limit {WAITING_MAX})"
        self._count += 1
        request.order = self._count
        self._waiting.append(request)
        return None

    def unqueue(self, request: Request) -> None:
        """Take a request out of the queue: it left, or gave up."""
        self._waiting.remove(request)

    def why_late(self, request: Request, wait_seconds: float, now_ns: int) -> str:
        """Say why a request does not leave."""
        until_ns, _, reason = self._shut
        if now_ns < until_ns:
            return f"{reason}: {request.priority.name.lower()} waits {wait_seconds:.1f} s more"
        own = self._bucket(request)
        limit = f"{IP_LIMIT} requests in 5 s"
        if own is not None and own.wait_ns(now_ns, self._kept(request, own.limit)):
            limit = f"{request.name}: {own.limit} a second"
        return f"the venue's limit ({limit}) has no room for {wait_seconds:.1f} s"

    def _kept(self, request: Request, limit: int) -> int:
        return 0 if request.priority.protects else limit // RESERVED

    def _ahead(self, request: Request, name: str | None) -> int:
        """Count the waiting requests that leave before this one, of one limit or of all."""
        if not self._waiting:
            return 0
        mine = (request.priority, request.order or math.inf)
        return sum(
            (name is None or other.name == name) and (other.priority, other.order) < mine
            for other in self._waiting
        )

    def _bucket(self, request: Request) -> _Bucket | None:
        bucket = self._buckets.get(request.name)
        if bucket is None and (rates := RATES.get(request.bucket)) is not None:
            spot = request.name.endswith(" spot")
            bucket = self._buckets[request.name] = _Bucket(rates[0 if spot else 1], WINDOW_NS)
        return bucket

    def used(self, now_ns: int) -> dict[str, float]:
        """Return the used part of each limit, 0 to 1, by path and kind; "address" is for all."""
        buckets = {"address": self._all, **self._buckets}
        return {name: bucket.out(now_ns) / bucket.limit for name, bucket in buckets.items()}

    # -- what the venue says -----------------------------------------------------------------------

    def told(self, request: Request, limit: int, remaining: int, now_ns: int) -> None:
        """Take over the limit and the tokens left that an answer named.

        Fewer left than we think were taken by someone else with this account (the dead-man); more
        left are requests that are still on their way, and come back with their window.
        """
        bucket = self._bucket(request)
        if bucket is None or limit < 1:
            return
        bucket.limit = limit
        out = bucket.out(now_ns)
        bucket.taken.extend([now_ns] * (min(limit - max(0, remaining), limit) - out))

    def refused(self, request: Request, until_ns: int) -> None:
        """The venue refused a request for its rate: its limit is shut until then."""
        bucket = self._bucket(request) or self._all
        bucket.shut_until_ns = max(bucket.shut_until_ns, until_ns)

    def shut(self, until_ns: int, open_to: Priority, reason: str) -> None:
        """Let nothing less urgent than ``open_to`` leave before then; a longer one stands."""
        if until_ns > self._shut[0]:
            self._shut = (until_ns, open_to, reason)

    def served(self) -> None:
        """Open again what throttling had shut: an urgent request went through. A ban stands."""
        if self._shut[1] is not Priority.CANCEL:
            self._shut = (0, Priority.CANCEL, "")
