"""Draws the machines' tables into ARCHITECTURE.md: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from bot.core.decide import TABLES

FILE = Path(__file__).parent.parent / "ARCHITECTURE.md"


def drawn(text: str) -> str:
    """Return the document with the block under each machine's heading drawn anew."""
    for table in TABLES:
        block = re.compile(rf"(### {table.name}\n.*?```mermaid\n).*?(\n```)", re.DOTALL)
        text, found = block.subn(lambda m, t=table: m[1] + t.mermaid() + m[2], text, count=1)
        if not found:
            raise SystemExit(f"{FILE.name}: expected a section '### {table.name}' with a diagram")
    return text


if __name__ == "__main__":
    FILE.write_text(drawn(FILE.read_text()))
