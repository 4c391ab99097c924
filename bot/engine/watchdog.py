"""The watchdog: the service manager hears from the bot only while all of its parts move.

Each part stamps when it moved last and has its own patience (``[watchdog]``). A venue that is away
is no reason to be ended: trying to reach it is movement, too. The reactor's thread and the asyncio
loop look at each other, so that whichever still runs names the one that does not; only the
reactor's thread says ``WATCHDOG=1``, and no helper thread does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum

from bot.config.sections import Watchdog as Patience
from bot.core.events import (
    CandleClosed,
    Event,
    Reconciled,
    StreamLost,
    StreamUp,
    Ticked,
    VenueTroubled,
)
from bot.core.process import RUNNING
from bot.core.world import World
from bot.edge.clock import monotonic_ns
from bot.edge.host import sd_notify

LOOK_SECONDS = 1.0
EXTEND_SECONDS = 30
"""A boot or a shutdown that is silent for longer than this is ended by the service manager."""


class Part(StrEnum):
    """What has to move."""

    LOOP = "asyncio loop"
    REACTOR = "reactor"
    COMMIT = "commit"
    FEED = "market data"
    STOPS = "position check"


TIMED_BY_THE_MARKET = frozenset({Part.COMMIT, Part.FEED, Part.STOPS})

MOVED_BY: dict[type, Part] = {
    CandleClosed: Part.FEED,
    StreamUp: Part.FEED,
    StreamLost: Part.FEED,
    Reconciled: Part.STOPS,
    VenueTroubled: Part.STOPS,
}
"""What an event shows to have moved; a reading that failed was tried."""


class Watchdog:
    """Stamps and looks. ``told`` hears what is late each time that changes, "" if nothing is."""

    def __init__(
        self,
        patience: Patience,
        *,
        told: Callable[[str], None],
        now: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.patience = {
            Part.LOOP: patience.loop_real_seconds,
            Part.REACTOR: patience.reactor_real_seconds,
            Part.COMMIT: patience.commit_real_seconds,
            Part.FEED: patience.feed_real_seconds,
            Part.STOPS: patience.stops_real_seconds,
        }
        self._told, self._now = told, now
        self._moved_ns = dict.fromkeys(Part, now())
        self._named: tuple[Part, ...] = ()
        self._slow = 1.0  # how many times slower than real time the market is

    def moved(self, part: Part) -> None:
        """Stamp a part; from any thread."""
        self._moved_ns[part] = self._now()

    def heard(self, event: Event) -> None:
        """Stamp what an event shows to have moved; from any thread."""
        if isinstance(event, Ticked):
            if event.marks:
                self.moved(Part.FEED)
        elif type(event) in MOVED_BY:
            self.moved(MOVED_BY[type(event)])

    def late(self) -> dict[Part, str]:
        """Return a sentence for each part that has not moved within its patience."""
        now, found = self._now(), {}
        for part, patience in self.patience.items():
            limit = patience * (self._slow if part in TIMED_BY_THE_MARKET else 1)
            still = (now - self._moved_ns[part]) / 1e9
            if still > limit:
                found[part] = f"{part} has not moved for {still:.0f} s (limit {limit:g} s)"
        return found

    def beat(self, world: World, status: str) -> None:
        """Each second, on the reactor's thread: tell the service manager that all is well, or not.

        Nothing is due from the position check before the account is known and while the breaker
        pauses. Until it runs, and while it drains, the bot asks for the time that it needs.
        """
        self.moved(Part.REACTOR)
        self._slow = 1 / min(1.0, world.rate)
        running = world.state("process") == RUNNING
        if not running or world.state("breaker") != "CLOSED":
            self.moved(Part.STOPS)
        if not self._look():
            sd_notify(f"WATCHDOG=1\nSTATUS={status}{'' if running else extension()}")

    async def follow_loop(self) -> None:
        """Each second, on the asyncio loop: show that it turns, and look at the others."""
        while True:
            self.moved(Part.LOOP)
            self._look()
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> bool:
        """Tell who is late; return whether anyone is."""
        late = self.late()
        sentences = "; ".join(late.values())
        if tuple(late) != self._named:
            self._named = tuple(late)
            self._told(sentences)
        if late:
            sd_notify(f"STATUS=late: {sentences}")
        return bool(late)


def extension() -> str:
    """Return what asks the service manager for more time to start or to stop."""
    return f"\nEXTEND_TIMEOUT_USEC={EXTEND_SECONDS * 1_000_000}"


async def ask_for_time(status: str, seconds: float) -> None:
    """Until cancelled, ask for more time to start, but for no longer than ``seconds``."""
    began = monotonic_ns()
    while (spent := (monotonic_ns() - began) / 1e9) < seconds:
        sd_notify(f"STATUS={status}, {spent:.0f} s{extension()}")
        await asyncio.sleep(LOOK_SECONDS)
