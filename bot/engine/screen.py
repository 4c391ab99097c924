"""What the process says: to a person one live line and a summary, to a machine lines of JSON.

Both are a ``Voice``; ``[log] format`` chooses, and without a word of it the terminal does.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bot.config.sections import Config
from bot.core.decide import TABLES
from bot.core.facts import OrderRefused
from bot.core.permission import entry_level, lowered
from bot.core.text import safe_text
from bot.core.world import World
from bot.edge.clock import clock_text
from bot.edge.log import Log, url_secrets
from bot.store import chain
from bot.store.database import Connection

EVERY_SECONDS = 0.5
SAID_MAX, TRACE_LINES_MAX = 2_000, 60

Refusal = tuple[int, int, OrderRefused]
"""The event's number, its market time (ms), and what was refused."""


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


class Voice(Protocol):
    """What the process says, and where. Nothing here may raise, and nothing decides."""

    @property
    def dropped(self) -> int:
        """How many lines nobody took in time."""

    def start(self) -> None:
        """The process is about to run: threads may be started."""

    def say(self, text: str, level: str = "info") -> None:
        """Say a sentence. ``level``: info, warning, error, or critical."""

    def moved(self, lines: Sequence[Mapping[str, Any]], refusals: Sequence[Refusal]) -> None:
        """Tell the committed transitions, as watchers are told them, and what was refused."""

    async def live(self, world: Callable[[], World], latch: Callable[[], str | None]) -> None:
        """Show the state for as long as the bot runs, if it is shown at all."""

    def failed(self, error: BaseException | None) -> None:
        """Tell what ends the process at once."""

    def ended(self, summary: str) -> None:
        """Tell what the run came to."""

    def close(self) -> None:
        """Say what is left to be said."""


def voice(config: Config, state: Path) -> Voice:
    """Return the voice that is configured: by itself a screen at a terminal, elsewhere lines."""
    form = config.log.format
    if form == "text" or (form == "auto" and sys.stderr.isatty()):
        return Screen(state)
    secrets = (config.venue.key, config.venue.secret, *url_secrets(config.notify.urls))
    return Lines(Log(config.log.repeat_real_seconds, config.log.queue_max, secrets), state)


class Screen:
    """Writes text to stderr; the live line only where that is a terminal."""

    dropped = 0

    def __init__(self, state: Path) -> None:
        self.is_terminal = sys.stderr.isatty()
        self._open = False
        self._said = ""
        self.say(f"state in {state}\nconsole, in another terminal: make console")

    def start(self) -> None:
        """Write as before: a person's terminal is as quick as the person wants."""

    def moved(self, lines: Sequence[Mapping[str, Any]], refusals: Sequence[Refusal]) -> None:
        """Leave it to ``tail`` and the live line."""

    def failed(self, error: BaseException | None) -> None:
        """Print the traceback and a sentence."""
        traceback.print_exception(error)
        self.say(f"ending: {type(error).__name__}: {error}")

    def ended(self, summary: str) -> None:
        """Print the summary on stdout."""
        print(summary)

    def say(self, text: str, level: str = "info") -> None:
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


class Lines:
    """One line of JSON on stderr for each transition, refusal, and sentence."""

    def __init__(self, log: Log, state: Path) -> None:
        self.log = log
        self.say(f"state in {state}")

    @property
    def dropped(self) -> int:
        """How many lines nobody took in time."""
        return self.log.dropped

    def start(self) -> None:
        """Let a thread of its own wait for whoever reads."""
        self.log.start()

    def say(self, text: str, level: str = "info") -> None:
        """Write a sentence; one that begins with its severity has that level."""
        severity = text.partition(": ")[0]
        level = severity if severity in ("warning", "critical") else level
        self.log.line(level, {"said": safe_text(text, SAID_MAX)})

    def moved(self, lines: Sequence[Mapping[str, Any]], refusals: Sequence[Refusal]) -> None:
        """Write a line for each transition, and for each control that refused an order."""
        for line in lines:
            level = LEVELS.get((line["machine"], line["dest"]), "info")
            self.log.line(level, {**line, "reason": safe_text(line["reason"], SAID_MAX)})
        for seq, at, fact in refusals:
            refused = {"seq": seq, "at": at, "refused": fact.symbol, "side": fact.side.value}
            reason = safe_text(fact.reason, SAID_MAX)
            self.log.line("info", {**refused, "control": fact.control, "reason": reason})

    async def live(self, world: Callable[[], World], latch: Callable[[], str | None]) -> None:
        """Show nothing: every change is a line."""

    def failed(self, error: BaseException | None) -> None:
        """Write why, with the traceback (which shows no values), and wait until it is read."""
        shown = [safe_text(line, SAID_MAX) for line in _trace(error)]
        why = safe_text(f"ending: {type(error).__name__}: {error}", SAID_MAX)
        self.log.line("critical", {"said": why, "traceback": tuple(shown[-TRACE_LINES_MAX:])})
        self.log.close()

    def ended(self, summary: str) -> None:
        """Write the summary as a line."""
        self.log.line("info", {"said": "ended", "summary": tuple(summary.splitlines())})

    def close(self) -> None:
        """Write what waits."""
        self.log.close()


def _trace(error: BaseException | None) -> Iterable[str]:
    return (line for part in traceback.format_exception(error) for line in part.splitlines())


def _levels() -> dict[tuple[str, str], str]:
    """Return the level of every state that is worth more than info."""
    found = {
        (table.name, str(state)): "critical" if table.name == "kill" else "warning"
        for table in TABLES
        for state in table.lowers
        if table.name != "process"  # it comes up and goes down: only one of its states is trouble
    }
    for machine, states, level in (
        ("process", ("PROTECT_ONLY",), "critical"),
        ("storage", ("LOW",), "warning"),
        ("order", ("REJECTED", "LOST"), "warning"),
        ("delivery", ("RETRY", "EXPIRED"), "warning"),
        ("delivery", ("DEAD",), "error"),
        ("run", ("FAILED", "ESCALATED"), "error"),
    ):
        found |= {(machine, state): level for state in states}
    return found


LEVELS = _levels()
"""Machine and state → the level of the line that tells of it; every other is info."""


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
