"""Asks a Bybit V5 account questions and changes its protection; it sends no order."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from bot.core.events import Reconciled
from bot.core.text import safe_text
from bot.core.values import (
    Candle,
    Instrument,
    OrderStatus,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from bot.edge.clock import MarketClock
from bot.edge.venues import wire
from bot.edge.venues.codes import BAD_PARAMETER, CLOCK, GONE, UNCHANGED, Kind
from bot.edge.venues.rest import Busy, Declined, Reply, Rest
from bot.errors import OutcomeUnknown, Refused

QUOTE = "USDT"
PAGE_CANDLES = 1_000
WEEK_MS = 7 * 86_400_000
HISTORY_MS = 730 * 86_400_000  # the venue keeps two years
PAGES_MAX = 200
READINGS_MAX = 3
CLOCK_SAMPLES = 3
TAKER_FEE_DEFAULT = Decimal("0.00055")
_OPEN = (OrderStatus.OPEN, OrderStatus.PARTIAL)
_ZERO_POSITION = re.compile(r"zero.?position|position.*(not exist|is zero)", re.IGNORECASE)

T = TypeVar("T")


class _Page(Struct, rename="camel"):
    rows: list[msgspec.Raw] = msgspec.field(name="list")
    next_page_cursor: str = ""


class Bybit:
    """One account at one address. ``clock`` follows the venue's time and signs with it.

    Every method raises Busy (a Retryable; ``retry_at`` in market ms) where asking again is right,
    Declined (a Refused; ``code`` is the venue's) where it is not, and the changing ones
    OutcomeUnknown where the request left and no answer came.
    """

    def __init__(
        self,
        rest_url: str,
        ws_url: str,
        key: str,
        secret: str,
        category: str = "linear",
        *,
        clock: MarketClock,
    ) -> None:
        self.clock = clock
        self.category = category
        self.ws_url = ws_url.rstrip("/")
        self.key = key
        self.rest = Rest(rest_url, key, secret, clock)
        self._jump_ms = 0
        self._leverages: dict[str, int] = {}

    @property
    def last_request_sent_ns(self) -> int:
        """When the newest request was written to its socket, monotonic ns."""
        return self.rest.last_sent_ns

    async def open(self) -> None:
        """Make the HTTP session; no byte is sent."""
        self.rest.open()

    async def close(self) -> None:
        """Close the HTTP session."""
        await self.rest.close()

    async def sync_clock(self) -> int:
        """Follow the venue's clock; return by how many ms it jumped since the last call, or 0."""
        await self.resync()
        jump, self._jump_ms = self._jump_ms, 0
        return jump

    async def resync(self) -> None:
        """Follow the venue's clock; the next ``sync_clock`` tells of the jump."""
        samples = [await self.rest.sample() for _ in range(CLOCK_SAMPLES)]
        self._jump_ms += self.clock.sync(samples)

    # -- the market --------------------------------------------------------------------------------

    async def instruments(self, symbols: Iterable[str] = ()) -> tuple[Instrument, ...]:
        """Return what of ``symbols`` may be traded, with fees; none means all that settle in USDT.

        Raises Refused if nothing is left.
        """
        wanted = frozenset(symbols)
        query = {"category": self.category, "limit": 1000}
        rows = await self._pages(
            "/v5/market/instruments-info", query, wire.InstrumentRow, signed=False
        )
        fees = await self._taker_fees()
        with _Doubt("instruments-info"):
            found = tuple(
                row.value(fees.get(row.symbol, TAKER_FEE_DEFAULT))
                for row in rows
                if row.status == "Trading" and (row.symbol in wanted if wanted else _usual(row))
            )
        if not found:
            raise Refused(f"the venue trades none of {', '.join(sorted(wanted)) or 'its symbols'}")
        return found

    async def _taker_fees(self) -> dict[str, Decimal]:
        try:
            rows = await self._pages(
                "/v5/account/fee-rate", {"category": self.category}, wire.FeeRow
            )
        except Declined:
            return {}  # a key without this right trades at the default fee
        with _Doubt("fee-rate"):
            return {row.symbol: wire.number(row.taker_fee_rate, "takerFeeRate") for row in rows}

    async def candles(self, symbol: str, after: int, limit: int) -> tuple[Candle, ...]:
        """Return closed 1-minute candles that open after ``after`` (ms), oldest first.

        The first ``limit`` of them, or the newest ``limit`` if ``after`` is 0. Holes are returned
        as they are: what is missing at the venue is missing here.
        """
        step = wire.MINUTE_MS
        newest = self.clock.venue_ms() // step * step  # may be open still: the venue decides below
        start = (after // step + 1) * step if after else newest - limit * step
        found: dict[int, Candle] = {}
        while start <= newest and len(found) < limit:
            count = min(PAGE_CANDLES, limit + 1)
            end = start + (count - 1) * step
            query = {"symbol": symbol, "interval": "1", "start": start, "end": end, "limit": count}
            reply = await self._get("/v5/market/kline", {"category": self.category, **query}, False)
            with _Doubt("kline"):
                rows = _decoded(reply, _Page).rows
                for raw in rows:
                    candle = _kline(raw)
                    if start <= candle.open_time <= reply.at - step:
                        found[candle.open_time] = candle
            start = end + step
        oldest_first = sorted(found.values(), key=lambda c: c.open_time)
        return tuple(oldest_first[:limit] if after else oldest_first[-limit:])

    async def mark(self, symbol: str) -> float:
        """Return the mark price of a symbol."""
        query = {"category": self.category, "symbol": symbol}
        rows = await self._pages("/v5/market/tickers", query, wire.TickerRow, signed=False)
        with _Doubt("tickers"):
            if not rows:
                raise ValueError(f"expected a ticker of {symbol}, found none")
            return wire.price(rows[0].mark_price or rows[0].last_price, "mark price")

    # -- the account -------------------------------------------------------------------------------

    async def account(self, orders: Iterable[tuple[str, str]], since: int) -> Reconciled:
        """Return wallet, positions, the named orders ``(id, symbol)``, and executions.

        Executions of before and after the reading are compared, so that what is returned fits
        together; after three readings that an execution fell into, the newest is returned.
        ``as_of`` is when the reading of what is returned began.
        """
        named = tuple(orders)
        fills = await self.fills(since)
        for _ in range(READINGS_MAX):
            as_of = self.clock.venue_ms()  # never ahead of the venue, as now() may be
            wallet, positions = await self.wallet(), await self.positions()
            rows = await self._rows(named)
            before, fills = fills, await self.fills(since)
            if len(before) == len(fills):
                break
        return Reconciled(
            at=self.clock.now(),
            as_of=as_of,
            wallet=wallet,
            positions=positions,
            orders=rows,
            fills=fills,
        )

    async def wallet(self) -> Decimal:
        """Return the USDT balance of the wallet, open profit not counted."""
        query = {"accountType": "UNIFIED", "coin": QUOTE}
        rows = await self._pages("/v5/account/wallet-balance", query, wire.WalletRow)
        with _Doubt("wallet-balance"):
            if not rows:
                raise ValueError("expected one unified account, found none")
            coins = {coin.coin: coin.wallet_balance for coin in rows[0].coin}
            return wire.number(coins.get(QUOTE) or "0", "walletBalance")

    async def positions(self) -> tuple[VenuePosition, ...]:
        """Return the open positions with the stop and target that the venue holds."""
        query = {"category": self.category, "settleCoin": QUOTE, "limit": 200}
        rows = await self._pages("/v5/position/list", query, wire.PositionRow)
        with _Doubt("position/list"):
            return tuple(position for row in rows if (position := row.value()).qty)

    async def open_orders(self) -> tuple[VenueOrder, ...]:
        """Return the open orders, without the stops and targets that the venue holds."""
        query = {"category": self.category, "settleCoin": QUOTE, "openOnly": 0, "limit": 50}
        rows = await self._pages("/v5/order/realtime", query, wire.OrderRow)
        with _Doubt("order/realtime"):
            values = [row.value() for row in rows if not row.is_stop]
        return tuple(value for value in values if value.status in _OPEN)

    async def find(self, order: str, symbol: str) -> VenueOrder | None:
        """Return an order by its client id, or None if the venue has never had it."""
        query = {"category": self.category, "symbol": symbol, "orderLinkId": order}
        for path in ("/v5/order/realtime", "/v5/order/history"):
            rows = await self._pages(path, query, wire.OrderRow)
            with _Doubt(path):
                for row in rows:
                    if row.order_link_id == order:
                        return row.value()
        return None

    async def _rows(self, named: tuple[tuple[str, str], ...]) -> tuple[VenueOrder, ...]:
        is_open = {row.order: row for row in await self.open_orders()} if len(named) > 1 else {}
        found = [is_open.get(order) or await self.find(order, symbol) for order, symbol in named]
        return tuple(row for row in found if row is not None)

    async def fills(self, since: int) -> tuple[VenueFill, ...]:
        """Return the executions at or after ``since`` (ms) that moved a position, oldest first."""
        now = self.clock.venue_ms()
        start = max(since, now - HISTORY_MS)
        found: dict[str, VenueFill] = {}
        while start <= now:
            window = {"startTime": start, "endTime": start + WEEK_MS - 1, "limit": 100}
            query = {"category": self.category, **window}
            rows = await self._pages("/v5/execution/list", query, wire.FillRow)
            with _Doubt("execution/list"):
                for row in reversed(rows):  # the venue answers newest first
                    if row.exec_type in wire.TRADES:
                        fill = row.value()
                        found[fill.fill] = fill
            start += WEEK_MS
        return tuple(sorted(found.values(), key=lambda fill: fill.at))

    # -- changes -----------------------------------------------------------------------------------

    async def cancel(self, order: str, symbol: str) -> None:
        """Cancel an order; one that is gone already is fine."""
        body = {"category": self.category, "symbol": symbol, "orderLinkId": order}
        await self._change("/v5/order/cancel", body, GONE)

    async def cancel_entries(self) -> None:
        """Cancel all open orders but the stops and targets of positions."""
        body = {"category": self.category, "settleCoin": QUOTE, "orderFilter": "Order"}
        await self._change("/v5/order/cancel-all", body, GONE)

    async def protect(self, symbol: str, stop: Decimal, take: Decimal | None) -> None:
        """Have the venue hold this stop and target (none: removed); unchanged is fine.

        Raises Refused, saying so, if there is no position to protect.
        """
        body = {
            "category": self.category,
            "symbol": symbol,
            "tpslMode": "Full",
            "positionIdx": 0,
            "stopLoss": f"{stop:f}",
            "takeProfit": "0" if take is None else f"{take:f}",
        }
        try:
            await self._change("/v5/position/trading-stop", body, UNCHANGED)
        except Declined as error:
            if error.code == BAD_PARAMETER and _ZERO_POSITION.search(str(error)):
                raise Declined(f"{symbol}: no position to protect ({error})", error.code) from error
            raise

    async def leverage(self, symbols: Iterable[str], leverage: int) -> None:
        """Set the leverage of each symbol; one that was set before is not asked for again."""
        for symbol in symbols:
            if self._leverages.get(symbol) == leverage:
                continue
            sides = {"buyLeverage": str(leverage), "sellLeverage": str(leverage)}
            body = {"category": self.category, "symbol": symbol, **sides}
            await self._change("/v5/position/set-leverage", body, UNCHANGED)
            self._leverages[symbol] = leverage

    # -- requests ----------------------------------------------------------------------------------

    async def _change(self, path: str, body: Mapping[str, Any], fine: frozenset[int]) -> None:
        reply = await self.rest.post(path, body)
        if reply.kind is Kind.ACK or reply.code in fine:
            return
        if reply.kind is Kind.UNKNOWN:
            raise OutcomeUnknown(f"{path}: {reply.reason}")
        await self._raise_for(path, reply)

    async def _get(self, path: str, query: Mapping[str, Any], signed: bool) -> Reply:
        reply = await self.rest.get(path, query, signed)
        if reply.kind is not Kind.ACK:
            await self._raise_for(path, reply)
        return reply

    async def _raise_for(self, path: str, reply: Reply) -> None:
        if reply.code == CLOCK:
            await self.resync()
        if reply.kind in (Kind.NOT_SENT, Kind.UNKNOWN):
            raise Busy(f"{path}: {reply.reason}", reply.retry_at)
        raise Declined(f"{path}: {reply.reason}", reply.code)

    async def _pages(
        self, path: str, query: Mapping[str, Any], kind: type[T], signed: bool = True
    ) -> list[T]:
        return [row async for row in self._rows_of(path, dict(query), kind, signed)]

    async def _rows_of(
        self, path: str, query: dict[str, Any], kind: type[T], signed: bool
    ) -> AsyncIterator[T]:
        """Yield the rows of all pages, in the venue's order."""
        for _ in range(PAGES_MAX):
            reply = await self._get(path, query, signed)
            with _Doubt(path):
                page = _decoded(reply, _Page)
                rows = [msgspec.json.decode(raw, type=kind) for raw in page.rows]
            for row in rows:
                yield row
            if not page.next_page_cursor or not rows:
                return
            query["cursor"] = page.next_page_cursor
        raise Busy(f"{path}: more than {PAGES_MAX} pages")


class _Doubt:
    """Turns an answer that cannot be true into Busy: asking again may give a true one."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (ValueError, ArithmeticError, RecursionError)):
            raise Busy(f"{self._path}: {safe_text(str(error))}") from error


def _decoded(reply: Reply, kind: type[T]) -> T:
    return msgspec.json.decode(reply.result, type=kind)


def _kline(raw: msgspec.Raw) -> Candle:
    start, opened, high, low, close, volume = msgspec.json.decode(raw, type=list[str])[:6]
    return wire.candle(int(wire.number(start, "start")), (opened, high, low, close), volume)


def _usual(row: wire.InstrumentRow) -> bool:
    """A perpetual, or a pair, that settles in USDT."""
    settles = (row.settle_coin or row.quote_coin) == QUOTE
    return settles and row.contract_type in ("", "LinearPerpetual")
