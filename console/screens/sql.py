"""Questions to the database: saved ones, and SQL that can only read, within limits."""

from __future__ import annotations

import csv
from pathlib import Path

from bot.desk.catalogue import ANSWERS, VIEWS
from bot.desk.query import DEADLINE_SECONDS, ROWS_MAX, Result
from bot.desk.text import shown
from console.feed import Snapshot
from console.screens.space import Screen, Space, nothing
from console.sheet import Column, Line, Row, blank, cell_width, paragraph, table, title

CELL_CELLS_MAX = 40


def draw(shot: Snapshot, found: object, space: Space) -> list[Line]:
    """Draw the saved questions and the views; Enter puts one into the field above and asks it."""
    limits = f"read-only, {DEADLINE_SECONDS:g} s, {ROWS_MAX:,} rows at most"
    lines = [title("Questions", f"{limits}; Tab: the field above")]
    for number, answer in enumerate(ANSWERS):
        lines += paragraph(answer.question, space.width, mark="? ", key=("ask", str(number)))
    lines += [blank(), title("Views", "each is a question of its own")]
    columns = [Column("view", 18), Column("answers")]
    rows = [Row((view.name, view.question), ("ask", view.name)) for view in VIEWS.values()]
    return [*lines, *table(columns, rows, space.width)]


def sql_of(choice: str) -> str:
    """Return the SQL of a saved question by its number; a view's name is a question itself."""
    return ANSWERS[int(choice)].sql if choice.isdigit() else choice


def answer(found: Result, space: Space, sql: str) -> list[Line]:
    """Draw what a question found, one line a row."""
    told = (
        f"{len(found.rows):,} rows{f'; {found.cut}' if found.cut else ''}; E writes them, Esc ends"
    )
    lines = [title("Answer", told), *paragraph(sql, space.width)[:3]]
    texts = [[shown(value) for value in row] for row in found.rows]
    sizes = _sizes(found, texts, space.width)
    columns = [Column(shown(n), size) for n, size in zip(found.columns, sizes, strict=True)]
    rows = [Row(row, ("row", str(number))) for number, row in enumerate(texts)]
    return [*lines, *(table(columns, rows, space.width) if columns else [])]


def record(found: Result, number: int, space: Space) -> list[Line]:
    """Draw one row of an answer, a value a line, nothing cut."""
    lines = [title("Row", f"{number + 1} of {len(found.rows):,}; Esc goes back")]
    for name, value in zip(found.columns, found.rows[number], strict=True):
        lines += paragraph(shown(value), space.width, mark=f"{shown(name)}: ")
    return lines


def _sizes(found: Result, texts: list[list[str]], width: int) -> list[int]:
    """Return how wide each column is: as it needs, and the widest are cut until all fit."""
    sizes = [
        min(CELL_CELLS_MAX, max([cell_width(name), *(cell_width(row[n]) for row in texts[:200])]))
        for n, name in enumerate(found.columns)
    ]
    while sizes and sum(sizes) + len(sizes) > width and max(sizes) > 4:
        sizes[sizes.index(max(sizes))] -= 1
    return [max(1, size) for size in sizes]


def export(found: Result, folder: Path, stamp: str) -> Path:
    """Write an answer as CSV into a folder, readable by its owner alone; return the file."""
    path = folder / f"query-{stamp}.csv"
    with path.open("x", newline="", encoding="utf-8") as file:
        path.chmod(0o600)
        writer = csv.writer(file)
        writer.writerow(found.columns)
        writer.writerows([shown(value) for value in row] for row in found.rows)
    return path


SCREEN = Screen(nothing, draw)
