"""The models: where each stands, how good it was, and what speaks for and against promoting it."""

from __future__ import annotations

from typing import NamedTuple

from bot.desk import distance, models
from bot.desk.models import ModelRow
from bot.desk.reading import Connection
from console.feed import Snapshot, Want
from console.screens.space import Screen, Space, state
from console.sheet import (
    BAD,
    DIM,
    GOOD,
    Cell,
    Column,
    Line,
    Row,
    Span,
    blank,
    line,
    paragraph,
    table,
    title,
)


class Registry(NamedTuple):
    """All models, newest first, and the skill that a promotion asks for."""

    rows: list[ModelRow]
    skill_min: float | None


def read(connection: Connection, want: Want) -> Registry:
    """Return every model, and what a promotion asks for."""
    settings = distance.settings(connection)
    return Registry(models.lineage(connection), settings.models.skill_min if settings else None)


def criteria(row: ModelRow, skill_min: float | None) -> list[Span]:
    """Return what a promotion asks for, and whether this model has it."""
    told = []
    if skill_min is not None and row.skill is not None:
        enough = row.skill >= skill_min
        sign = "✔" if enough else "✖"
        told.append(
            Span(f"{sign} skill {row.skill:+.4f}, least {skill_min:+.4f}", GOOD if enough else BAD)
        )
    fit = row.state in ("SHADOW", "RETIRED", "ROLLED_BACK")
    word = "may be chosen" if fit else f"{row.state} cannot be chosen"
    if row.state == "CHAMPION":
        word, fit = "is the champion", True
    told.append(Span(f"{'✔' if fit else '✖'} {word}", GOOD if fit else BAD))
    return told


def back_to(rows: list[ModelRow]) -> str:
    """Return which model a rollback would bring back, as a sentence."""
    if not any(row.state == "CHAMPION" for row in rows):
        return "there is no champion to roll back"
    past = [row for row in rows if row.state == "RETIRED" and row.reigns]
    return (
        f"a rollback brings back {past[0].model[:12]}" if past else "a rollback leaves no champion"
    )


def draw(shot: Snapshot, found: Registry, space: Space) -> list[Line]:
    """Draw the registry; a model gates no trade yet, and that stands above it."""
    note = "scored in shadow; none of them gates a trade"
    if not found.rows:
        told = "no model: trades are decided by rules. `python -m bot train` makes one."
        return [title("Models", note), *paragraph(told, space.width)]
    columns = [
        Column("model", 12),
        Column("state", 14),
        Column("since", 19),
        Column("skill", 8, right=True),
    ]
    columns += [Column("auc", 6, right=True), Column("why")]
    rows = []
    for one in found.rows:
        cells: list[Cell] = [one.model[:12], state(one.state, "model"), Span(one.since, DIM)]
        cells += [_number(one.skill, "+.4f"), _number(one.auc, ".3f"), one.reason]
        rows.append(Row(cells, ("model", one.model)))
    lines = [title("Models", note), *table(columns, rows, space.width), blank()]
    lines += [line(Span(back_to(found.rows)))]
    for one in found.rows[:5]:
        parts = [part for told in criteria(one, found.skill_min) for part in (told, Span("  "))]
        lines.append(line(f"{one.model[:12]}  ", *parts))
    return lines


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


SCREEN = Screen(read, draw)
