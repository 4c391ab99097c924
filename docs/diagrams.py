# ruff: noqa: INP001 a script beside the documents
"""Draws the machines' tables into ARCHITECTURE.md: `make docs`."""

from __future__ import annotations

from pathlib import Path

from bot.core.decide import TABLES

FILE = Path(__file__).parent.parent / "ARCHITECTURE.md"
FENCE = "```mermaid\n"


def drawn(text: str) -> str:
    """Return the document with the block under each machine's heading drawn anew."""
    for table in TABLES:
        start = text.find(f"### {table.name}\n")
        first = text.find(FENCE, start) + len(FENCE)
        last = text.find("\n```", first)
        if start < 0 or last < 0:
            raise SystemExit(f"{FILE.name}: expected a section '### {table.name}' with a diagram")
        text = text[:first] + table.mermaid() + text[last:]
    return text


if __name__ == "__main__":
    FILE.write_text(drawn(FILE.read_text()))
