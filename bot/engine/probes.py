"""The probes: measure what the bot stands on, as often as the configuration says, and post it.

What a measurement means is decided in `bot/core/checks.py`; here are only numbers. A number that
could not be taken is left out, and the check keeps the last one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bot import config
from bot.config import Loaded
from bot.core.checks import FAST, SLOW
from bot.core.events import Event
from bot.core.health_events import Sampled
from bot.core.healthlimits import Health
from bot.desk import status
from bot.edge.clock import monotonic_ns, wall_ms
from bot.edge.files import replace_file
from bot.edge.host import free_mb, rss_mb
from bot.edge.venues.bybit import Bybit
from bot.engine import models
from bot.engine.boot import Paths
from bot.engine.loop import Loop
from bot.engine.timings import Timings
from bot.errors import BotError, ChainBroken, ConfigError
from bot.store import backup, chain, derived
from bot.store.database import DriverError, open_reader

LAG_EVERY_SECONDS = 0.1
HOUR_SECONDS = 3600.0
MEMORY_KEPT = 256
NEWEST = 1_000
"""Transitions back to which tables are compared with them, beside all that memory holds."""
TROUBLE = (BotError, OSError, *DriverError)
"""What a measurement may meet: it says nothing of the bot, and ends nothing."""


class Probes:
    """Measures on the asyncio side; what takes longer, in threads."""

    def __init__(
        self,
        venue: Bybit,
        paths: Paths,
        loaded: Loaded,
        *,
        post: Callable[[Event], None],
        loop: Loop,
        timings: Timings,
    ) -> None:
        self.venue, self.paths, self.loaded = venue, paths, loaded
        self.post, self.loop, self.timings = post, loop, timings
        self._soon = {FAST: asyncio.Event(), SLOW: asyncio.Event()}
        self._late_ns = 0
        self._began_s = monotonic_ns() / 1e9
        self._memory: deque[tuple[float, float]] = deque(maxlen=MEMORY_KEPT)
        self._verified, self._verified_s = 0, self._began_s

    @property
    def limits(self) -> Health:
        """How often, as the settings in force say."""
        return self.loop.world.settings.health

    def senses(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Yield each probe, to be run as a task until cancelled."""
        yield self._lag()
        yield self._sampling(FAST, lambda: self.limits.fast_real_seconds, self.fast)
        yield self._sampling(SLOW, lambda: self.limits.slow_real_seconds, self.slow)
        yield self._trainers()
        yield self._status()

    def look(self, pace: str) -> None:
        """Make the checks of a pace now instead of when it is their time."""
        self._soon[pace].set()

    async def _lag(self) -> None:
        """See how late the event loop wakes."""
        while True:
            due = monotonic_ns() + int(LAG_EVERY_SECONDS * 1e9)
            await asyncio.sleep(LAG_EVERY_SECONDS)
            late = max(0, monotonic_ns() - due)
            self.timings.loop_lag.add(late)
            self._late_ns = max(self._late_ns, late)

    async def _sampling(
        self, pace: str, seconds: Callable[[], float], measure: Callable[[], dict[str, float]]
    ) -> None:
        while True:
            if self.loop.world.state("process") != "RUNNING":
                await asyncio.sleep(LAG_EVERY_SECONDS)  # nothing is judged before
                continue
            samples = await asyncio.to_thread(_taken, measure)
            self.post(Sampled(at=self.venue.clock.now(), pace=pace, samples=samples))
            self._soon[pace].clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._soon[pace].wait(), seconds())

    async def _trainers(self) -> None:
        """See whether whoever reported a training is still there to report its end."""
        while True:
            await asyncio.sleep(self.limits.fast_real_seconds)
            world, now = self.loop.world, self.venue.clock.now()
            if not world.machines.get("training"):
                continue
            try:
                gone = await asyncio.to_thread(models.lost, self.paths.state, world, now)
            except TROUBLE:
                continue  # the next look tells
            for ended in gone:
                self.post(ended)

    async def _status(self) -> None:
        """Write the status document beside the database, whole or not at all."""
        while True:
            await asyncio.sleep(self.limits.status_real_seconds)
            try:
                await asyncio.to_thread(self._write_status)
            except TROUBLE:
                continue  # no room, or a reader was in the way: the age of the file tells

    def _write_status(self) -> None:
        replace_file(self.paths.status, msgspec.json.encode(status.read(self.paths.state)) + b"\n")

    # -- measurements ------------------------------------------------------------------------------

    def fast(self) -> dict[str, float]:
        """Measure what is cheap."""
        late, self._late_ns = self._late_ns, 0
        clock, wal = self.venue.clock, Path(f"{self.paths.state}-wal")
        slowest = self.venue.rest.take_slowest_ms()
        return {
            **({} if slowest is None else {"latency_ms": slowest}),
            "budget_share": max(self.venue.rest.budget.used(monotonic_ns()).values(), default=0.0),
            "clock_ms": abs(clock.moved_ms) / clock.rate,
            "lag_ms": late / 1e6,
            "turn_ms": self.loop.take_longest_ms(),
            "wal_mb": wal.stat().st_size / 1e6 if wal.exists() else 0.0,
            "free_mb": float(free_mb(self.paths.folder)),
        }

    def slow(self) -> dict[str, float]:
        """Measure what takes longer."""
        return {
            **_taken(self._memory_now),
            **_taken(self._audit),
            **_taken(lambda: {"backup_hours": self._backup_hours()}),
            **_taken(self._config),
            **_taken(self._tables),
        }

    def _memory_now(self) -> dict[str, float]:
        now, rss = monotonic_ns() / 1e9, rss_mb()
        self._memory.append((now, rss))
        while len(self._memory) > 1 and self._memory[1][0] <= now - HOUR_SECONDS:
            self._memory.popleft()
        then, before = self._memory[0]
        if now - then < HOUR_SECONDS:
            return {"rss_mb": rss}
        return {"rss_mb": rss, "rss_growth": rss / before - 1}

    def _backup_hours(self) -> float:
        """Return the age of the newest backup, or how long this process runs without one."""
        now = wall_ms() / 1000
        made = [
            path.stat().st_mtime for path in backup.existing(self.paths.state, self.paths.backups)
        ]
        since = max(made, default=now - (monotonic_ns() / 1e9 - self._began_s))
        return max(0.0, now - since) / HOUR_SECONDS

    def _config(self) -> dict[str, float]:
        """Tell whether the file says something else by now, and whether a start could use it."""
        if self.loaded.file is None:
            return {"config_broken": 0.0, "config_changed": 0.0}
        try:
            changed = config.load(self.loaded.file, os.environ).hash != self.loaded.hash
        except ConfigError:
            return {"config_broken": 1.0}
        return {"config_broken": 0.0, "config_changed": float(changed)}

    def _tables(self) -> dict[str, float]:
        """Count the machines whose row is not what their newest transition says."""
        machines = self.loop.world.machines
        keys = [(name, key) for name, known in machines.items() for key in known]
        reader = open_reader(self.paths.state, alive=True)
        try:
            return {"rows_astray": float(len(derived.differing(reader, NEWEST, keys)))}
        finally:
            reader.close()

    def _audit(self) -> dict[str, float]:
        """Verify the rows that came since the last time; the boot verified those before."""
        now = monotonic_ns() / 1e9
        try:
            self._verify_newest(now)
        except ChainBroken:
            return {"chain_broken": 1.0}
        except TROUBLE:
            return {"chain_hours": (now - self._verified_s) / HOUR_SECONDS}
        return {"chain_hours": 0.0}

    def _verify_newest(self, now: float) -> None:
        reader = open_reader(self.paths.state, alive=True)
        try:
            head = reader.execute("SELECT max(id) FROM transition").fetchone()[0] or 0
            checked, _ = chain.verify(reader, self._verified or max(0, head - 1), instances=False)
            self._verified, self._verified_s = max(head, self._verified + checked), now
        finally:
            reader.close()


def _taken(measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Return what was measured, nothing where that met trouble."""
    try:
        return measure()
    except TROUBLE:
        return {}
