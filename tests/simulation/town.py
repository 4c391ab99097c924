"""A stage in virtual time: one exchange, one bot and its successors, the network between, one loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import aiohttp
from aiohttp import web

from bot.config import Loaded
from bot.core.world import World
from bot.edge.backoff import chance_from
from bot.edge.clock import time_from
from bot.engine.reactor import Point
from bot.engine.venue import Venue
from exchange import server
from exchange.assembly import Exchange, open_exchange
from exchange.options import Options
from tests.simulation.bot import Bot, Broken
from tests.simulation.network import Network
from tests.simulation.outside import DEPOSIT, KEY, SECRET, Outside
from tests.simulation.virtual import VirtualLoop

EXCHANGE_STEP_S = 0.05
"""How often the exchange looks at the time: less often than live, because it is most of the work."""
ORIGIN_MS = 1_700_000_040_000 // 60_000 * 60_000


class Town(Outside):
    """A stage in virtual time, opened and closed inside a ``VirtualLoop``."""

    def __init__(self, folder: Path, loaded: Loaded, *, seed: int, rate: float) -> None:
        self.folder, self.loaded, self.seed, self.rate = folder, loaded, seed, rate
        self.chance = random.Random(f"town {seed}")
        self.path = (
            "/proc/self/cwd/x.sock"  # its name stands in errors, and the folder's is new each time
        )
        self.blocked: list[tuple[float, float]] = []
        self.bot: Bot
        self.exchange: Exchange
        self.network: Network
        self._aim: tuple[Point, int] | None = None
        self._down = 0.0
        self._asked = 0
        self._keeper: asyncio.Task[None]

    async def open(self, **flags: Any) -> None:
        """Start the exchange and the bot; return once it trades."""
        self.loop = asyncio.get_running_loop()
        assert isinstance(self.loop, VirtualLoop)
        options = Options(
            book=self.folder / "exchange.db",
            start=ORIGIN_MS,
            seed=self.seed,
            speed=self.rate,
            key=KEY,
            secret=SECRET,
            wallet=DEPOSIT,
            **flags,
        )
        self.exchange = await open_exchange(options, real=self.loop.time)
        await self.exchange.start(lambda runner: web.UnixSite(runner, self.path))
        self.network = Network(self.loop, self.path, self._served)
        http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(self.path))
        super().__init__(self.folder, http, "http://exchange")
        self._boot()
        self._keeper = asyncio.create_task(self._keep())
        while self.world.state("process") != "RUNNING":  # noqa: ASYNC110 it is looked at from outside
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        """Take the last notes, kill the bot, and end the exchange."""
        await self.statement()
        self._keeper.cancel()
        self.bot.kill()
        await asyncio.sleep(0.1)
        await self.http.close()
        await self.exchange.stop()
        self.bot.forget()

    @property
    def world(self) -> World:
        """The newest process's committed world."""
        return self.bot.process.loop.world

    def _served(self) -> list[Any]:
        runner = self.exchange.server._runner
        return list(runner.server.connections) if runner and runner.server else []

    # -- the bot -----------------------------------------------------------------------------------

    def _boot(self) -> None:
        address = f"unix:{self.path}"
        where = Venue(address, address, address, KEY, SECRET, "sim")
        lag = self.chance.choice((0.0, 0.0, 0.002, 0.01))
        self.bot = Bot(
            self.loaded,
            self.folder / "state.db",
            where,
            self.network,
            probe=self._dies,
            lag=(lambda: self.chance.random() * lag) if lag else (lambda: 0.0),
        )

    async def _keep(self) -> None:
        """Start the bot anew whenever it is gone."""
        while True:
            await self.bot.gone.wait()
            began, gone = self._now(), self.bot
            if gone.process.error is not None:
                raise Broken("the bot ended itself") from gone.process.error
            await asyncio.sleep(self._down)
            self._boot()
            gone.forget()
            self.blocked.append((began, self._now()))

    def _now(self) -> float:
        return float(self.exchange.venue.clock.now_ms())

    def _dies(self, point: Point) -> bool:
        if self._aim is None or self._aim[0] is not point:
            return False
        point, hits = self._aim
        self._aim = (point, hits - 1) if hits > 1 else None
        return hits <= 1

    # -- a stage -----------------------------------------------------------------------------------

    async def ask(self, verb: str, **args: str) -> None:
        """Send an operator's command over the bot's own socket; a dead bot does not hear it."""
        self._asked += 1
        line = {"op": "do", "id": f"c{self._asked}", "verb": verb, "args": args, "reason": "play"}
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_unix_connection(str(self.folder / "state.db.sock"))
            writer.write(json.dumps(line).encode() + b"\n")
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.transport.abort()

    async def die(self, down: float, point: Point | None = None, hits: int = 1) -> None:
        """Kill the bot now, or at a point that it will pass."""
        self._down = down
        if point is None:
            self.bot.kill()
        else:
            self._aim = (point, hits)

    async def stop(self) -> None:
        """Ask the bot to stop the proper way."""
        self._down = 0.0
        self.bot.process.stop("simulated SIGTERM")

    async def outage(self, how: str, seconds: float) -> None:
        """Cut the network for a while."""
        began = self._now()
        if how == "maintenance":
            await self.control("fault", kind="maintenance")
        elif how == "refuse":
            self.network.refuse()
        else:
            self.network.swallow()
        await asyncio.sleep(seconds)
        if how == "maintenance":
            await self.control("clear")
        self.network.mend(broken=how == "swallow and break")
        self.blocked.append((began, self._now()))

    async def settled(self, since: float) -> bool:
        """Tell whether nothing is under way. Raises what the bot ended with, if it did."""
        if self._keeper.done():
            self._keeper.result()
        return not self.bot.dead and await super().settled(since)


@contextlib.contextmanager
def world_of(loop: VirtualLoop) -> Iterator[None]:
    """Give the bot's edge the loop's time, and both sides chance and a disk that repeat."""
    began = loop.time()

    def monotonic_ns() -> int:
        return round(loop.time() * 1e9)

    def wall_ns() -> int:
        return ORIGIN_MS * 1_000_000 + round((loop.time() - began) * 1e9)

    names = random.Random("names")
    disk = SimpleNamespace(f_bavail=1 << 20, f_frsize=1 << 12)
    with (
        time_from(monotonic_ns, wall_ns),
        chance_from(random.Random("edge").random),
        patch.object(uuid, "uuid4", lambda: uuid.UUID(int=names.getrandbits(128), version=4)),
        patch.object(os, "statvfs", lambda path: disk),
        patch.object(server, "_STEP_REAL_S", EXCHANGE_STEP_S),
    ):
        yield


def run(main: Callable[[], Any]) -> Any:
    """Run a coroutine function in a virtual loop of its own."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        with world_of(loop):
            return loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        asyncio.set_event_loop(None)
        loop.close()
