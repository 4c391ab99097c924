"""Every machine: where it stands, since when, why, and what can move it next."""

from __future__ import annotations

from bot.desk import tables, views
from bot.desk.reading import Connection
from bot.desk.text import moment
from bot.desk.views import Standing
from console.feed import Snapshot, Want
from console.screens.space import Screen, Space, state
from console.sheet import DIM, Cell, Column, Line, Row, Span, table, title


def read(connection: Connection, want: Want) -> list[Standing]:
    """Return where the machines stand that never end, the account's first."""
    found = views.standings(connection, *views.LIVING)
    return sorted(found, key=lambda one: (one.key != "account", tables.NAMES.index(one.machine)))


def draw(shot: Snapshot, found: list[Standing], space: Space) -> list[Line]:
    """Draw one line a machine; what can move it next stands there, Enter tells all of it."""
    columns = [Column("machine", 14), Column("key", 14), Column("state", 14)]
    columns += [Column("since", 19)] if space.wide else []
    columns += [Column("why"), Column("next")]
    rows = []
    for one in found:
        ways = tables.next_ways(one.machine, one.state)
        to = ", ".join(dict.fromkeys(way.to for way in ways)) or "nothing: it stays"
        cells: list[Cell] = [one.machine, one.key, state(one.state, one.machine)]
        cells += [Span(moment(one.since), DIM)] if space.wide else []
        about = f"{one.machine} {one.key}"
        rows.append(Row((*cells, one.reason, f"→ {to}"), ("machine", about)))
    note = "that never end; orders, commands, and alerts have their own screens"
    return [title("Machines", note), *table(columns, rows, space.width)]


SCREEN = Screen(read, draw)
