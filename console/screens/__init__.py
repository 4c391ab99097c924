"""The screens: each reads what only it needs, on the feed's thread, and draws lines, anywhere."""

from __future__ import annotations

from typing import Any

from bot.desk.reading import Connection
from console.feed import Snapshot, Want
from console.screens import (
    audit,
    details,
    equity,
    health,
    machines,
    models,
    overview,
    positions,
    sql,
    why,
)
from console.screens.space import Screen, Space
from console.sheet import Line, matching, paragraph

SCREENS: dict[str, Screen] = {
    "overview": overview.SCREEN,
    "positions": positions.SCREEN,
    "machines": machines.SCREEN,
    "audit": audit.SCREEN,
    "health": health.SCREEN,
    "models": models.SCREEN,
    "equity": equity.SCREEN,
    "why": why.SCREEN,
    "sql": sql.SCREEN,
}
"""By name, in the order of their digits."""


def read(connection: Connection, want: Want) -> Any:
    """Read what the open screen needs, or what was opened in it."""
    return _open(want).read(connection, want)


def draw(shot: Snapshot, want: Want, space: Space) -> list[Line]:
    """Draw the open screen from a snapshot; one that was taken for another screen has to wait."""
    if shot.status is None:
        return paragraph(shot.error or "reading …", space.width)
    if shot.part is None or _place(shot.want) != _place(want):
        return paragraph(shot.error or "reading …", space.width)
    screen = _open(want)
    lines = screen.draw(shot, shot.part, space)
    return lines if screen.finds else matching(lines, want.find)


def _open(want: Want) -> Screen:
    return details.DETAILS[want.opened[-1][0]] if want.opened else SCREENS[want.screen]


def _place(want: Want) -> tuple[object, ...]:
    return (want.screen, want.opened)
