"""The stage of the simulated month: what is outside of the bot, its present process, time, and people.

The clock leaps from minute to minute while nothing is under way, and goes by seconds while something
is: what lies between can change nothing. The product knows candles of one minute only (longer
horizons are made of them), so the month has five of them where a candle of five minutes was asked for.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

from bot.core import approvals
from bot.core.events import CandleClosed, Commanded, StorageChecked, Ticked
from bot.core.health_events import Sampled
from bot.core.settings import Settings, with_value
from bot.engine import boot
from bot.engine.reactor import Committed, Point
from tests.simulation import month_faults, month_hands
from tests.simulation.month_books import Books
from tests.simulation.month_kinds import Kind, named
from tests.simulation.month_life import Life, Outside
from tests.simulation.month_market import MINUTE, SYMBOLS, Market
from tests.simulation.month_standing import urgent, waiting, why_not_well
from tests.simulation.month_watch import Watcher
from tests.simulation.town import ORIGIN_MS
from tests.simulation.virtual import START_S

DAY_SECONDS = 86_400
PEACE_SECONDS = (600, 6_000)
APPROVED_SHARE = 0.7
POSITION_SECONDS_MAX = 4 * 3600.0
WELL_WITHIN_SECONDS = 1_200
"""Once no fault is on, people have looked, and so much time has passed, everything is well."""
EQUAL_WITHIN_SECONDS = 200
"""Funding is heard of at the next reading of the account, which is a minute away, or two."""
CALM_HOST = {
    "latency_ms": 60.0,
    "budget_share": 0.1,
    "clock_ms": 1.0,
    "lag_ms": 3.0,
    "turn_ms": 2.0,
    "wal_mb": 2.0,
    "rss_mb": 90.0,
    "rss_growth": 0.0,
    "backup_hours": 3.0,
    "config_differs": 0.0,
    "chain_hours": 0.0,
}
SLOW = ("rss_mb", "rss_growth", "backup_hours", "config_differs", "chain_hours", "chain_broken")
ROOM_MB = 50_000
TUNED = {
    "market.symbols": SYMBOLS,
    "storage.snapshot_events": 300,
    "guard.window": 10,
    "roles.two_people": "on",
}
"""What is not as it is by default: starts and the guard's opinion change more often."""


class Month:
    """The stage: what is outside of the bot, the bot's present process, and the time."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = random.Random(f"month {seed}")
        self.settings = Settings()
        for key, value in TUNED.items():
            self.settings = with_value(self.settings, key, value)
        self.offset_ms = 0
        self.market = Market(seed, ORIGIN_MS)
        self.books = Books(self.market, self.now)
        self.outside = Outside(boot.Paths(folder / "state.db"), self.settings, self.books)
        self.books.tell = self._heard
        self.hands = month_hands.hands(self)
        self.outside.remedies = lambda: [hand.remedy for hand in self.hands.values()]
        self.watcher = Watcher(self.books, self.outside)
        self.counts: Counter[str] = Counter()
        self.host: dict[str, float] = {}
        self.rooms = [ROOM_MB]
        self.stalled = self.silent = False
        self.withheld: Counter[str] = Counter()
        self.brisk = self.suffering = 0
        self.aim: tuple[Point, int] | None = None
        self.orders = month_faults.Mischief(self.chance, self.counts)
        self.outside.weather.mischief = self.orders.drawn
        self.outside.look = self._look
        self.life: Life
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.TimerHandle | None = None
        self._minute = 0
        self._asked = 0
        self._keeper: asyncio.Task[None]

    def now(self) -> int:
        """Return the venue's time, ms."""
        return ORIGIN_MS + self.offset_ms + round((self._loop.time() - START_S) * 1000)

    @property
    def free_mb(self) -> int:
        """Return the room on the disk, as the worst of what is the matter with it has it."""
        return min(self.rooms)

    # -- life --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start the bot, and time."""
        self._begin()
        self._keeper = asyncio.create_task(self._keep())
        self._tick()
        await self.until_well("the first start")

    async def close(self) -> None:
        """End the bot; its file is left."""
        self._keeper.cancel()
        if self._next is not None:
            self._next.cancel()
        self.life.die()
        await asyncio.sleep(0.1)

    def _begin(self) -> None:
        self.watcher.before_boot()
        self.life = Life(self.outside, seen=self._seen, probe=self._dies)
        self.watcher.booted(self.life)
        self.life.start()

    async def _keep(self) -> None:
        """Start the bot anew whenever it is gone."""
        while True:
            await self.life.gone.wait()
            gone = self.life
            if gone.error is not None:
                raise RuntimeError("the bot ended itself") from gone.error
            await asyncio.sleep(self.outside.down_seconds)
            self._begin()
            gone.forget()

    def _heard(self, told: Any) -> None:
        self.life.hear(told)

    def _dies(self, point: Point) -> bool:
        if self.aim is None or self.aim[0] is not point:
            return False
        point, hits = self.aim
        self.aim = (point, hits - 1) if hits > 1 else None
        return hits <= 1

    def _seen(self, life: Life, committed: Committed) -> None:
        self.watcher.seen(life, committed)
        if urgent(committed.world):
            self.again_in(1.0)

    # -- time --------------------------------------------------------------------------------------

    def again_in(self, seconds: float) -> None:
        """Have the next tick no later than this."""
        due = self._loop.time() + seconds
        if self._next is not None and self._next.when() <= due:
            return
        if self._next is not None:
            self._next.cancel()
        self._next = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        """Let time come to the present: prices pass, the bot's senses see it, people look."""
        self._next = None
        at, life = self.now(), self.life
        for _, prices in self.market.reach(at):
            self.books.pass_by(prices)
        self.watcher.looked(life)
        if not life.dead:
            if life.connected:
                if life.follow_clock():
                    self.watcher.clock_jumped()
                life.halt_seen()
            quoted = life.connected and self.outside.streams["public"] and not self.stalled
            marks = self.market.prices(at) if quoted else {}
            life.post(Ticked(at=life.clock.now(), marks=marks))
        if at // MINUTE != self._minute:
            self._minute = at // MINUTE
            self._loop.call_later(0.3, self._minute_over, self._minute)
        left = (MINUTE - self.now() % MINUTE) / 1000 + 0.02
        self.again_in(min(left, self._pause()))

    def _pause(self) -> float:
        """Return how long nothing can change, s."""
        if self.life.dead or self.brisk or urgent(self.life.world):
            return 1.0
        return 5.0 if waiting(self.life.world) else 60.0

    def _minute_over(self, minute: int) -> None:
        """Publish the minute's candles, have the host measured, and let people look."""
        life = self.life
        if life.dead or not life.connected:
            return
        if self.outside.streams["public"] and not self.stalled:
            for symbol, path in self.market.paths.items():
                if self.withheld[symbol]:
                    self.withheld[symbol] -= 1
                elif minute - 1 in path.minutes:
                    candle = path.candle(minute - 1)
                    at = life.clock.now()
                    life.post(CandleClosed(at=at, symbol=symbol, candle=candle, source="month"))
        running = life.world.state("process") == "RUNNING"
        if running and (minute % 5 == 0 or self.suffering or why_not_well(life.world)):
            self._look("fast")
            if minute % 5 == 0:
                self._look("slow")
        self.watcher.overdue(life.world)
        if not self.silent:
            self._people()
        self.books.forget()

    def _look(self, pace: str) -> None:
        """Have the host measured."""
        at, host = self.life.clock.now(), {**CALM_HOST, "free_mb": float(self.free_mb), **self.host}
        samples = {
            name: value for name, value in host.items() if (name in SLOW) == (pace == "slow")
        }
        if pace == "fast":
            self.life.post(StorageChecked(at=at, free_mb=self.free_mb))
        self.life.post(Sampled(at=at, pace=pace, samples=samples))

    # -- people ------------------------------------------------------------------------------------

    def ask(self, verb: str, *, second: bool = False, **args: str) -> None:
        """Have a named person, or the ``second`` one, give a command."""
        self._asked += 1
        self.life.post(
            Commanded(
                at=self.life.clock.now(),
                id=f"c-{self._asked}",
                verb=verb,
                args=args,
                operator="bo" if second else "ana",
                identity="kernel",
                reason="seen to",
                expires_at=0,
                role="admin",
                uid=1_002 if second else 1_001,
            )
        )

    def _people(self) -> None:
        """Answer what calls, lift what is latched, once whatever it was is over."""
        world = self.life.world
        for key, alert in world.alerts.items():
            unanswered = world.state("alert", key) in ("RAISED", "ESCALATED")
            old = world.at - alert.notify.since > 3 * MINUTE
            if unanswered and old and alert.notify.severity == "critical":
                self.ask("ack", alert=key)
        if self.brisk:
            return
        for run in approvals.waiting(world):
            verb = "approve" if self.chance.random() < APPROVED_SHARE else "decline"
            self.ask(verb, second=True, run=run)
        for key, hold in world.machines.get("hold", {}).items():
            if hold.state == "HELD":
                self.ask("release", despite="budget", **_scope(key))
        for key, kill in world.machines.get("kill", {}).items():
            if kill.state == "LATCHED":
                self.ask("rearm", despite="budget", **_scope(key))

    async def position(self) -> str:
        """Wait until the bot has a position under a stop; return its symbol, "" if none came."""
        ends = self._loop.time() + POSITION_SECONDS_MAX
        while self._loop.time() < ends:
            for symbol, held in self.books.positions.items():
                if held.stop is not None and not self.life.dead:
                    return symbol
            await asyncio.sleep(1)
        return ""

    # -- the story ---------------------------------------------------------------------------------

    async def until_well(self, after: str) -> None:
        """Wait until everything is well. Raises AssertionError with what is not."""
        ends, why = self._loop.time() + WELL_WITHIN_SECONDS, "never looked"
        while self._loop.time() < ends:
            await asyncio.sleep(5.0)
            if self._keeper.done():
                self._keeper.result()
            self.watcher.raise_wrong()
            why = "the process is down" if self.life.dead else why_not_well(self.life.world)
            if not why:
                return
        raise AssertionError(f"{WELL_WITHIN_SECONDS} s after {after}: {why}")

    async def _until_equal(self, after: str) -> None:
        """Wait for the next reading of the account. Raises AssertionError if the ledgers differ then."""
        ends = self._loop.time() + EQUAL_WITHIN_SECONDS
        while why := self.watcher.differs(self.life):
            assert self._loop.time() < ends, f"{EQUAL_WITHIN_SECONDS} s after {after}: {why}"
            await asyncio.sleep(1.0)

    async def play(self, days: float) -> None:
        """Have one fault after another, or some at once, with peace in between, for so long."""
        ends = START_S + days * DAY_SECONDS
        deck = month_faults.Deck(self.chance)
        while self._loop.time() < ends:
            await asyncio.sleep(self.chance.uniform(*PEACE_SECONDS))
            chosen = deck.deal(self.chance.choice((1, 1, 2, 3)))
            names = " and ".join(map(named, chosen))
            try:
                await asyncio.gather(*(self._suffer(kind) for kind in chosen))
            finally:
                self.watcher.note(f"{(self._loop.time() - START_S) / 3600:.2f} h: {names}")
            self.orders.resting = True
            await self.until_well(names)
            self.watcher.agree(self.life)
            await self._until_equal(names)
            self.orders.resting = False

    async def _suffer(self, kind: Kind) -> None:
        await asyncio.sleep(self.chance.uniform(0, 90))
        self.suffering += 1
        if await kind(self) is not False:
            self.counts[named(kind)] += 1
        self.suffering -= 1


def _scope(key: str) -> dict[str, str]:
    return {} if key == "account" else {"symbol": key}
