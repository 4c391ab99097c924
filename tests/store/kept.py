"""A reactor on a real file, and a short life to fill it with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from bot.core.events import CandleClosed, Delivered, Filled
from bot.core.settings import Settings
from bot.engine.reactor import Reactor
from bot.engine.replay import recover
from bot.learn.indicators import Oracle
from bot.store.database import open_writer
from bot.store.schema import migrate
from bot.store.writer import Writer
from tests.given import (
    BTC,
    MINUTE,
    D,
    a_candle,
    a_fill,
    commanded,
    measured,
    opening_events,
    reported,
    ticked,
)

ROOT = Path(__file__).parents[2]
DAY = 86_400_000


def kept(path: Path, wall: Any = lambda: 1) -> Reactor:
    """Open, migrate, and recover a database as boot does."""
    connection = open_writer(path)
    migrate(connection, 1)
    world, *_ = recover(connection)
    oracle = Oracle(Settings().strategy, 600)
    return Reactor(Writer(connection), world, oracle, wall=wall)


def opened(path: Path, wall: Any = lambda: 1) -> Reactor:
    """Return a reactor whose world trades."""
    reactor = kept(path, wall)
    reactor.turn(opening_events())
    return reactor


def lived(path: Path, wall: Any = lambda: 1) -> Reactor:
    """Return a reactor with a round trip, a few commands, and many uneventful ticks behind it."""
    reactor = opened(path, wall)
    live(reactor)
    return reactor


def live(reactor: Reactor) -> None:
    """Enter, fill, and leave; hold and release; let minutes pass."""
    world = reactor.turn([measured(reactor.world)]).world
    (order,) = world.orders.values()
    fill = a_fill(order=order.order, qty=order.qty, fee=D("1.2"), at=world.at)
    world = reactor.turn([Filled(at=world.at, fill=fill), reported(world, order.order)]).world
    done = [Delivered(at=world.at, effect=key) for key in world.deliveries]
    out = a_fill(
        BTC, order.side.opposite, order.qty, 103, fee=D("1.2"), at=world.at, by="TakeProfit"
    )
    world = reactor.turn([*done, Filled(at=world.at, fill=out)]).world
    world = reactor.turn([commanded(world, "hold")]).world
    world = reactor.turn([commanded(world, "release")]).world
    for _ in range(12):
        pass_time(reactor)


def pass_time(reactor: Reactor, seconds: float = 5) -> None:
    """Let time pass, and take the candle in if a minute is over."""
    world = reactor.turn([ticked(reactor.world, seconds)]).world
    opened_at = world.feeds[BTC].last + MINUTE
    if world.at >= opened_at + MINUTE:
        candle = CandleClosed(at=world.at, symbol=BTC, candle=a_candle(opened_at), source="t")
        reactor.turn([candle])


def rows(reactor: Reactor, query: str, *values: Any) -> list[Any]:
    return reactor.writer.connection.execute(query, values).fetchall()


def count(reactor: Reactor, table: str) -> int:
    return rows(reactor, f"SELECT count(*) FROM {table}")[0][0]


def child(program: str, *arguments: Any) -> subprocess.Popen[str]:
    """Start a second process that runs a program; its working folder is the project."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
