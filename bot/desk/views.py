"""Reads the database for people: each named question returns frozen structs."""

from __future__ import annotations

import json

from msgspec import Struct

from bot.core.decide import TABLES
from bot.core.machine import Table
from bot.store.database import Connection

LIVING = tuple(table.name for table in TABLES if not table.final)
"""Machines that never end: few keys each, however old the database."""

MOVES = (
    "SELECT t.id, t.at, t.machine, t.key, t.source, t.trigger, t.dest, t.reason, t.seq,"
    " lower(hex(substr(t.hash, 1, 6))) FROM transition t"
)
"""The columns of a Move, in order; conditions follow."""


class Move(Struct, frozen=True):
    """One transition; ``at`` is market ms UTC, ``head`` the chain's hash in twelve digits."""

    id: int
    at: int
    machine: str
    key: str
    source: str
    trigger: str
    dest: str
    reason: str
    seq: int = 0
    head: str = ""


class Standing(Struct, frozen=True):
    """Where a machine stands, since when (market ms UTC), and why."""

    machine: str
    key: str
    state: str
    version: int
    since: int
    reason: str


class CheckStanding(Struct, frozen=True):
    """What a check found last, and where its machine stands."""

    name: str
    state: str
    said: str
    value: float | None
    limit: float | None
    at: str


class ObjectiveStanding(Struct, frozen=True):
    """An objective: shares of 1 of the time counted, and of its error budget."""

    name: str
    hours: float
    good: float
    spent: float
    burn: float


class OpenPosition(Struct, frozen=True):
    """A position as the bot knows it; numbers are decimals as text."""

    symbol: str
    side: str
    qty: str
    entry: str
    stop: str | None
    take: str | None
    stop_held: bool
    state: str | None
    opened: str


class EquityMark(Struct, frozen=True):
    """The account when it was last marked: quote units as text, fractions of 1, market ms UTC."""

    at: int
    equity: str
    cash: str
    peak: str
    day_start: str
    drawdown: float
    day_loss: float


class Doubt(Struct, frozen=True):
    """An order whose outcome is not known."""

    order: str
    symbol: str
    reason: str


class Epoch(Struct, frozen=True):
    """A restore: the backup that took the database's place, by whom, and why; market ms UTC."""

    seq: int
    at: int
    epoch: int
    backup: str
    old_head: str
    operator: str
    reason: str


def moves_after(connection: Connection, after: int, machine: str = "") -> list[Move]:
    """Return the transitions after an id, oldest first."""
    rows = connection.execute(
        f"{MOVES} WHERE t.id > ? AND ? IN ('', t.machine) ORDER BY t.id",
        (after, machine),
    )
    return [Move(*row) for row in rows]


def last_moves(
    connection: Connection, count: int, machine: str = "", without: str = ""
) -> list[Move]:
    """Return the newest transitions, oldest first; of one machine, or without one."""
    rows = connection.execute(
        f"{MOVES} WHERE ? IN ('', t.machine) AND t.machine <> ? ORDER BY t.id DESC LIMIT ?",
        (machine, without, count),
    )
    return [Move(*row) for row in rows][::-1]


def head_id(connection: Connection) -> int:
    """Return the id of the newest transition, 0 if there is none."""
    found = connection.execute("SELECT max(id) FROM transition").fetchone()
    return int(found[0] or 0)


def standings(connection: Connection, *names: str) -> list[Standing]:
    """Return where the named machines stand."""
    rows: list[Standing] = []
    for name in names:
        rows += _standing(connection, name, (), -1)
    return rows


def unfinished(connection: Connection, table: Table, limit: int) -> list[Standing]:
    """Return where machines of one table stand that are not at their end."""
    return _standing(connection, table.name, tuple(map(str, table.final)), limit)


def _standing(
    connection: Connection, name: str, final: tuple[str, ...], limit: int
) -> list[Standing]:
    rows = connection.execute(
        "SELECT machine, key, state, version, since, reason FROM instance WHERE machine = ?"
        " AND state NOT IN (SELECT value FROM json_each(?)) ORDER BY key LIMIT ?",
        (name, json.dumps(final), limit),
    )
    return [Standing(*row) for row in rows]


def open_positions(connection: Connection) -> list[OpenPosition]:
    """Return what is open."""
    rows = connection.execute(
        "SELECT symbol, side, qty, entry, stop, take, stop_held, state, opened"
        " FROM open_positions ORDER BY symbol"
    )
    return [
        OpenPosition(symbol, side, qty, entry, stop, take, bool(held), state, opened)
        for symbol, side, qty, entry, stop, take, held, state, opened in rows
    ]


def equity(connection: Connection) -> EquityMark | None:
    """Return the newest mark of the account."""
    row = connection.execute(
        "SELECT at, equity, cash, peak, day_start, drawdown, day_loss FROM equity"
        " ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return EquityMark(*row) if row else None


def doubts(connection: Connection) -> list[Doubt]:
    """Return the orders whose outcome is not known."""
    rows = connection.execute(
        "SELECT client_order, coalesce(symbol, ''), reason FROM order_history"
        " WHERE state = 'UNKNOWN'"
    )
    return [Doubt(*row) for row in rows]


def run_state(connection: Connection, run: str) -> tuple[str, str] | None:
    """Return ``(state, reason)`` of a command, or None if the database does not know it."""
    row = connection.execute(
        "SELECT state, reason FROM instance WHERE machine = 'run' AND key = ?", (run,)
    ).fetchone()
    return (row[0], row[1]) if row else None


def run_named(connection: Connection, prefix: str) -> tuple[str, str, str] | None:
    """Return ``(id, state, reason)`` of the command that moved last whose id begins so, or None."""
    row = connection.execute(
        "SELECT key, state, reason FROM instance WHERE machine = 'run'"
        " AND substr(key, 1, length(?1)) = ?1 ORDER BY since DESC LIMIT 1",
        (prefix,),
    ).fetchone()
    return tuple(row) if row else None


def epochs(connection: Connection) -> list[Epoch]:
    """Return every restore of this database."""
    rows = connection.execute(
        "SELECT seq, at, json_extract(body, '$.epoch'), json_extract(body, '$.backup'),"
        " json_extract(body, '$.old_head'), json_extract(body, '$.operator'),"
        " json_extract(body, '$.reason') FROM journal WHERE kind = 'Restored' ORDER BY seq"
    )
    return [Epoch(*row) for row in rows]


def checks(connection: Connection) -> list[CheckStanding]:
    """Return what each check found last, by name."""
    sql = "SELECT name, state, said, value, most, at FROM checks ORDER BY name"
    return [CheckStanding(*row) for row in connection.execute(sql)]


def objectives(connection: Connection) -> list[ObjectiveStanding]:
    """Return how each objective stands, by name."""
    sql = "SELECT name, hours, good, spent, burn FROM objectives ORDER BY name"
    return [ObjectiveStanding(*row) for row in connection.execute(sql)]


# -- counts: what a metric needs, over all the database --------------------------------------------


def market_now(connection: Connection) -> int:
    """Return the market time of the newest event, ms UTC; 0 if there is none."""
    row = connection.execute("SELECT at FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    return int(row[0]) if row else 0


def written(connection: Connection) -> int:
    """Return when the newest event was written, ms UTC of the computer's clock; 0 if none is."""
    row = connection.execute("SELECT wall FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    return int(row[0]) if row else 0


def counted(connection: Connection, machine: str, most: str) -> dict[str, int]:
    """Return how many of a machine's keys stand, or ended, in each state.

    ``most`` is where nearly all of them end: they are the rest, so that a million are not sorted.
    """
    others = dict(
        connection.execute(
            "SELECT state, count(*) FROM instance WHERE machine = ? AND state <> ? GROUP BY state",
            (machine, most),
        ).fetchall()
    )
    total = connection.execute(
        "SELECT count(*) FROM instance WHERE machine = ?", (machine,)
    ).fetchone()[0]
    return {**others, most: total - sum(others.values())}


def oldest_doubt(connection: Connection) -> int | None:
    """Return since when an order's outcome is unknown, market ms; None if all are known."""
    row = connection.execute(
        "SELECT min(since) FROM instance WHERE machine = 'order' AND state = 'UNKNOWN'"
    ).fetchone()
    return None if row[0] is None else int(row[0])


def undelivered(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return for each kind of effect how many wait, and when the oldest was decided, market ms."""
    rows = connection.execute(
        "SELECT o.kind, count(*), min(b.at) FROM instance i CROSS JOIN outbox o ON o.id = i.key"
        " CROSS JOIN transition b ON b.machine = i.machine AND b.key = i.key AND b.version = 1"
        " WHERE i.machine = 'delivery' AND i.state IN ('PENDING', 'RETRY') GROUP BY o.kind"
    )
    return {kind: (count, oldest) for kind, count, oldest in rows}


def newest_candle(connection: Connection, symbol: str) -> int | None:
    """Return when the newest stored candle of a symbol opened, market ms; None if there is none."""
    row = connection.execute(
        "SELECT max(open_time) FROM candle WHERE symbol = ?", (symbol,)
    ).fetchone()
    return None if row[0] is None else int(row[0])


def heights(connection: Connection) -> tuple[int, int, int]:
    """Return the newest number of the journal, of the transitions, and of the refusals."""
    row = connection.execute(
        "SELECT (SELECT max(seq) FROM journal), (SELECT max(id) FROM transition),"
        " (SELECT max(id) FROM refusal)"
    ).fetchone()
    return (row[0] or 0, row[1] or 0, row[2] or 0)


def round_trips(connection: Connection) -> tuple[int, int]:
    """Return how many real round trips were won, and how many were not."""
    row = connection.execute(
        "SELECT total(CAST(pnl AS REAL) > 0), count(*) FROM trade WHERE shadow = 0"
    ).fetchone()
    return int(row[0]), row[1] - int(row[0])
