"""Asks Bybit V5 page by page and carries out changes; what comes back is a value or an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from bot.core.text import safe_text
from bot.edge.backoff import backoff
from bot.edge.clock import MarketClock, monotonic_ns
from bot.edge.venues.answers import Reply
from bot.edge.venues.budget import SECOND_NS, Priority
from bot.edge.venues.codes import CLOCK, THROTTLED, Kind
from bot.edge.venues.rest import Busy, Declined, Rest
from bot.errors import OutcomeUnknown, Retryable

PAGES_MAX = 200
CLOCK_SAMPLES = 3
PERSIST_REAL_SECONDS = 10.0  # for a change that protects and was refused for the rate
PERSIST_GAP = (0.1, 0.8)  # so it leaves within a second of being allowed to

T = TypeVar("T")


class Page(Struct, rename="camel"):
    """One page of rows."""

    rows: list[msgspec.Raw] = msgspec.field(name="list")
    next_page_cursor: str = ""


class Doubt:
    """Turns an answer that cannot be true into Busy: asking again may give a true one."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (ValueError, ArithmeticError, RecursionError)):
            raise Busy(f"{self._path}: {safe_text(str(error))}") from error


class Asking:
    """Questions and changes over one ``rest``, at the time of one ``clock``."""

    def __init__(self, rest: Rest, clock: MarketClock) -> None:
        self.rest = rest
        self.clock = clock
        self._jump_ms = 0

    async def sync_clock(self) -> int:
        """Follow the venue's clock; return by how many ms it jumped since the last call, or 0."""
        await self.resync()
        jump, self._jump_ms = self._jump_ms, 0
        return jump

    async def resync(self) -> None:
        """Follow the venue's clock; the next ``sync_clock`` tells of the jump."""
        samples = [await self.rest.sample() for _ in range(CLOCK_SAMPLES)]
        self._jump_ms += self.clock.sync(samples)

    async def change(
        self, path: str, body: Mapping[str, Any], fine: frozenset[int], priority: Priority
    ) -> None:
        """Carry out a change that may be repeated; a code in ``fine`` is as good as done.

        What protects is sent again where the venue provably turned it away for its rate or its
        time. Raises OutcomeUnknown, Declined, Busy.
        """
        reply = await self.rest.post(path, body, priority)
        began, attempt = monotonic_ns(), 0
        while (
            priority.protects
            and _turned_away(reply)
            and monotonic_ns() - began < PERSIST_REAL_SECONDS * SECOND_NS
        ):
            attempt += 1
            await asyncio.sleep(backoff(attempt, *PERSIST_GAP))
            await self._mend(reply)
            reply = await self.rest.post(path, body, priority)
        if reply.kind is Kind.ACK or reply.code in fine:
            return
        if reply.kind in (Kind.UNKNOWN, Kind.EXISTS):
            raise OutcomeUnknown(f"{path}: {reply.reason}")
        await self._raise_for(path, reply)

    async def ask(
        self, path: str, query: Mapping[str, Any], signed: bool, priority: Priority
    ) -> Reply:
        """Ask for one answer. Raises Declined, Busy."""
        reply = await self.rest.get(path, query, signed, priority)
        if reply.kind is not Kind.ACK:
            await self._raise_for(path, reply)
        return reply

    async def pages(
        self,
        path: str,
        query: Mapping[str, Any],
        kind: type[T],
        *,
        signed: bool = True,
        priority: Priority = Priority.INQUIRE,
    ) -> list[T]:
        """Return the rows of all pages, in the venue's order. Raises Declined, Busy."""
        return [row async for row in self._rows_of(path, dict(query), kind, signed, priority)]

    async def _rows_of(
        self, path: str, query: dict[str, Any], kind: type[T], signed: bool, priority: Priority
    ) -> AsyncIterator[T]:
        for _ in range(PAGES_MAX):
            reply = await self.ask(path, query, signed, priority)
            with Doubt(path):
                page = decoded(reply, Page)
                rows = [msgspec.json.decode(raw, type=kind) for raw in page.rows]
            for row in rows:
                yield row
            if not page.next_page_cursor or not rows:
                return
            query["cursor"] = page.next_page_cursor
        raise Busy(f"{path}: more than {PAGES_MAX} pages")

    async def _raise_for(self, path: str, reply: Reply) -> None:
        await self._mend(reply)
        if reply.kind in (Kind.NOT_SENT, Kind.UNKNOWN):
            raise Busy(f"{path}: {reply.reason}", reply.retry_at)
        raise Declined(f"{path}: {reply.reason}", reply.code)

    async def _mend(self, reply: Reply) -> None:
        """Follow the clock where it was what the venue refused; the next request should pass."""
        if reply.code != CLOCK:
            return
        try:
            await self.resync()
        except Retryable:
            return  # the refusal is what matters here: the next one tries again


def decoded(reply: Reply, kind: type[T]) -> T:
    """Return the result of an answer as a value. Raises msgspec.DecodeError, a ValueError."""
    return msgspec.json.decode(reply.result, type=kind)


def _turned_away(reply: Reply) -> bool:
    return reply.kind is Kind.NOT_SENT and (reply.code in (CLOCK, 429) or reply.code in THROTTLED)
