"""Builds a database with a million transitions: short-lived orders and deliveries under all rules.

The long past is inserted in bulk, once, and kept in the system's temporary folder; the newest
life, its snapshot, and the journal's tail behind it are made by the reactor of this build.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

import migrations
from bot.core.events import (
    Accepted,
    CandleClosed,
    Delivered,
    Event,
    Measured,
    OrderReported,
    Ticked,
)
from bot.core.settings import Settings, Strategy
from bot.core.values import Candle, OrderStatus, Side, VenueOrder
from bot.store import chain, snapshots
from bot.store.database import Connection, open_writer
from bot.store.schema import migrate
from bot.store.writer import encode
from tests.bench.figures import say
from tests.bench.rig import MINUTE, SYMBOLS, T0, candles, running

TAIL_MINUTES = 15
ORDER_EVERY = 3
Move = tuple[str, str, int, str, str, str, str]
"""Machine, key, version, source, trigger, dest, reason."""


def database(path: Path, transitions: int) -> int:
    """Put a database at ``path`` whose bot was killed; return the id of its newest transition."""
    shutil.copyfile(past(transitions), path)
    quiet = Settings(strategy=Strategy(adx_min=100))
    rig = running(path, settings=quiet)
    rig.connection.execute("PRAGMA synchronous=OFF")
    snapshots.save(rig.reactor.writer, rig.world, T0, "b")
    walks = {s: candles(s, T0 + MINUTE * TAIL_MINUTES, TAIL_MINUTES + 1)[1:] for s in SYMBOLS}
    for minute in range(TAIL_MINUTES):
        at = T0 + MINUTE * minute
        for second in range(1, 60):
            rig.settle(Ticked(at=at + 1_000 * second, marks=dict.fromkeys(SYMBOLS, 100.0)))
        closed = at + MINUTE + 10
        rig.settle(
            *(
                CandleClosed(
                    at=closed, symbol=s, candle=moved(walks[s][minute], at), source="bybit"
                )
                for s in SYMBOLS
            )
        )
    head = rig.reactor.writer.head_id
    rig.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    rig.connection.close()
    return head


def moved(candle: Candle, open_time: int) -> Candle:
    """Return a candle at another minute."""
    return replace(candle, open_time=open_time)


def past(transitions: int) -> Path:
    """Return the cached file with the long past; build it if there is none."""
    sources = (
        Path(__file__).read_bytes() + "".join(map(migrations.checksum, migrations.names())).encode()
    )
    cache = Path(tempfile.gettempdir()) / f"bench-cache-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    path = cache / f"past-{transitions}-{hashlib.sha256(sources).hexdigest()[:12]}.db"
    if not path.exists():
        unfinished = path.with_suffix(".tmp")
        unfinished.unlink(missing_ok=True)
        build(unfinished, transitions)
        for old in cache.glob(f"past-{transitions}-*.db"):
            old.unlink()
        unfinished.rename(path)
    return path


def build(path: Path, transitions: int) -> None:
    """Insert the long past and verify its chain."""
    say(f"building {transitions:,} transitions, once")
    connection = open_writer(path)
    migrate(connection, 1)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-500000")
    connection.execute("BEGIN IMMEDIATE")
    insert(connection, transitions)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    say("verifying the chain")
    assert chain.verify(connection)[0] >= transitions
    connection.close()


def insert(connection: Connection, transitions: int) -> None:
    """Insert journal and transitions, linked, under the rules and foreign keys of the schema."""
    last, seq, head = 0, 0, chain.GENESIS
    while last < transitions:
        for event, moves in lives(seq):
            seq += 1
            body = encode(event)
            connection.execute(
                "INSERT INTO journal VALUES(?, ?, ?, ?, NULL, ?)",
                (seq, event.at, event.at, type(event).__name__, body),
            )
            for move in moves:  # a whole life: memory and database must agree
                last += 1
                row = (last, seq, event.at, *move)
                head = chain.link(head, row, body.encode())
                connection.execute(
                    "INSERT INTO transition(id, seq, at, machine, key, version, source, trigger, dest,"
                    " reason, hash) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (*row, head),
                )
                if last % 250_000 == 0:
                    say(f"{last:,} transitions")


def lives(seq: int) -> Iterator[tuple[Event, list[Move]]]:
    """Yield one decision, its delivery, and every third time its order's end, with their moves."""
    at = T0 - 2_000_000_000 + seq * 500
    symbol, effect = SYMBOLS[seq % len(SYMBOLS)], f"{seq + 1}-0"
    key = f"bench0-1-{effect}"
    has_order = seq // 2 % ORDER_EVERY == 0
    ordered: list[Move] = [
        ("order", key, 1, "", "Intended", "INTENDED", "EMA cross up 2 candles ago, ADX 31.4"),
        ("order", key, 2, "INTENDED", "Accepted", "SENT", f"acknowledged as {key}"),
        ("order", key, 3, "SENT", "OrderReported", "FILLED", "venue: 20 of 20 filled"),
    ]
    delivery: list[Move] = [
        ("delivery", effect, 1, "", "Emitted", "PENDING", "decided"),
        ("delivery", effect, 2, "PENDING", "Delivered", "SENT", "delivered"),
    ]
    numbers = {"close": 100.5, "ema_fast": 100.25, "ema_slow": 100.125, "adx": 31.4, "atr": 0.375}
    measured = Measured(
        at=at, symbol=symbol, open_time=at // MINUTE * MINUTE, cross_age=2, **numbers
    )
    yield measured, [*ordered[: 1 if has_order else 0], delivery[0]]
    if has_order:
        yield Accepted(at=at + 100, order=key, venue_id=key), [ordered[1]]
    yield Delivered(at=at + 100, effect=effect), [delivery[1]]
    if has_order:
        row = VenueOrder(key, key, symbol, Side.BUY, Decimal(20), Decimal(20), OrderStatus.FILLED)
        yield OrderReported(at=at + 200, row=row), [ordered[2]]
