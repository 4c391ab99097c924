"""Draws text for a terminal without one: cells, tables, and lines that a cursor can stand on.

Pure: a screen is a function to lines, and lines are tested without a terminal. Every text that
comes from outside passes ``span``, which cleans it; nothing is ever read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from bot.desk.text import shown

PLAIN, TITLE, HEAD, DIM, GOOD, WARN, BAD = "plain", "title", "head", "dim", "good", "warn", "bad"
TONES = (PLAIN, TITLE, HEAD, DIM, GOOD, WARN, BAD)

Key = tuple[str, str]
"""What a line is about: a kind (``move``, ``order``, …) and its id."""


class Span(NamedTuple):
    """Some text in one tone."""

    text: str
    tone: str = PLAIN


class Line(NamedTuple):
    """One line. With a key, the cursor can stand on it, ``reach`` cells wide (0: all of it)."""

    spans: tuple[Span, ...]
    key: Key | None = None
    reach: int = 0

    @property
    def text(self) -> str:
        """The line without its tones."""
        return "".join(span.text for span in self.spans)


class Column(NamedTuple):
    """A column: its name, its width in cells (0: what is left), and whether it is of numbers."""

    name: str
    width: int = 0
    right: bool = False


Cell = str | Span


class Row(NamedTuple):
    """A row of a table; a cell that is a span has a tone of its own."""

    cells: Sequence[Cell]
    key: Key | None = None
    tone: str = PLAIN


def span(value: object, tone: str = PLAIN) -> Span:
    """Return any value as cleaned text in a tone."""
    return Span(shown(value), tone)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Return cleaned text in exactly so many cells; what is cut ends in ``…``."""
    text = shown(text)
    if cell_len(text) > width:
        return f"{set_cell_size(text, width - 1)}…" if width > 1 else "…"[:width]
    pad = " " * (width - cell_len(text))
    return pad + text if right else text + pad


def line(*parts: Cell, key: Key | None = None) -> Line:
    """Return a line of parts."""
    return Line(tuple(span(*part) if isinstance(part, Span) else span(part) for part in parts), key)


def title(name: str, note: object = "", tone: str = DIM) -> Line:
    """Return a heading with a note behind it."""
    return line(Span(name, TITLE), Span(f"  {shown(note)}" if note else "", tone))


def blank() -> Line:
    """Return an empty line."""
    return Line((Span(""),))


def paragraph(
    value: object, width: int, *, tone: str = PLAIN, mark: str = "", key: Key | None = None
) -> list[Line]:
    """Return text in as many lines as it needs; ``mark`` stands before the first."""
    indent = " " * cell_len(mark)
    found = []
    for number, part in enumerate(_wrapped(shown(value), max(8, width - len(indent)))):
        found.append(line(Span((indent if number else mark) + part, tone), key=key))
        key = None
    return found


def _wrapped(text: str, width: int) -> list[str]:
    """Break text between words, or within one that is longer than a line."""
    lines, now = [], ""
    for word in text.split(" "):
        joined = f"{now} {word}" if now else word
        if cell_len(joined) <= width:
            now = joined
            continue
        if now:
            lines.append(now)
        while cell_len(word) > width:
            head = set_cell_size(word, width).rstrip()
            lines.append(head)
            word = word[len(head) :]
        now = word
    return [*lines, now] if now or not lines else lines


def table(columns: Sequence[Column], rows: Iterable[Row], width: int) -> list[Line]:
    """Return a table with a heading; the columns of width 0 share what is left of the width."""
    fixed = sum(column.width + 1 for column in columns if column.width)
    open_ = [column for column in columns if not column.width]
    share = max(6, (width - fixed - len(open_)) // len(open_)) if open_ else 0
    widths = [column.width or share for column in columns]
    head = [fit(c.name, w, right=c.right) for c, w in zip(columns, widths, strict=True)]
    lines = [line(Span(" ".join(head), HEAD))]
    for row in rows:
        parts: list[Span] = []
        for column, size, cell in zip(columns, widths, row.cells, strict=True):
            text, tone = cell if isinstance(cell, Span) else (cell, row.tone)
            parts.append(Span(fit(text, size, right=column.right) + " ", tone))
        lines.append(Line(tuple(parts), row.key))
    return lines


def beside(left: Sequence[Line], right: Sequence[Line], at: int) -> list[Line]:
    """Put lines beside one another: the right ones begin at a column, behind a rule."""
    joined = []
    for number in range(max(len(left), len(right))):
        one = left[number] if number < len(left) else blank()
        other = right[number] if number < len(right) else blank()
        joined.append(Line((*_cut(one, at - 2), Span("│ ", DIM), *other.spans), one.key, at - 2))
    return joined


def _cut(one: Line, width: int) -> tuple[Span, ...]:
    """Return the spans of a line in exactly so many cells."""
    parts, left = [], width
    for text, tone in one.spans:
        size = min(left, cell_len(text))
        parts.append(Span(set_cell_size(text, size), tone))
        left -= size
    return (*parts, Span(" " * left))


def matching(lines: Sequence[Line], find: str) -> list[Line]:
    """Leave out the lines with a key in which the text does not stand; ``!`` turns it round."""
    text = find.strip().lower()
    if not text:
        return list(lines)
    wanted, unlike = text.removeprefix("!"), text.startswith("!")
    return [one for one in lines if one.key is None or (wanted in one.text.lower()) != unlike]


def cell_width(text: str) -> int:
    """Return how many cells a text takes; wide characters take two."""
    return cell_len(shown(text))
