"""A scripted life of the bot: the real boot, reactor, and writer, seeded, with a mark after each COMMIT."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec

from bot.core import events as e
from bot.core.effects import Backfill, Reconcile, Submit
from bot.core.settings import Settings
from bot.core.turn import Dispatch
from bot.core.values import (
    Candle,
    Instrument,
    OrderStatus,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from bot.engine import boot
from bot.store import snapshots
from tests.faults.power.images import Mark

START = 1_700_000_040_000
MINUTE, DAY = 60_000, 86_400_000
SYMBOL, WARMUP = "BTCUSDT", 600
MINUTES_MAX = 100


def eager() -> Settings:
    """Return settings under which a short life sees many orders."""
    settings = Settings()
    replace = msgspec.structs.replace
    return replace(
        settings,
        market=replace(settings.market, warmup_candles=WARMUP),
        strategy=replace(
            settings.strategy, ema_fast=2, ema_slow=4, adx_min=0.0, cross_age_max=100, stop_atr=9.0
        ),
    )


def walk(seed: int) -> list[Candle]:
    """Return the candles of a seeded walk: the past that opens a symbol, and the days of a life."""
    chance, close, candles = random.Random(seed), 100.0, list[Candle]()
    for minute in range(-WARMUP, MINUTES_MAX):
        opened, close = close, close * (1 + chance.gauss(0, 0.002))
        high, low = max(opened, close) * 1.0003, min(opened, close) * 0.9997
        candles.append(Candle(START + minute * MINUTE, opened, high, low, close, 1.0))
    return candles


class Life:
    """One process after another on one ``state.db``; ``told`` hears what was made durable."""

    def __init__(self, state: Path, seed: int, told: Callable[[Mark], object]) -> None:
        self.state, self.told = state, told
        self.candles = walk(seed)
        self.minute, self.wall = 0, START
        self.pruned, self.snapshot = 0, 0
        self.todo: list[Dispatch] = []

    # -- one process -------------------------------------------------------------------------------

    def boot(self) -> None:
        """Boot as the process does, up to a running bot."""
        self.booted = boot.open_state(self.state)
        self.writer = self.booted.writer
        self.minute = max(0, (self.booted.world.at - START) // MINUTE)
        self.pruned = self.writer.seq - self._rows()
        self.snapshot = self.booted.snapshot_seq
        self.reactor = boot.build_reactor(self.booted, eager())
        self.reactor.wall = lambda: self.wall
        self._acknowledge()
        at = self.now
        self.turn(
            e.Started(
                at=at, instance="abc123", epoch=1, build="b", config_hash="c", settings=eager()
            ),
            e.Recovered(at=at, snapshot_seq=self.snapshot, tail=self.booted.tail),
            e.StorageChecked(at=at, free_mb=100_000),
        )
        tick, lot = Decimal("0.01"), Decimal("0.001")
        instrument = Instrument(SYMBOL, tick, lot, lot, Decimal(5), Decimal("0.0006"))
        self.turn(e.VenueConnected(at=at, rate=1.0, instruments=(instrument,)))
        self.turn(e.StreamUp(at=at, stream="public"), e.StreamUp(at=at, stream="private"))
        self.settle()

    def _rows(self) -> int:
        return int(self.writer.connection.execute("SELECT count(*) FROM journal").fetchone()[0])

    def close(self) -> None:
        """Leave as the reactor's thread does, and close."""
        self.save()
        self.writer.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self.writer.connection.close()

    # -- commits -----------------------------------------------------------------------------------

    def turn(self, *events: e.Event) -> None:
        """Turn, acknowledge, and remember what is to be done."""
        self.todo += self.reactor.turn(events).dispatches
        self._acknowledge()

    def save(self) -> None:
        """Write a snapshot, then drop what is behind old ones, as the reactor's thread does."""
        snapshots.save(self.writer, self.reactor.world, self.wall, "b")
        self.snapshot = self.reactor.world.seq
        self._acknowledge()
        self.pruned += snapshots.prune(self.writer, self.wall, 7)
        self._acknowledge()

    def _acknowledge(self) -> None:
        writer = self.writer
        rows = writer.seq - self.pruned
        self.told(Mark(writer.seq, rows, writer.head_id, writer.head.hex(), self.snapshot))

    # -- what happens ------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return START + self.minute * MINUTE + 500

    @property
    def candle(self) -> Candle:
        """The newest closed candle."""
        return self.candles[WARMUP + self.minute - 1]

    def live(self, minutes: int) -> None:
        """Live some minutes: a tick, a candle, and what the venue answers to orders."""
        for _ in range(minutes):
            self.minute += 1
            at, candle = self.now, self.candle
            self.turn(e.Ticked(at=at - 1000, marks={SYMBOL: candle.close}))
            self.turn(
                e.CandleClosed(at=at, symbol=SYMBOL, candle=candle, source="bybit"),
                e.Ticked(at=at + 1, marks={SYMBOL: candle.close}),
            )
            self.settle()

    def settle(self) -> None:
        """Let the venue answer every effect."""
        while self.todo:
            dispatch = self.todo.pop(0)
            at = self.reactor.world.at + 1
            delivered = e.Delivered(at=at, effect=dispatch.id)
            match dispatch.effect:
                case Submit() as order:
                    self.fill(delivered, order)
                case Backfill(symbol, after):
                    past = tuple(c for c in self.candles if after < c.open_time < at - MINUTE)
                    got = e.Backfilled(at=at, symbol=symbol, candles=past, source="bybit")
                    self.turn(delivered, got)
                case Reconcile():
                    self.turn(delivered, self.account(at))
                case _:
                    self.turn(delivered)

    def account(self, at: int) -> e.Reconciled:
        """Return the venue's account: what the bot believes."""
        world = self.reactor.world
        held = tuple(
            VenuePosition(symbol, position.qty, position.avg, position.stop, position.take)
            for symbol, position in world.positions.items()
            if position.qty
        )
        cash = world.account.cash or Decimal(100_000)
        return e.Reconciled(at=at, as_of=at, wallet=cash, positions=held, orders=(), fills=())

    def fill(self, delivered: e.Delivered, order: Submit) -> None:
        """Fill an order in two parts, the second in one turn with the order's report."""
        at, part = delivered.at, order.qty / 2
        self.turn(delivered, e.Accepted(at=at, order=order.order, venue_id="v"))
        self.turn(self.filled(order, part, at + 1))
        row = VenueOrder(
            order.order, "v", order.symbol, order.side, order.qty, order.qty, OrderStatus.FILLED
        )
        self.turn(self.filled(order, order.qty - part, at + 2), e.OrderReported(at=at + 2, row=row))

    def filled(self, order: Submit, qty: Decimal, at: int) -> e.Filled:
        """Return one execution at the present price."""
        price = Decimal(f"{self.candle.close:.2f}")
        fill = VenueFill(
            f"{order.order} {at}",
            order.order,
            order.symbol,
            order.side,
            qty,
            price,
            Decimal("0.1"),
            at,
        )
        return e.Filled(at=at, fill=fill)

    def command(self, verb: str, **args: str) -> None:
        """Let an operator command, and time pass until it is verified."""
        self.turn(
            e.Commanded(
                at=self.now,
                id=f"{verb}-{self.writer.seq}",
                verb=verb,
                args=args,
                operator="ana",
                identity="kernel",
                reason="test",
                expires_at=0,
            )
        )
        self.turn(e.Ticked(at=self.now, marks={SYMBOL: self.candle.close}))
        self.settle()


def first(life: Life) -> None:
    """The first process: warm-up, trades, commands, and what goes wrong on a normal day."""
    life.boot()
    life.live(8)
    life.save()
    for verb in ("hold", "release", "reduce"):
        life.command(verb)
    life.command("set-parameter", name="risk.base_size", value="0.01", seconds="600")
    life.live(3)
    for _ in range(4):
        life.wall += 5 * DAY
        life.save()
        life.live(1)
    life.turn(e.CandleClosed(at=life.now, symbol=SYMBOL, candle=("junk",), source="bybit"))  # type: ignore[arg-type]
    life.command("release")


def second(life: Life) -> None:
    """The second process: recovery, a lost stream, the kill switch, a flood, and the end."""
    life.boot()
    life.wall = START + 30 * DAY
    life.turn(e.StreamLost(at=life.now, stream="public", reason="closed"))
    life.turn(e.StreamUp(at=life.now, stream="public"))
    life.live(3)
    life.command("kill")
    life.command("rearm")
    life.turn(*(e.Ticked(at=life.now + n, marks={SYMBOL: life.candle.close}) for n in range(20)))
    life.turn(e.FramesRefused(at=life.now, symbol=SYMBOL, count=3, reason="not JSON"))
    life.live(14)
    life.close()
