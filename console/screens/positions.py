"""Positions and orders: what is open, what is on its way, and under which stop."""

from __future__ import annotations

from bot.desk import orders
from bot.desk.orders import OrderRow
from bot.desk.reading import Connection
from bot.desk.status import Status
from bot.desk.views import OpenPosition
from console.feed import Snapshot, Want
from console.screens.space import WIDE, Screen, Space, clock, gained, price, state
from console.sheet import BAD, DIM, GOOD, Cell, Column, Line, Row, Span, blank, line, table, title

NARROW = 76  # below this, a position is told without its side (the quantity has a sign) and entry


def read(connection: Connection, want: Want) -> list[OrderRow]:
    """Return the orders on their way."""
    return orders.underway(connection)


def unrealised(position: OpenPosition, mark: float | None) -> float | None:
    """Return what a position would earn at the mark, before fees; quote units."""
    if mark is None:
        return None
    return (mark - float(position.entry)) * float(position.qty)


def held(shot: Snapshot, width: int) -> list[Line]:
    """Return the open positions as a table; as wide as there is room for."""
    assert shot.status is not None
    found = shot.status.positions
    known = "" if shot.status.bot.state == "running" else ", as last known"
    lines = [title("Positions", f"{len(found)} open{known}" if found else "none")]
    if not found:
        return lines
    roomy, wide = width >= NARROW, width >= WIDE - 4
    columns = [Column("symbol", 10)] + ([Column("side", 5)] if roomy else [])
    columns += [Column("qty", 9, right=True)]
    columns += [Column("entry", 10, right=True)] if roomy else []
    columns += [Column("mark", 9, right=True), Column("at mark", 10, right=True)]
    columns += [Column("stop", 9, right=True)]
    columns += [Column("target", 10, right=True)] if wide else []
    columns += [Column("venue")]
    rows = []
    for one in found:
        mark = shot.marks.get(one.symbol)
        earned = unrealised(one, mark)
        cells: list[Cell] = [one.symbol, *([one.side] if roomy else []), price(one.qty)]
        cells += [price(one.entry)] if roomy else []
        cells += ["?" if mark is None else f"{mark:g}", "?" if earned is None else gained(earned)]
        cells += [price(one.stop)] + ([price(one.take)] if wide else [])
        cells += [Span("● held", GOOD) if one.stop_held else Span("✖ NONE", BAD)]
        rows.append(Row(cells, ("position", one.symbol)))
    return [*lines, *table(columns, rows, width)]


def draw(shot: Snapshot, found: list[OrderRow], space: Space) -> list[Line]:
    """Draw positions, orders on their way, and where each symbol's machines stand."""
    assert shot.status is not None
    lines = held(shot, space.width)
    lines += [blank(), title("Orders on their way", str(len(found)) if found else "none")]
    if found:
        lines += _orders(found, space.width)
    return [*lines, blank(), *symbols(shot.status, space.width)]


def _orders(found: list[OrderRow], width: int) -> list[Line]:
    columns = [
        Column("since", 8),
        Column("symbol", 10),
        Column("side", 4),
        Column("qty", 9, right=True),
    ]
    columns += [Column("limit", 10, right=True), Column("state", 10), Column("why")]
    rows = []
    for one in found:
        limit = price(one.price) if one.price else "market"
        cells: list[Cell] = [
            Span(clock(one.since), DIM),
            one.symbol,
            one.side,
            price(one.qty),
            limit,
        ]
        rows.append(Row((*cells, state(one.state, "order"), one.reason), ("order", one.order)))
    return table(columns, rows, width)


def symbols(found: Status, width: int) -> list[Line]:
    """Return what an entry may do in each symbol, and why it may not more."""
    lines = [title("Symbols", f"entries {found.level}")]
    columns = [Column("symbol", 10), Column("entries", 13), Column("feed", 10)]
    columns += [Column("position", 10), Column("hold", 7), Column("kill", 9), Column("why")]
    rows = [
        Row(
            (s.symbol, state(s.level), state(s.feed), s.position, s.hold, s.kill, "; ".join(s.why)),
            ("symbol", s.symbol),
        )
        for s in found.symbols
    ]
    return [*lines, *table(columns, rows, width)] if rows else [*lines, line("none yet")]


SCREEN = Screen(read, draw)
