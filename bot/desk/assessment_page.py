"""Draws an assessment as one page of HTML: a bar for each limit, and the tables behind it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from bot.desk.assessment import HALF, NEAR, Assessment, Limit
from bot.desk.text import share, shown

STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse}"
    "td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd;vertical-align:top}"
    ".bar{background:#eee;width:16em;height:.9em}.bar i{display:block;height:100%}"
    ".well{color:#27763d}.warning{color:#9a6700}.wrong{color:#b42318;font-weight:bold}"
)
COLOURS = ((NEAR, "#b42318"), (HALF, "#d4a017"), (0.0, "#27763d"))


def html(found: Assessment) -> str:
    """Return the page; nothing of the database is read as markup."""
    verdicts = (
        [f'<b class="{row.verdict}">{row.verdict}</b>', *_cells(row.name, row.said, row.cure)]
        for row in found.verdicts
    )
    limits = (
        [*_cells(r.key, f"{r.limit:g}", share(r.nearest)), _bar(r), *_cells(r.met, r.last)]
        for r in found.limits
    )
    controls = (_cells(row.name, row.times, row.ever, row.last) for row in found.controls)
    drills = (_cells(row.name, row.times, row.last, row.how) for row in found.drills)
    objectives = (
        _cells(row.name, f"{row.good:.2%}", f"{row.spent:.0%}", f"{row.burn:g}×")
        for row in found.objectives
    )
    sections = (
        ("Verdicts", ("", "of", "", "cure"), verdicts),
        ("Limits", ("limit", "at", "came to", "", "refused or met", "last ever"), limits),
        ("Controls and states that lower", ("name", "of late", "ever", "last"), controls),
        ("Drills", ("drill", "times", "last", "how"), drills),
        ("Objectives", ("objective", "good", "budget spent", "burn"), objectives),
    )
    body = "".join(f"<h2>{title}</h2>{_table(head, rows)}" for title, head, rows in sections)
    since = f"{found.database}, {found.days} days since {found.since} market time"
    return (
        f'<!doctype html><meta charset="utf-8"><title>Self-assessment</title>'
        f"<style>{STYLE}</style><h1>Self-assessment</h1><p>{escape(since)}</p>{body}\n"
    )


def _cells(*values: Any) -> list[str]:
    return [escape(shown(value)) for value in values]


def _bar(limit: Limit) -> str:
    """Return how much of a limit was used as a bar."""
    if limit.share is None:
        return ""
    colour = next(colour for least, colour in COLOURS if limit.share >= least)
    width = min(100.0, limit.share * 100)
    return f'<div class="bar"><i style="width:{width:.0f}%;background:{colour}"></i></div>'


def _table(head: tuple[str, ...], rows: Iterable[list[str]]) -> str:
    """Return a table of cells that are markup already."""
    titles = "".join(f"<th>{title}</th>" for title in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{lines}</table>"
