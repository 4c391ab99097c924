"""Why nothing is traded, symbol by symbol: each gate with its numbers, and who refused of late."""

from __future__ import annotations

from typing import NamedTuple

from bot.desk import refusals
from bot.desk.reading import Connection
from bot.desk.refusals import Measure, Refused
from bot.desk.status import Symbol
from console.feed import Snapshot, Want
from console.screens.space import Screen, Space, clock, state
from console.sheet import DIM, WARN, Column, Line, Row, Span, blank, line, paragraph, table, title


class Found(NamedTuple):
    """What refused of late, and what was measured last."""

    refused: list[Refused]
    measures: dict[str, Measure]


def read(connection: Connection, want: Want) -> Found:
    """Return what refused, and the numbers it was asked about."""
    return Found(refusals.newest(connection), refusals.measures(connection))


def draw(shot: Snapshot, found: Found, space: Space) -> list[Line]:
    """Draw what holds the account, then one block a symbol."""
    assert shot.status is not None
    lines = [title("Account", f"entries {shot.status.level}")]
    for why in shot.status.why or ("nothing holds it down",):
        lines += paragraph(why, space.width, tone=WARN if shot.status.why else DIM, mark="· ")
    for symbol in shot.status.symbols:
        lines += [blank(), *_symbol(symbol, found, space.width)]
    return lines if shot.status.symbols else [*lines, blank(), line("no symbol is known yet")]


def _symbol(symbol: Symbol, found: Found, width: int) -> list[Line]:
    key = ("symbol", symbol.symbol)
    machines = f"feed {symbol.feed}  position {symbol.position}"
    switches = f"hold {symbol.hold}  kill {symbol.kill}"
    name = Span(f"{symbol.symbol:<11}")
    lines = [line(name, state(symbol.level), f"  {machines}  {switches}", key=key)]
    for why in symbol.why:
        lines += paragraph(why, width, tone=WARN, mark="  ◐ ")
    if (measure := found.measures.get(symbol.symbol)) is not None:
        lines += paragraph(measured(measure), width, tone=DIM, mark="  ")
    rows = [
        Row((f"  {one.control}", f"{one.times}×", Span(clock(one.at), DIM), one.side, one.reason))
        for one in found.refused
        if one.symbol == symbol.symbol
    ]
    columns = [Column("  refused by", 20), Column("", 5, right=True), Column("last", 8)]
    columns += [Column("side", 4), Column("why")]
    return [
        *lines,
        *(table(columns, rows, width) if rows else [line(Span("  refused nothing", DIM))]),
    ]


def measured(one: Measure) -> str:
    """Return what the newest candle measured, as a sentence."""
    if one.ema_fast is None or one.ema_slow is None or one.adx is None:
        return f"candle {clock(one.at)}: not enough candles to measure yet"
    trend = "above" if one.ema_fast > one.ema_slow else "below"
    cross = (
        "no cross yet" if one.cross_age is None else f"{one.cross_age} candles since they crossed"
    )
    told = f"fast EMA {trend} slow, {cross}, ADX {one.adx:.1f}, close {one.close:g}"
    return f"candle {clock(one.at)}: {told}"


SCREEN = Screen(read, draw)
