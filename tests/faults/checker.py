"""Judges a folder after kills: the exchange's log and what was acknowledged, against the database.

It reads what others wrote down: ``exchange.db.log`` (the exchange), ``acks.jsonl`` (an outside
watcher of committed transitions), ``beats.jsonl`` (copies of the heartbeat file), and the database
of a bot that is dead. It never reads what the bot says of itself on its output.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.engine import replay
from bot.errors import BotError
from bot.store import chain
from bot.store.database import Connection, open_reader

OURS = re.compile(r"[0-9a-f]{6}-\d+-\d+-\d+")
OPEN_ORDERS = ("INTENDED", "SENT", "UNKNOWN", "OPEN", "PARTIAL")
NAKED_REAL_SECONDS_MAX = 3.0
ENDS = ("Cancelled", "Deactivated", "Filled", "PartiallyFilledCanceled", "Rejected")
LATCHED_MACHINES = ("guard", "hold", "kill")
COLUMNS = ("id", "at", "machine", "key", "version", "source", "trigger", "dest", "reason")

Line = dict[str, Any]


@dataclass
class Report:
    """What was found; ``violations`` is empty if every promise was kept."""

    violations: list[str] = field(default_factory=list)
    acknowledged: int = 0
    transitions: int = 0
    starts: int = 0
    beats: int = 0
    orders: int = 0
    executions: int = 0

    def __str__(self) -> str:
        counts = ", ".join(
            f"{name} {value}" for name, value in vars(self).items() if name != "violations"
        )
        return "\n".join([counts, *(f"VIOLATION {text}" for text in self.violations)])


class Evidence:
    """The files of a folder, read once."""

    def __init__(self, folder: Path) -> None:
        self.log = list(lines(folder / "exchange.db.log"))
        self.acks = list(lines(folder / "acks.jsonl"))
        self.beats = list(lines(folder / "beats.jsonl"))
        self.db: Connection = open_reader(folder / "state.db", alive=False)

    def of(self, *kinds: str) -> list[Line]:
        """Return the exchange's lines of these kinds."""
        return [line for line in self.log if line["kind"] in kinds]

    def ours(self, kind: str) -> list[Line]:
        """Return the exchange's lines of a kind whose order id has our shape."""
        return [line for line in self.of(kind) if OURS.fullmatch(line.get("orderLinkId", ""))]


def lines(path: Path) -> Iterator[Line]:
    """Yield the JSON lines of a file; a torn last line (its writer was killed) is left out."""
    if not path.exists():
        return
    for raw in path.read_bytes().split(b"\n")[:-1]:
        yield json.loads(raw)


def check(folder: Path, *, finished: bool, speed: float = 0) -> Report:
    """Return what became of the promises. ``finished``: the last run ended clean, with no position.

    ``speed`` is the market's rate, by which the time of an open quantity without stop is judged.
    """
    if not (folder / "state.db").exists():
        return Report([f"database lost: expected {folder}/state.db, found none"])
    evidence = Evidence(folder)
    try:
        report = Report(
            acknowledged=len(evidence.acks),
            transitions=one(evidence.db, "SELECT count(*) FROM transition"),
            starts=one(evidence.db, "SELECT count(*) FROM journal WHERE kind = 'Started'"),
            beats=len(evidence.beats),
            orders=len(evidence.ours("create")),
            executions=len(evidence.of("fill")),
        )
        promises = [lost, repeated, unknown, sound, moved_by_a_start, entered_while_latched, beaten]
        for promise in [*promises, *([ended_well, booked, orphans] if finished else [])]:
            report.violations += promise(evidence)
        if speed:
            report.violations += uncovered(evidence, speed)
        return report
    finally:
        evidence.db.close()


def one(db: Connection, sql: str, *values: Any) -> Any:
    """Return the first column of the first row."""
    return db.execute(sql, values).fetchone()[0]


# -- one function a promise: each yields sentences -------------------------------------------------


def lost(evidence: Evidence) -> Iterator[str]:
    """Every acknowledged transition is in the database, with what was acknowledged."""
    head = "lower(hex(substr(hash, 1, 6)))"
    rows = evidence.db.execute(f"SELECT {', '.join(COLUMNS)}, seq, {head} FROM transition")
    stored = {row[0]: dict(zip((*COLUMNS, "seq", "head"), row, strict=True)) for row in rows}
    for ack in evidence.acks:
        found = stored.get(ack["id"], {})
        if ack != {name: found.get(name) for name in ack}:
            yield f"acknowledged transition lost: {ack} was acknowledged, stored is {found}"


def repeated(evidence: Evidence) -> Iterator[str]:
    """No order id was accepted twice or sent twice, and no decision made two orders."""
    for link, count in Counter(line["orderLinkId"] for line in evidence.ours("create")).items():
        if count > 1:
            yield f"order repeated: {link} was accepted {count} times"
    for line in evidence.ours("duplicate"):
        yield f"order repeated: {line['orderLinkId']} was sent again and refused"
    causes: Counter[tuple[Any, ...]] = Counter()
    for line in evidence.ours("create"):
        seq = int(line["orderLinkId"].split("-")[2])
        causes["event", seq, line["symbol"]] += 1
        if not line["reduceOnly"]:
            causes["candle", *_candle_of(evidence.db, seq)] += 1
    for cause, count in causes.items():
        if count > 1:
            yield f"order repeated: {count} accepted orders stem from {cause}"


def _candle_of(db: Connection, seq: int) -> tuple[Any, ...]:
    """Return the candle on which an entry was decided; the event itself if it was none."""
    row = db.execute("SELECT kind, body FROM journal WHERE seq = ?", (seq,)).fetchone()
    if row is None or row[0] != "Measured":
        return (row and row[0], seq)
    body = json.loads(row[1])
    return body["symbol"], body["open_time"]


def unknown(evidence: Evidence) -> Iterator[str]:
    """Every order that the exchange accepted under an id of ours was written down before."""
    for line in evidence.ours("create"):
        sql = "SELECT count(*) FROM transition WHERE machine = 'order' AND key = ? AND source = ''"
        if not one(evidence.db, sql, line["orderLinkId"]):
            yield f"order unknown to the database: {line['orderLinkId']}"


def sound(evidence: Evidence) -> Iterator[str]:
    """The chain is whole, the file is whole, and replay gives the same bytes."""
    found = one(evidence.db, "PRAGMA quick_check")
    if found != "ok":
        yield f"file damaged: {found}"
    for name, question in (("chain", chain.verify), ("replay", replay.check)):
        try:
            question(evidence.db)
        except BotError as error:
            yield f"{name} broken: {error}"
        except Exception as error:  # noqa: BLE001 what was journaled cannot even be decided again
            yield f"{name} broken: {type(error).__name__}: {error}"


def moved_by_a_start(evidence: Evidence) -> Iterator[str]:
    """A restart moves no guard, hold, or kill switch: they stand where the kill left them."""
    rows = evidence.db.execute(
        "SELECT id, machine, key, source, dest, trigger FROM transition"
        " WHERE machine IN ('guard', 'hold', 'kill') AND trigger IN ('Started', 'Recovered')"
        " AND source <> ''"
    )
    for id_, machine, key, source, dest, trigger in rows:
        yield f"state not as before: {machine} {key} moved {source} → {dest} by {trigger} (#{id_})"


def entered_while_latched(evidence: Evidence) -> Iterator[str]:
    """No accepted entry was decided while the account was held, paused, or killed."""
    for line in evidence.ours("create"):
        if line["reduceOnly"]:
            continue
        born = evidence.db.execute(
            "SELECT id FROM transition WHERE machine = 'order' AND key = ? AND version = 1",
            (line["orderLinkId"],),
        ).fetchone()
        if born is None:
            continue  # `unknown` tells
        for machine, fine in (("hold", "FREE"), ("kill", "ARMED")):
            state = state_at(evidence.db, machine, born[0])
            if state != fine:
                yield f"entry while {machine} was {state}: {line['orderLinkId']}"
        if state_at(evidence.db, "guard", born[0]) == "PAUSED":
            yield f"entry while guard was PAUSED: {line['orderLinkId']}"


def beaten(evidence: Evidence) -> Iterator[str]:
    """At every heartbeat, memory said of head, guard, hold, and kill what the database says."""
    for beat in evidence.beats:
        sql = "SELECT lower(hex(substr(hash, 1, 6))) FROM transition WHERE id = ?"
        head = evidence.db.execute(sql, (beat["head_id"],)).fetchone()
        if beat["head_id"] and head != (beat["head"],):
            yield f"acknowledged head lost: #{beat['head_id']} {beat['head']}, stored is {head}"
        for machine in LATCHED_MACHINES:
            state = state_at(evidence.db, machine, beat["head_id"])
            if beat[machine] != state:
                yield (
                    f"state not as before: at #{beat['head_id']} memory had {machine} "
                    f"{beat[machine]!r}, the database {state!r}"
                )


def state_at(db: Connection, machine: str, id_: int) -> str:
    """Return the state of the account's machine after a transition id."""
    row = db.execute(
        "SELECT dest FROM transition WHERE machine = ? AND key = 'account' AND id <= ?"
        " ORDER BY version DESC LIMIT 1",
        (machine, id_),
    ).fetchone()
    return row[0] if row else ""


def ended_well(evidence: Evidence) -> Iterator[str]:
    """The last run closed what was open and knew of everything what became of it, in good time."""
    sql = "SELECT reason FROM instance WHERE machine = 'process' AND state = 'STOPPED'"
    row = evidence.db.execute(sql).fetchone()
    if row is None or row[0].startswith("gave up"):
        yield f"the last run did not end well: {row[0] if row else 'it is not STOPPED'}"


def booked(evidence: Evidence) -> Iterator[str]:
    """Every execution was booked once, as it was; positions are the sum of the executions."""
    executed = {
        f["execId"]: (f["symbol"], f["side"], Decimal(f["qty"]), Decimal(f["price"]))
        for f in evidence.of("fill")
    }
    rows = evidence.db.execute("SELECT fill, symbol, side, qty, price FROM fill")
    found = {row[0]: (row[1], row[2], Decimal(row[3]), Decimal(row[4])) for row in rows}
    for key in executed.keys() ^ found.keys():
        where = "only the exchange" if key in executed else "only the database"
        yield f"execution not booked once: {where} has {key} {executed.get(key) or found.get(key)}"
    for key in executed.keys() & found.keys():
        if executed[key] != found[key]:
            yield f"execution booked wrong: {key} was {executed[key]}, booked {found[key]}"
    sums: dict[str, Decimal] = {}
    for symbol, side, qty, _ in executed.values():
        sums[symbol] = sums.get(symbol, Decimal(0)) + (qty if side == "Buy" else -qty)
    held = {
        symbol: Decimal(qty)
        for symbol, qty in evidence.db.execute("SELECT symbol, qty FROM position")
    }
    for symbol in sums.keys() | held.keys():
        if sums.get(symbol, 0) != held.get(symbol, 0):
            yield (
                f"position not the sum of executions: {symbol} {held.get(symbol, 0)}, "
                f"executed {sums.get(symbol, 0)}"
            )


def orphans(evidence: Evidence) -> Iterator[str]:
    """In the end no order is there that only one side knows of, or of which they think otherwise."""
    accepted = {line["orderLinkId"]: Decimal(line["qty"]) for line in evidence.ours("create")}
    ended = {line["orderLinkId"] for line in evidence.ours("order") if line["status"] in ENDS}
    left = dict(accepted)
    for line in evidence.ours("fill"):
        left[line["orderLinkId"]] -= Decimal(line["qty"])
    sql = "SELECT key, state FROM instance WHERE machine = 'order'"
    known = dict(evidence.db.execute(sql).fetchall())
    for link in accepted:
        state = known.get(link)
        if state in (None, *OPEN_ORDERS, "LOST", "EXPIRED"):
            yield f"orphan: {link} was accepted, the database has it {state}"
        elif left[link] > 0 and link not in ended:
            yield f"orphan: {link} is open at the venue, the database has it {state}"
        elif left[link] <= 0 and state != "FILLED":
            yield f"orphan: {link} was filled at the venue, the database has it {state}"
    for link in known.keys() - accepted.keys():
        if known[link] in (*OPEN_ORDERS, "FILLED", "CANCELED"):
            yield f"orphan: {link} is {known[link]}, the venue never had it"


def uncovered(evidence: Evidence, speed: float) -> Iterator[str]:
    """No open quantity was without a stop at the venue for longer than the time allowed.

    The time of a dead bot counts, and that of a venue that nobody reaches, too: a stop that comes
    with its entry needs neither.
    """
    held: dict[str, Decimal] = {}
    stopped: set[str] = set()
    since: dict[str, int] = {}
    spans: list[tuple[str, int, int]] = []
    for line in evidence.of("fill", "stop", "order"):
        symbol, at = line["symbol"], line["market_ms"]
        if line["kind"] == "fill":
            qty = Decimal(line["qty"]) * (1 if line["side"] == "Buy" else -1)
            before, held[symbol] = held.get(symbol, Decimal(0)), held.get(symbol, 0) + qty
            if before * held[symbol] <= 0:
                stopped.discard(symbol)  # a stop ends with the position that it covers
        elif line["stopOrderType"] == "StopLoss":
            gone = line.get("triggerPrice") == "0" or line.get("status") in ENDS
            (stopped.discard if gone else stopped.add)(symbol)
        if held.get(symbol) and symbol not in stopped:
            since.setdefault(symbol, at)
        elif symbol in since:
            spans.append((symbol, since.pop(symbol), at))
    last = evidence.log[-1]["market_ms"] if evidence.log else 0
    for symbol, began, ended in [*spans, *((s, b, last) for s, b in since.items())]:
        seconds = (ended - began) / 1000 / speed
        if seconds > NAKED_REAL_SECONDS_MAX:
            yield f"no stop: {symbol} was open without one for {seconds:.1f} s until {ended}"
