"""Replay: decide the journal again into an empty database, and compare byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bot.core.decide import TABLES, decide
from bot.core.effects import AnyEffect, Notify, Submit
from bot.core.machine import Instance, Step
from bot.core.world import Alert, Delivery, Order, World
from bot.errors import ReplayMismatch
from bot.store import snapshots
from bot.store.database import Connection, open_memory
from bot.store.schema import migrate
from bot.store.writer import Writer

SHOWN_MAX = 10
COLUMNS = "id, seq, at, machine, key, version, source, trigger, dest, reason, hash"


MACHINES = {table.name: table for table in TABLES}
"""Every machine by name."""

_effect = msgspec.json.Decoder(AnyEffect).decode


class Checked(Struct, frozen=True):
    """What a replay compared."""

    events: int
    transitions: int
    effects: int
    head: str


class Recovery(NamedTuple):
    """Memory rebuilt from a snapshot and the tail; ``failed`` if an event could not be decided."""

    world: World
    snapshot_seq: int
    tail: int
    failed: str | None = None


def recover(connection: Connection) -> Recovery:
    """Rebuild memory from the newest snapshot and the tail of the journal.

    Answers of the oracle are in the journal, so nothing is measured again.
    """
    world = snapshots.newest(connection)
    first, count, failed = world.seq, 0, None
    for seq, _, _, event in snapshots.tail(connection, first):
        try:
            world = decide(world, event, seq).world
        except Exception as error:  # noqa: BLE001 another build decided it; the caller judges
            failed = failed or f"event {seq}: {type(error).__name__}: {error}"
        count += 1
    return Recovery(world, first, count, failed)


def disagreement(connection: Connection, world: World) -> str | None:
    """Tell where memory and database differ about a machine that is not at its end, or None."""
    stored = _standing(connection)
    for name in MACHINES:
        mine, theirs = world.machines.get(name, {}), stored.get(name, {})
        for key in sorted(mine.keys() | theirs.keys()):
            a, b = mine.get(key), theirs.get(key)
            if (a and (a.state, a.version)) != (b and (b.state, b.version)):
                shown = [f"{i.state} v{i.version}" if i else "nothing" for i in (a, b)]
                return f"{name} {key}: memory says {shown[0]}, the database {shown[1]}"
    return None


def as_committed(connection: Connection, world: World) -> World:
    """Return the world with every machine where the database has it.

    Orders and deliveries come back from the outbox; the venue tells the rest at reconciliation.
    """
    machines = _standing(connection)
    effects = {
        key: _effect(row[0])
        for key in machines.get("delivery", {})
        if (row := connection.execute("SELECT body FROM outbox WHERE id = ?", (key,)).fetchone())
    }
    orders = {}
    for key, instance in machines.get("order", {}).items():
        number = "-".join(key.split("-")[-2:])
        row = connection.execute("SELECT body FROM outbox WHERE id = ?", (number,)).fetchone()
        if row:
            orders[key] = world.orders.get(key) or _order(_effect(row[0]), instance.since)
    return replace(
        world,
        machines=machines,
        orders=orders,
        deliveries={
            key: world.deliveries.get(key) or Delivery(effect) for key, effect in effects.items()
        },
        runs={key: run for key, run in world.runs.items() if key in machines.get("run", {})},
        alerts={
            key: world.alerts.get(key) or _alert(connection, key)
            for key in machines.get("alert", {})
        },
        seq=connection.execute("SELECT max(seq) FROM journal").fetchone()[0],
    )


def _order(submit: Submit, at: int) -> Order:
    entry = not submit.reduce_only
    return Order(submit.order, submit.symbol, submit.side, submit.qty, entry, at, at)


def _alert(connection: Connection, key: str) -> Alert:
    """Return an alert as its row has it; it is looked at at once."""
    names = ("key", "severity", "text", "runbook", "latch", "alert", "since", "count")
    row = connection.execute(
        "SELECT key, severity, text, runbook, latch, id, since, count FROM alert WHERE id = ?",
        (key,),
    ).fetchone()
    found = dict(zip(names, row, strict=True))
    return Alert(Notify(**{**found, "latch": bool(found["latch"])}))


def _standing(connection: Connection) -> dict[str, dict[str, Instance]]:
    """Return where every machine stands that is not at its end, as the database has it."""
    found: dict[str, dict[str, Instance]] = {}
    for name, table in MACHINES.items():
        ends = ", ".join("?" * len(table.final))
        rows = connection.execute(
            "SELECT key, state, version, since, reason FROM instance"
            f" WHERE machine = ? AND state NOT IN ({ends})",
            (name, *sorted(table.final)),
        )
        found[name] = {key: Instance(*rest) for key, *rest in rows}
    return found


def check(connection: Connection) -> Checked:
    """Recompute the journal and compare; raise ReplayMismatch with the first difference."""
    start = snapshots.oldest(connection)
    fresh = open_memory()
    migrate(fresh, 0)
    fresh.execute("BEGIN")
    _copy_past(connection, fresh, start.seq)
    writer = Writer(fresh)
    world, events = start, 0
    for seq, cause, body, event in snapshots.tail(connection, start.seq):
        writer.append((seq, event.at, 0, type(event).__name__, cause, body))
        decision = decide(world, event, seq)
        writer.decision(seq, body, decision)
        world, events = decision.world, events + 1
    transitions = _compare(connection, fresh, "transition", COLUMNS, "id")
    effects = _compare(connection, fresh, "outbox", "id, seq, kind, body, expires_at", "seq, id")
    return Checked(events, transitions, effects, writer.candidate_head.hex())


class Redecided(Struct, frozen=True):
    """Events that were decided anew: how many come out otherwise, and the first sentences on that.

    ``failed`` if one could not be decided at all.
    """

    events: int
    differ: int
    first: tuple[str, ...]
    failed: str = ""


def redecide(connection: Connection, events: int) -> Redecided:
    """Decide the newest events anew and compare steps and effects with those that were recorded.

    Beginning behind a snapshot, so more of them than asked for; within one build nothing differs.
    """
    world = snapshots.before_last(connection, events)
    recorded, count, differ, failed = _recorded(connection, world.seq), 0, 0, ""
    first: list[str] = []
    for seq, _, _, event in snapshots.tail(connection, world.seq):
        count += 1
        try:
            decision = decide(world, event, seq)
        except Exception as error:  # noqa: BLE001 another build decided it; the caller judges
            failed = (
                failed or f"event {seq} {type(event).__name__}: {type(error).__name__}: {error}"
            )
            continue
        now = [*map(_move, decision.steps), *((d.id, d.effect) for d in decision.emitted)]
        before = recorded.get(seq, [])
        if now != before:
            differ += 1
            if len(first) < SHOWN_MAX:
                told = "; ".join(_told(before, now)), "; ".join(_told(now, before))
                kind = type(event).__name__
                first.append(f"event {seq} {kind}: recorded {told[0]}, now {told[1]}")
        world = decision.world
    return Redecided(count, differ, tuple(first), failed)


def _recorded(connection: Connection, after: int) -> dict[int, list[Any]]:
    """Return the moves and then the effects of each event, as ``redecide`` compares them."""
    found: dict[int, list[Any]] = {}
    moves = "SELECT seq, machine, key, source, dest, version, reason FROM transition WHERE seq > ?"
    for seq, *move in connection.execute(f"{moves} ORDER BY id", (after,)):
        found.setdefault(seq, []).append(tuple(move))
    sent = "SELECT seq, id, body FROM outbox WHERE seq > ? ORDER BY seq, length(id), id"
    for seq, name, body in connection.execute(sent, (after,)):
        found.setdefault(seq, []).append((name, _effect(body)))
    return found


def _move(step: Step) -> tuple[Any, ...]:
    return (step.machine, step.key, step.source, step.dest, step.version, step.reason)


def _told(these: list[Any], those: list[Any]) -> Iterator[str]:
    """Yield a sentence for each move or effect that the others do not have."""
    others = [item for item in these if item not in those]
    for item in others:
        if len(item) > 2:
            machine, key, source, dest, _, reason = item
            yield f"{machine} {key} {source or 'nothing'} → {dest} ({reason})"
        else:
            yield f"{type(item[1]).__name__} {item[0]}"
    if not others:
        yield "nothing more"


def _copy_past(connection: Connection, fresh: Connection, seq: int) -> None:
    """Take over, unchecked, what happened before the oldest kept snapshot."""
    if not seq:
        return
    fresh.execute("PRAGMA defer_foreign_keys=ON")
    for machine, source, trigger, dest, _ in connection.execute("SELECT * FROM rule"):
        fresh.execute(
            "INSERT OR IGNORE INTO rule VALUES(?, ?, ?, ?, NULL)", (machine, source, trigger, dest)
        )
    columns = {"journal": "seq, at, wall, kind, cause, body", "transition": COLUMNS, "outbox": "*"}
    for table, names in columns.items():
        cursor = connection.execute(
            f"SELECT {names} FROM {table} WHERE seq <= ? ORDER BY 1", (seq,)
        )
        for row in cursor:
            target = "" if names == "*" else f"({names})"
            marks = ", ".join("?" * len(row))
            fresh.execute(f"INSERT INTO {table}{target} VALUES({marks})", row)


def _compare(live: Connection, fresh: Connection, table: str, columns: str, order: str) -> int:
    query = f"SELECT {columns} FROM {table} ORDER BY {order}"
    count = 0
    for mine, theirs in _zip(live.execute(query), fresh.execute(query)):
        if mine != theirs:
            raise ReplayMismatch(f"{table}: stored {_show(mine)}, recomputed {_show(theirs)}")
        count += 1
    return count


def _zip(a: Any, b: Any) -> Iterator[tuple[Any, Any]]:
    while True:
        mine, theirs = a.fetchone(), b.fetchone()
        if mine is None and theirs is None:
            return
        yield mine, theirs


def _show(row: tuple[Any, ...] | None) -> str:
    return (
        "nothing"
        if row is None
        else repr(tuple(v.hex()[:12] if isinstance(v, bytes) else v for v in row))
    )
