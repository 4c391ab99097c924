"""Writes a real database with the real reactor: a short day of trading whose numbers are known."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from bot.core.events import (
    Accepted,
    Backfilled,
    CandleClosed,
    Commanded,
    Delivered,
    Doubted,
    Filled,
    Measured,
    OrderReported,
    PositionReported,
    Reconciled,
    Recovered,
    Started,
    Ticked,
    VenueConnected,
)
from bot.core.settings import Settings
from bot.core.values import (
    Candle,
    Instrument,
    OrderStatus,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from bot.core.world import World
from bot.engine.reactor import Reactor
from bot.store import snapshots
from bot.store.database import open_writer
from bot.store.schema import migrate
from bot.store.writer import Writer

MINUTE = 60_000
MIDNIGHT = 1_700_006_400_000  # 2023-11-15 00:00 UTC
START = MIDNIGHT - 20 * MINUTE
SYMBOL = "BTCUSDT"
WON, LOST = Decimal(103), Decimal(98)


class Script:
    """An oracle that answers when the story wants a signal."""

    def __init__(self):
        self.signal = False

    def ask(self, question, at, base=None):
        if not self.signal:
            return None, None
        self.signal = False
        return (
            Measured(
                at=at,
                symbol=question.symbol,
                open_time=question.candles[-1].open_time,
                close=100.0,
                ema_fast=101.0,
                ema_slow=100.0,
                adx=40.0,
                atr=1.0,
                cross_age=2,
            ),
            None,
        )

    def swap(self, states):
        pass


class Story:
    """Tells a bot's life event by event. ``say`` is the reactor's turn."""

    def __init__(self, path: Path):
        self.connection = open_writer(path)
        migrate(self.connection, 1)
        self.oracle = Script()
        self.reactor = Reactor(Writer(self.connection), World(), self.oracle, wall=lambda: MIDNIGHT)
        self.at, self.fills, self.runs = START, 0, 0

    def say(self, *events):
        committed = self.reactor.turn(events)
        done = [
            Delivered(at=events[-1].at, effect=d.id)
            for d in committed.dispatches
            if type(d.effect).__name__ in {"Notify", "Leverage", "Reconcile", "Backfill"}
        ]
        if done:
            self.reactor.turn(done)
        return committed

    def start(self):
        at = self.at
        self.connection.execute("INSERT INTO meta VALUES('instance','abc123'),('epoch','1')")
        self.say(
            Started(
                at=at, instance="abc123", epoch=1, build="b", config_hash="c", settings=Settings()
            ),
            Recovered(at=at, snapshot_seq=0, tail=0),
        )
        market = Instrument(
            SYMBOL,
            Decimal("0.01"),
            Decimal("0.001"),
            Decimal("0.001"),
            Decimal(5),
            Decimal("0.0006"),
        )
        self.say(VenueConnected(at=at, rate=1, instruments=(market,)))
        for late in (1, 3):
            self.say(
                Reconciled(
                    at=at + late,
                    as_of=at + late,
                    wallet=Decimal(100_000),
                    positions=(),
                    orders=(),
                    fills=(),
                )
            )
        old = tuple(self.candle(at - MINUTE * (1000 - i)) for i in range(1000))
        self.say(Backfilled(at=at + 4, symbol=SYMBOL, candles=old, source="bybit"))
        self.say(Ticked(at=at + 1000, marks={SYMBOL: 100.0}))

    @staticmethod
    def candle(open_time):
        return Candle(open_time, 100.0, 100.5, 99.5, 100.0, 1.0)

    def minute(self, *, signal=False):
        """Let a minute pass; return the entry that its close caused, if any."""
        opened, self.at = self.at, self.at + MINUTE
        for second in (20, 40, 59):
            self.say(Ticked(at=opened + second * 1000, marks={SYMBOL: 100.0}))
        self.oracle.signal = signal
        committed = self.say(
            CandleClosed(
                at=self.at + 100, symbol=SYMBOL, candle=self.candle(opened), source="bybit"
            )
        )
        submits = [d for d in committed.dispatches if type(d.effect).__name__ == "Submit"]
        return submits[0] if submits else None

    def fill(self, order, side, qty, price, by=""):
        self.fills += 1
        return Filled(
            at=self.at + 300,
            fill=VenueFill(
                f"f{self.fills}", order, SYMBOL, side, qty, price, Decimal("1.0"), self.at + 300, by
            ),
        )

    def enter(self):
        """Open a position at 100 whose stop the venue holds; return its submit."""
        submit = self.minute(signal=True)
        assert submit is not None, "the story expects an entry here"
        s, at = submit.effect, self.at + 300
        self.say(
            Delivered(at=at, effect=submit.id), Accepted(at=at, order=s.order, venue_id=s.order)
        )
        self.say(
            self.fill(s.order, s.side, s.qty, Decimal(100)),
            OrderReported(
                at=at,
                row=VenueOrder(s.order, "v", SYMBOL, s.side, s.qty, s.qty, OrderStatus.FILLED),
            ),
            PositionReported(
                at=at, position=VenuePosition(SYMBOL, s.qty, Decimal(100), s.stop, s.take)
            ),
        )
        return s

    def trade(self, price):
        """Make one round trip that ends at a price."""
        s = self.enter()
        by = "TakeProfit" if price == WON else "StopLoss"
        self.say(self.fill("", s.side.opposite, s.qty, price, by))

    def command(self, verb, operator, reason, identity="kernel", **args):
        self.runs += 1
        self.say(
            Commanded(
                at=self.at + 500,
                id=f"r{self.runs}",
                verb=verb,
                args=args,
                operator=operator,
                identity=identity,
                reason=reason,
                expires_at=0,
            )
        )

    def doubt(self):
        """Send an entry whose outcome nobody knows; return its id."""
        submit = self.minute(signal=True)
        order = submit.effect.order
        self.say(Doubted(at=self.at + 300, order=order, reason="no answer within 5 s"))
        return order

    def snapshot(self):
        snapshots.save(self.reactor.writer, self.reactor.world, MIDNIGHT, "b")


def tell(path: Path) -> Story:
    """Write the day: six trades, a reduced guard, a hold, a kill and its re-arm, midnight."""
    story = Story(path)
    story.start()
    for price in (WON, WON, LOST, LOST, LOST, LOST):
        story.trade(price)
    story.minute()
    story.command("hold", "ana", "news at noon")
    story.minute(signal=True)
    story.command("release", "ana", "news is over")
    story.command("kill", "ben", "drill \x1b[31m[bold]")
    story.minute()
    story.command("rearm", "ana", "drill is over")
    story.command("rearm", "eve", "I want to", identity="claimed")
    while story.at < MIDNIGHT + 2 * MINUTE:
        story.minute()
    story.enter()
    story.snapshot()
    return story
