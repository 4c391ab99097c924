"""The audit trail by pages: every transition there ever was, found by its number."""

from __future__ import annotations

from bot.desk import pages
from bot.desk.pages import Page
from bot.desk.reading import Connection
from console.feed import Snapshot, Want
from console.screens.space import Screen, Space, moves
from console.sheet import Line, title


def read(connection: Connection, want: Want) -> Page:
    """Return the page around the place that is wanted."""
    return pages.page(connection, want.at, want.find)


def draw(shot: Snapshot, found: Page, space: Space) -> list[Line]:
    """Draw the page; its heading stays the number of what is known."""
    assert shot.status is not None
    if not found.moves:
        return [title("Audit", "no transition has this text" if shot.want.find else "empty")]
    span = f"#{found.moves[0].id} to #{found.moves[-1].id} of {shot.status.head_id}"
    newer = "" if found.newer else ", the newest first"
    more = ", older ones below" if found.older else ", down to the first"
    head = f"head {shot.status.head}"
    return [
        title("Audit", f"{span}{newer}{more}; {head}"),
        *moves(found.moves, space.width, dated=space.wide),
    ]


SCREEN = Screen(read, draw, finds=True)
