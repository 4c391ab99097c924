"""What a person at the terminal sees: one live line while it runs, a summary when it ends."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bot.core.permission import entry_level, lowered
from bot.core.world import World
from bot.edge.clock import clock_text
from bot.store import chain
from bot.store.database import Connection

EVERY_SECONDS = 0.5


def status_line(world: World, latch: str | None) -> str:
    """Return the state of the bot in one line: what it is, what it holds, why it may not trade."""
    feeds = world.machines.get("feed", {}).values()
    live = sum(1 for feed in feeds if feed.state == "LIVE")
    held = [p.symbol for p in world.positions.values() if p.qty]
    parts = [
        f"{clock_text(world.at)[5:]} {world.state('process') or 'BOOT'}",
        f"entries {entry_level(world).name}",
        f"equity {world.account.equity:.2f}",
        f"positions {len(held)}{' ' + ','.join(held[:4]) if held else ''}",
        f"trades {sum(1 for c in world.closed if not c.shadow)}",
        f"guard {world.state('guard') or '–'}",
        f"kill {world.state('kill') or '–'}",
        f"feeds {live}/{len(world.feeds)}",
    ]
    why = f"latched: {latch}" if latch else next((reason for _, reason in lowered(world)), "")
    return " · ".join(parts) + (f" ({why})" if why else "")


class Screen:
    """Writes to stderr; the live line only where that is a terminal."""

    def __init__(self, state: Path) -> None:
        self.is_terminal = sys.stderr.isatty()
        self._open = False
        self._said = ""
        self.say(f"state in {state}\nconsole, in another terminal: make console")

    def say(self, text: str) -> None:
        """Print one line for people; the same line again is not repeated."""
        if text == self._said:
            return
        self._said = text
        self._clear()
        print(text, file=sys.stderr, flush=True)

    async def live(self, world: Callable[[], World], latch: Callable[[], str | None]) -> None:
        """Keep the live line fresh; without a terminal, print a line when the state changes."""
        before = ""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            now = world()
            if self.is_terminal:
                width = shutil.get_terminal_size().columns
                print(
                    f"\r\x1b[K{status_line(now, latch())[: width - 1]}",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
                self._open = True
            else:
                named = ("process", "guard", "kill", "hold", "breaker", "reconciliation")
                states = f"{' '.join(map(now.state, named))} {entry_level(now).name}"
                if states != before:
                    print(status_line(now, latch()), file=sys.stderr, flush=True)
                    before = states

    def close(self) -> None:
        """End the live line."""
        self._clear()

    def _clear(self) -> None:
        if self._open:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._open = False


def summary(connection: Connection, world: World, events: int, turns: int) -> str:
    """Return what a run came to, in a few lines."""
    trades = connection.execute(
        "SELECT count(*), total(CAST(pnl AS REAL) > 0), total(CAST(pnl AS REAL))"
        " FROM trade WHERE shadow = 0"
    ).fetchone()
    head_id, head = chain.head(connection)
    stopped = world.instance_of("process")
    held = [
        f"{p.symbol} {p.qty:f} at {p.avg:f}, stop {p.stop:f} {'' if p.stop_held else 'NOT '}held"
        for p in world.positions.values()
        if p.qty and p.stop is not None
    ]
    lines = [
        f"stopped: {stopped.reason if stopped else 'unknown'}",
        f"round trips: {trades[0]} ({trades[1]:.0f} won), profit {trades[2]:+.2f}",
        f"equity {world.account.equity:.2f}, peak {world.account.peak:.2f}",
        f"positions kept: {'; '.join(held) or 'none'}",
        f"guard {world.state('guard')}, kill {world.state('kill')}, hold {world.state('hold')}",
        f"this run: {events} events in {turns} transactions",
        f"audit head: #{head_id} {chain.short(head)}",
    ]
    return "\n".join(lines)
