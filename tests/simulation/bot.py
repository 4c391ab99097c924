"""One process of the bot inside the virtual loop: the real service, its reactor turned inline."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path

from bot.config import Loaded
from bot.core.events import Event
from bot.engine import boot
from bot.engine.inbox import Inbox
from bot.engine.loop import Loop
from bot.engine.reactor import Committed, Point, Probe
from bot.engine.service import Service
from bot.engine.venue import Venue
from tests.simulation.network import Network
from tests.simulation.virtual import OWNER


class Died(BaseException):
    """The process died here. No ``except Exception`` of the bot may see it."""


class Broken(Exception):
    """The bot ended itself: a fault of the program, or of the test."""


class WakingInbox(Inbox):
    """Wakes the inline reactor; a dead process takes nothing in."""

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        super().__init__(limit)
        self.wake = wake

    def put(self, event: Event) -> None:
        """Add an event and have the reactor turn soon."""
        super().put(event)
        self.wake()


class InlineLoop(Loop):
    """The reactor's thread without a thread: it turns when the loop comes to it."""

    def __init__(self, like: Loop, inbox: WakingInbox, lag: Callable[[], float]) -> None:
        super().__init__(
            like.reactor,
            inbox,
            like.latch,
            like.hooks,
            batch_max=like.batch_max,
            build=like.build,
        )
        self.lag = lag
        self.running = self.due = False
        inbox.wake = self.wake

    def start(self) -> None:
        """Begin to turn."""
        self.running = True
        self.wake()

    def wake(self) -> None:
        """Turn soon, as late as a busy thread would."""
        if self.running and not self.due:
            self.due = True
            asyncio.get_running_loop().call_later(self.lag(), self._step)

    def _step(self) -> None:
        self.due = False
        if not self.running:
            return
        try:
            batch = self.inbox.take(self.batch_max, 0)
            if batch:
                self._turn(batch)
            self._beat()
        except BaseException as error:  # noqa: BLE001 as the thread does
            self.hooks.fatal(error)
            return
        if len(self.inbox):
            self.wake()

    def is_alive(self) -> bool:
        """Tell whether it turns."""
        return self.running

    def finish(self) -> None:
        """Turn what waits, then leave as the thread does."""
        self.running = False
        self._leave()


class Process(Service):
    """A service that can die. ``ended`` is set when it is gone, however it went."""

    def __init__(
        self,
        loaded: Loaded,
        paths: boot.Paths,
        booted: boot.Booted,
        where: Venue,
        probe: Probe,
        lag: Callable[[], float],
    ) -> None:
        super().__init__(loaded, paths, booted, where, probe)
        self.dead = False
        self.broke: Callable[[], None] = lambda: None
        self.error: BaseException | None = None
        inbox = WakingInbox(loaded.config.store.queue_max, lambda: None)
        self.inbox = inbox
        self.loop = InlineLoop(self.loop, inbox, lag)
        # what this machine is like is no part of the story: checks see only what the bot remembers
        vars(self.probes).update(fast=dict, slow=dict, _write_status=lambda: None)

    def _take_process(self) -> None:
        """Leave the process to the test."""

    def _after_commit(self, committed: Committed, durable_ns: int) -> None:
        if not self.dead:
            super()._after_commit(committed, durable_ns)

    def post(self, event: Event) -> None:
        """Take an event, unless the process is dead."""
        if not self.dead:
            super().post(event)

    def _fatal(self, error: BaseException | None) -> None:
        if not self.dead:
            self.error = error
            self.broke()


class Bot:
    """A life of the bot: boots from its file when made, until it stops or is killed."""

    def __init__(
        self,
        loaded: Loaded,
        state: Path,
        where: Venue,
        network: Network,
        *,
        probe: Callable[[Point], bool],
        lag: Callable[[], float],
    ) -> None:
        self.network, self._probe = network, probe
        self.said = io.StringIO()
        self.dead = False
        self.gone = asyncio.Event()
        context = copy_context()
        context.run(OWNER.set, self)
        paths = boot.Paths(state)
        with contextlib.redirect_stderr(self.said):
            self.booted = boot.open_state(state)
            self.process = Process(loaded, paths, self.booted, where, self.probe, lag)
        self.task = network.loop.create_task(self.process.serve(None), context=context)
        self.task.add_done_callback(self._ended)
        self.process.broke = self.kill

    def _ended(self, task: asyncio.Task[int]) -> None:
        """The service left by itself: stopped, or broken."""
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Died):  # it may die while it leaves, too
            self.process.error = error
        self.dead = self.process.dead = True
        self.gone.set()

    def probe(self, point: Point) -> None:
        """Die here if the story says so; a dead process does nothing more."""
        if self.dead or self._probe(point):
            self.dead = self.process.dead = True
            self.network.loop.call_soon(self.kill)
            raise Died(point)

    def kill(self) -> None:
        """End as by SIGKILL: nothing is cleaned up, the kernel takes the sockets."""
        self.dead = self.process.dead = True
        self.process.loop.running = False
        self.network.abort(self)
        for task in self.network.loop.tasks_of(self):
            task.cancel()
        server = self.process.commands._server
        if server is not None:
            server.close()
        session = self.process.venue.rest._session
        if session is not None:
            self.network.loop.create_task(session.close())
        connection = self.booted.writer.connection
        if connection.in_transaction:
            connection.execute("ROLLBACK")  # what the next process would do with its WAL
        self.gone.set()

    def forget(self) -> None:
        """Close the abandoned connection; another one is open, so nothing is written."""
        self.booted.writer.connection.close()
