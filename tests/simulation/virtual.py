"""An event loop whose time is virtual: when nothing can move, it jumps to the next timer.

Everything in a simulation talks over Unix sockets inside one loop. The kernel delivers those while
``send`` runs, so a look at the selector tells whether something still moves. Nothing waits for the
computer's clock, and two runs of one seed do the same. Threads would break that: what is given to
an executor runs at once.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any
from weakref import WeakSet

START_S = 1_000.0
STEP_S = 100e-6
"""What a turn of the loop costs: work takes time, or answers could chase questions for ever."""
STEPS_MAX = 1_000_000


OWNER: ContextVar[object | None] = ContextVar("owner", default=None)
"""Whose task this is: a process of the bot, which ends with its tasks, or None."""


class Stuck(Exception):
    """Nothing moves and no timer waits, or far too much moves: a fault of the test itself."""


class _Selector(selectors.EpollSelector):
    """Never waits: what would be a wait becomes a jump of the clock."""

    def __init__(self, steps_max: int) -> None:
        super().__init__()
        self.now = START_S
        self.looks = 0
        self.steps_max = steps_max

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, in the order of descriptors; else let the time pass."""
        self.looks += 1
        self.now += STEP_S
        if self.looks > self.steps_max:
            raise Stuck(f"more than {self.steps_max} steps")
        ready = super().select(0)
        if ready:
            return sorted(ready, key=lambda found: found[0].fd)
        if timeout is None:
            raise Stuck("expected a timer or a byte on its way, found neither")
        if timeout > STEP_S:
            self.now += timeout - STEP_S
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that begins at ``START_S`` and takes no real time to wait."""

    def __init__(self, steps_max: int = STEPS_MAX) -> None:
        self._virtual = _Selector(steps_max)
        super().__init__(self._virtual)
        self._clock_resolution = 1e-6  # timers that are due within a microsecond run together
        self.owned: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._owners: dict[int, object] = {}
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return virtual seconds."""
        return self._virtual.now

    @property
    def steps(self) -> int:
        """How often the loop turned."""
        return self._virtual.looks

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Any, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, context=context)
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            self.owned.add(task)
            task.owner = owner  # type: ignore[attr-defined]
        return task

    def tasks_of(self, owner: object) -> list[asyncio.Task[Any]]:
        """Return the tasks of a process that have not ended, in the order of their names."""
        mine = [t for t in self.owned if t.owner is owner and not t.done()]  # type: ignore[attr-defined]
        return sorted(mine, key=lambda t: int(t.get_name().rpartition("-")[2]))

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run it now: a thread would be outside of virtual time."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 it is whoever awaits that is told
            future.set_exception(error)
        return future
