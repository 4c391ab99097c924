"""What figures are measured on: databases with a running bot's world in them, made by real events."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bot.core.events import (
    Backfilled,
    Delivered,
    Event,
    Reconciled,
    Recovered,
    Started,
    VenueConnected,
)
from bot.core.settings import Settings
from bot.core.values import Candle, Instrument
from bot.core.world import World
from bot.engine.reactor import Committed, Probe, Reactor, no_probe
from bot.learn.indicators import Oracle
from bot.store.database import Connection, open_writer
from bot.store.schema import migrate
from bot.store.writer import Writer

MINUTE = 60_000
T0 = 1_750_000_020_000 // MINUTE * MINUTE
SYMBOLS = tuple(f"B{chr(65 + n)}NUSDT" for n in range(20))


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder on the system's temporary disk for as long as it is needed."""
    with TemporaryDirectory(prefix="bench-") as name:
        yield Path(name)


def instruments(symbols: tuple[str, ...] = SYMBOLS) -> tuple[Instrument, ...]:
    """Return instruments as the venue would list them."""
    tick, lot = Decimal("0.01"), Decimal("0.001")
    return tuple(Instrument(s, tick, lot, lot, Decimal(5), Decimal("0.0006")) for s in symbols)


def candles(symbol: str, newest: int, count: int) -> tuple[Candle, ...]:
    """Return a seeded walk of ``count`` closed candles that ends with the one opened at ``newest``."""
    chance, price, found = random.Random(symbol), 100.0, []
    for n in range(count):
        opened, price = price, price * (1 + chance.gauss(0, 0.001))
        high, low = max(opened, price) * 1.0004, min(opened, price) * 0.9996
        found.append(Candle(newest - MINUTE * (count - 1 - n), opened, high, low, price, 1.0))
    return tuple(found)


def first_life(settings: Settings, symbols: tuple[str, ...] = SYMBOLS, at: int = T0) -> list[Event]:
    """Return the events that bring an empty world to RUNNING with every feed LIVE."""
    account: dict[str, Any] = {
        "wallet": Decimal(100_000),
        "positions": (),
        "orders": (),
        "fills": (),
    }
    count = settings.market.warmup_candles
    return [
        Started(at=at, instance="bench1", epoch=1, build="b", config_hash="c", settings=settings),
        Recovered(at=at, snapshot_seq=0, tail=0),
        VenueConnected(at=at, rate=1, instruments=instruments(symbols)),
        Reconciled(at=at + 1, as_of=at + 1, **account),
        *(
            Backfilled(at=at + 2, symbol=s, candles=candles(s, at - MINUTE, count), source="bybit")
            for s in symbols
        ),
    ]


class Rig:
    """A reactor on a file of its own. ``wrap`` may put something between writer and connection."""

    def __init__(
        self,
        path: Path,
        settings: Settings | None = None,
        *,
        probe: Probe = no_probe,
        wrap: Callable[[Connection], Any] = lambda connection: connection,
    ) -> None:
        settings = settings or Settings()
        self.connection = open_writer(path)
        migrate(self.connection, 1)
        oracle = Oracle(settings.strategy, settings.market.warmup_candles)
        self.reactor = Reactor(
            Writer(wrap(self.connection)), World(), oracle, wall=lambda: T0, probe=probe
        )

    @property
    def world(self) -> World:
        """What is committed."""
        return self.reactor.world

    def turn(self, *events: Event) -> Committed:
        """Make events durable in one transaction."""
        return self.reactor.turn(events)

    def settle(self, *events: Event) -> None:
        """Make events durable, and say that whatever they led to was carried out."""
        done = self.turn(*events)
        for dispatch in done.dispatches:
            self.turn(Delivered(at=done.world.at, effect=dispatch.id))


def running(path: Path, **rest: Any) -> Rig:
    """Return a rig that is RUNNING with 20 LIVE symbols."""
    rig = Rig(path, **rest)
    for event in first_life(rest.get("settings") or Settings()):
        rig.settle(event)
    assert rig.world.state("process") == "RUNNING", rig.world.state("process")
    assert all(rig.world.state("feed", s) == "LIVE" for s in SYMBOLS)
    return rig
