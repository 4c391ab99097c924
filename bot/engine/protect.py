"""Protect-only: a boot that cannot use its database sees to the stops and waits for a person."""

from __future__ import annotations

import asyncio
import math
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from bot.edge.clock import MarketClock
from bot.edge.files import Halt, Heartbeat
from bot.edge.venues.bybit import Bybit
from bot.engine.boot import Paths
from bot.engine.watchdog import ask_for_time
from bot.errors import Retryable
from bot.panic import panic

if TYPE_CHECKING:
    from bot.engine.screen import Voice
    from bot.engine.venue import Venue

EXIT_PROTECTED = 75
AGAIN_SECONDS, BEAT_SECONDS = 60.0, 1.0


async def protect_only(where: Venue, paths: Paths, why: str, screen: Voice) -> int:
    """Cancel entries and see that every position has a stop, again each minute, until stopped.

    Nothing is opened and no decision is made. Ends with 75, so that a service manager tries a
    whole boot again; ``panic.jsonl`` tells that boot what was done.
    """
    clock = MarketClock()
    venue = Bybit(where.rest_url, where.ws_url, where.key, where.secret, clock=clock)
    await venue.open()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    reason = f"protect-only: {why}"
    screen.say(reason, "critical")
    screen.say(
        "Entries are cancelled, stops are kept. Mend the disk or restore a backup"
        " (python -m bot restore), then start again; Ctrl-C ends this."
    )
    beating = asyncio.create_task(_beat(paths))
    asking = asyncio.create_task(ask_for_time("PROTECT_ONLY", math.inf))
    while not stopped.is_set():
        for line in await panic(venue, Halt(paths.halt), paths.panic, False, "boot", reason, None):
            screen.say(line)
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                await stopped.wait()
        except TimeoutError:
            continue
    beating.cancel()
    asking.cancel()
    await venue.close()
    return EXIT_PROTECTED


async def _beat(paths: Paths) -> None:
    """Give a sign of life each second, if the disk takes it: no dead-man need act beside us."""
    with suppress(OSError):
        heartbeat = Heartbeat(paths.heartbeat)
        while True:
            with suppress(Retryable):
                heartbeat.write({"process": "PROTECT_ONLY"})
            await asyncio.sleep(BEAT_SECONDS)
