"""Compares two ledgers after quiet: the exchange's log and statement, and the bot's database.

The bot's own opinion is not asked: its database is read after it is dead, and the exchange's side
comes from ``exchange.db.log`` and from a statement that a plain client fetched at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from bot.engine import replay
from bot.errors import BotError
from bot.store import chain
from tests.faults.checker import OURS, Evidence, repeated, unknown

UNKNOWN_SECONDS_MAX = 15.0
ROUNDING = Decimal("0.000001")
"""The exchange rounds profit to 8 places an execution; the next reading of the account takes it over."""
CENT = Decimal("0.01")
LIVE = ("INTENDED", "SENT", "UNKNOWN", "OPEN", "PARTIAL")
NEVER_THERE = {"EXPIRED", "REJECTED", "LOST"}
STATES = {
    "Filled": {"FILLED"},
    "Cancelled": {"CANCELED"},
    "Deactivated": {"CANCELED"},
    "Rejected": {"REJECTED"},
}

Span = tuple[float, float]


class Counts(NamedTuple):
    """What a run contained."""

    orders: int
    changed: int
    fills: int
    unknown: int
    partial: int
    restarts: int
    unknown_seconds: float

    @property
    def whole(self) -> bool:
        """Tell whether it had an UNKNOWN, a partial fill, and a restart."""
        return bool(self.unknown and self.partial and self.restarts)


class Ledger:
    """Both sides of a run, read once.

    ``blocked``: spans of market ms without venue or bot; each request that a fault hit is one, too.
    """

    def __init__(self, folder: Path, blocked: list[Span], rate: float) -> None:
        self.evidence = Evidence(folder)
        self.statement: dict[str, Any] = json.loads((folder / "statement.json").read_text())
        self.rate = rate
        hits = [f for f in self.evidence.of("fault") if f["where"].startswith("/v5/")]
        self.blocked = sorted([*blocked, *((f["market_ms"],) * 2 for f in hits)])
        self.db = self.evidence.db
        self.fills = self.evidence.of("fill")
        self.created = {o["orderLinkId"]: o for o in self.evidence.ours("create")}
        self.states = dict(
            self.db.execute("SELECT key, state FROM instance WHERE machine = 'order'").fetchall()
        )

    def counts(self) -> Counts:
        """Return what the run contained."""
        starts = "SELECT count(*) FROM journal WHERE kind = 'Started'"
        unknowns = list(self.unknowns())
        return Counts(
            len(self.created),
            len([*self.evidence.ours("amend"), *self.evidence.ours("cancel")]),
            len(self.fills),
            len(unknowns),
            sum(1 for link in self.created if self.was_partial(link)),
            self.db.execute(starts).fetchone()[0] - 1,
            max((seconds for _, seconds in unknowns), default=0.0),
        )

    def was_partial(self, link: str) -> bool:
        """Tell whether an order had an execution that left some of it open."""
        qty = Decimal(self.created[link]["qty"])
        mine = [Decimal(f["qty"]) for f in self.fills if f["orderLinkId"] == link]
        return bool(mine) and mine[0] < qty

    def unknowns(self) -> Iterator[tuple[str, float]]:
        """Yield each stay in UNKNOWN, with its longest stretch while venue and bot were there."""
        rows = self.db.execute(
            "SELECT a.key, a.at, (SELECT b.at FROM transition b WHERE b.machine = 'order'"
            " AND b.key = a.key AND b.version = a.version + 1)"
            " FROM transition a WHERE a.machine = 'order' AND a.dest = 'UNKNOWN'"
        )
        ends = self.statement["market_ms"]
        for key, began, ended in rows.fetchall():
            yield key, self._stretch(began, ended or ends) / 1000 / self.rate

    def _stretch(self, began: float, ended: float) -> float:
        longest, at = 0.0, began
        for since, until in self.blocked:
            if since < ended and until >= at:
                longest = max(longest, min(since, ended) - at)
                at = max(at, until)
        return max(longest, ended - at)


def check(ledger: Ledger, *, replayed: bool) -> list[str]:
    """Return a sentence for each difference; none means that the ledgers are equal."""
    found: list[str] = []
    promises = (
        repeated,
        unknown,
    )
    for promise in promises:
        found += promise(ledger.evidence)
    for compare in (orders, fills, wallet, positions, stops, in_doubt, foreign, sums):
        found += compare(ledger)
    found += sound(ledger, replayed)
    return found


def orders(ledger: Ledger) -> Iterator[str]:
    """Every order stands with the bot as it stands with the exchange."""
    ended = {
        line["orderLinkId"]: line["status"]
        for line in ledger.evidence.ours("order")
        if line["status"] != "Triggered"
    }
    for link, line in ledger.created.items():
        done = sum((f for f in _quantities(ledger.fills, link)), Decimal(0))
        status = "Filled" if done == Decimal(line["qty"]) else ended.get(link, "open")
        if status == "Rejected" and done:
            status = "Cancelled"
        expected = STATES.get(status, {"OPEN", "PARTIAL"})
        state = ledger.states.get(link, "not there")
        if state not in expected:
            yield f"order: the exchange has {link} {status}, the bot {state}"
    for key, state in ledger.states.items():
        if key not in ledger.created and state not in NEVER_THERE:
            yield f"order: the exchange never had {key}, the bot has it {state}"


def _quantities(lines: Iterable[dict[str, Any]], link: str) -> Iterator[Decimal]:
    return (Decimal(line["qty"]) for line in lines if line["orderLinkId"] == link)


def fills(ledger: Ledger) -> Iterator[str]:
    """Every execution is booked once, as it was, with its fee, whoever's it was."""
    theirs = {
        f["execId"]: (
            f["orderLinkId"],
            f["symbol"],
            f["side"],
            *(Decimal(f[name]) for name in ("qty", "price", "fee")),
        )
        for f in ledger.fills
    }
    rows = ledger.db.execute("SELECT fill, client_order, symbol, side, qty, price, fee FROM fill")
    ours = {row[0]: (*row[1:4], *map(Decimal, row[4:])) for row in rows.fetchall()}
    for key in theirs.keys() | ours.keys():
        if theirs.get(key) != ours.get(key):
            yield f"fill: the exchange has {key} {theirs.get(key)}, the bot {ours.get(key)}"


def wallet(ledger: Ledger) -> Iterator[str]:
    """The cash that the bot's database comes to is the wallet of the exchange."""
    theirs = Decimal(ledger.statement["wallet"])
    ours = replay.recover(ledger.db).world.account.cash
    if abs(ours - theirs) > ROUNDING:
        yield f"wallet: the exchange has {theirs}, the bot {ours}"


def sums(ledger: Ledger) -> Iterator[str]:
    """Deposit, realised profit, and fees, as the bot booked them, come to the wallet.

    What others moved, and what funding cost, is not an execution: it is taken from the exchange.
    """
    moved = sum((Decimal(line["amount"]) for line in ledger.evidence.of("transfer")), Decimal(0))
    moved -= sum((Decimal(line["fee"]) for line in ledger.evidence.of("funding")), Decimal(0))
    rows = ledger.db.execute("SELECT realised, fee FROM fill").fetchall()
    booked = sum((Decimal(realised) - Decimal(fee) for realised, fee in rows), Decimal(0))
    expected = Decimal(ledger.statement["wallet"])
    found = Decimal(ledger.statement["deposit"]) + moved + booked
    if abs(expected - found) > CENT:
        yield f"sums: the exchange's wallet is {expected}, the bot's bookings come to {found}"


def positions(ledger: Ledger) -> Iterator[str]:
    """Open quantities are the same."""
    theirs = {p["symbol"]: p["qty"] for p in ledger.statement["positions"]}
    rows = ledger.db.execute("SELECT symbol, qty FROM position").fetchall()
    ours = {symbol: qty for symbol, qty in rows if Decimal(qty)}
    for symbol in theirs.keys() | ours.keys():
        if Decimal(theirs.get(symbol, "0")) != Decimal(ours.get(symbol, "0")):
            yield f"position: the exchange has {symbol} {theirs.get(symbol)}, the bot {ours.get(symbol)}"


def stops(ledger: Ledger) -> Iterator[str]:
    """Every open quantity has a stop at the exchange, and the bot knows which."""
    rows = ledger.db.execute("SELECT symbol, stop, stop_held FROM position").fetchall()
    known = {symbol: (stop, held) for symbol, stop, held in rows}
    for position in ledger.statement["positions"]:
        stop, held = known.get(position["symbol"], (None, 0))
        if not position["stop"]:
            yield f"stop: the exchange holds none for {position}"
        elif not held or Decimal(stop or "0") != Decimal(position["stop"]):
            yield f"stop: the exchange holds {position}, the bot knows {stop} held {held}"


def in_doubt(ledger: Ledger) -> Iterator[str]:
    """No order stayed UNKNOWN for long while venue and bot were there."""
    for key, seconds in ledger.unknowns():
        if seconds > UNKNOWN_SECONDS_MAX:
            yield f"unknown: {key} for {seconds:.1f} s while the venue was reachable"


def foreign(ledger: Ledger) -> Iterator[str]:
    """What others ordered was not cancelled: nobody but the bot could have."""
    for line in ledger.evidence.of("cancel"):
        if line["cancelType"] == "CancelByUser" and not OURS.fullmatch(line["orderLinkId"]):
            yield f"foreign: {line['orderLinkId']} was cancelled ({line['cancelType']})"


def sound(ledger: Ledger, replayed: bool) -> Iterator[str]:
    """The chain is whole, and, where asked, replay gives the same bytes."""
    questions = [("chain", chain.verify), ("replay", replay.check)]
    for name, question in questions[: 2 if replayed else 1]:
        try:
            question(ledger.db)
        except BotError as error:
            yield f"{name} broken: {error}"
