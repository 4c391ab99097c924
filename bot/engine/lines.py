"""Tells clients that watch, and the log, what moved: each committed transition as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.store import chain
from bot.store.database import open_reader
from bot.store.writer import Written


def of(entry: Written) -> dict[str, Any]:
    """Return a transition that was just committed."""
    step = entry.step
    return {
        "id": entry.id,
        "seq": entry.seq,
        "at": entry.at,
        "machine": step.machine,
        "key": step.key,
        "version": step.version,
        "source": step.source,
        "trigger": step.trigger,
        "dest": step.dest,
        "reason": step.reason,
        "head": chain.short(entry.hash),
    }


def past(state: Path, after: int) -> list[dict[str, Any]]:
    """Return the committed transitions after an id, oldest first, for a client that watches."""
    reader = open_reader(state, alive=True)
    try:
        rows = reader.execute(
            "SELECT id, seq, at, machine, key, version, source, trigger, dest, reason,"
            " lower(hex(substr(hash, 1, 6))) AS head"
            " FROM transition WHERE id > ? ORDER BY id LIMIT 100000",
            (after,),
        )
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in rows]
    finally:
        reader.close()
