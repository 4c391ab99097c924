"""Reads the audit trail by pages, and walks from a transition to its cause and its effects.

A page is found by number, never by counting rows: the millionth costs what the first does.
"""

from __future__ import annotations

from msgspec import Struct

from bot.desk.views import MOVES, Move
from bot.store.database import Connection

PAGE_ROWS = 200
EFFECTS_MAX = 50
BODY_CHARACTERS_MAX = 4_000

_TEXT = (
    "lower(t.machine || ' ' || t.key || ' ' || t.source || ' ' || t.dest || ' ' || t.trigger"
    " || ' ' || t.reason)"
)


class Page(Struct, frozen=True):
    """Transitions, newest first, and whether there is more on either side."""

    moves: tuple[Move, ...] = ()
    newer: bool = False
    older: bool = False


class Effect(Struct, frozen=True):
    """What a transition's event sent to the world, and where that stands."""

    id: str
    kind: str
    state: str
    reason: str
    body: str


class Story(Struct, frozen=True):
    """A transition with its cause, an event, and with all that came of the same event.

    ``asked``: the number of the event whose question this one answers, None if it is none.
    """

    move: Move
    kind: str
    body: str
    wall: int
    asked: int | None
    others: tuple[Move, ...]
    effects: tuple[Effect, ...]


def page(connection: Connection, at: int | None, find: str = "", rows: int = PAGE_ROWS) -> Page:
    """Return a page around a transition's number; None: the newest.

    ``find``: only transitions in which this text stands somewhere; begun with ``!``, those without.
    """
    newer: list[Move] = []
    if at is not None:
        newer = _moves(connection, "t.id > ?", "ASC", at, find, rows // 2)[::-1]
    older = _moves(connection, "t.id <= ?", "DESC", 2**62 if at is None else at, find, rows)
    moves = tuple((*newer, *older)[:rows])
    return Page(
        moves,
        newer=bool(moves) and bool(_moves(connection, "t.id > ?", "ASC", moves[0].id, find, 1)),
        older=bool(moves) and bool(_moves(connection, "t.id < ?", "DESC", moves[-1].id, find, 1)),
    )


def _moves(
    connection: Connection, where: str, order: str, at: int, find: str, *rows: int
) -> list[Move]:
    wanted, text = "", find.strip().lower()
    if text:
        sign = "= 0" if text.startswith("!") else "> 0"
        wanted, text = f" AND instr({_TEXT}, ?) {sign}", text.removeprefix("!")
    given = (at, text, *rows) if wanted else (at, *rows)
    sql = f"{MOVES} WHERE {where}{wanted} ORDER BY t.id {order} LIMIT ?"
    return [Move(*row) for row in connection.execute(sql, given)]


def history(connection: Connection, machine: str, key: str, count: int = 40) -> list[Move]:
    """Return the newest transitions of one machine, newest first."""
    sql = f"{MOVES} WHERE t.machine = ? AND t.key = ? ORDER BY t.version DESC LIMIT ?"
    return [Move(*row) for row in connection.execute(sql, (machine, key, count))]


def of_event(connection: Connection, seq: int) -> tuple[Move, ...]:
    """Return the transitions that one event caused, in order; those of deliveries are left out."""
    sql = f"{MOVES} WHERE t.seq = ? AND t.machine <> 'delivery' ORDER BY t.id LIMIT ?"
    return tuple(Move(*row) for row in connection.execute(sql, (seq, EFFECTS_MAX)))


def effects(connection: Connection, seq: int) -> tuple[Effect, ...]:
    """Return what one event sent to the world."""
    rows = connection.execute(
        "SELECT o.id, o.kind, coalesce(i.state, ''), coalesce(i.reason, ''), substr(o.body, 1, ?)"
        " FROM outbox o LEFT JOIN instance i ON i.machine = 'delivery' AND i.key = o.id"
        " WHERE o.seq = ? ORDER BY o.id LIMIT ?",
        (BODY_CHARACTERS_MAX, seq, EFFECTS_MAX),
    )
    return tuple(Effect(*row) for row in rows)


def story(connection: Connection, number: int) -> Story | None:
    """Return a transition with cause and effects, None if there is none of this number."""
    row = connection.execute(f"{MOVES} WHERE t.id = ?", (number,)).fetchone()
    if row is None:
        return None
    move = Move(*row)
    row = connection.execute(
        "SELECT kind, substr(body, 1, ?), wall, cause FROM journal WHERE seq = ?",
        (BODY_CHARACTERS_MAX, move.seq),
    ).fetchone()
    kind, body, wall, asked = row or ("", "", 0, None)
    others = tuple(one for one in of_event(connection, move.seq) if one.id != number)
    return Story(move, kind, body, wall, asked, others, effects(connection, move.seq))
