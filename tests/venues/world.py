"""A venue as the contract sees it: a port to trade through, and faults in words of no venue."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from decimal import Decimal

import msgspec

from bot.core.values import Side
from bot.edge.clock import MarketClock
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.send import send_order
from tests.edge.worlds import entry, raw_server, spawn_exchange, stop_exchange

SYMBOL = "ETHUSDT"
ORDER, AMEND, CANCEL = "/v5/order/create", "/v5/order/amend", "/v5/order/cancel"
PROTECT, WALLET = "/v5/position/trading-stop", "/v5/account/wallet-balance"
CANDLES, POSITIONS = "/v5/market/kline", "/v5/position/list"


class Ear(list):
    """Keeps what a venue tells of its trouble."""

    @property
    def kinds(self) -> list[str]:
        return [str(getattr(told, "kind", "answer")) for told in self]


class BybitWorld:
    """Bybit V5, as the simulated exchange speaks it, at 60 times real time."""

    name = "bybit"

    def __init__(self, folder) -> None:
        self.process, self.exchange = spawn_exchange(folder, "--speed", "60")

    def close(self) -> None:
        stop_exchange(self.process)

    def clear(self) -> None:
        self.exchange.control("clear")

    @contextlib.asynccontextmanager
    async def venue(self, heard=None):
        url, ws = self.exchange.url, self.exchange.ws_url
        venue = Bybit(url, ws, "paperkey", "papersecret", clock=MarketClock(), heard=heard)
        await venue.open()
        try:
            await venue.sync_clock()
            yield venue
        finally:
            await venue.close()

    # -- faults, each of the next request to a path ------------------------------------------------

    def cut(self, path: str, *, processed: bool, count: int = 1) -> None:
        when = "after" if processed else "before"
        self.exchange.fault("drop", match=path, when=when, count=count)

    def late(self, path: str, ms: int) -> None:
        self.exchange.fault("delay", match=path, when="after", ms=ms)

    def status(self, path: str, status: int, *, processed: bool = False, count: int = 1) -> None:
        when = "after" if processed else "before"
        self.exchange.fault("http_status", match=path, status=status, when=when, count=count)

    def code(self, path: str, code: int, count: int = 1) -> None:
        self.exchange.fault("ret_code", match=path, code=code, count=count)

    def partial(self, share: float) -> None:
        self.exchange.fault("reject_rest", share=share)

    def garble(self, path: str, how: str) -> None:
        self.exchange.fault("garble", match=path, how=how)

    def lot(self, symbol: str, lot: str) -> None:
        self.exchange.fault("filters", category="linear", symbol=symbol, step=lot)


async def prices(venue, symbol: str = SYMBOL) -> tuple[Decimal, Decimal, Decimal]:
    """A price below the market, the market's, and one above it, on the grid."""
    (instrument,) = await venue.instruments([symbol])
    mark = await venue.mark(symbol)
    return tuple(instrument.round_price(mark * factor) for factor in (0.8, 1.0, 1.2))


async def resting(venue, qty: str = "0.1", symbol: str = SYMBOL, **fields):
    """An entry that stays open: its limit is far below the market."""
    low, _, _ = await prices(venue, symbol)
    submit = entry(qty, symbol, price=low, **fields)
    assert (await send_order(venue, submit)).kind == "ACK"
    return submit


async def flat(venue, symbol: str = SYMBOL) -> None:
    """Close the position of a symbol, whatever it is."""
    for position in await venue.positions():
        if position.symbol == symbol:
            side = Side.SELL if position.qty > 0 else Side.BUY
            await send_order(venue, entry(abs(position.qty), symbol, side, reduce_only=True))


async def position_of(venue, symbol: str = SYMBOL):
    found = [p for p in await venue.positions() if p.symbol == symbol]
    return found[0] if found else None


class Scripted:
    """A venue of our own that answers each path with what the test says, and counts requests."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.status = "200 OK"
        self.headers = ""
        self.seen: Callable[[], None] = lambda: None  # called before each answer

    def ok(self, path: str, **result) -> None:
        self.answers[path] = json.dumps({"retCode": 0, "retMsg": "OK", "result": result}).encode()

    def refuse(self, path: str, code: int, message: str) -> None:
        self.answers[path] = msgspec.json.encode({"retCode": code, "retMsg": message, "result": {}})

    async def handle(self, reader, writer) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                target = head.split()[1].partition("?")[0]
                self.asked.append(target)
                self.seen()
                size = next(
                    (int(x.split(":")[1]) for x in head.lower().splitlines() if "length:" in x), 0
                )
                self.bodies.append(await reader.readexactly(size))
                body = self.answers.get(target, b'{"retCode":0,"retMsg":"OK","result":{}}')
                start = f"HTTP/1.1 {self.status}\r\n{self.headers}Content-Length: {len(body)}\r\n"
                writer.write(f"{start}\r\n".encode() + body)
                await writer.drain()

    @contextlib.asynccontextmanager
    async def venue(self, heard=None, key="paperkey", secret="papersecret"):
        async with raw_server(self.handle) as url:
            venue = Bybit(url, "ws://127.0.0.1:1", key, secret, clock=MarketClock(), heard=heard)
            await venue.open()
            try:
                yield venue
            finally:
                await venue.close()
