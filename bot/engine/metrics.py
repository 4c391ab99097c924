"""Serves the metrics of the running bot: on loopback, and as a text file that is replaced whole.

The database is read on a thread of its own, as ``python -m bot metrics`` reads it; what only the
process knows is added on the event loop, without a lock. Trading never waits for either, and
nothing that fails here ends the bot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from bot.config.sections import Metrics
from bot.core.world import World
from bot.desk import measures
from bot.desk.metrics import Buckets, Values
from bot.edge.clock import monotonic_ns
from bot.edge.files import replace_file
from bot.edge.venues.budget import Budget
from bot.engine.effects import Runner
from bot.engine.inbox import Inbox
from bot.engine.loop import Loop
from bot.engine.screen import Voice
from bot.engine.timings import Histogram, Timings
from bot.errors import Retryable
from bot.store.database import SQLITE_VERSION

if TYPE_CHECKING:
    from aiohttp import web

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
AGAIN_SECONDS = 5.0


class Sources(Struct, frozen=True):
    """The parts of the process that are measured while it runs."""

    timings: Timings
    loop: Loop
    inbox: Inbox
    runner: Runner
    budget: Budget
    voice: Voice

    def values(self) -> Values:
        """Return what only the process knows. Called on the event loop."""
        values = Values()
        values.put("bot_build_info", 1, self.loop.build, SQLITE_VERSION)
        values.put("bot_effects_in_flight", len(self.runner.in_flight))
        values.put("bot_events_waiting", len(self.inbox))
        values.put("bot_events_dropped_total", self.inbox.dropped)
        values.put("bot_log_lines_dropped_total", self.voice.dropped)
        for limit, used in self.budget.used(monotonic_ns()).items():
            values.put("bot_api_budget_used_ratio", used, limit)
        for symbol, age_seconds in quote_ages(self.loop.world):
            values.put("bot_feed_quote_age_seconds", age_seconds, symbol)
        for phase, histogram in self.timings.phases.items():
            values.put("bot_phase_seconds", _buckets(histogram), str(phase))
        values.put("bot_loop_lag_seconds", _buckets(self.timings.loop_lag))
        return values


def quote_ages(world: World) -> Iterator[tuple[str, float]]:
    """Yield since when each symbol is silent, real seconds."""
    for symbol, feed in world.feeds.items():
        if feed.seen_at:
            yield symbol, max(0, world.at - feed.seen_at) / world.real_ms(1)


def _buckets(histogram: Histogram) -> Buckets:
    return Buckets(tuple(histogram.cumulative()), histogram.total_ns / 1e9)


class Exporter:
    """Gives the metrics away while the bot runs. ``say`` is told what fails."""

    def __init__(
        self,
        config: Metrics,
        state: Path,
        sources: Sources,
        say: Callable[[str], None],
    ) -> None:
        self.config, self.state, self.sources, self.say = config, state, sources, say
        self._text, self._read_ns = "", 0
        self._reading = asyncio.Lock()

    def senses(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield what is configured, to be run as tasks until cancelled."""
        if self.config.port or self.config.textfile:
            import prometheus_client  # noqa: F401 - now: an import holds the interpreter for long
        if self.config.port:
            yield self._serve()
        if self.config.textfile:
            yield self._write(Path(self.config.textfile))

    async def text(self) -> str:
        """Return the metrics, read anew once in ``every_real_seconds``. Raises Retryable."""
        async with self._reading:  # however many ask, the database is read once
            age_ns = monotonic_ns() - self._read_ns
            if not self._text or age_ns >= self.config.every_real_seconds * 1e9:
                self._text = await asyncio.to_thread(_text, self.state, self.sources.values())
                self._read_ns = monotonic_ns()
            return self._text

    # -- endpoint ----------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Answer GET /metrics for as long as the bot runs."""
        from aiohttp import web

        app = web.Application()
        app.router.add_get(PATH, self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await self._listen(runner)
            await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        """Take the port, however long that takes; it is told once."""
        from aiohttp import web

        told = False
        while True:
            site = web.TCPSite(runner, self.config.host, self.config.port)
            try:
                await site.start()
            except OSError as error:
                if not told:
                    self.say(f"metrics: {site.name} cannot be served yet: {error.strerror}")
                told = True
            else:
                return
            await asyncio.sleep(AGAIN_SECONDS)

    async def _answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        try:
            body = (await self.text()).encode()
        except Retryable as error:
            return web.Response(status=503, text=f"the metrics cannot be read: {error}\n")
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    # -- text file ---------------------------------------------------------------------------------

    async def _write(self, path: Path) -> None:
        """Replace the file again and again; one that cannot be written is told once and kept."""
        while True:
            try:
                body = (await self.text()).encode()
                await asyncio.to_thread(replace_file, path, body)
            except Retryable as error:
                self.say(f"metrics: {path} is not renewed: {error}")
            await asyncio.sleep(self.config.every_real_seconds)


def _text(state: Path, live: Values) -> str:
    try:
        values = measures.read(state)
    except Exception as error:  # whatever it is, the bot goes on without its metrics
        raise Retryable(f"{type(error).__name__}: {error}") from error
    values.update(live)
    return values.text()
