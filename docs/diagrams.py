# ruff: noqa: INP001 a script beside the documents
"""Draws the machines into ARCHITECTURE.md, and writes the table of commands: `make docs`."""

from __future__ import annotations

from pathlib import Path

from bot.core.decide import TABLES
from bot.core.runs import VERBS
from bot.core.verb import one_is_enough

FILE = Path(__file__).parent.parent / "ARCHITECTURE.md"
CLI = Path(__file__).parent / "cli.md"
FENCE = "```mermaid\n"
HEAD = "| command | tightens | least role | two people | meaning |\n|---|---|---|---|---|\n"


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


def commands() -> str:
    """Return the table of commands, by which roles are checked, too."""
    rows = []
    for verb in VERBS.values():
        two = "" if verb.two_people is one_is_enough else str(verb.two_people.__doc__)
        cells = (f"`do {verb.name}`", "yes" if verb.tightens else "", verb.least)
        rows.append(f"| {' | '.join((*cells, two.lower().rstrip('.'), verb.meaning))} |\n")
    return HEAD + "".join(rows)


def told(text: str) -> str:
    """Return the document with its table of commands written anew."""
    first = text.index(HEAD)
    return text[:first] + commands() + text[text.index("\n\n", first) + 1 :]


if __name__ == "__main__":
    FILE.write_text(drawn(FILE.read_text()))
    CLI.write_text(told(CLI.read_text()))
