"""A child process of figure ``latency``: the real bot, trading every candle at the small venue.

Two things differ from ``python -m bot run``: candles say whether they are a signal, and ticks keep
a distance from candles, so that each round starts from FLAT. It prints its stamps as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from bot.store.database import only_library

only_library()

from msgspec.structs import replace  # noqa: E402

from bot.config import Config, Loaded  # noqa: E402
from bot.core import rejections  # noqa: E402
from bot.core.effects import Submit  # noqa: E402
from bot.core.events import CandleClosed, Event, Ticked  # noqa: E402
from bot.core.limits import Controls  # noqa: E402
from bot.core.settings import Risk, Settings  # noqa: E402
from bot.core.turn import Dispatch, Question  # noqa: E402
from bot.edge.clock import monotonic_ns  # noqa: E402
from bot.engine import boot  # noqa: E402
from bot.engine.reactor import Committed, OracleLike, Point  # noqa: E402
from bot.engine.service import Service, Venue  # noqa: E402
from tests.bench.rig import MINUTE, folder  # noqa: E402
from tests.bench.venue import TRADED  # noqa: E402

TICK_AT = MINUTE * 7 // 10  # after a minute's candles and their orders
ORDER: ContextVar[str] = ContextVar("ORDER", default="")


class Eager:
    """The real indicators; a candle of the venue's high volume is a fresh cross in a strong trend."""

    def __init__(self, inner: OracleLike) -> None:
        self.inner = inner
        self.swap = inner.swap

    def ask(self, question: Question, at: int, base: Any = None) -> tuple[Any | None, Any]:
        """Measure, and decide by the volume whether it is a signal."""
        answer, state = self.inner.ask(question, at, base)
        if answer is None:
            return None, state
        newest = question.candles[-1]
        adx = 50.0 if newest.volume == float(TRADED) else 5.0
        up = newest.open_time // MINUTE % 2  # the same side again so soon would be a duplicate
        fast, slow = (2.0, 1.0) if up else (1.0, 2.0)
        return replace(answer, adx=adx, cross_age=0, ema_fast=fast, ema_slow=slow), state


class Stamps:
    """When each candle and each order passed each stage, monotonic ns."""

    def __init__(self) -> None:
        self.points: dict[Point, int] = {}
        self.candles: dict[str, int] = {}
        self.orders: dict[str, dict[str, Any]] = {}

    def probe(self, point: Point) -> None:
        """Note a point of the turn."""
        self.points[point] = monotonic_ns()

    def born(self, committed: Committed) -> None:
        """Note the turn's instants for every order that was born in it."""
        world, turn = committed.world, {p.value: at for p, at in self.points.items()}
        keys = [
            s.key
            for s in (e.step for e in committed.entries)
            if s.machine == "order" and s.version == 1
        ]
        for key in keys:
            symbol = world.orders[key].symbol
            candle = f"{symbol} {world.feeds[symbol].last}"
            self.orders[key] = {**turn, "candle": candle, "posted": self.candles.get(candle)}

    def note(self, order: str, stage: str) -> None:
        """Note a stage of one order."""
        if order in self.orders:
            self.orders[order][stage] = monotonic_ns()


class Trading(Service):
    """The service with stamps."""

    def __init__(self, loaded: Loaded, paths: boot.Paths, where: Venue, stamps: Stamps) -> None:
        self.stamps = stamps
        super().__init__(loaded, paths, boot.open_state(paths.state), where, stamps.probe)
        self.reactor.oracle = Eager(self.reactor.oracle)
        self.runner._kinds[Submit] = self._send
        self.leaving = self.venue.rest._leaving
        setattr(self.venue.rest, "_leaving", self._left)  # noqa: B010 - a method of a strange object

    def post(self, event: Event) -> None:
        """Stamp candles on their way to the reactor."""
        if isinstance(event, CandleClosed):
            self.stamps.candles[f"{event.symbol} {event.candle.open_time}"] = monotonic_ns()
        super().post(event)

    def _committed(self, committed: Committed) -> None:
        self.stamps.born(committed)
        super()._committed(committed)

    async def _send(self, dispatch: Dispatch) -> list[Event]:
        ORDER.set(dispatch.effect.order)
        self.stamps.note(dispatch.effect.order, "sending")
        return await self.runner.gate.send(dispatch)

    async def _left(self, session: object, context: Any, params: object) -> None:
        self.stamps.note(ORDER.get(), "left")
        await self.leaving(session, context, params)

    async def _ticking(self) -> None:
        while True:
            wait = (TICK_AT - self.clock.now()) % MINUTE
            await asyncio.sleep(max(0.01, wait / 1000 / self.clock.rate))
            self.post(Ticked(at=self.clock.now(), marks=self.marks.take()))


async def trade(where: Path, rounds: list[str]) -> dict[str, Any]:
    """Run bot and venue until the rounds are over; return the stamps of both."""
    rejections.heed = lambda *_: None  # type: ignore[assignment] # this venue takes no entry
    command = [sys.executable, "-m", "tests.bench.venue", *rounds]
    venue = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=1 << 26)
    try:
        address = json.loads(await _line(venue))
        # many entries within a minute, all within what a configuration may say
        controls = Controls(messages_second_max=40, messages_minute_max=600)
        config = Config(settings=Settings(risk=Risk(positions_max=50), controls=controls))
        at = Venue(address["rest"], address["ws"], address["ws"], "key", "secret")
        stamps = Stamps()
        bot = Trading(Loaded(config, None, {}, "bench"), boot.Paths(where / "state.db"), at, stamps)
        serving = asyncio.create_task(bot.serve(None))
        noting = asyncio.create_task(_line(venue))
        await asyncio.wait({serving, noting}, return_when=asyncio.FIRST_COMPLETED)
        noted = json.loads(noting.result())  # there is none if the bot ended by itself
        bot._end(0)
        await serving
    finally:
        assert venue.stdin is not None
        venue.stdin.close()  # it ends with its input
        await venue.wait()
    return {**noted, "orders": stamps.orders}


async def _line(venue: Process) -> bytes:
    assert venue.stdout is not None
    return await venue.stdout.readline()


if __name__ == "__main__":
    with folder() as temporary, contextlib.redirect_stdout(sys.stderr):
        found = asyncio.run(trade(temporary, sys.argv[1:]))
    print(json.dumps(found))
