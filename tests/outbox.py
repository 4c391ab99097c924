"""A reactor on a real file whose messages to people really leave; every other effect is carried out at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot.core.effects import Notify
from bot.core.events import Delivered, Event, Recovered, Ticked
from bot.core.settings import Settings
from bot.edge.clock import wall_ms
from bot.edge.notify import Notifier
from bot.engine.effects import Runner
from bot.store import chain
from tests.given import opening_events, started
from tests.store.kept import kept


class Outbox:
    """Commits events and carries their messages out; outcomes come back as the runner posts them."""

    def __init__(self, path: Path, notifier: Notifier, settings: Settings | None = None) -> None:
        self.reactor = kept(path, wall=wall_ms)
        self.notifier, self.settings = notifier, settings or Settings()
        self.connection = self.reactor.writer.connection
        self.said: list[str] = []
        self.broken: list[BaseException] = []
        writer = self.reactor.writer
        self.runner = Runner(
            SimpleNamespace(clock=SimpleNamespace(now=lambda: self.world.at)),  # type: ignore[arg-type]
            SimpleNamespace(send=None),  # type: ignore[arg-type]
            notifier,
            post=self.say,
            reference=lambda: f"#{writer.head_id} {chain.short(writer.head)}",
            say=self.said.append,
            leave=self.said.append,
            broken=self.broken.append,
            probe=lambda point: None,
        )

    @property
    def world(self) -> Any:
        """What is committed."""
        return self.reactor.world

    def say(self, *events: Event) -> None:
        """Commit events, begin to send what people should read, and carry the rest out."""
        committed = self.reactor.turn(events)
        self.runner.start([d for d in committed.dispatches if isinstance(d.effect, Notify)])
        others = [d for d in committed.dispatches if not isinstance(d.effect, Notify)]
        if others:
            self.say(*(Delivered(at=self.world.at, effect=d.id) for d in others))

    def open(self) -> None:
        """Come up with the notifier's channels; what an earlier process left is handed out again."""
        names = {"channels": self.notifier.first, "second": self.notifier.second}
        if self.world.seq:
            at, tail = self.world.at, self.world.seq
            self.say(started(at, self.settings, **names))
            self.say(Recovered(at=at, snapshot_seq=0, tail=tail))
            return
        _, *rest = opening_events()
        self.say(started(settings=self.settings, **names), *rest)

    def tick(self, seconds: float) -> None:
        """Let market time pass."""
        self.say(Ticked(at=self.world.at + int(seconds * 1000), marks={}))

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self.runner.in_flight:
            await asyncio.wait(self.runner.in_flight, return_when=asyncio.FIRST_COMPLETED)
        assert not self.broken, self.broken

    async def until(self, sql: str, *wanted: Any) -> None:
        """Wait until a question to the database has this one row."""
        while self.row(sql) != wanted:  # noqa: ASYNC110 the database rings no bell
            await asyncio.sleep(0.005)

    def row(self, sql: str) -> Any:
        """Return the first row of a question."""
        return self.connection.execute(sql).fetchone()

    def rows(self, sql: str) -> list[Any]:
        """Return the rows of a question."""
        return list(self.connection.execute(sql))
