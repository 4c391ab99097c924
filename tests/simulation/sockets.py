"""A stage of real processes on loopback: the same stories with ``python -m bot`` and ``kill -9``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess

import aiohttp

from bot.engine.reactor import Point
from tests import nursery
from tests.faults.places import Place, Program, merged, toml
from tests.simulation import ledger, story
from tests.simulation.outside import DEPOSIT, KEY, SECRET, Outside
from tests.simulation.plays import CONFIG, FLAGS, LIQUIDITY, RATE, Played, begin_with, folder_of

SECONDS = 3.0
RUNNING_SECONDS = 30.0
KEYS = {"BOT_VENUE_KEY": KEY, "BOT_VENUE_SECRET": SECRET}
"""What the environment of ``play`` must have, because the bot inherits it."""
KILLED_AT_A_POINT_SECONDS = 0.25


class Nursed(Place):
    """A place whose many short-lived bots come from the nursery."""

    def _spawn(self, command: list[str], out: str) -> nursery.Child:
        _, _, program, *args = command
        with (self.folder / out).open("ab") as file:
            child = nursery.start(program, *args, cwd=self.folder, stdout=file, stderr=file)
        self._started.append(child)
        return child


class Sockets(Outside):
    """The bot and the exchange of a ``Place``; whoever kills the bot starts it anew."""

    def __init__(self, place: Place, http: aiohttp.ClientSession) -> None:
        super().__init__(place.folder, http, str(place.url()))
        self.place = place
        self.blocked: list[tuple[float, float]] = []
        self._bot = self._start()
        self._asked = 0

    def _start(self) -> Program:
        return self.place.start_bot("--config", str(self.place.file))

    async def trading(self) -> None:
        """Wait until the bot runs."""
        async with asyncio.timeout(RUNNING_SECONDS):
            while self.place.state_of("process") != "RUNNING":
                if self._bot.poll() is not None:
                    raise RuntimeError(f"the bot ended: {self.place.said()[-2000:]}")
                await asyncio.sleep(0.05)

    async def _now(self) -> float:
        return float((await self.control("state"))["market_ms"])

    # -- a stage -----------------------------------------------------------------------------------

    async def ask(self, verb: str, **args: str) -> None:
        """Send an operator's command."""
        self.place.ask(verb, **args)

    async def die(self, down: float, point: Point | None = None, hits: int = 1) -> None:
        """Kill the bot; a point inside cannot be aimed at from outside, so it is a little later."""
        if point is not None:
            await asyncio.sleep(KILLED_AT_A_POINT_SECONDS * hits / 20)
        began = await self._now()
        self._bot.kill()
        self._bot.wait()
        await self._again(began, min(down, 1.0))

    async def stop(self) -> None:
        """Ask the bot to stop the proper way."""
        began = await self._now()
        self._bot.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._bot.wait, RUNNING_SECONDS)
        await self._again(began, 0.0)

    async def _again(self, began: float, down: float) -> None:
        await asyncio.sleep(down)
        self._bot = self._start()
        await self.trading()
        self.blocked.append((began, await self._now()))

    async def outage(self, how: str, seconds: float) -> None:
        """Stop the exchange where it stands, which is a network that swallows; or shut it."""
        began = await self._now()
        if how == "maintenance":
            await self.control("fault", kind="maintenance")
            await asyncio.sleep(min(seconds, 1.0))
            await self.control("clear")
        else:
            pid = json.loads((self.folder / "exchange.port").read_bytes())["pid"]
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(min(seconds, 1.0))
            os.kill(pid, signal.SIGCONT)
        self.blocked.append((began, await self._now()))

    async def finish(self) -> None:
        """Take the last notes and kill the bot."""
        await self.statement()
        self._bot.kill()
        self._bot.wait()


def play(seed: int) -> Played:
    """Play a seed with real processes and compare both sides."""
    folder = folder_of(seed)
    place = Nursed(folder, CONFIG)
    try:
        begin_with(place.state)
        liquidity = f"{LIQUIDITY[seed % len(LIQUIDITY)]:g}"
        place.config["exchange"].update(seed=seed, speed=RATE)
        url = place.start_exchange(
            "--symbols", FLAGS["symbols"], "--liquidity", liquidity, "--wallet", DEPOSIT
        )
        venue = {"env": "sim", "rest_url": url, "ws_url": url.replace("http", "ws", 1)}
        place.file.write_text(toml(merged(CONFIG, {"venue": venue})))
        blocked = asyncio.run(_play(place, seed))
        place.stop_exchange()
        books = ledger.Ledger(folder, blocked, RATE)
        try:
            return Played(
                seed, books.counts(), ledger.check(books, replayed=True), "", place.said()
            )
        finally:
            books.db.close()
    finally:
        place.close()
        shutil.rmtree(folder)


async def _play(place: Place, seed: int) -> list[tuple[float, float]]:
    async with aiohttp.ClientSession() as http:
        stage = Sockets(place, http)
        await stage.trading()
        await story.play(stage, story.story(seed, SECONDS), SECONDS)
        await stage.finish()
        return stage.blocked
