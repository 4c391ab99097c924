"""Follows a real venue's public prices, so that orders here are filled on real markets.

History comes from the venue's candles over REST, the present from its `tickers` and `kline.1`
streams. A second without a message has the price of the second before; when a minute closes, the
venue's own candle replaces what was seen of it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from exchange.candles import CLOSE, VOLUME, CandleTable
from exchange.clock import MarketClock
from exchange.errors import BadStart
from exchange.instruments import CATEGORIES, Category
from exchange.paths import Floats

_HISTORY_M = 3 * 1440
_KEEP_M = 7 * 1440
_PAGE = 1000
_SUBSCRIBE_AT_ONCE = 10
_SILENT_S = 30.0
_PING_S = 15.0
_log = logging.getLogger("exchange.live")
Row = dict[str, Any]


class LiveFeed:
    """A path whose prices arrive while it is read; also the tasks that fetch them."""

    def __init__(self, rest_url: str, stream_url: str, symbols: tuple[str, ...]) -> None:
        self.symbols = symbols
        self.grids: dict[tuple[Category, str], tuple[Decimal, Decimal]] = {}
        self._rest = rest_url.rstrip("/")
        self._stream = stream_url.rstrip("/")
        self._tables: dict[str, CandleTable] = {}
        self._seen: dict[str, dict[int, float]] = {symbol: {} for symbol in symbols}
        self._clock: MarketClock | None = None
        self._task: asyncio.Task[None] | None = None

    # Path

    def span(self, symbol: str) -> tuple[int, int | None]:
        """From the oldest candle on."""
        return self._tables[symbol].first_m * 60, None

    def prices(self, symbol: str, start_s: int, stop_s: int) -> Floats:
        """Closed minutes from candles, the present from what was seen."""
        table = self._tables[symbol]
        edge = table.stop_m * 60
        old = table.prices(start_s, min(stop_s, edge), 0) if start_s < edge else np.empty(0)
        if stop_s <= edge:
            return old
        last = float(table.rows[-1, CLOSE])
        seen = self._seen[symbol]
        prices = np.empty(stop_s - edge)
        for place in range(len(prices)):
            last = prices[place] = seen.get(edge + place, last)
        return np.concatenate([old, prices[max(start_s - edge, 0) :]])

    def volumes(self, symbol: str, start_m: int, stop_m: int) -> Floats:
        """Base coin a minute; an open minute counts as the last closed one."""
        table = self._tables[symbol]
        places = np.minimum(np.arange(start_m, stop_m), table.stop_m - 1) - table.first_m
        return np.asarray(table.rows[places, VOLUME], dtype=np.float64)

    # History

    async def load(self) -> None:
        """Fetches grids and three days of candles; raises `BadStart` if that fails."""
        try:
            timeout = aiohttp.ClientTimeout(total=20)
            async with aiohttp.ClientSession(timeout=timeout) as session:
                for category in CATEGORIES:
                    await self._load_grids(session, category)
                for symbol in self.symbols:
                    await self._load_candles(session, symbol)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            raise BadStart(
                f"--live: expected instruments and candles from {self._rest}, found: {error!r}"
            ) from None

    def last_prices(self) -> dict[str, float]:
        """The newest close of each symbol."""
        return {s: float(table.rows[-1, CLOSE]) for s, table in self._tables.items()}

    async def _ask(self, session: aiohttp.ClientSession, path: str, **query: Any) -> Any:
        async with session.get(self._rest + path, params=query) as answer:
            body = msgspec.json.decode(await answer.read())
        if body["retCode"] != 0:
            raise ValueError(f"{path}: {body['retCode']} {body['retMsg']}")
        return body["result"]

    async def _load_grids(self, session: aiohttp.ClientSession, category: Category) -> None:
        for symbol in self.symbols:
            found = await self._ask(
                session, "/v5/market/instruments-info", category=category, symbol=symbol
            )
            for row in found["list"]:
                lots = row["lotSizeFilter"]
                step = Decimal(lots["basePrecision" if category == "spot" else "qtyStep"])
                self.grids[category, symbol] = Decimal(row["priceFilter"]["tickSize"]), step

    async def _load_candles(self, session: aiohttp.ClientSession, symbol: str) -> None:
        rows: dict[int, list[float]] = {}
        end: int | None = None
        while len(rows) < _HISTORY_M:
            more = {} if end is None else {"end": end}
            found = await self._ask(
                session,
                "/v5/market/kline",
                category="linear",
                symbol=symbol,
                interval="1",
                limit=_PAGE,
                **more,
            )
            page = {int(row[0]) // 60_000: [float(v) for v in row[1:6]] for row in found["list"]}
            if not page or page.keys() <= rows.keys():
                break
            rows |= page
            end = min(page) * 60_000 - 1
        if len(rows) < 2:
            raise ValueError(f"no candles of {symbol}")
        minutes = sorted(rows)[:-1]  # the newest may be open
        table = CandleTable(symbol, minutes[0], 1, np.array([rows[minutes[0]]]))
        for minute in minutes[1:]:
            _append(table, minute, rows[minute])
        self._tables[symbol] = table

    # Present

    def follow(self, clock: MarketClock) -> None:
        """Says whose seconds the stream's prices belong to."""
        self._clock = clock

    async def begin(self) -> None:
        """Starts to follow the stream."""
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Stops to follow."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        """Dials again for ever, ever more slowly while the venue refuses."""
        fails = 0
        while True:
            try:
                await self._session()
                fails = 0
            except (OSError, WebSocketException, TimeoutError, msgspec.MsgspecError) as error:
                fails += 1
                _log.warning("live stream lost, dialling again: %r", error)
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(30.0, 0.5 * 2.0 ** min(fails, 6)))
            await self._refill()

    async def _refill(self) -> None:
        """Fetches the candles that were missed while the stream was away."""
        old = dict(self._tables)
        try:
            await self.load()
        except BadStart as error:
            self._tables = old
            _log.warning("%s", error)

    async def _session(self) -> None:
        url = f"{self._stream}/v5/public/linear"
        async with connect(url, compression=None, max_queue=1024) as socket:
            topics = [f"{kind}.{s}" for s in self.symbols for kind in ("tickers", "kline.1")]
            for at in range(0, len(topics), _SUBSCRIBE_AT_ONCE):
                args = topics[at : at + _SUBSCRIBE_AT_ONCE]
                await socket.send(msgspec.json.encode({"op": "subscribe", "args": args}).decode())
            pinger = asyncio.create_task(_ping(socket))
            try:
                while True:
                    async with asyncio.timeout(_SILENT_S):
                        message = msgspec.json.decode(await socket.recv())
                    self._receive(message)
            finally:
                pinger.cancel()

    def _receive(self, message: Row) -> None:
        kind, _, rest = str(message.get("topic", "")).partition(".")
        symbol = rest.rpartition(".")[2]
        if symbol not in self._tables:
            return
        if kind == "tickers":
            self._see(symbol, message["data"].get("lastPrice"))
        elif kind == "kline":
            for row in message["data"]:
                self._see(symbol, row["close"])
                if row["confirm"]:
                    self._close_minute(symbol, row)

    def _see(self, symbol: str, text: str | None) -> None:
        price = float(text or "nan")
        if self._clock is not None and math.isfinite(price) and price > 0:
            self._seen[symbol][self._clock.now_s()] = price

    def _close_minute(self, symbol: str, row: Row) -> None:
        names = ("open", "high", "low", "close", "volume")
        _append(self._tables[symbol], int(row["start"]) // 60_000, [float(row[n]) for n in names])
        edge = self._tables[symbol].stop_m * 60
        self._seen[symbol] = {s: p for s, p in self._seen[symbol].items() if s >= edge}


def _append(table: CandleTable, minute: int, values: list[float]) -> None:
    """Adds a closed minute; a hole before it is flat, an old minute is left as it is."""
    missing = minute - table.stop_m
    if missing < 0:
        return
    close = float(table.rows[-1, CLOSE])
    flat = np.tile([close, close, close, close, 0.0], (missing, 1))
    rows = np.concatenate([table.rows, flat, [values]])
    dropped = max(0, len(rows) - _KEEP_M)
    table.rows, table.first_m = rows[dropped:], table.first_m + dropped


async def _ping(socket: ClientConnection) -> None:
    while True:
        await asyncio.sleep(_PING_S)
        await socket.send('{"op":"ping"}')
