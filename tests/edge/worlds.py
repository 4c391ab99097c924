"""The exchange as a program of its own, servers that misbehave, and a recorder of events."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec

from bot.core.effects import Effect, Submit
from bot.core.events import Event
from bot.core.turn import Dispatch
from bot.core.values import Side
from bot.edge.clock import MarketClock
from bot.edge.venues.budget import Priority
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.wire import OrderIds
from bot.engine.effects import Runner
from tests import nursery

_ids = itertools.count(1)
RISES, FALLS = 1, 2  # what a trigger price waits for


class Exchange:
    """A running `python -m exchange`, and what its control endpoints do."""

    def __init__(self, line: dict) -> None:
        self.url = line["url"]
        self.ws_url = self.url.replace("http", "ws", 1)
        self.pid = line["pid"]

    def control(self, what: str, **body):
        data = None if what == "state" else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/control/{what}", data, timeout=5) as answer:
            return json.loads(answer.read())

    def fault(self, kind: str, **fields) -> None:
        self.control("fault", kind=kind, **fields)

    @contextlib.asynccontextmanager
    async def venue(self, secret: str = "papersecret"):
        async with venue_at(self.url, self.ws_url, secret) as venue:
            await venue.sync_clock()
            yield venue


@contextlib.asynccontextmanager
async def venue_at(url: str, ws_url: str = "ws://127.0.0.1:1", secret: str = "papersecret"):
    venue = Bybit(url, ws_url, "paperkey", secret, clock=MarketClock())
    await venue.open()
    try:
        yield venue
    finally:
        await venue.close()


def spawn_exchange(directory, *flags: str, rate_limit=False) -> tuple[nursery.Child, Exchange]:
    flags = ("--book", str(directory / "book.db"), "--idle-exit", "60", *flags)
    flags += () if rate_limit else ("--no-rate-limit",)
    process = nursery.start("exchange", *flags, cwd=directory, stdout=subprocess.PIPE)
    watchdog = threading.Timer(20, process.kill)
    watchdog.start()
    line = process.stdout.readline()
    watchdog.cancel()
    return process, Exchange(json.loads(line))


def stop_exchange(process: nursery.Child) -> None:
    process.terminate()
    process.wait(10)
    process.stdout.close()


class Recorder:
    """Takes events as a stream posts them; `until` waits for one without a sleep."""

    def __init__(self) -> None:
        self.events: list = []
        self._news = asyncio.Event()

    def __call__(self, event) -> None:
        self.events.append(event)
        self._news.set()

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():
            self._news.clear()
            await self._news.wait()

    async def count(self, kind: type, number: int) -> list:
        await self.until(lambda: len(self.of(kind)) >= number)
        return self.of(kind)


@contextlib.asynccontextmanager
async def running(stream):
    task = asyncio.create_task(stream.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def raw_server(handle):
    """A TCP server for what no decent server does; `handle(reader, writer)` per connection."""

    async def once(reader, writer):
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def order_id() -> str:
    return f"t-{os.getpid():x}-{time.time_ns():x}-{next(_ids)}"[:36]


def entry(qty="0.01", symbol="BTCUSDT", side=Side.BUY, **fields) -> Submit:
    fields = {"order": order_id(), "reduce_only": False} | fields
    return Submit(symbol=symbol, side=side, qty=Decimal(qty), **fields)


async def conditional(venue, symbol: str, price: Decimal, direction: int, **fields) -> str:
    """Have an order of somebody else wait for a trigger; return the id that the venue gave it."""
    body = {"category": "linear", "symbol": symbol, "side": "Buy", "orderType": "Market"}
    body |= {"qty": "0.1", "triggerPrice": f"{price:f}", "triggerDirection": direction} | fields
    reply = await venue.rest.post("/v5/order/create", body, Priority.ENTRY)
    assert reply.kind == "ACK", reply
    return msgspec.json.decode(reply.result, type=OrderIds).order_id


async def carried_out(effect: Effect, venue: Any, *, key: str = "1-0", **gate: Any) -> list[Event]:
    """Return what a runner posts once it has carried out an effect at a venue."""
    posted: list[Event] = []
    runner = Runner(
        venue,
        SimpleNamespace(send=None, **gate),
        None,
        post=posted.append,
        reference=str,
        say=print,
        leave=print,
        broken=print,
        probe=lambda point: None,
    )
    runner.start([Dispatch(key, effect)])
    await asyncio.gather(*runner.in_flight)
    return posted
