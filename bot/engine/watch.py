"""The watches: senses that a timer drives. Time, the venue's clock, the disk, and the HALT mark."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from bot.config import sections
from bot.core.events import ClockJumped, Event, Panicked, StorageChecked, Ticked
from bot.core.world import World
from bot.edge.files import Halt
from bot.edge.host import free_mb
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.frames import Marks
from bot.engine.boot import PANIC_LINES_MAX, Paths, halt_event, unread
from bot.errors import Retryable

PANIC_END = '"action":"end"'
PANIC_QUIET_SECONDS = 30.0
TICK_SECONDS_MIN = 0.1
VENUE_PATIENCE_SECONDS = 3.0


class Watch:
    """Posts what the timers find. ``lost`` is told the name of a database file that was removed."""

    def __init__(
        self,
        venue: Bybit,
        halt: Halt,
        marks: Marks,
        paths: Paths,
        *,
        pace: sections.Watch,
        post: Callable[[Event], None],
        world: Callable[[], World],
        lost: Callable[[str], None],
    ) -> None:
        self.venue, self.halt, self.marks, self.paths = venue, halt, marks, paths
        self.pace, self.post, self.world, self.lost = pace, post, world, lost
        self._panic_seen: tuple[str, ...] = ()
        self._panic_quiet = 0.0
        self.booted = False  # until then panic's lines are the boot's to read

    def senses(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield each watch, to be run as a task until cancelled."""
        yield self._ticking()
        yield self._clock()
        yield self._storage()
        yield self._people()

    async def _ticking(self) -> None:
        """Post a tick each second of market time, at most ten a real second."""
        clock = self.venue.clock
        while True:
            await asyncio.sleep(max(TICK_SECONDS_MIN, 1.0 / clock.rate))
            self.post(Ticked(at=clock.now(), marks=self.marks.take()))

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(self.pace.clock_real_seconds)
            await self.follow_clock()

    async def follow_clock(self) -> None:
        """Follow the venue's clock; a venue that does not answer in time is left for later."""
        try:
            async with asyncio.timeout(VENUE_PATIENCE_SECONDS):
                jump = await self.venue.sync_clock()
        except (Retryable, TimeoutError):
            return
        if jump:
            self.post(ClockJumped(at=self.venue.clock.venue_ms(), by_ms=jump))

    async def _storage(self) -> None:
        """Measure the disk; see that nobody took the files away from under the process."""
        while True:
            await asyncio.sleep(self.pace.storage_real_seconds)
            free = free_mb(self.paths.folder)
            self.post(StorageChecked(at=self.venue.clock.now(), free_mb=free))
            name = orphaned(self.paths.state)
            if name:
                self.lost(name)

    async def _people(self) -> None:
        """Make a HALT mark a kill transition, and take in what ``bot panic`` did meanwhile."""
        while True:
            await asyncio.sleep(self.pace.halt_real_seconds)
            self.halt_seen()
            if self.booted:
                self._panics()

    def _panics(self) -> None:
        """Post panic's lines once it is done, or quiet for long; a commit puts them aside."""
        lines = unread(self.paths.panic, self.world())
        if lines == self._panic_seen:
            self._panic_quiet += self.pace.halt_real_seconds
        else:
            self._panic_seen, self._panic_quiet = lines, 0.0
        done = bool(lines) and PANIC_END in lines[-1]
        ripe = self._panic_quiet >= 0 if done else self._panic_quiet >= PANIC_QUIET_SECONDS
        if lines and ripe:
            self._panic_quiet = -PANIC_QUIET_SECONDS  # the commit needs a moment
            self.post(Panicked(at=self.venue.clock.now(), lines=lines[-PANIC_LINES_MAX:]))

    def halt_seen(self) -> None:
        """Post a mark that is new: neither known already nor the one that a re-arm is clearing."""
        halted = halt_event(self.halt, self.world(), self.venue.clock.now())
        if halted is not None:
            self.post(halted)


def orphaned(state: Path) -> str | None:
    """Return the name of a database file this process has open that was removed, or None."""
    for entry in os.scandir("/proc/self/fd"):
        try:
            target = str(Path(entry.path).readlink())
        except OSError:
            continue
        if target.startswith(str(state)) and target.endswith(" (deleted)"):
            return target.removesuffix(" (deleted)")
    return None
