"""Tells what the machines' tables say, in words: what moves a machine, what can move it next."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from bot.core.decide import TABLES
from bot.core.machine import Table


class Way(Struct, frozen=True):
    """One way of a machine: from a state, on an event, when something holds, to a state."""

    source: str
    on: str
    when: str
    to: str


NAMES = tuple(table.name for table in TABLES)
_BY_NAME = {table.name: table for table in TABLES}


def ways(table: Table) -> Iterator[Way]:
    """Yield a table row by row, in the order in which it is read; birth comes from ``·``."""
    for row in table.rows:
        for source in row.sources:
            yield Way(str(source) or "·", row.on.__name__, row.means, str(row.to))


def next_ways(machine: str, state: str) -> list[Way]:
    """Return what can move a machine from where it stands; nothing if it is not known or ended."""
    table = _BY_NAME.get(machine)
    return [way for way in ways(table) if way.source == state] if table else []


def key_means(machine: str) -> str:
    """Return what the key of a machine is: the account, a symbol, …"""
    table = _BY_NAME.get(machine)
    return table.key if table else ""


def lowers(machine: str, state: str) -> str:
    """Return to what level entries are lowered while a machine stands so; empty if they are not."""
    table = _BY_NAME.get(machine)
    level = table.lowers.get(state) if table else None
    return level.name if level is not None else ""
