"""Asks a Bybit V5 account questions and changes its orders and protection; it sends no order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

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
from bot.edge.venues.asking import Asking, Doubt, Page, decoded
from bot.edge.venues.budget import Priority
from bot.edge.venues.cache import Cache
from bot.edge.venues.codes import BAD_PARAMETER, GONE, UNCHANGED, Kind, is_known
from bot.edge.venues.keys import KeyInfo, key_info
from bot.edge.venues.rest import Busy, Declined, Rest
from bot.edge.venues.trouble import Heard
from bot.edge.venues.wire import QUOTE
from bot.errors import Refused

TRIGGER = "MarkPrice"  # one trade far off the market must not close a position
PAGE_CANDLES = 1_000
WEEK_MS = 7 * 86_400_000
HISTORY_MS = 730 * 86_400_000  # the venue keeps two years
TAKER_FEE_DEFAULT = Decimal("0.00055")
INSTRUMENTS_REAL_SECONDS = 3_600.0
FEES_REAL_SECONDS = 6 * 3_600.0
KEY_REAL_SECONDS = 600.0
_OPEN = (OrderStatus.OPEN, OrderStatus.PARTIAL)
_ZERO_POSITION = re.compile(r"zero.?position|position.*(not exist|is zero)", re.IGNORECASE)
_SAME = re.compile(r"remains unchanged|not modified", re.IGNORECASE)


def weeks(since: int, now: int) -> Iterator[dict[str, int]]:
    """Yield the windows (ms) that cover a time: the venue lists what is past a week at most."""
    for start in range(since, now + 1, WEEK_MS):
        yield {"startTime": start, "endTime": start + WEEK_MS - 1}


class Bybit(Asking):
    """One account at one address. ``clock`` follows the venue's time and signs with it.

    Every method raises Busy (a Retryable; ``retry_at`` in market ms) where asking again is right,
    Declined (a Refused; ``code`` is the venue's) where it is not, and the changing ones
    OutcomeUnknown where the request left and no answer came. ``heard`` is told of the venue's
    trouble and of its end. An address is a URL or ``unix:/path``.
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
        heard: Heard | None = None,
    ) -> None:
        super().__init__(Rest(rest_url, key, secret, clock, heard), clock)
        self.category = category
        self.ws_url = ws_url
        self.key = key
        self._leverages: dict[str, int] = {}
        self._instruments: Cache[tuple[wire.InstrumentRow, ...]] = Cache(
            INSTRUMENTS_REAL_SECONDS, 1
        )
        self._fees: Cache[dict[str, Decimal]] = Cache(FEES_REAL_SECONDS, 1)
        self._key: Cache[KeyInfo] = Cache(KEY_REAL_SECONDS, 1)

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

    async def key_info(self, *, anew: bool = False) -> KeyInfo:
        """Return what the venue says of the key and its account, at most ten minutes old."""
        found = None if anew else self._key.get("")
        if found is None:
            found = await key_info(self)
            self._key.put("", found)
        return found

    # -- the market --------------------------------------------------------------------------------

    async def instruments(self, symbols: Iterable[str] = ()) -> tuple[Instrument, ...]:
        """Return what of ``symbols`` may be traded, with fees; none means all that settle in USDT.

        At most an hour old (``forget`` asks anew). Raises Refused if nothing is left.
        """
        wanted = frozenset(symbols)
        rows = self._instruments.get("")
        if rows is None:
            query = {"category": self.category, "limit": 1000}
            rows = tuple(
                await self.pages(
                    "/v5/market/instruments-info",
                    query,
                    wire.InstrumentRow,
                    signed=False,
                    priority=Priority.MARKET,
                )
            )
            self._instruments.put("", rows)
        fees = await self._taker_fees()
        with Doubt("instruments-info"):
            found = tuple(
                row.value(fees.get(row.symbol, TAKER_FEE_DEFAULT))
                for row in rows
                if row.status == "Trading" and (row.symbol in wanted if wanted else _usual(row))
            )
        if not found:
            raise Refused(f"the venue trades none of {', '.join(sorted(wanted)) or 'its symbols'}")
        return found

    def forget(self) -> None:
        """Forget instruments, fees, and the key's rights: the next question goes to the venue."""
        for cache in (self._instruments, self._fees, self._key):
            cache.clear()

    async def _taker_fees(self) -> dict[str, Decimal]:
        fees = self._fees.get("")
        if fees is not None:
            return fees
        query = {"category": self.category}
        path = "/v5/account/fee-rate"
        try:
            rows = await self.pages(path, query, wire.FeeRow, priority=Priority.MARKET)
        except Declined:
            return {}  # a key without this right trades at the default fee
        with Doubt("fee-rate"):
            fees = {row.symbol: wire.number(row.taker_fee_rate, "takerFeeRate") for row in rows}
        self._fees.put("", fees)
        return fees

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
            query: dict[str, Any] = {"symbol": symbol, "interval": "1", "start": start}
            query |= {"end": end, "limit": count}
            query["category"] = self.category
            reply = await self.ask("/v5/market/kline", query, False, Priority.MARKET)
            with Doubt("kline"):
                rows = decoded(reply, Page).rows
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
        rows = await self.pages("/v5/market/tickers", query, wire.TickerRow, signed=False)
        with Doubt("tickers"):
            if not rows:
                raise ValueError(f"expected a ticker of {symbol}, found none")
            return wire.price(rows[0].mark_price or rows[0].last_price, "mark price")

    # -- the account -------------------------------------------------------------------------------

    async def wallet(self) -> Decimal:
        """Return the USDT balance of the wallet, open profit not counted."""
        query = {"accountType": "UNIFIED", "coin": QUOTE}
        rows = await self.pages("/v5/account/wallet-balance", query, wire.WalletRow)
        with Doubt("wallet-balance"):
            if not rows:
                raise ValueError("expected one unified account, found none")
            coins = {coin.coin: coin.wallet_balance for coin in rows[0].coin}
            return wire.number(coins.get(QUOTE) or "0", "walletBalance")

    async def positions(self) -> tuple[VenuePosition, ...]:
        """Return the open positions with the stop and target that the venue holds."""
        rows = await self._position_rows(settleCoin=QUOTE)
        with Doubt("position/list"):
            return tuple(position for row in rows if (position := row.value()).qty)

    async def hedged(self) -> str:
        """Return a symbol with a position a side (hedge mode), or "" where each has one.

        Only open positions are listed; an account without any shows its mode by its first symbol.
        """
        rows = await self._position_rows(settleCoin=QUOTE)
        if not rows:
            rows = await self._position_rows(symbol=(await self.instruments())[0].symbol)
        with Doubt("position/list"):
            return next((wire.symbol(row.symbol) for row in rows if row.position_idx), "")

    async def _position_rows(self, **which: str) -> list[wire.PositionRow]:
        query = {"category": self.category, **which, "limit": 200}
        return await self.pages("/v5/position/list", query, wire.PositionRow)

    async def open_orders(self) -> tuple[VenueOrder, ...]:
        """Return the open orders, conditional entries among them, without what protects."""
        return (await self._open())[0]

    async def open_entries(self) -> tuple[tuple[VenueOrder, ...], bool]:
        """Return the open orders that may open a position, and whether they are all there are.

        The others are limits that can only reduce one, such as a target that a person set.
        """
        found, reducing = await self._open()
        entries = tuple(order for order in found if order.venue_id not in reducing)
        return entries, len(entries) == len(found)

    async def _open(self) -> tuple[tuple[VenueOrder, ...], frozenset[str]]:
        """Return what is open and protects nothing, and the venue's ids of what only reduces."""
        query = {"category": self.category, "settleCoin": QUOTE, "openOnly": 0, "limit": 50}
        rows = await self.pages("/v5/order/realtime", query, wire.OrderRow)
        with Doubt("order/realtime"):
            values = [(row.value(), row.only_reduces) for row in rows if not row.protects]
        is_open = tuple(value for value, _ in values if value.status in _OPEN)
        return is_open, frozenset(value.venue_id for value, reduces in values if reduces)

    async def find(self, order: str, symbol: str) -> VenueOrder | None:
        """Return an order by its client id, or None if the venue has never had it."""
        query = {"category": self.category, "symbol": symbol, "orderLinkId": order}
        for path in ("/v5/order/realtime", "/v5/order/history"):
            rows = await self.pages(path, query, wire.OrderRow)
            with Doubt(path):
                for row in rows:
                    if row.order_link_id == order:
                        return row.value()
        return None

    async def is_executed(self, order: str, symbol: str) -> bool:
        """Tell whether an execution of an order is listed, even where the order is not (yet)."""
        query = {"category": self.category, "symbol": symbol, "orderLinkId": order}
        reply = await self.ask("/v5/execution/list", query, True, Priority.INQUIRE)
        with Doubt("execution/list"):
            rows = [
                msgspec.json.decode(raw, type=wire.FillRow) for raw in decoded(reply, Page).rows
            ]
        return any(row.order_link_id == order for row in rows)

    async def fills(self, since: int) -> tuple[VenueFill, ...]:
        """Return the executions at or after ``since`` (ms) that moved a position, oldest first."""
        now = self.clock.venue_ms()
        found: dict[str, VenueFill] = {}
        for week in weeks(max(since, now - HISTORY_MS), now):
            query = {"category": self.category, **week, "limit": 100}
            rows = await self.pages("/v5/execution/list", query, wire.FillRow)
            with Doubt("execution/list"):
                for row in reversed(rows):  # the venue answers newest first
                    if row.exec_type in wire.TRADES:
                        fill = row.value()
                        found[fill.fill] = fill
                        self._note_fee(row)
        return tuple(sorted(found.values(), key=lambda fill: fill.at))

    def _note_fee(self, row: wire.FillRow) -> None:
        """Tell the listener once of a coin that fees are taken in and no wallet here shows."""
        if not row.fee_is_booked:
            coin = safe_text(row.fee_currency, 20)
            reason = f"expected fees in {QUOTE}, found one in {coin}: it is not booked"
            self.rest.ear.unseen(f"fee in {coin}", reason)

    # -- changes -----------------------------------------------------------------------------------

    async def cancel(self, order: str, symbol: str, venue_id: str = "") -> None:
        """Cancel an order, by the venue's id where it is given; one that is gone is fine."""
        body = {"category": self.category, "symbol": symbol}
        body |= {"orderId": venue_id} if venue_id else {"orderLinkId": order}
        await self.change("/v5/order/cancel", body, GONE, Priority.CANCEL)

    async def cancel_entries(self) -> None:
        """Cancel all open orders but those that wait for a trigger: stops, targets, entries."""
        body = {"category": self.category, "settleCoin": QUOTE, "orderFilter": "Order"}
        await self.change("/v5/order/cancel-all", body, GONE, Priority.CANCEL)

    async def amend(self, order: str, symbol: str, price: Decimal) -> None:
        """Move an open limit order to another price; one that is there already is fine.

        Raises Declined with a code in ``codes.GONE`` if the order is not open any more.
        """
        body = {"category": self.category, "symbol": symbol, "orderLinkId": order}
        body["price"] = f"{price:f}"
        try:
            await self.change("/v5/order/amend", body, UNCHANGED, Priority.ENTRY)
        except Declined as error:
            if error.code != BAD_PARAMETER or not _SAME.search(str(error)):
                raise

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
            "slTriggerBy": TRIGGER,
            "tpTriggerBy": TRIGGER,
        }
        path = "/v5/position/trading-stop"
        try:
            await self.change(path, body, UNCHANGED, Priority.PROTECT)
        except Declined as error:
            if error.code == BAD_PARAMETER and _ZERO_POSITION.search(str(error)):
                raise Declined(f"{symbol}: no position to protect ({error})", error.code) from error
            raise

    async def leverage(self, symbols: Iterable[str], leverage: int) -> None:
        """Set the leverage of each symbol; one that was set before is not asked for again.

        A symbol that declines stops no other. Raises Declined at the end, naming those that did.
        """
        declined = []
        for symbol in symbols:
            if self._leverages.get(symbol) == leverage:
                continue
            sides = {"buyLeverage": str(leverage), "sellLeverage": str(leverage)}
            body = {"category": self.category, "symbol": symbol, **sides}
            try:
                await self.change("/v5/position/set-leverage", body, UNCHANGED, Priority.ENTRY)
            except Declined as error:
                declined.append((symbol, error))
            else:
                self._leverages[symbol] = leverage
        if declined:
            named = "; ".join(f"{symbol}: {error}" for symbol, error in declined)
            raise Declined(named, declined[0][1].code)

    async def arm_dcp(self, seconds: int) -> None:
        """Have orders cancelled once all private streams were away for 3 to 300 venue seconds.

        It acts on an account that has a stream of ``dcp.TOPIC``. Raises Declined where the account
        may not have it (only institutions may), under whatever code; Busy.
        """
        body = {"product": "DERIVATIVES", "timeWindow": seconds}
        path = "/v5/order/disconnected-cancel-all"
        reply = await self.rest.post(path, body, Priority.INQUIRE, optional=True)
        if reply.kind is Kind.REJECTED or not is_known(reply.code):
            raise Declined(f"{path}: {reply.reason}", reply.code)
        if reply.kind is not Kind.ACK:
            raise Busy(f"{path}: {reply.reason}", reply.retry_at)

    async def dcp_seconds(self) -> int:
        """Return the window that the venue says is armed, in its seconds; 0 for none."""
        path = "/v5/account/query-dcp-info"
        reply = await self.ask(path, {}, True, Priority.INQUIRE)
        with Doubt(path):
            rows = decoded(reply, wire.DcpRows).dcp_infos
            armed = [row for row in rows if row.product == "DERIVATIVES" and row.dcp_status == "ON"]
            return int(wire.number(armed[0].time_window, "timeWindow")) if armed else 0


def _kline(raw: msgspec.Raw) -> Candle:
    start, opened, high, low, close, volume = msgspec.json.decode(raw, type=list[str])[:6]
    return wire.candle(int(wire.number(start, "start")), (opened, high, low, close), volume)


def _usual(row: wire.InstrumentRow) -> bool:
    """A perpetual, or a pair, that settles in USDT."""
    settles = (row.settle_coin or row.quote_coin) == QUOTE
    return settles and row.contract_type in ("", "LinearPerpetual")
