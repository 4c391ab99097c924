"""Sends signed HTTP requests to Bybit V5, once each, and says what is known of their fate."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec
from yarl import URL

from bot.core.text import safe_text
from bot.edge.clock import MarketClock, Sample, monotonic_ns
from bot.edge.host import jitter
from bot.edge.venues.codes import Kind, kind_of_code, kind_of_status
from bot.errors import Refused, Retryable

RECV_WINDOW_REAL_SECONDS = 5.0
RECV_WINDOW_MS_MAX = 600_000  # venues refuse longer ones; only a market above 120x comes near
TIMEOUT = aiohttp.ClientTimeout(total=4, sock_connect=2)
ANSWER_BYTES_MAX = 8 << 20
RESET_WAIT_REAL_SECONDS_MAX = 10.0
JITTER_REAL_SECONDS = 0.25


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


class Reply(msgspec.Struct, frozen=True):
    """What came back: the fate, the venue's code and words, its result, and its time (ms)."""

    kind: Kind
    code: int = 0
    reason: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")
    at: int = 0
    retry_at: int = 0


class _Envelope(msgspec.Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")
    time: int = 0


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class Rest:
    """One HTTP session with one key. Never retries a POST, never follows a redirect."""

    def __init__(self, url: str, key: str, secret: str, clock: MarketClock) -> None:
        self.clock = clock
        self.last_sent_ns = 0
        self._url = url.rstrip("/")
        self._key = key
        self._secret = secret.encode()
        self._session: aiohttp.ClientSession | None = None

    def open(self) -> None:
        """Make the session; no byte is sent. Needs a running loop."""
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._leaving)
        trace.on_request_chunk_sent.append(self._leaving)
        self._session = aiohttp.ClientSession(
            timeout=TIMEOUT,
            trace_configs=[trace],
            connector=aiohttp.TCPConnector(limit=32, keepalive_timeout=30),
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

    async def get(self, path: str, query: Mapping[str, Any], signed: bool = True) -> Reply:
        """Ask; the fate of a question is ACK or that it must be asked again."""
        payload = urlencode(query)
        headers = self._headers(payload) if signed else {}
        target = f"{path}?{payload}" if payload else path
        reply, _ = await self._exchange("GET", target, None, headers)
        return reply

    async def post(
        self, path: str, body: Mapping[str, Any], why_not: WhyNot | None = None
    ) -> Reply:
        """Send a request that changes something. Never raises for trouble of venue or network.

        ``why_not`` is asked right before the first byte is written, which may be long after the
        call where connections are scarce; its answer makes the reply NOT_SENT.
        """
        payload = msgspec.json.encode(body)
        headers = self._headers(payload.decode())
        reply, _ = await self._exchange("POST", path, payload, headers, why_not)
        return reply

    async def sample(self) -> Sample:
        """Read the venue's clock and rate. Raises Busy."""
        sent = monotonic_ns()
        reply, rate = await self._exchange("GET", "/v5/market/time", None, {})
        received = monotonic_ns()
        if reply.kind is not Kind.ACK:
            raise Busy(f"market time: {reply.reason}")
        try:
            nanos = int(msgspec.json.decode(reply.result, type=dict[str, str])["timeNano"])
            return Sample(sent, received, nanos // 1_000_000, _rate(rate))
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise Busy(f"market time: {safe_text(str(error))}") from error

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

    async def _exchange(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: dict[str, str],
        why_not: WhyNot | None = None,
    ) -> tuple[Reply, str]:
        """Return the reply and the market rate that the answer's header names."""
        if self._session is None:
            raise RuntimeError("expected open() before a request")
        wire = SimpleNamespace(left=False, why_not=why_not)
        try:
            async with self._session.request(
                method,
                URL(f"{self._url}{target}", encoded=True),  # signed as it is: do not requote
                data=body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=wire,
            ) as response:
                answer = await _body_of(response)
        except _NotLeft as refused:
            return Reply(Kind.NOT_SENT, reason=str(refused)), ""
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            kind = Kind.UNKNOWN if wire.left else Kind.NOT_SENT
            return Reply(kind, reason=safe_text(f"{type(error).__name__}: {error}")), ""
        rate = response.headers.get("X-Market-Rate", "")
        return self._classified(response.status, answer, response.headers), rate

    def _classified(self, status: int, body: bytes, headers: Mapping[str, str]) -> Reply:
        by_status = kind_of_status(status)
        try:
            envelope = _ENVELOPE.decode(body)
        except (msgspec.DecodeError, RecursionError):
            lost = Kind.UNKNOWN if status == 200 else Kind.REJECTED
            text = safe_text(body[:400].decode(errors="replace"))
            return Reply(by_status or lost, status, f"HTTP {status}, not understood: {text}")
        kind = by_status or kind_of_code(envelope.ret_code)
        if kind is Kind.ACK and status != 200:
            kind = Kind.UNKNOWN  # a success that HTTP does not call one
        return Reply(
            kind,
            envelope.ret_code,
            f"{envelope.ret_code} {safe_text(envelope.ret_msg)}",
            envelope.result,
            envelope.time,
            self._retry_at(headers) if kind is Kind.NOT_SENT else 0,
        )

    def _retry_at(self, headers: Mapping[str, str]) -> int:
        """Return when the venue lets the next request in, market ms, jittered; 0 if unsaid."""
        reset = headers.get("X-Bapi-Limit-Reset-Timestamp", "")
        if not (reset.isascii() and reset.isdigit() and len(reset) < 16):
            return 0
        now = self.clock.venue_ms()
        latest = now + self.clock.real_ms(RESET_WAIT_REAL_SECONDS_MAX)
        later = self.clock.real_ms(jitter(JITTER_REAL_SECONDS))
        return min(max(int(reset), now), latest) + later

    async def _leaving(self, _session: object, context: Any, _params: object) -> None:
        """Called by aiohttp right before it writes: until then no byte can have left."""
        why_not = context.trace_request_ctx.why_not
        why = why_not() if why_not else None
        if why:
            raise _NotLeft(why)
        context.trace_request_ctx.left = True
        self.last_sent_ns = monotonic_ns()


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
