"""The ports of the month that are fakes: the venue as the bot reaches it, and the channels to people.

Each request takes its time on the virtual clock and may meet the weather: refused, swallowed,
throttled, shut, or carried out without an answer. Everything above the ports is the bot's own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from bot.core.effects import Notify
from bot.core.values import Candle, CashMove, Instrument, VenueFill, VenueOrder, VenuePosition
from bot.edge.clock import MarketClock, Sample, monotonic_ns
from bot.edge.venues.answers import Reply
from bot.edge.venues.codes import Kind, kind_of_code
from bot.edge.venues.rest import Busy, Declined
from bot.edge.venues.trouble import Ear, Heard, Trouble
from bot.errors import OutcomeUnknown, Retryable
from tests.simulation.month_books import Books
from tests.simulation.month_market import INSTRUMENTS

FIRST, SECOND = ("mail-1",), ("pager-1",)
TIMEOUT_SECONDS = 4.0


class Trial(NamedTuple):
    """What a request meets: how the edge names it, in which words, after how many seconds."""

    kind: Trouble
    reason: str
    seconds: float


WEATHER = {
    "refused": Trial(Trouble.UNREACHABLE, "connection refused", 0.1),
    "swallowed": Trial(Trouble.UNREACHABLE, "no answer within 4 s", TIMEOUT_SECONDS),
    "throttled": Trial(Trouble.THROTTLED, "10006: too many visits", 0.05),
    "maintenance": Trial(Trouble.MAINTENANCE, "10016: the venue is shut", 0.05),
}


class Weather:
    """What requests meet at present.

    ``mischief`` is asked what becomes of each change; ``leaving`` sees each order's first byte.
    """

    def __init__(self) -> None:
        self.mode = ""
        self.seconds = 0.05
        self.mischief: Callable[[str], str] = lambda change: ""
        self.leaving: Callable[[dict[str, Any]], None] = lambda body: None


class _Move(Struct, frozen=True):
    """A row of the transaction log."""

    move: CashMove
    type: str
    currency: str = "USDT"

    def value(self) -> CashMove:
        """Return it in the bot's words."""
        return self.move


class Port:
    """The venue for one process of the bot; it stands where ``Bybit`` and its ``rest`` stand."""

    category = "linear"
    recv_window_ms = 5_000

    def __init__(self, books: Books, weather: Weather, clock: MarketClock, heard: Heard) -> None:
        self.books, self.weather, self.clock = books, weather, clock
        self.rest, self.ear = self, Ear(heard)
        self.unanswered = 0

    def sync_clock(self) -> int:
        """Read the venue's clock unless it is away; return the jump in ms."""
        if self.weather.mode:
            return 0
        ns = monotonic_ns()
        return self.clock.sync([Sample(ns, ns, self.books.now())])

    async def _ask(self) -> None:
        """Carry a question to the venue. Raises Busy."""
        await asyncio.sleep(self.weather.seconds)
        trial = WEATHER.get(self.weather.mode)
        if trial is None:
            self.ear.good(signed=True)
            return
        await asyncio.sleep(trial.seconds)
        self.ear.trouble(trial.kind, trial.reason)
        raise Busy(trial.reason)

    async def _change(self, name: str) -> str:
        """Carry a change to the venue; return the mischief it met. Raises Busy, OutcomeUnknown."""
        try:
            await self._ask()
        except Busy as error:
            if self.weather.mode == "swallowed":
                raise OutcomeUnknown(str(error)) from error
            raise
        return self.weather.mischief(name)

    async def _unanswered(self) -> str:
        """Wait for an answer that does not come; return what is said of it."""
        self.unanswered += 1
        await asyncio.sleep(TIMEOUT_SECONDS)
        self.unanswered -= 1
        reason = "no answer within 4 s"
        self.ear.trouble(Trouble.UNREACHABLE, reason)
        return reason

    # -- changes -----------------------------------------------------------------------------------

    async def post(
        self, path: str, body: dict[str, Any], priority: object, why_not: Any = None
    ) -> Reply:
        """Send an order, as ``Rest.post`` does."""
        why = why_not() if why_not else None
        if why:
            return Reply(Kind.NOT_SENT, reason=why)
        self.weather.leaving(body)
        try:
            mischief = await self._change("exit" if body["reduceOnly"] else "entry")
        except OutcomeUnknown as error:
            return Reply(Kind.UNKNOWN, reason=str(error))
        except Busy as error:
            return Reply(Kind.NOT_SENT, reason=str(error))
        if mischief == "turned away":
            self.ear.trouble(Trouble.THROTTLED, "10006: too many visits")
            return Reply(Kind.NOT_SENT, 10006, "too many visits")
        if mischief == "never arrives":
            return Reply(Kind.UNKNOWN, reason=await self._unanswered())
        if mischief == "arrives late":
            reason = await self._unanswered()
            asyncio.get_running_loop().call_later(0.5, self.books.create, body)
            return Reply(Kind.UNKNOWN, reason=reason)
        code, words = self.books.create(body, mischief)
        if mischief == "answer lost":
            return Reply(Kind.UNKNOWN, reason=await self._unanswered())
        if code:
            return Reply(kind_of_code(code), code, words)
        ids = {"orderId": words, "orderLinkId": body["orderLinkId"]}
        return Reply(Kind.ACK, result=msgspec.Raw(msgspec.json.encode(ids)))

    async def cancel(self, order: str, symbol: str, venue_id: str = "") -> None:
        """Cancel an order; one that is gone is fine."""
        mischief = await self._change("cancel")
        self.books.cancel(order, race=mischief == "race")
        if mischief == "answer lost":
            raise OutcomeUnknown(await self._unanswered())

    async def amend(self, order: str, symbol: str, price: Decimal) -> None:
        """Move an order. Raises Declined if it is gone."""
        mischief = await self._change("amend")
        if not self.books.amend(order, price, race=mischief == "race"):
            raise Declined("order not exists or too late to replace", 110001)

    async def protect(self, symbol: str, stop: Decimal, take: Decimal | None) -> None:
        """Have the venue hold a stop and a target. Raises Declined without a position."""
        mischief = await self._change("protect")
        if not self.books.protect(symbol, stop, take):
            raise Declined(f"{symbol}: no position to protect", 10001)
        if mischief == "answer lost":
            raise OutcomeUnknown(await self._unanswered())

    async def leverage(self, symbols: Iterable[str], leverage: int) -> None:
        """Set the leverage: nothing here depends on it."""
        await self._change("leverage")

    # -- questions ---------------------------------------------------------------------------------

    async def instruments(self) -> tuple[Instrument, ...]:
        """Return what is traded."""
        await self._ask()
        return INSTRUMENTS

    async def candles(self, symbol: str, after: int, limit: int) -> tuple[Candle, ...]:
        """Return closed candles, oldest first."""
        await self._ask()
        return self.books.market.candles(symbol, after, limit)

    async def wallet(self) -> Decimal:
        """Return the cash."""
        await self._ask()
        return self.books.wallet

    async def positions(self) -> tuple[VenuePosition, ...]:
        """Return the open positions."""
        await self._ask()
        return tuple(self.books.positions.values())

    async def open_orders(self) -> tuple[VenueOrder, ...]:
        """Return what is on the book."""
        await self._ask()
        return tuple(self.books.open_orders())

    async def find(self, order: str, symbol: str) -> VenueOrder | None:
        """Return an order, or None if it never came here."""
        await self._ask()
        return self.books.orders.get(order)

    async def is_executed(self, order: str, symbol: str) -> bool:
        """Tell whether an execution of an order is listed."""
        await self._ask()
        return any(fill.order == order for fill in self.books.fills)

    async def fills(self, since: int) -> tuple[VenueFill, ...]:
        """Return the executions at or after a time."""
        await self._ask()
        return tuple(fill for fill in self.books.fills if fill.at >= since)

    async def pages(self, path: str, query: dict[str, Any], kind: object) -> list[_Move]:
        """Return the transaction log's moves of a window, newest first."""
        await self._ask()
        first, last = query["startTime"], query["endTime"]
        found = [_Move(m, m.kind) for m in self.books.moves if first <= m.at <= last]
        return found[::-1]


class Channels:
    """The channels to people. ``down`` ones fail; ``slow`` ones take longer than is waited for."""

    first, second = FIRST, SECOND

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.slow: set[str] = set()
        self.taken: set[str] = set()
        self.arrived: Counter[str] = Counter()

    async def send(self, channel: str, notify: Notify, ref: str, again: bool = False) -> None:
        """Take a message, as ``Notifier.send`` does. Raises Retryable."""
        if ref in self.taken:
            return
        if channel in self.down:
            await asyncio.sleep(0.2)
            raise Retryable(f"{channel}: connection refused")
        if channel in self.slow:
            await asyncio.sleep(10.0)
            raise Retryable(f"{channel}: no answer within 10 s")
        await asyncio.sleep(0.3)
        self.taken.add(ref)
        self.arrived[channel] += 1
