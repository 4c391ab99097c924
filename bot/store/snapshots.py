"""Snapshots of the world, the journal's tail behind them, and what may be pruned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from bot.core.values import Candle
from bot.core.world import World
from bot.errors import StoreFatal
from bot.store.database import Connection
from bot.store.writer import Writer, decode

KEPT_MIN = 3
PRUNE_ROWS_MAX = 5_000

_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode = msgspec.json.Decoder(World).decode


def pack(world: World) -> bytes:
    """Return the canonical bytes of a world: equal worlds have equal bytes."""
    return _encode(world)


def save(writer: Writer, world: World, wall: int, build: str) -> None:
    """Write a snapshot of the world in a transaction of its own."""
    body = pack(world)
    writer.begin()
    writer._execute(
        "INSERT OR REPLACE INTO snapshot VALUES(?, ?, ?, ?, ?, ?)",
        (world.seq, world.at, wall, build, hashlib.sha256(body).digest(), body),
    )
    writer.commit()


def newest(connection: Connection, up_to: int | None = None) -> World:
    """Return the newest whole snapshot, or the empty world. A damaged one is passed over.

    Raises StoreFatal if the journal behind the snapshots is pruned and none of them is whole.
    """
    limit = 2**62 if up_to is None else up_to
    rows = connection.execute(
        "SELECT body, sha256 FROM snapshot WHERE seq <= ? ORDER BY seq DESC", (limit,)
    )
    for body, sha256 in rows.fetchall():
        if hashlib.sha256(body).digest() != bytes(sha256):
            continue
        try:
            return _decode(body)
        except msgspec.ValidationError:
            continue  # its world had another shape: an older one, or the journal, serves
    if _meta(connection, "pruned_before"):
        raise StoreFatal(
            "no snapshot is whole, and the journal behind them is pruned: restore a backup"
        )
    return World()


def oldest(connection: Connection) -> World:
    """Return the world from which the journal can be recomputed: empty while it is complete."""
    pruned = _meta(connection, "pruned_before")
    return newest(connection, up_to=pruned - 1) if pruned else World()


def before_last(connection: Connection, events: int) -> World:
    """Return the world of a snapshot at least so many events back, or as far back as there is."""
    top = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]
    return newest(connection, up_to=max(0, top - events, _meta(connection, "pruned_before") - 1))


def _meta(connection: Connection, name: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def tail(connection: Connection, after: int) -> Iterator[tuple[int, int | None, str, Any]]:
    """Yield ``(seq, cause, body, event)`` of the journal after a number."""
    rows = connection.execute(
        "SELECT seq, cause, body FROM journal WHERE seq > ? ORDER BY seq", (after,)
    )
    for seq, cause, body in rows:
        yield seq, cause, body, decode(body)


def prune(writer: Writer, wall: int, days: int) -> int:
    """Drop old snapshots and the journal behind the oldest kept one; return the rows dropped.

    Rows that moved a machine, fed the outbox, or came from an operator stay for ever. Bounded, so
    that it never holds a turn up; what is left is dropped next time.
    """
    connection = writer.connection
    kept = [row[0] for row in connection.execute("SELECT seq FROM snapshot ORDER BY seq DESC")]
    since = wall - days * 86_400_000
    old = connection.execute("SELECT max(seq) FROM snapshot WHERE wall < ?", (since,)).fetchone()[0]
    if old is None or len(kept) <= KEPT_MIN:
        return 0
    oldest_kept = min(old, kept[KEPT_MIN - 1])
    writer.begin()
    writer._execute("DELETE FROM snapshot WHERE seq < ?", (oldest_kept,))
    writer.meta("pruned_before", str(oldest_kept + 1))
    doomed = connection.execute(
        "SELECT seq FROM journal j WHERE seq > ? AND seq <= ?"
        " AND kind NOT IN ('Commanded', 'Restored', 'Panicked', 'Halted')"
        " AND NOT EXISTS(SELECT 1 FROM transition WHERE seq = j.seq)"
        " AND NOT EXISTS(SELECT 1 FROM outbox WHERE seq = j.seq) ORDER BY seq LIMIT ?",
        (_meta(connection, "pruned_to"), oldest_kept, PRUNE_ROWS_MAX),
    ).fetchall()
    last = doomed[-1][0] if len(doomed) == PRUNE_ROWS_MAX else oldest_kept
    writer.meta("pruned_to", str(last))
    for (seq,) in doomed:
        writer._execute("DELETE FROM journal WHERE seq = ?", (seq,))
    writer.commit()
    return len(doomed)


def candles(connection: Connection, symbol: str, last: int, limit: int) -> list[Candle]:
    """Return the stored candles of a symbol up to ``last`` without a hole, oldest first.

    Candles after it are of a clock that was set back since, or of another market.
    """
    rows = connection.execute(
        "SELECT open_time, open, high, low, close, volume FROM candle"
        " WHERE symbol = ? AND open_time <= ? ORDER BY open_time DESC LIMIT ?",
        (symbol, last, limit),
    ).fetchall()
    found: list[Candle] = []
    for row in rows:
        if found and found[-1].open_time - row[0] != 60_000:
            break
        found.append(Candle(*row))
    return found[::-1]
