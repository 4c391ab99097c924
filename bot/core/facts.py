"""Rows that a decision leaves in the ledger: fills, trades, equity, candles, refusals."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.core.effects import Notify
from bot.core.remedy import Remedy
from bot.core.values import Candle, CashMove, Side, VenueFill


class FillBooked(Struct, frozen=True):
    """An execution that changed a position; ``realised`` in quote units before fees."""

    fill: VenueFill
    realised: Decimal


class TradeClosed(Struct, frozen=True):
    """A round trip; ``pnl`` in quote units net of fees; ``shadow`` trades were never sent."""

    symbol: str
    side: Side
    qty: Decimal
    entry: Decimal
    exit: Decimal
    pnl: Decimal
    fees: Decimal
    opened_at: int
    closed_at: int
    shadow: bool
    reason: str


class EquityMarked(Struct, frozen=True):
    """The account at a review: quote units, drawdown and day loss as fractions of 1."""

    equity: Decimal
    cash: Decimal
    peak: Decimal
    day_start: Decimal
    drawdown: float
    day_loss: float
    why: str


class CandleStored(Struct, frozen=True):
    """An accepted candle with its provenance: who said it, and whether streamed or backfilled."""

    symbol: str
    candle: Candle
    source: str
    how: str


class CheckMarked(Struct, frozen=True):
    """What a check found: in a sentence, and the number with its limit where there is one."""

    check: str
    well: bool
    value: float | None
    limit: float | None
    said: str


class ObjectiveMarked(Struct, frozen=True):
    """How an objective stands: shares of 1 of the time counted, and how fast its budget is spent."""

    objective: str
    counted_hours: float
    good: float
    spent: float
    burn: float


class RemediesDeclared(Struct, frozen=True):
    """What this process may try against checks that are not well."""

    remedies: tuple[Remedy, ...]


class AttemptMarked(Struct, frozen=True):
    """An attempt at healing as it stands: ``said`` is why it was begun, or what came of it."""

    run: str
    remedy: str
    check: str
    risk: str
    state: str
    said: str


class Escalated(Struct, frozen=True):
    """A check that nothing cured: what was tried, remedy by remedy, and the report's file."""

    check: str
    said: str
    tried: dict[str, str]
    file: str


class PositionMarked(Struct, frozen=True):
    """A position as it stands after a change."""

    symbol: str
    qty: Decimal
    entry: Decimal
    stop: Decimal | None
    take: Decimal | None
    stop_held: bool
    opened_at: int


class OrderRefused(Struct, frozen=True):
    """An order that was wanted and not sent: one row for each control that refused it."""

    symbol: str
    side: Side
    control: str
    reason: str


class CashMoved(Struct, frozen=True):
    """Cash that came or went without an execution."""

    move: CashMove


class AccountCompared(Struct, frozen=True):
    """The ledger against the venue's: wallet and cash in quote units, and what differs, if any."""

    depth: str
    wallet: Decimal
    cash: Decimal
    positions: int
    fills: int
    moves: int
    differs: str


class AlertNoted(Struct, frozen=True):
    """An alert as it stands: raised, or raised once more."""

    notify: Notify


class ModelRecorded(Struct, frozen=True):
    """A model whose files were verified for the first time; ``manifest`` is their JSON."""

    model: str
    run: str
    manifest: str


class AttemptEnded(Struct, frozen=True):
    """An attempt at training: real seconds, MiB at its peak, and how its process ended."""

    run: str
    attempt: int
    cause: str
    reason: str
    seconds: float
    peak_mb: int
    exit_code: int
    signal: int
    rows: int
    reduced: str
    model: str


class ScoreKept(Struct, frozen=True):
    """A model's word on a candle, or why its vote was dropped; the newest ``keep`` are kept."""

    model: str
    symbol: str
    open_time: int
    score: float | None
    fault: str
    keep: int


Fact = (
    FillBooked
    | TradeClosed
    | EquityMarked
    | CandleStored
    | PositionMarked
    | OrderRefused
    | CashMoved
    | AccountCompared
    | CheckMarked
    | ObjectiveMarked
    | RemediesDeclared
    | AttemptMarked
    | Escalated
    | AlertNoted
    | ModelRecorded
    | AttemptEnded
    | ScoreKept
)
