"""One process of the bot in the month: the real boot, reactor, writer, runner, and gate, on fake ports.

It lives from its boot to a proper stop or a death; the file, in memory, outlives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from bot.core.effects import DiscardModel, VerifyModel
from bot.core.events import (
    ClockJumped,
    Delivered,
    Event,
    Filled,
    OrderReported,
    PositionReported,
    StreamUp,
    VenueConnected,
)
from bot.core.model_events import ModelRefused, ModelsScored, ModelVerified, Score
from bot.core.remedy import Remedy
from bot.core.settings import Settings
from bot.core.turn import Dispatch, ScoreQuestion
from bot.core.values import VenueFill, VenueOrder
from bot.core.world import World
from bot.edge.clock import MarketClock
from bot.edge.files import Halt
from bot.engine import boot, link
from bot.engine.effects import Runner
from bot.engine.gate import Gate
from bot.engine.healing import Means
from bot.engine.healing.healer import Healer
from bot.engine.latch import Latch
from bot.engine.loop import Hooks, Loop
from bot.engine.reactor import Committed, Point
from bot.errors import BotError
from bot.store import chain
from tests.simulation.bot import Died, InlineLoop, WakingInbox
from tests.simulation.month_books import Books
from tests.simulation.month_port import FIRST, SECOND, Channels, Port, Weather

BUILD = "month"
RETRY_SECONDS = 0.2
STREAM_SECONDS = 0.03


class Outside:
    """What a process finds outside of itself, and what outlives it."""

    def __init__(self, paths: boot.Paths, settings: Settings, books: Books) -> None:
        self.paths, self.settings, self.books = paths, settings, books
        self.weather, self.channels = Weather(), Channels()
        self.streams = {"public": True, "private": True}
        self.damaged: set[str] = set()
        self.down_seconds = 0.0
        self.look: Callable[[str], None] = lambda pace: None
        self.remedies: Callable[[], Iterable[Remedy]] = tuple


class Opinions:
    """What models say: as much as a graph would, without one."""

    def ask(self, question: ScoreQuestion, at: int) -> ModelsScored:
        """Return a probability of each model."""
        said = 0.25 + (question.measured.close * 100 % 100) / 200
        return ModelsScored(
            at=at,
            symbol=question.symbol,
            open_time=question.measured.open_time,
            scores=tuple(Score(model, said) for model in question.models),
        )


class Life:
    """A process. ``seen`` hears every commit; ``gone`` is set when it is over.

    ``probe`` tells at each point whether it dies there; ``broke`` hears what it ended itself with.
    """

    def __init__(
        self,
        outside: Outside,
        *,
        seen: Callable[[Life, Committed], None],
        probe: Callable[[Point], bool],
    ) -> None:
        self.outside, self._seen, self._dies = outside, seen, probe
        self.dead = self.connected = False
        self.gone = asyncio.Event()
        self.error: BaseException | None = None
        self.booted = boot.open_state(outside.paths.state)
        self.clock = MarketClock(self.booted.world.at or None)
        self.port = Port(
            outside.books,
            outside.weather,
            self.clock,
            lambda told: self.post(link.heard(told, self.clock.now())),
        )
        self.latch, self.halt = Latch(), Halt(outside.paths.halt)
        self.inbox = WakingInbox(10_000, lambda: None)
        self.loop = self._loop()
        self.runner = self._runner()
        self._task: asyncio.Task[None] | None = None

    def _loop(self) -> InlineLoop:
        scorer: Any = Opinions()
        reactor = boot.build_reactor(self.booted, self.outside.settings, self._probe, scorer)
        hooks = Hooks(self._committed, lambda signs: None, self._fatal)
        like = Loop(reactor, self.inbox, self.latch, hooks, batch_max=200, build=BUILD)
        loop = InlineLoop(like, self.inbox, self._lag)
        # a pause of the reactor's thread would be real time here
        loop._ending = SimpleNamespace(wait=lambda seconds: False)  # type: ignore[assignment]
        return loop

    def _lag(self) -> float:
        return RETRY_SECONDS if self.loop._failing_since else 0.0

    def _runner(self) -> Runner:
        writer, port = self.booted.writer, self.port
        gate = Gate(port, self.halt, self.latch, lambda: self.world)  # type: ignore[arg-type]
        return Runner(
            port,  # type: ignore[arg-type]
            gate,
            self.outside.channels,  # type: ignore[arg-type]
            post=self.post,
            reference=lambda: f"#{writer.head_id} {chain.short(writer.head)}",
            say=lambda text: None,
            leave=lambda reason: self._leave(),
            broken=self._fatal,
            probe=self._probe,
            carriers={
                VerifyModel: self._verify,
                DiscardModel: self._discard,
                **self._healer().carriers(),
            },
        )

    def _healer(self) -> Healer:
        rest: Any = dict.fromkeys(("loaded", "link", "load"))  # no scripted remedy looks at these
        port: Any = self.port
        means = Means(venue=port, paths=self.outside.paths, loop=self.loop, post=self.post, **rest)
        return Healer(means, self.outside.look)

    # -- life --------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The committed world."""
        return self.loop.world

    def start(self) -> None:
        """Begin as the service does: the first events, then the venue."""
        self.port.sync_clock()
        for event in boot.first_events(
            self.booted,
            self.outside.paths,
            self.outside.settings,
            "month",
            self.clock.now(),
            channels=FIRST,
            second=SECOND,
            rate=self.clock.rate,
        ):
            self.post(event)
        self.loop.start()
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        while True:
            try:
                found = await self.port.instruments()
                break
            except BotError:
                await asyncio.sleep(1.0)
        self.follow_clock()
        at = self.clock.now()
        self.post(VenueConnected(at=at, rate=1.0, instruments=found, source="month"))
        self.connected = True
        for stream, up in self.outside.streams.items():
            if up:
                self.post(StreamUp(at=at, stream=stream))

    def die(self) -> None:
        """End as by SIGKILL: nothing is cleaned up."""
        if self.dead:
            return
        self.dead = True
        self.loop.running = False
        self.runner.close()
        if self._task is not None:
            self._task.cancel()
        connection = self.booted.writer.connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")  # what the next process would do with its WAL
        self.gone.set()

    def _leave(self) -> None:
        """End the proper way: the last snapshot, and no more."""
        if not self.dead:
            self.loop.finish()
            self.die()

    def forget(self) -> None:
        """Close the abandoned connection, once another one is open."""
        self.booted.writer.connection.close()

    def _probe(self, point: Point) -> None:
        if self.dead or self._dies(point):
            raise Died(point)

    def _fatal(self, error: BaseException) -> None:
        if not isinstance(error, Died) and not self.dead:
            self.error = error
        self.die()

    # -- senses ------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Take an event in, unless the process is dead."""
        if not self.dead:
            self.inbox.put(event)

    def hear(self, told: Any) -> None:
        """Hear of an order, an execution, or a position on the private stream."""
        if self.dead or not (self.connected and self.outside.streams["private"]):
            return
        asyncio.get_running_loop().call_later(STREAM_SECONDS, self._told, told)

    def _told(self, told: Any) -> None:
        at = self.clock.now()
        if isinstance(told, VenueOrder):
            self.post(OrderReported(at=at, row=told))
        elif isinstance(told, VenueFill):
            self.post(Filled(at=at, fill=told))
        else:
            self.post(PositionReported(at=at, position=told))

    def follow_clock(self) -> bool:
        """Follow the venue's clock, as the watch does; return whether it jumped."""
        jump = self.port.sync_clock()
        if jump:
            self.post(ClockJumped(at=self.clock.venue_ms(), by_ms=jump))
        return bool(jump)

    def halt_seen(self) -> None:
        """Post a HALT mark that is new, as the watch does."""
        halted = boot.halt_event(self.halt, self.world, self.clock.now())
        if halted is not None:
            self.post(halted)

    # -- commits and models ------------------------------------------------------------------------

    def _committed(self, committed: Committed) -> None:
        self._seen(self, committed)
        if not self.dead:
            asyncio.get_running_loop().call_soon(self._carry_out, committed)

    def _carry_out(self, committed: Committed) -> None:
        if not self.dead:
            self.runner.start(committed.dispatches)

    async def _verify(self, dispatch: Dispatch) -> list[Event]:
        await asyncio.sleep(0.5)
        model, at = dispatch.effect.model, self.clock.now()
        done = Delivered(at=at, effect=dispatch.id)
        if model in self.outside.damaged:
            return [ModelRefused(at=at, model=model, reason="model.onnx: expected its hash"), done]
        return [ModelVerified(at=at, model=model, manifest="{}", trained_to=at, skill=0.1), done]

    async def _discard(self, dispatch: Dispatch) -> list[Event]:
        return [Delivered(at=self.clock.now(), effect=dispatch.id)]
