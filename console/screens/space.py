"""What a screen is, and what it is given to draw on; and the few things that many screens draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from bot.desk.reading import Connection
from bot.desk.text import moment, number
from bot.desk.views import Move
from console.feed import Snapshot, Want
from console.sheet import BAD, DIM, GOOD, PLAIN, WARN, Column, Line, Row, Span, table

WIDE = 100


class Space(NamedTuple):
    """The room there is, in cells, and the time by the console's clock, ms UTC."""

    width: int
    height: int
    now_ms: int

    @property
    def wide(self) -> bool:
        """Whether two things fit beside one another."""
        return self.width >= WIDE


class Screen(NamedTuple):
    """How a screen reads and draws. ``finds``: it looks for the filter's text by itself."""

    read: Callable[[Connection, Want], Any]
    draw: Callable[[Snapshot, Any, Space], list[Line]]
    finds: bool = False


def nothing(connection: Connection, want: Want) -> Any:
    """Read nothing: the snapshot has all that the screen draws."""
    return ()


# State → its glyph and tone: colour alone never says anything.
_GOOD = ("NORMAL", "ARMED", "FREE", "RUNNING", "LIVE", "CLOSED", "CLEAN", "OK", "WELL", "FULL",
         "CHAMPION", "FILLED", "DONE", "SENT", "OPEN", "SUCCEEDED", "ACKNOWLEDGED",
         "FLAT")  # fmt: skip
_BAD = ("PAUSED", "TRIPPED", "FLATTENING", "LATCHED", "PROTECT_ONLY", "QUARANTINED", "MISMATCH",
        "ESCALATED", "CORRUPT", "READONLY", "DEAD", "UNKNOWN", "LOST", "FAILED", "NONE",
        "CANCEL_ONLY", "REDUCE_ONLY")  # fmt: skip
_WARN = ("REDUCED", "HELD", "STALE", "GAPPED", "SUSPECT", "HEALING", "VERIFYING", "DRIFT", "LOW",
         "HALF_OPEN", "RAISED", "QUEUED", "DRAINING", "EXTERNAL", "RETRY", "REJECTED", "STOPPED",
         "RECOVERING", "RECONCILING", "RESOLVING", "PARTIAL", "ROLLED_BACK", "SET")  # fmt: skip
_GLYPHS = {GOOD: "●", WARN: "◐", BAD: "✖", PLAIN: "○"}


def tone_of(state: str, machine: str = "") -> str:
    """Return the tone of a state; a breaker's OPEN is bad, an order's is not."""
    if machine == "breaker" and state == "OPEN":
        return BAD
    if machine == "storage" and state == "FULL":
        return BAD
    for tone, states in ((GOOD, _GOOD), (BAD, _BAD), (WARN, _WARN)):
        if state in states:
            return tone
    return PLAIN


def state(name: str, machine: str = "") -> Span:
    """Return a state with glyph and tone."""
    tone = tone_of(name, machine)
    return Span(f"{_GLYPHS[tone]} {name or '·'}", tone)


def clock(ms: int) -> str:
    """Return the time of day of a moment, ms UTC."""
    return moment(ms)[-8:]


def money(value: float) -> str:
    """Return quote units with sign and thousands."""
    return f"{value:+,.2f}"


def gained(value: float) -> Span:
    """Return a profit or a loss, with a sign that is more than a colour."""
    return Span(f"{'▲' if value >= 0 else '▼'}{money(value)}", GOOD if value >= 0 else WARN)


def price(text: str | None) -> str:
    """Return a stored decimal for people; what is none stays as it is."""
    if not text:
        return "–"
    try:
        return number(text) if Decimal(text).is_finite() else text
    except InvalidOperation:
        return text


def moves(found: Sequence[Move], width: int, *, dated: bool = False) -> list[Line]:
    """Return transitions as a table, one a line."""
    what = 30 if width >= WIDE else 22 if width >= 70 else 18
    columns = [Column("at", 19 if dated else 8), Column("what", what), Column("to", 12)]
    rows = []
    for move in found:
        at = Span(moment(move.at) if dated else clock(move.at), DIM)
        to = state(move.dest, move.machine)
        rows.append(Row((at, _name(move), to, move.reason), ("move", str(move.id))))
    return table([*columns, Column("why")], rows, width)


def _name(move: Move) -> str:
    """Return which machine moved; of an order's id, what tells it from the others here."""
    if move.key == "account":
        return move.machine
    if move.machine == "order":
        return f"order {move.key.split('-', 2)[-1]}"
    return f"{move.machine} {move.key[:12] if move.machine == 'model' else move.key}"
