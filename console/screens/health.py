"""Health and healing: what was found, what was tried against what limits, what people were told."""

from __future__ import annotations

from bot.desk import alerts
from bot.desk.alerts import Told
from bot.desk.reading import Connection
from bot.desk.status import Health
from console.feed import Snapshot, Want
from console.screens.space import Screen, Space, clock, state
from console.sheet import (
    BAD,
    DIM,
    GOOD,
    PLAIN,
    WARN,
    Column,
    Line,
    Row,
    Span,
    blank,
    line,
    table,
    title,
)

CLOSED_SHOWN = 10
_SEVERITY = {"critical": BAD, "warning": WARN}


def read(connection: Connection, want: Want) -> list[Told]:
    """Return the open alerts and those closed last, newest first."""
    return alerts.read(connection, CLOSED_SHOWN)[::-1]


def draw(shot: Snapshot, found: list[Told], space: Space) -> list[Line]:
    """Draw what is not well first."""
    assert shot.status is not None
    health, width = shot.status.health, space.width
    return [
        *_alerts(found, width),
        blank(),
        *_checks(health, width),
        blank(),
        *_objectives(health, width),
        blank(),
        *_healing(shot, width),
    ]


def _alerts(found: list[Told], width: int) -> list[Line]:
    open_ = sum(one.open for one in found)
    lines = [title("Alerts", f"{open_} open; A acknowledges the one under the cursor")]
    columns = [
        Column("since", 8),
        Column("severity", 8),
        Column("state", 14),
        Column("×", 3, right=True),
    ]
    rows = [
        Row(
            (Span(clock(one.since), DIM), Span(one.severity, _SEVERITY.get(one.severity, PLAIN)),
             state(one.state, "alert"), str(one.count), one.text),
            ("alert", one.id), PLAIN if one.open else DIM)
        for one in found
    ]  # fmt: skip
    return (
        [*lines, *table([*columns, Column("what")], rows, width)]
        if rows
        else [*lines, line("none")]
    )


def _checks(health: Health, width: int) -> list[Line]:
    total = len(health.checks)
    lines = [title("Checks", f"{health.well} of {total} are well")]
    if not total:
        return [*lines, line("none was made yet")]
    rows = [
        Row(
            (one.name, state(one.state), one.said, Span(one.at[-8:], DIM)),
            ("machine", f"check {one.name}"),
        )
        for one in sorted(health.checks, key=lambda one: one.state == "WELL")
    ]
    columns = [Column("check", 18), Column("state", 11), Column("said"), Column("at", 8)]
    return [*lines, *table(columns, rows, width)]


def _objectives(health: Health, width: int) -> list[Line]:
    lines = [title("Objectives", "while an error budget is spent, nothing is loosened")]
    columns = [
        Column("objective", 18),
        Column("good", 9, right=True),
        Column("spent", 9, right=True),
    ]
    columns += [Column("burn", 7, right=True), Column("over")]
    rows = []
    for one in health.objectives:
        tone = BAD if one.spent > 1 else WARN if one.burn > 1 else GOOD
        spent = Span(f"{one.spent:.0%}", tone)
        rows.append(
            Row((one.name, f"{one.good:.3%}", spent, f"{one.burn:.1f}×", f"{one.hours:.1f} h"))
        )
    return (
        [*lines, *table(columns, rows, width)] if rows else [*lines, line("none was counted yet")]
    )


def _healing(shot: Snapshot, width: int) -> list[Line]:
    assert shot.status is not None
    healing = shot.status.healing
    told = f"{healing.escalations} escalated so far" if healing.escalations else "none escalated"
    lines = [title("Healing", told)]
    for one in healing.attempts:
        now = f"{one.remedy} for {one.check} is {one.state}: {one.said}"
        lines.append(line(Span(f"◐ {now}", WARN), key=("machine", f"run {one.run}")))
    columns = [Column("remedy", 16), Column("today", 8, right=True), Column("cured", 6, right=True)]
    columns += [Column("failed", 6, right=True), Column("risk", 6), Column("for")]
    rows = []
    for remedy in healing.remedies:
        used = Span(
            f"{remedy.today} of {remedy.a_day}", BAD if remedy.today >= remedy.a_day else PLAIN
        )
        cells = (
            remedy.remedy,
            used,
            str(remedy.cured),
            str(remedy.failed),
            remedy.risk,
            remedy.checks,
        )
        rows.append(Row(cells))
    return (
        [*lines, *table(columns, rows, width)] if rows else [*lines, line("nothing may be tried")]
    )


SCREEN = Screen(read, draw)
