"""Sends signed HTTP requests to Bybit V5, once each, and says what is known of their fate."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from bot.core.text import safe_text
from bot.edge.backoff import backoff
from bot.edge.clock import MarketClock, Sample, monotonic_ns
from bot.edge.venues import address
from bot.edge.venues.answers import Reply, read, trouble_of
from bot.edge.venues.budget import CONNECTIONS, SECOND_NS, Budget, Priority, Request
from bot.edge.venues.codes import Kind, is_known
from bot.edge.venues.trouble import Ear, Heard, Trouble
from bot.errors import Refused, Retryable

RECV_WINDOW_REAL_SECONDS = 5.0
RECV_WINDOW_MS_MAX = 600_000  # venues refuse longer ones; only a market above 120x comes near
TIMEOUT = aiohttp.ClientTimeout(total=4, sock_connect=2)
ANSWER_BYTES_MAX = 8 << 20
PATIENCE_REAL_SECONDS = 3.0  # for room in the budget
RESET_WAIT_REAL_SECONDS_MAX = 10.0
JITTER_REAL_SECONDS = 0.25
THROTTLED_REAL_SECONDS = (0.1, 8.0)  # the shortest and longest pause after a refusal for the rate
BAN_REAL_SECONDS = 600.0
BAN_WORDS = b"access too frequent"


class Busy(Retryable):
    """The venue did not answer, or asked to wait until ``retry_at`` (market ms, 0: any time)."""

    def __init__(self, reason: str, retry_at: int = 0) -> None:
        super().__init__(reason)
        self.retry_at = retry_at


class Declined(Refused):
    """The venue refused a request; ``code`` is its own."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


WhyNot = Callable[[], "str | None"]


class _NotLeft(Exception):
    """The request was refused by ourselves before its first byte."""


class _Flight:
    """One request on its way: whether its first byte left, and who may still forbid that."""

    __slots__ = ("left", "optional", "signed", "why_not")

    def __init__(self, why_not: WhyNot | None, *, signed: bool, optional: bool = False) -> None:
        self.left = False
        self.signed = signed
        self.optional = optional
        self.why_not = why_not


class Rest:
    """One HTTP session with one key. Never retries a POST, never follows a redirect.

    ``heard`` is told when the venue is in trouble, and when it answers well again.
    """

    def __init__(
        self, url: str, key: str, secret: str, clock: MarketClock, heard: Heard | None = None
    ) -> None:
        self.clock = clock
        self.last_sent_ns = 0
        self._slowest_ns = 0
        self.budget = Budget()
        self.ear = Ear(heard or (lambda _: None))
        self._url = url
        self._base = ""
        self._key = key
        self._secret = secret.encode()
        self._session: aiohttp.ClientSession | None = None
        self._news = asyncio.Event()  # set for a moment whenever the budget may have room
        self._throttled = 0  # answers in a row that refused for the rate
        self._banned_until_ns = 0

    def open(self) -> None:
        """Make the session; no byte is sent. Needs a running loop."""
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._leaving)
        trace.on_request_chunk_sent.append(self._leaving)
        self._base, connector = address.http(self._url, CONNECTIONS)
        self._session = aiohttp.ClientSession(
            timeout=TIMEOUT,
            trace_configs=[trace],
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def sign(self, message: str) -> str:
        """Return the hex HMAC-SHA256 of a message under the secret."""
        return hmac.new(self._secret, message.encode(), hashlib.sha256).hexdigest()

    @property
    def recv_window_ms(self) -> int:
        """How long after its timestamp a request may still be accepted, market ms."""
        return min(self.clock.real_ms(RECV_WINDOW_REAL_SECONDS), RECV_WINDOW_MS_MAX)

    async def get(
        self,
        path: str,
        query: Mapping[str, Any],
        signed: bool = True,
        priority: Priority = Priority.INQUIRE,
    ) -> Reply:
        """Ask; the fate of a question is ACK or that it must be asked again."""
        request = Request(path, str(query.get("category", "")), priority)
        why = await self._why_late(request)
        if why is not None:
            return why
        payload = urlencode(query)
        headers = self._headers(payload) if signed else {}
        target = f"{path}?{payload}" if payload else path
        reply, _ = await self._send(request, target, None, headers, _Flight(None, signed=signed))
        return reply

    async def post(
        self,
        path: str,
        body: Mapping[str, Any],
        priority: Priority,
        why_not: WhyNot | None = None,
        *,
        optional: bool = False,
    ) -> Reply:
        """Send a request that changes something. Never raises for trouble of venue or network.

        ``why_not`` is asked right before the first byte is written, which may be long after the
        call where the budget is short; its answer makes the reply NOT_SENT. That what is
        ``optional`` is refused is no trouble of the key: the listener does not hear of it.
        """
        request = Request(path, str(body.get("category", "")), priority)
        why = await self._why_late(request)
        if why is not None:
            return why
        payload = msgspec.json.encode(body)
        headers = self._headers(payload.decode())
        flight = _Flight(why_not, signed=True, optional=optional)
        reply, _ = await self._send(request, path, payload, headers, flight)
        return reply

    async def sample(self) -> Sample:
        """Read the venue's clock and rate. Raises Busy."""
        request = Request("/v5/market/time", "", Priority.CANCEL)  # no cancel is signed without it
        late = await self._why_late(request)
        if late is not None:
            raise Busy(f"market time: {late.reason}", late.retry_at)
        sent = monotonic_ns()
        reply, rate = await self._send(
            request, "/v5/market/time", None, {}, _Flight(None, signed=False)
        )
        received = monotonic_ns()
        if reply.kind is not Kind.ACK:
            raise Busy(f"market time: {reply.reason}", reply.retry_at)
        try:
            nanos = int(msgspec.json.decode(reply.result, type=dict[str, str])["timeNano"])
            return Sample(sent, received, nanos // 1_000_000, _rate(rate))
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise Busy(f"market time: {safe_text(str(error))}") from error

    def take_slowest_ms(self) -> float | None:
        """Return how long the slowest request since the last call took, ms; None without one."""
        slowest, self._slowest_ns = self._slowest_ns, 0
        return slowest / 1e6 if slowest else None

    def clean(self, text: str) -> str:
        """Return a text from outside without control characters, and without the key."""
        for ours in (self._key, self._secret.decode()):
            if ours:
                text = text.replace(ours, "(hidden)")
        return safe_text(text)

    # -- room --------------------------------------------------------------------------------------

    async def _why_late(self, request: Request) -> Reply | None:
        """Wait for room in the budget; return the reply of a request that found none, or None."""
        began = monotonic_ns()
        wait = self.budget.take(request, began)
        if not wait:
            return None
        deadline = began + PATIENCE_REAL_SECONDS * SECOND_NS
        full = self.budget.queue(request)
        if full:
            return Reply(Kind.NOT_SENT, reason=full)
        try:
            while wait:
                now = monotonic_ns()
                if now + wait * SECOND_NS > deadline:
                    why = self.budget.why_late(request, wait, now)
                    retry_at = self.clock.venue_ms() + self.clock.real_ms(wait)
                    return Reply(Kind.NOT_SENT, reason=why, retry_at=retry_at)
                await self._news_within(wait)
                wait = self.budget.take(request, monotonic_ns())
        finally:
            self.budget.unqueue(request)
            self._tell_waiting()
        return None

    async def _news_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    def _tell_waiting(self) -> None:
        if self.budget.waits:
            self._news.set()
            self._news.clear()

    # -- one request -------------------------------------------------------------------------------

    def _headers(self, payload: str) -> dict[str, str]:
        stamp = str(self.clock.venue_ms())
        window = str(self.recv_window_ms)
        return {
            "X-BAPI-API-KEY": self._key,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": window,
            "X-BAPI-SIGN": self.sign(f"{stamp}{self._key}{window}{payload}"),
            "Content-Type": "application/json",
        }

    async def _send(
        self,
        request: Request,
        target: str,
        body: bytes | None,
        headers: dict[str, str],
        flight: _Flight,
    ) -> tuple[Reply, str]:
        """Return the reply and the market rate that the answer's header names."""
        began = monotonic_ns()
        try:
            if self._session is None:
                raise RuntimeError("expected open() before a request")
            async with self._session.request(
                "GET" if body is None else "POST",
                URL(f"{self._base}{target}", encoded=True),  # signed as it is: do not requote
                data=body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=flight,
            ) as response:
                answer = await _body_of(response)
        except _NotLeft as refused:
            return Reply(Kind.NOT_SENT, reason=str(refused)), ""
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            kind = Kind.UNKNOWN if flight.left else Kind.NOT_SENT
            reason = self.clean(f"{type(error).__name__}: {error}")
            self.ear.trouble(Trouble.UNREACHABLE, reason)
            return Reply(kind, reason=reason), ""
        finally:
            self._slowest_ns = max(self._slowest_ns, monotonic_ns() - began)
            self.budget.ended()
            self._tell_waiting()
        reply = self._heard(request, flight, response, answer)
        return reply, response.headers.get("X-Market-Rate", "")

    def _heard(
        self, request: Request, flight: _Flight, response: aiohttp.ClientResponse, body: bytes
    ) -> Reply:
        """Return what an answer says, once the budget and the listener know of it too."""
        reply, understood = read(response.status, body, self.clean)
        now_ns = monotonic_ns()
        self._note_limits(request, response.headers, now_ns)
        trouble = trouble_of(response.status, reply.code if understood else 0)
        if not understood:
            trouble = trouble or Trouble.UNREACHABLE
        if flight.optional and trouble in (None, Trouble.KEY):
            return reply
        if trouble is None:
            self._throttled = 0
            self.budget.served()
            self.ear.good(signed=flight.signed)
            if not is_known(reply.code):
                self.ear.unseen(reply.code, reply.reason)
            return reply
        wait = self._pause(trouble, request, response, body, now_ns)
        retry_at = self.clock.venue_ms() + self.clock.real_ms(wait) if wait else 0
        self.ear.trouble(trouble, reply.reason, retry_at)
        return msgspec.structs.replace(reply, retry_at=retry_at)

    def _note_limits(self, request: Request, headers: Mapping[str, str], now_ns: int) -> None:
        limit, left = headers.get("X-Bapi-Limit", ""), headers.get("X-Bapi-Limit-Status", "")
        if _is_count(limit) and _is_count(left):
            self.budget.told(request, int(limit), int(left), now_ns)

    def _pause(
        self,
        trouble: Trouble,
        request: Request,
        response: aiohttp.ClientResponse,
        body: bytes,
        now_ns: int,
    ) -> float:
        """Keep requests back after a refusal for the rate; return for how many real seconds."""
        if trouble is Trouble.BANNED and BAN_WORDS in body:
            if now_ns >= self._banned_until_ns:  # a cancel that is turned away prolongs nothing
                self._banned_until_ns = now_ns + int(BAN_REAL_SECONDS * SECOND_NS)
            reason = "the venue banned this address for its rate"
            self.budget.shut(self._banned_until_ns, Priority.CANCEL, reason)
            return (self._banned_until_ns - now_ns) / SECOND_NS
        if trouble is not Trouble.THROTTLED:
            return 0.0
        self._throttled += 1
        pause = backoff(self._throttled, *THROTTLED_REAL_SECONDS)
        reset = response.headers.get("X-Bapi-Limit-Reset-Timestamp", "")
        if response.status == 429 or not _is_count(reset):
            until = now_ns + int(pause * SECOND_NS)
            self.budget.shut(until, Priority.EXIT, "the venue throttles all requests")
            return pause
        left = self._seconds_until(int(reset), response.headers)
        wait = min(max(0.0, left), RESET_WAIT_REAL_SECONDS_MAX) + min(pause, JITTER_REAL_SECONDS)
        self.budget.refused(request, now_ns + int(wait * SECOND_NS))
        return wait

    def _seconds_until(self, reset: int, headers: Mapping[str, str]) -> float:
        """Return the real seconds until the venue's ``reset`` (ms), by its own time and rate.

        Ours may be hours behind before the first answer was good.
        """
        stamp, rate = headers.get("Timenow", ""), headers.get("X-Market-Rate", "")
        now = int(stamp) if _is_count(stamp) else self.clock.venue_ms()
        try:
            return (
                (reset - now) / 1000 / _rate(rate)
                if rate
                else (reset - now) / self.clock.real_ms(1)
            )
        except ValueError:
            return (reset - now) / self.clock.real_ms(1)

    async def _leaving(self, _session: object, context: Any, _params: object) -> None:
        """Called by aiohttp right before it writes: until then no byte can have left."""
        flight: _Flight = context.trace_request_ctx
        why = flight.why_not() if flight.why_not else None
        if why:
            raise _NotLeft(why)
        flight.left = True
        self.last_sent_ns = monotonic_ns()


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError(f"answer of more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _rate(text: str) -> float:
    """Return the market's rate from the header; 1 where there is none. Raises ValueError."""
    rate = float(text or 1)
    if not (0 < rate <= 100_000):
        raise ValueError(f"expected a market rate of 0 to 100000, found {text!r}")
    return rate
