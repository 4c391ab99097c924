"""Everything the bot can do to the world. An effect is stored before it is carried out.

The id of an effect is ``"{seq}-{n}"``: the n-th effect of the event ``seq`` that caused it.
``expires_at`` (market ms) bounds when it still makes sense; None means it never expires, as for
everything that protects an open position.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.core.values import Side


class Effect(Struct, frozen=True, tag=True, kw_only=True):
    """Something to be done, at least once."""

    expires_at: int | None = None


class Submit(Effect, frozen=True):
    """Send an order: at ``price`` or better, at market if that is None.

    ``close_all`` asks the venue to close whatever is open: a quantity that is off a new lot.

    The bracket travels with an entry and is held by the venue.
    """

    order: str
    symbol: str
    side: Side
    qty: Decimal
    reduce_only: bool
    close_all: bool = False
    price: Decimal | None = None
    stop: Decimal | None = None
    take: Decimal | None = None


class Amend(Effect, frozen=True):
    """Move an open order to another limit price."""

    order: str
    symbol: str
    price: Decimal


class Cancel(Effect, frozen=True):
    """Cancel one order."""

    order: str
    symbol: str


class Protect(Effect, frozen=True):
    """Have the venue hold this stop and target for the whole position of a symbol."""

    symbol: str
    stop: Decimal
    take: Decimal | None


class Inquire(Effect, frozen=True):
    """Ask what became of an order whose outcome is in doubt since ``sent_at``."""

    order: str
    symbol: str
    sent_at: int


class Reconcile(Effect, frozen=True):
    """Read wallet, positions, open and named orders, executions and cash moves since ``since``.

    ``depth`` says why it is asked: light, full, or day.
    """

    orders: tuple[tuple[str, str], ...]
    since: int
    depth: str = "light"


class Backfill(Effect, frozen=True):
    """Fetch the closed candles after ``after`` (open time, ms), at most ``limit``."""

    symbol: str
    after: int
    limit: int


class Leverage(Effect, frozen=True):
    """Set the leverage the venue applies to each symbol."""

    leverage: int


SEVERITIES = ("info", "warning", "critical")
"""How much a message matters, the least first."""


class Notify(Effect, frozen=True):
    """Tell people. What emits it says what happened; ``core.alerts`` decides who hears of it.

    ``key``: what it is about, by which a repetition is known; empty means where it comes from.
    ``runbook``: what to do, a heading of docs/alerts.md. ``latch``: it stays until it is lifted, so
    nothing holds the message back. The rest is filled in by ``core.alerts``: the alert's id, since
    when (market ms), how many times, and the channel that this copy is for.
    """

    severity: str
    text: str
    key: str = ""
    runbook: str = ""
    latch: bool = False
    alert: str = ""
    since: int = 0
    count: int = 1
    channel: str = ""


class ClearHalt(Effect, frozen=True):
    """Clear the HALT mark that a committed re-arm saw; another one that came since stays."""

    run: str
    mark: str


class VerifyModel(Effect, frozen=True):
    """Check a model's files in a throw-away process, then load them to be asked."""

    model: str


class DiscardModel(Effect, frozen=True):
    """Delete the files of a model that nothing needs any more."""

    model: str


class Heal(Effect, frozen=True):
    """Try a remedy on a check, as the run says. Tried once: never again after a crash."""

    run: str
    remedy: str
    check: str


class Report(Effect, frozen=True):
    """Leave a report as a file of this name for people."""

    name: str
    text: str


class Exit(Effect, frozen=True):
    """End the process: everything is written down."""

    reason: str


AnyEffect = (
    Submit
    | Amend
    | Cancel
    | Protect
    | Inquire
    | Reconcile
    | Backfill
    | Leverage
    | Notify
    | ClearHalt
    | VerifyModel
    | DiscardModel
    | Heal
    | Report
    | Exit
)

PROTECTIVE = (Protect, Cancel, Inquire, Reconcile, Backfill, Leverage, ClearHalt)
"""Effects that are retried without end."""
