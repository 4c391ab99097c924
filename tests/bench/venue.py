"""A small venue in a process of its own: sends closed candles, refuses every order, and notes when.

It speaks enough of Bybit V5 for the bot to run. The first line on stdout has its addresses; when
the rounds are over, the second has ``sent``, ``arrived`` (monotonic ns), and ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.bench.rig import MINUTE, SYMBOLS, T0

RATE = 50.0
REFUSED = 110007  # not enough balance: the order ends at once
ALL, ONE, ALONE = "all", "one", "alone"
TRADED, QUIET = "1250", "1000"  # volumes of candles that are a signal, and of those that are none


def bar(start: int) -> list[str]:
    """Return start, open, high, low, close, volume of the candle that opens at ``start``."""
    opened, close = (100 + math.sin(n / 7) for n in (start // MINUTE - 1, start // MINUTE))
    prices = (opened, max(opened, close) + 0.05, min(opened, close) - 0.05, close)
    return [str(start), *(f"{price:.2f}" for price in prices), QUIET]


class Market:
    """The venue's clock, and when it sent what and received which order."""

    def __init__(self) -> None:
        self.began = time.monotonic_ns()
        self.sent: dict[str, tuple[int, str]] = {}
        self.arrived: dict[str, int] = {}
        self.public: ServerConnection | None = None
        self.subscribed = asyncio.Event()

    def ms(self) -> int:
        """Return market time."""
        return T0 + int((time.monotonic_ns() - self.began) / 1e6 * RATE)

    def frame(self, symbol: str, start: int, volume: str) -> bytes:
        """Return a closed candle as the stream sends it."""
        _, opened, high, low, close, _ = bar(start)
        row = {
            "start": start,
            "end": start + MINUTE - 1,
            "interval": "1",
            "open": opened,
            "close": close,
        }
        row |= {"high": high, "low": low, "volume": volume, "turnover": "1250", "confirm": True}
        data = [{**row, "timestamp": start + MINUTE}]
        topic = f"kline.1.{symbol}"
        return _json({"topic": topic, "data": data, "ts": start + MINUTE, "type": "snapshot"})

    async def candle(self, frame: bytes, symbol: str, start: int, kind: str) -> None:
        """Send one and note when."""
        assert self.public is not None
        self.sent[f"{symbol} {start}"] = (time.monotonic_ns(), kind)
        await self.public.send(frame, text=True)

    async def quotes(self) -> None:
        """Send a price of every symbol."""
        assert self.public is not None
        for symbol in SYMBOLS:
            data = {"symbol": symbol, "lastPrice": "100.00", "markPrice": "100.00"}
            topic = f"tickers.{symbol}"
            await self.public.send(
                _json({"topic": topic, "type": "snapshot", "data": data, "ts": self.ms()}),
                text=True,
            )

    async def until(self, at: int) -> None:
        """Wait for a market time."""
        await asyncio.sleep(max(0.0, (at - self.ms()) / 1000 / RATE))

    async def rounds(self, warm: int, each: int) -> None:
        """Play rounds of every kind, one a market minute."""
        for _ in range(warm):
            await self.round(ALL, "")
        self.sent.clear()
        self.arrived.clear()
        for n in range(each):
            for kind in (ALL, ONE, ALONE):
                await self.round(kind, SYMBOLS[n % len(SYMBOLS)])

    async def round(self, kind: str, chosen: str) -> None:
        """Send the candles that have just closed; the chosen one may come later. Then quotes."""
        start = self.ms() // MINUTE * MINUTE
        volumes = {s: TRADED if kind == ALL or s == chosen else QUIET for s in SYMBOLS}
        frames = {symbol: self.frame(symbol, start, volumes[symbol]) for symbol in SYMBOLS}
        later = {chosen} if kind == ALONE else set()
        await self.until(start + MINUTE)
        for symbol in SYMBOLS:
            if symbol not in later:
                await self.candle(frames[symbol], symbol, start, kind)
        await self.until(start + MINUTE + MINUTE * 3 // 10)
        for symbol in later:
            await self.candle(frames[symbol], symbol, start, kind)
        await self.until(start + MINUTE + MINUTE * 5 // 10)
        await self.quotes()

    async def socket(self, connection: ServerConnection) -> None:
        """Answer what a client of the streams asks."""
        path = connection.request.path if connection.request else ""
        with contextlib.suppress(ConnectionClosed):  # the bot left
            async for raw in connection:
                asked = json.loads(raw)
                await connection.send(
                    _json({"op": asked["op"], "success": True, "ret_msg": "", "req_id": ""}),
                    text=True,
                )
                if asked["op"] == "subscribe" and path.startswith("/v5/public"):
                    self.public = connection
                    self.subscribed.set()

    def answer(self, path: str, query: dict[str, str], body: bytes) -> tuple[int, Any]:
        """Return code and result of a REST request."""
        if path == "/v5/order/create":
            self.arrived[json.loads(body)["orderLinkId"]] = time.monotonic_ns()
            return REFUSED, {}
        if path == "/v5/market/time":
            return 0, {"timeSecond": str(self.ms() // 1000), "timeNano": str(self.ms() * 1_000_000)}
        if path == "/v5/market/kline":
            first, last = int(query["start"]), min(int(query["end"]), self.ms())
            rows = [bar(start) for start in range(first // MINUTE * MINUTE, last, MINUTE)]
            return 0, {"list": rows[::-1]}
        if path == "/v5/user/query-api":
            return 0, _KEY
        return 0, {"list": _LISTS.get(path, [])}


_KEY = {
    "userID": 1,
    "readOnly": 0,
    "permissions": {"ContractTrade": ["Order", "Position"]},
    "ips": ["127.0.0.1"],
}
_LISTS: dict[str, list[Any]] = {
    "/v5/market/instruments-info": [
        {
            "symbol": symbol,
            "status": "Trading",
            "contractType": "LinearPerpetual",
            "settleCoin": "USDT",
            "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "minNotionalValue": "5"},
            "priceFilter": {"tickSize": "0.01"},
        }
        for symbol in SYMBOLS
    ],
    "/v5/account/fee-rate": [{"symbol": symbol, "takerFeeRate": "0.00055"} for symbol in SYMBOLS],
    "/v5/account/wallet-balance": [{"coin": [{"coin": "USDT", "walletBalance": "100000"}]}],
}


class Http(asyncio.Protocol):
    """Just enough of HTTP/1.1: what arrives is stamped before anything else is done."""

    def __init__(self, market: Market) -> None:
        self.market, self.waiting = market, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self.waiting += data
        while b"\r\n\r\n" in self.waiting:
            head, _, rest = self.waiting.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:])
            length = int(fields.get("content-length", 0))
            if len(rest) < length:
                return
            body, self.waiting = rest[:length], rest[length:]
            target = urlsplit(lines[0].split(" ")[1])
            query = {name: values[0] for name, values in parse_qs(target.query).items()}
            code, result = self.market.answer(target.path, query, body)
            self.reply({"retCode": code, "retMsg": "", "result": result, "time": self.market.ms()})

    def reply(self, fields: dict[str, Any]) -> None:
        """Send a reply with the market's rate."""
        body = _json(fields)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Market-Rate: {RATE:g}\r\n"
        head += "X-Bapi-Limit: 100000\r\nX-Bapi-Limit-Status: 99999\r\n"  # none that is met here
        self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def _json(fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


async def main(warm: int, each: int) -> None:
    """Serve until the rounds are over."""
    market = Market()
    http = await asyncio.get_running_loop().create_server(lambda: Http(market), "127.0.0.1", 0)
    async with serve(market.socket, "127.0.0.1", 0, compression=None) as sockets:
        ports = [server.sockets[0].getsockname()[1] for server in (http, sockets)]
        addresses = {"rest": f"http://127.0.0.1:{ports[0]}", "ws": f"ws://127.0.0.1:{ports[1]}"}
        print(json.dumps(addresses), flush=True)
        playing = asyncio.create_task(play(market, warm, each))
        left = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))  # ends with the bot
        await asyncio.wait({playing, left}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            await playing
            await left
        os._exit(0)  # whatever still waits for the bot


async def play(market: Market, warm: int, each: int) -> None:
    """Play all rounds once the bot listens, and print what was noted."""
    await market.subscribed.wait()
    while not market.arrived:
        await market.round(ALL, "")
    await market.rounds(warm, each)
    print(json.dumps({"sent": market.sent, "arrived": market.arrived}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
