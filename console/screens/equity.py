"""The equity curve, its drawdown under water, and what each day earned."""

from __future__ import annotations

from bot.desk import curve
from bot.desk.curve import Curve
from bot.desk.reading import Connection
from bot.desk.text import moment
from console import chart
from console.feed import Snapshot, Want
from console.screens.space import Screen, Space, gained
from console.sheet import DIM, GOOD, WARN, Column, Line, Row, Span, blank, line, table, title

AXIS_CELLS = 12


def read(connection: Connection, want: Want) -> Curve:
    """Return the curve in as many steps as there are columns of dots."""
    return curve.read(connection, want.steps)


def draw(shot: Snapshot, found: Curve, space: Space) -> list[Line]:
    """Draw the curve above, the drawdown under it, the days below."""
    if not found.steps:
        return [title("Equity", "the account was not reviewed yet")]
    width = max(10, space.width - AXIS_CELLS - 1)
    tall, deep = max(3, (space.height - 8) * 2 // 5), max(2, (space.height - 8) // 5)
    low, high = min(s.low for s in found.steps), max(s.high for s in found.steps)
    worst = max(s.drawdown for s in found.steps)
    first, last = found.steps[0].at, found.steps[-1].at
    lines = [title("Equity", f"{found.marks:,} reviews, {moment(first)} to {moment(last)}")]
    drawn = chart.curve([(s.low, s.high) for s in found.steps], width, tall, (low, high))
    lines += _axis(drawn, f"{high:,.2f}", f"{low:,.2f}", GOOD)
    lines.append(title("Drawdown", f"{worst:.2%} at worst, from the peak"))
    drawn = chart.filled([s.drawdown for s in found.steps], width, deep, worst)
    lines += _axis(drawn, "0.00%", f"-{worst:.2%}", WARN)
    return [*lines, blank(), *_days(found, space)]


def _axis(drawn: list[str], top: str, bottom: str, tone: str) -> list[Line]:
    """Put the numbers of the upper and the lower edge beside a chart."""
    names = [top] + [""] * (len(drawn) - 2) + ([bottom] if len(drawn) > 1 else [])
    return [
        line(Span(f"{name:>{AXIS_CELLS}} ", DIM), Span(cells, tone))
        for name, cells in zip(names, drawn, strict=True)
    ]


def _days(found: Curve, space: Space) -> list[Line]:
    columns = [Column("day", 10), Column("trades", 7, right=True), Column("won", 5, right=True)]
    columns += [Column("profit", 12, right=True), Column("fees", 10, right=True), Column("")]
    most = max((abs(day.pnl) for day in found.days), default=0.0) or 1.0
    rows = []
    for day in found.days:
        bar = Span("█" * round(abs(day.pnl) / most * 20), GOOD if day.pnl >= 0 else WARN)
        cells = (day.day, str(day.trades), str(day.wins), gained(day.pnl), f"{day.fees:,.2f}", bar)
        rows.append(Row(cells))
    lines = [title("Days", "closed trades, net of fees")]
    return (
        [*lines, *table(columns, rows, space.width)] if rows else [*lines, line("none closed yet")]
    )


SCREEN = Screen(read, draw)
