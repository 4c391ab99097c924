"""The hash chain over transitions: an edited, removed, or reordered row is found.

hash = SHA-256("transition-v1" ‖ previous hash ‖ canonical row ‖ SHA-256 of the event's body), the
row as compact JSON of its columns in order. A chain alone does not prove that its tail was not
rewritten: so the head leaves the machine in log lines and notifications.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from bot.errors import ChainBroken
from bot.store import derived
from bot.store.database import Connection

GENESIS = bytes(32)
_encode = msgspec.json.Encoder().encode


def link(previous: bytes, row: tuple[Any, ...], body: bytes) -> bytes:
    """Return the hash of a transition's columns, id to reason, after ``previous``."""
    digest = hashlib.sha256(b"transition-v1")
    digest.update(previous)
    digest.update(_encode(row))
    digest.update(hashlib.sha256(body).digest())
    return digest.digest()


def head(connection: Connection) -> tuple[int, bytes]:
    """Return ``(id, hash)`` of the newest transition, ``(0, GENESIS)`` if there is none."""
    row = connection.execute("SELECT id, hash FROM transition ORDER BY id DESC LIMIT 1").fetchone()
    return (row[0], bytes(row[1])) if row else (0, GENESIS)


def short(hash_: bytes) -> str:
    """Return the twelve hex digits by which people quote a hash."""
    return hash_[:6].hex()


def rows(connection: Connection, after: int) -> Iterator[tuple[Any, ...]]:
    """Yield transitions after an id with their stored hash and event body."""
    yield from connection.execute(
        "SELECT t.id, t.seq, t.at, t.machine, t.key, t.version, t.source, t.trigger, t.dest,"
        " t.reason, t.hash, j.body FROM transition t LEFT JOIN journal j ON j.seq = t.seq"
        " WHERE t.id > ? ORDER BY t.id",
        (after,),
    )


def verify(connection: Connection, after: int = 0, *, instances: bool = True) -> tuple[int, bytes]:
    """Check the chain after a transition id; return ``(rows checked, head)`` or raise ChainBroken.

    ``instances``: also check that every machine stands where its newest transition says.
    """
    previous, expected = GENESIS, 1
    if after:
        found = connection.execute("SELECT hash FROM transition WHERE id = ?", (after,)).fetchone()
        if found is None:
            raise ChainBroken(f"expected transition {after}, found none")
        previous, expected = bytes(found[0]), after + 1
    checked = 0
    for row in rows(connection, after):
        columns, hash_, body = row[:10], bytes(row[10]), row[11]
        if columns[0] != expected:
            raise ChainBroken(
                f"expected transition {expected}, found {columns[0]}: rows are missing"
            )
        if body is None:
            raise ChainBroken(f"transition {columns[0]}: its event {columns[1]} is missing")
        if link(previous, columns, body.encode()) != hash_:
            raise ChainBroken(f"transition {columns[0]}: the row or its event was changed")
        previous, expected, checked = hash_, expected + 1, checked + 1
    if instances:
        _verify_instances(connection)
    return checked, previous


def _verify_instances(connection: Connection) -> None:
    """Check that every machine stands where its newest transition says, and nowhere else."""
    for machine, key, found, expected in derived.differences(connection):
        raise ChainBroken(f"{machine} {key}: expected {expected} by its transitions, found {found}")
