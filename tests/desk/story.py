"""Writes a real database with the real reactor: a short day of trading whose numbers are known."""

from __future__ import annotations

import shutil
from pathlib import Path

from msgspec.structs import replace

from bot.core import model_events as e
from bot.core.effects import Backfill, Leverage, Notify, Reconcile, Report, Submit, VerifyModel
from bot.core.events import (
    Accepted,
    CandleClosed,
    Delivered,
    Doubted,
    Filled,
    Ticked,
)
from bot.core.health_events import Sampled, Treated
from bot.core.remedy import Remedy
from bot.core.values import CashMove
from bot.edge.files import Halt
from bot.store import snapshots
from tests.given import (
    BTC,
    MINUTE,
    D,
    a_candle,
    a_fill,
    commanded,
    measured,
    opening_events,
    reconciled,
    reported,
    stop_seen,
)
from tests.store.kept import kept

MIDNIGHT = 1_700_006_400_000  # 2023-11-15 00:00 UTC
START = MIDNIGHT - 20 * MINUTE
WON, LOST = D(3), D(-2)
MODEL = "a" * 64
REMEDY = Remedy("rest", "Rest.", ("loop",), "low", 3, 60.0, 30.0, "", "the check is well")
CARRIED_OUT = (Notify, Leverage, Reconcile, Backfill, VerifyModel, Report)
"""Effects that arrive without a word of the story."""


class Story:
    """Tells a bot's life event by event. ``say`` is the reactor's turn."""

    def __init__(self, path: Path):
        self.reactor = kept(path, wall=lambda: MIDNIGHT)
        self.connection = self.reactor.writer.connection
        self.at, self.runs = START, 0

    @property
    def world(self):
        return self.reactor.world

    def say(self, *events):
        """Commit events; what they ask for in passing is carried out."""
        committed = self.reactor.turn(events)
        done = [
            Delivered(at=self.world.at, effect=d.id)
            for d in committed.dispatches
            if isinstance(d.effect, CARRIED_OUT)
        ]
        if done:
            self.reactor.turn(done)
        return committed

    def start(self):
        """Come up as boot does: known to the file, connected, reconciled, with candles."""
        self.connection.execute("INSERT INTO meta VALUES('instance','abc123'),('epoch','1')")
        begun, *rest = opening_events(at=self.at)
        for event in (replace(begun, channels=("mailto-1",), remedies=(REMEDY,)), *rest):
            self.say(event)

    def minute(self, up=None, mark=100.0):
        """Let a minute pass; if its candle is a signal up or down, return the entry it caused."""
        opened, self.at = self.at, self.at + MINUTE
        for second in (20, 40, 59):
            self.say(Ticked(at=opened + second * 1000, marks={BTC: mark}))
        closed = CandleClosed(at=self.at + 100, symbol=BTC, candle=a_candle(opened), source="bybit")
        self.say(closed)
        if up is None:
            return None
        committed = self.say(measured(self.world, up=up, open_time=opened))
        return next((d for d in committed.dispatches if isinstance(d.effect, Submit)), None)

    def enter(self, up=True):
        """Open a position at 100 whose stop the venue holds; return its order."""
        sent = self.minute(up)
        assert sent is not None, "the story expects an entry here"
        order, at = sent.effect, self.world.at
        self.say(
            Delivered(at=at, effect=sent.id), Accepted(at=at, order=order.order, venue_id="v1")
        )
        self.fill(order.side, order.qty, 100, order=order.order)
        self.say(reported(self.world, order.order), stop_seen(self.world))
        return order

    def fill(self, side, qty, price, **more):
        """Report an execution that cost a fee of 1."""
        found = a_fill(BTC, side, qty, price, fee=D(1), at=self.world.at, **more)
        self.say(Filled(at=self.world.at, fill=found))

    def trade(self, points, up):
        """Make one round trip that ends so many points further, at its stop or target."""
        order = self.enter(up)
        by = "TakeProfit" if points == WON else "StopLoss"
        self.fill(order.side.opposite, order.qty, 100 + order.side.sign * points, by=by)

    def command(self, verb, operator, reason, **more):
        """Let an operator ask for something."""
        self.runs += 1
        given = {"id": f"r{self.runs}", "operator": operator, "reason": reason}
        self.say(commanded(self.world, verb, **given, **more))

    def read(self, depth, wallet, *moves):
        """Let the venue say what its wallet holds, and what cash moved without an execution."""
        self.say(reconciled(self.world, wallet, depth=depth, moves=moves))

    def funding(self, change):
        """Let cash move that the next light reading misses and the full one explains."""
        wallet = self.world.account.cash + change
        self.read("light", wallet)
        self.read("full", wallet, CashMove("m1", "SETTLEMENT", BTC, change, self.world.at))

    def doubt(self):
        """Send an entry whose outcome nobody knows; return its id."""
        order = self.minute(up=True).effect.order
        self.say(Doubted(at=self.world.at, order=order, reason="no answer within 5 s"))
        return order

    def learn(self):
        """Let a trainer make a model, which is verified and says a word."""
        at, run = self.world.at, "t1"
        ended = {"cause": "ok", "reason": "made", "seconds": 2.5, "peak_mb": 240, "rows": 900}
        self.say(
            e.TrainingQueued(at=at, run=run, rows=1000, operator="ana"),
            e.TrainingStarted(at=at, run=run, attempt=1, rows=1000, pid=7),
            e.TrainingEnded(at=at, run=run, attempt=1, model=MODEL, **ended),
            e.ModelVerified(
                at=at, model=MODEL, manifest='{"trained_to": 1}', trained_to=1, skill=0.1
            ),
            e.ModelsScored(at=at, symbol=BTC, open_time=START, scores=(e.Score(MODEL, 0.5),)),
        )

    def ail(self):
        """Let the loop be late twice; what is tried against it cannot be carried out."""
        at = self.world.at
        for _ in range(2):
            self.say(Sampled(at=at, pace="fast", samples={"lag_ms": 999.0}))
        (run,) = self.world.attempts
        self.say(Treated(at=at, run=run, ok=False, said="no bed"))
        self.say(Sampled(at=at, pace="fast", samples={"lag_ms": 3.0}))

    def snapshot(self):
        snapshots.save(self.reactor.writer, self.world, MIDNIGHT, "b")


def tell(path: Path) -> Story:
    """Write the day: six trades, a reduced guard, funding, a hold, a kill, its re-arm, midnight."""
    story = Story(path)
    story.start()
    for number, points in enumerate((WON, WON, LOST, LOST, LOST, LOST)):
        story.trade(points, up=number % 2 == 0)  # one side alone would be held as re-entries
    story.say(Sampled(at=story.world.at, pace="fast", samples={"lag_ms": 3.0, "wal_mb": 1.5}))
    story.minute()
    story.funding(D("-1.25"))
    story.command("hold", "ana", "news at noon")
    story.minute(up=True, mark=104.0)
    story.command("release", "ana", "news is over")
    story.command("kill", "ben", "drill \x1b[31m[bold]")
    story.minute()
    story.command("rearm", "ana", "drill is over")
    story.command("rearm", "eve", "I want to", identity="claimed")
    while story.at < MIDNIGHT + 2 * MINUTE:
        story.minute()
    story.enter()
    story.learn()
    story.ail()
    story.snapshot()
    return story


def told_in(folder: Path) -> Path:
    """Tell the day in a folder and close it cleanly; tests that change anything copy it."""
    path = folder / "state.db"
    tell(path).connection.close()
    return path


def copied(told: Path, folder: Path) -> Path:
    """Copy a told day, with a clear HALT mark beside it."""
    shutil.copyfile(told, folder / "state.db")
    Halt(folder / "HALT").create()
    return folder / "state.db"
