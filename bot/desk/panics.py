"""Reads what panic and the dead-man did while the bot was not looking, for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bot.core.text import safe_text
from bot.desk.files import Beside

SHOWN_MAX = 3
READ_BYTES = 200_000  # of the newest lines: a venue that is away for days makes many
_TOLD = ("end process", "cancel entries", "flatten", "verify stops")


class Deed(Struct, frozen=True):
    """One run of panic: when (computer's ms UTC), by whom, why, what it did, what it could not."""

    wall_ms: int
    who: str
    reason: str
    did: tuple[str, ...]
    undone: str


def deeds(state: Path) -> tuple[Deed, ...]:
    """Return the newest runs, oldest first: what no bot has read yet, else what was read last."""
    log = Beside(state).panic_log
    read = sorted(log.parent.glob(f"{log.name}.read-*"), key=lambda path: path.name)
    for path in (log, *reversed(read)):
        found = tuple(_runs(_lines(path)))
        if found:
            return found[-SHOWN_MAX:]
    return ()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - READ_BYTES))
            body = file.read(READ_BYTES)
    except OSError:
        return
    for line in body.splitlines():
        try:
            found = msgspec.json.decode(line)
        except msgspec.DecodeError:
            continue  # cut at the start, or written half when the power went
        if isinstance(found, dict):
            yield found


def _runs(lines: Iterator[dict[str, Any]]) -> Iterator[Deed]:
    begun: dict[str, Any] | None = None
    did: list[str] = []
    for line in lines:
        action, detail = str(line.get("action", "")), _text(line, "detail")
        if action == "panic":
            if begun is not None:
                yield _deed(begun, did, "it did not come to its end")
            begun, did = line, []
        elif action == "end" and begun is not None:
            yield _deed(begun, did, "" if line.get("outcome") == "done" else detail or "something")
            begun = None
        elif action in _TOLD and line.get("outcome") == "done":
            did.append(f"{action}: {detail}")
    if begun is not None:
        yield _deed(begun, did, "it did not come to its end")


def _deed(begun: dict[str, Any], did: list[str], undone: str) -> Deed:
    wall = begun.get("wall_ms")
    at = wall if isinstance(wall, int) else 0
    return Deed(at, _text(begun, "who"), _text(begun, "detail"), tuple(did), undone)


def _text(line: dict[str, Any], name: str) -> str:
    return safe_text(str(line.get(name, "")), 500)
