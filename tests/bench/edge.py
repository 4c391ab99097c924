"""Figures ``edge``: the adapter's cost, cancels under a storm, the way back after a cut, and the exchange's speed.

Each runs against ``python -m exchange`` on loopback. The adapter's CPU is a ratio to the barest
request that aiohttp can send, taken in turns in one process.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from bot.core.deliveries import pause_seconds
from bot.core.effects import Cancel, Submit
from bot.core.settings import Settings
from bot.core.values import Side
from bot.core.world import Delivery
from bot.edge.clock import MarketClock
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.codes import Kind
from bot.edge.venues.rest import Busy
from bot.edge.venues.send import send_order
from bot.errors import BotError, OutcomeUnknown
from bot.store.database import open_reader, sqlite3
from tests.bench.figures import Figure, middle, percentile, say
from tests.bench.rig import folder

SYMBOL = "BTCUSDT"
CPU_ROUNDS, CPU_EACH = 6, 60
STORM_ORDERS, STORM_SECONDS = 20, 6.0
SPEED_SECONDS, SPEED_CLIENTS = 6.0, 8
CUTS = 5


def measure() -> list[Figure]:
    """Return every figure of the edge."""
    found: list[Figure] = []
    for name, question in (("cost", cost), ("storm", storm), ("speed", speed), ("cut", cut)):
        say(f"edge: {name}")
        with folder() as where, exchange(where) as url:
            found += asyncio.run(question(url, where))
    return found


@contextmanager
def exchange(where: Path) -> Iterator[str]:
    """Run an exchange of its own; yield its address."""
    command = [sys.executable, "-m", "exchange", "--book", str(where / "exchange.db")]
    command += ["--no-rate-limit", "--idle-exit", "120", "--wallet", "100000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait(10)


def control(url: str, what: str, **body: Any) -> None:
    """Ask the exchange for a fault, or to clear them."""
    urllib.request.urlopen(f"{url}/control/{what}", json.dumps(body).encode(), timeout=10).close()


async def adapter(url: str) -> Bybit:
    """Return the adapter, open and with the venue's clock."""
    venue = Bybit(url, url.replace("http", "ws", 1), "paperkey", "papersecret", clock=MarketClock())
    venue.rest.budget._all.limit = 10**9  # the address's limit is not what is measured here
    await venue.open()
    await venue.sync_clock()
    return venue


def order(n: int, price: Decimal | None, name: str = "bench") -> Submit:
    """Return an order far from the market, so that it rests."""
    return Submit(
        order=f"{name}-1-{n}-0",
        symbol=SYMBOL,
        side=Side.BUY,
        qty=Decimal("0.001"),
        reduce_only=False,
        price=price,
    )


# -- what an order costs ---------------------------------------------------------------------------


async def cost(url: str, where: Path) -> list[Figure]:
    """Compare the CPU of an order through the adapter with that of a bare signed request."""
    venue = await adapter(url)
    price = Decimal(str(await venue.mark(SYMBOL))).quantize(Decimal(1)) / 2
    ours, bare = [], []
    async with aiohttp.ClientSession() as session:
        n = 0
        for _ in range(CPU_ROUNDS):
            began = time.process_time_ns()
            for _ in range(CPU_EACH):
                n += 1
                outcome = await send_order(venue, order(n, price))
                assert outcome.kind is Kind.ACK, outcome
                await venue.cancel(f"bench-1-{n}-0", SYMBOL)
            ours.append((time.process_time_ns() - began) / CPU_EACH / 2)
            began = time.process_time_ns()
            for _ in range(CPU_EACH * 2):
                body = b'{"category":"linear","symbol":"BTCUSDT"}'
                headers = venue.rest._headers(body.decode())
                async with session.post(f"{url}/v5/order/cancel", data=body, headers=headers) as r:
                    await r.read()
            bare.append((time.process_time_ns() - began) / CPU_EACH / 2)
    await venue.close()
    note = [
        f"adapter {middle(ours) / 1e6:.2f} ms, bare signed aiohttp request {middle(bare) / 1e6:.2f} ms"
    ]
    ratio = middle(a / b for a, b in zip(ours, bare, strict=True))
    how = f"CPU of a request of the adapter ÷ a bare signed one; {CPU_ROUNDS * CPU_EACH} orders and cancels"
    return [
        Figure("edge.cpu", ratio, "×", 2.0, how, note=note),
        Figure("edge.cpu.order", middle(ours) / 1e6, "ms", 1.0, "CPU of one order request"),
    ]


# -- cancels under a storm -------------------------------------------------------------------------


async def storm(url: str, where: Path) -> list[Figure]:
    """Cancel everything while every cancel answers 429; measure from the moment it is allowed."""
    venue = await adapter(url)
    price = Decimal(str(await venue.mark(SYMBOL))).quantize(Decimal(1)) / 2
    for n in range(STORM_ORDERS):
        outcome = await send_order(venue, order(n, price, "storm"))
        assert outcome.kind is Kind.ACK, outcome
    control(url, "fault", kind="http_status", status=429, match="/v5/order/cancel", probability=1.0)
    done: list[int] = []
    cancelling = [
        asyncio.create_task(_cancel(venue, f"storm-1-{n}-0", done)) for n in range(STORM_ORDERS)
    ]
    await asyncio.sleep(STORM_SECONDS)
    assert not done, "expected the storm to keep every cancel out"
    allowed = time.monotonic_ns()
    await asyncio.to_thread(control, url, "clear")
    await asyncio.gather(*cancelling)
    left = await venue.open_orders()
    assert not left, left
    await venue.close()
    first, last = (min(done) - allowed) / 1e9, (max(done) - allowed) / 1e9
    how = f"{STORM_ORDERS} cancels, {STORM_SECONDS:g} s of 429, retried as deliveries are; allowed → first one through"
    return [
        Figure("edge.storm.first", first, "s", 1.0, how),
        Figure("edge.storm.all", last, "s", 5.0, "… → all of them through"),
    ]


async def _cancel(venue: Bybit, key: str, done: list[int]) -> None:
    """Cancel one order with the pauses that its delivery would make."""
    delivery = Delivery(Cancel(order=key, symbol=SYMBOL))
    while True:
        try:
            await venue.cancel(key, SYMBOL)
        except (Busy, OutcomeUnknown):
            await asyncio.sleep(pause_seconds(Settings(), delivery))
            delivery = Delivery(delivery.effect, attempts=delivery.attempts + 1)
        else:
            done.append(time.monotonic_ns())
            return


# -- the exchange's speed --------------------------------------------------------------------------


async def speed(url: str, where: Path) -> list[Figure]:
    """Send orders over a few connections as fast as they are answered; the client shares the machine."""
    venue = await adapter(url)
    price = f"{Decimal(str(await venue.mark(SYMBOL))).quantize(Decimal(1)) / 2:f}"
    ends = time.monotonic() + SPEED_SECONDS
    counts = await asyncio.gather(
        *(_flood(venue, url, n, price, ends) for n in range(SPEED_CLIENTS))
    )
    await venue.close()
    how = f"orders answered a second over {SPEED_CLIENTS} connections, each accepted, then cancelled in batches of 20"
    return [Figure("exchange.orders", sum(counts) / SPEED_SECONDS, "/s", 500, how, at_least=True)]


async def _flood(venue: Bybit, url: str, client: int, price: str, ends: float) -> int:
    sent = 0
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < ends:
            sent += 1
            body = {"category": "linear", "symbol": SYMBOL, "side": "Buy", "orderType": "Limit"}
            body |= {"qty": "0.001", "price": price, "orderLinkId": f"flood-{client}-{sent}"}
            answer = await _post(venue, session, f"{url}/v5/order/create", body)
            assert answer["retCode"] == 0, answer
            if not sent % 20:  # the venue has room for 500 open orders
                links = [f"flood-{client}-{n}" for n in range(sent - 19, sent + 1)]
                rows = [{"symbol": SYMBOL, "orderLinkId": link} for link in links]
                batch = {"category": "linear", "request": rows}
                await _post(venue, session, f"{url}/v5/order/cancel-batch", batch)
    return sent


async def _post(venue: Bybit, session: aiohttp.ClientSession, url: str, body: Any) -> Any:
    payload = json.dumps(body).encode()
    headers = venue.rest._headers(payload.decode())
    async with session.post(url, data=payload, headers=headers) as response:
        return json.loads(await response.read())


# -- the way back after a cut ----------------------------------------------------------------------


async def cut(url: str, where: Path) -> list[Figure]:
    """Drop both streams of a running bot; measure until everything is known again, a few times."""
    took = []
    for n in range(CUTS):  # each its own bot: a venue that cuts again soon is dialled ever later
        folder_of_run = where / str(n)
        folder_of_run.mkdir()
        took.append(await _cut_once(url, folder_of_run))
    how = f"both streams cut → subscribed, backfilled, and reconciled again; {CUTS} bots"
    return [Figure("edge.reconnect.p50", percentile(took, 0.5), "s", 1.5, how)]


async def _cut_once(url: str, where: Path) -> float:
    state = where / "state.db"
    stream = url.replace("http", "ws", 1)
    (where / "bot.toml").write_text(
        f'[venue]\nenv = "sim"\nrest_url = "{url}"\nws_url = "{stream}"\n'
    )
    keys = {"BOT_VENUE_KEY": "paperkey", "BOT_VENUE_SECRET": "papersecret"}
    env = {**os.environ, **keys, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "bot", "run", "--state", str(state)]
    bot = await asyncio.create_subprocess_exec(
        *command, cwd=where, env=env, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await known(state, 0, 60)
        last, at = newest(state), time.monotonic_ns()
        for path in ("/v5/private", "/v5/public"):
            await asyncio.to_thread(control, url, "fault", kind="cut", match=path)
        await known(state, last, 30)
        return (time.monotonic_ns() - at) / 1e9
    finally:
        bot.terminate()
        await asyncio.wait_for(bot.wait(), 30)


def newest(state: Path) -> int:
    """Return the number of the newest event."""
    db = open_reader(state, alive=True)
    try:
        return int(db.execute("SELECT max(seq) FROM journal").fetchone()[0])
    finally:
        db.close()


async def known(state: Path, after: int, seconds: float) -> None:
    """Wait until streams came back after an event, the account was read, and every feed is LIVE."""
    await asyncio.to_thread(_wait, state, after, time.monotonic() + seconds)


def _wait(state: Path, after: int, deadline: float) -> None:
    while not (state.exists() and _known(state, after)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected the bot of {state} to know everything again")
        time.sleep(0.005)


def _known(state: Path, after: int) -> bool:
    try:
        db = open_reader(state, alive=True)
    except BotError:
        return False  # it is being made
    try:
        kinds = "SELECT count(*) FROM journal WHERE kind = ? AND seq > ?"
        ups, read = (
            db.execute(kinds, (k, after)).fetchone()[0] for k in ("StreamUp", "Reconciled")
        )
        feeds = "SELECT count(*), sum(state = 'LIVE') FROM instance WHERE machine = 'feed'"
        all_, live = db.execute(feeds).fetchone()
        return bool(ups >= 2 and read and all_ and all_ == live)
    except sqlite3.Error:
        return False
    finally:
        db.close()
