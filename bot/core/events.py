"""Everything that can happen to the bot: a closed set of frozen structs, validated when built.

``at`` is market time in integer milliseconds UTC. Events named in ``Journaled`` are stored; the
others (``Reviewed``, ``Intended``, ``Emitted``, …) are derived inside a turn and exist only as triggers.
"""

from __future__ import annotations

from decimal import Decimal

from bot.core import event, health_events, model_events
from bot.core.effects import Notify
from bot.core.remedy import Remedy
from bot.core.settings import Settings
from bot.core.values import Candle, CashMove, Instrument, VenueFill, VenueOrder, VenuePosition

Event = event.Event
"""Something that happened, and when."""


# -- life of the process ---------------------------------------------------------------------------


class Started(Event, frozen=True):
    """A process took the lease. It carries the effective configuration, so that replay knows it.

    ``channels`` and ``second`` name the channels to people, never their addresses.
    ``ended``: the last words of the process before it, empty if it died without any.
    ``remedies``: what this process may try against checks that are not well.
    """

    instance: str
    epoch: int
    build: str
    config_hash: str
    settings: Settings
    rate: float = 1.0
    channels: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    ended: str = ""
    remedies: tuple[Remedy, ...] = ()


class Recovered(Event, frozen=True):
    """Memory was rebuilt from the snapshot and the journal's tail."""

    snapshot_seq: int
    tail: int


class VenueConnected(Event, frozen=True):
    """The venue answers: its clock's rate and its instruments are known.

    ``source`` names whose prices they are: candles of another one are not built upon.
    """

    rate: float
    instruments: tuple[Instrument, ...]
    source: str = ""


class Listed(Event, frozen=True):
    """What the venue lists of the symbols asked for: sizes and ticks change, symbols go."""

    symbols: tuple[str, ...]
    instruments: tuple[Instrument, ...]


class Reconciled(Event, frozen=True):
    """The venue's view of the account, asked for with ``Reconcile``; ``as_of`` is when it was asked.

    ``orders`` are the ones asked about, ``foreign`` the open ones that were not; ``moves`` is the
    cash that came and went without an execution, ``question`` the seq that asked.
    """

    as_of: int
    wallet: Decimal
    positions: tuple[VenuePosition, ...]
    orders: tuple[VenueOrder, ...]
    fills: tuple[VenueFill, ...]
    foreign: tuple[VenueOrder, ...] = ()
    moves: tuple[CashMove, ...] = ()
    depth: str = "light"
    question: int = 0


class Compared(Event, frozen=True):
    """The bot's ledger was compared with the venue's (derived); what differs, as sentences."""

    depth: str
    differs: str


class VenueTroubled(Event, frozen=True):
    """The venue does not serve us. ``kind`` is the edge's word for it; ``retry_at`` 0: unsaid."""

    kind: str
    reason: str
    retry_at: int = 0


class VenueAnswered(Event, frozen=True):
    """The first good answer after trouble."""

    after: str


class StopAsked(Event, frozen=True):
    """A safe shutdown was asked for (signal, time limit)."""

    cause: str


class Poisoned(Event, frozen=True):
    """Deciding an event raised an exception: the event is recorded and not tried again."""

    kind: str
    body: str
    error: str


class Restored(Event, frozen=True):
    """The database was restored from a backup; a new epoch of order ids begins."""

    epoch: int
    backup: str
    old_head: str
    new_head: str
    operator: str
    reason: str


# -- time and market data --------------------------------------------------------------------------


class Ticked(Event, frozen=True):
    """A second of market time passed; ``marks`` has the symbols quoted since the last tick."""

    marks: dict[str, float]


class ClockJumped(Event, frozen=True):
    """The venue's clock moved by more than the drift allowed."""

    by_ms: int


class CandleClosed(Event, frozen=True):
    """A closed candle arrived on the public stream."""

    symbol: str
    candle: Candle
    source: str


class Backfilled(Event, frozen=True):
    """Closed candles, oldest first, asked for with ``Backfill``."""

    symbol: str
    candles: tuple[Candle, ...]
    source: str


class FramesRefused(Event, frozen=True):
    """Frames that could not be true were refused at the border; empty symbol: not attributable."""

    symbol: str
    count: int
    reason: str


class StreamUp(Event, frozen=True):
    """A stream (``public`` or ``private``) is connected and subscribed."""

    stream: str


class StreamLost(Event, frozen=True):
    """A stream ended; the edge reconnects by itself."""

    stream: str
    reason: str


class Measured(Event, frozen=True):
    """The oracle's answer for the newest candle of a symbol: indicator values, before and now."""

    symbol: str
    open_time: int
    close: float
    ema_fast: float
    ema_slow: float
    adx: float
    atr: float
    cross_age: int


# -- orders ----------------------------------------------------------------------------------------


class Intended(Event, frozen=True):
    """The bot decided on an order (derived: the cause is the event of the same turn)."""

    order: str
    symbol: str
    entry: bool
    reason: str


class Accepted(Event, frozen=True):
    """The venue acknowledged the request; it says nothing of the order's fate."""

    order: str
    venue_id: str


class NotSent(Event, frozen=True):
    """The request provably never reached the venue's matching."""

    order: str
    reason: str


class Rejected(Event, frozen=True):
    """The venue refused the request."""

    order: str
    code: int
    reason: str


class Doubted(Event, frozen=True):
    """The request left and no answer tells its outcome."""

    order: str
    reason: str


class Absent(Event, frozen=True):
    """Venue evidence that an order was never accepted and can no longer be."""

    order: str
    reason: str


class OrderReported(Event, frozen=True):
    """The venue reported the state of an order."""

    row: VenueOrder


class Filled(Event, frozen=True):
    """An execution."""

    fill: VenueFill


class PositionReported(Event, frozen=True):
    """The venue reported a position and the stop that it holds for it."""

    position: VenuePosition


# -- effects, storage, operator --------------------------------------------------------------------


class Delivered(Event, frozen=True):
    """An effect was carried out."""

    effect: str


class Undelivered(Event, frozen=True):
    """An attempt to carry out an effect failed; ``final`` means another attempt is no use."""

    effect: str
    reason: str
    final: bool = False


class StorageChecked(Event, frozen=True):
    """The disk was measured, or an operation on the database failed cleanly."""

    free_mb: int
    fault: str = ""


class Limited(Event, frozen=True):
    """A control that only a named person lifts was reached (derived)."""

    control: str
    reason: str


class DoubtAged(Event, frozen=True):
    """How long the oldest unknown outcome has been unknown (derived), ms; 0: none is."""

    age: int
    order: str = ""


class Latched(Event, frozen=True):
    """The latch in memory lowered what may be done before it could be written down."""

    reason: str


class Halted(Event, frozen=True):
    """The ``HALT`` mark is set, or cannot be read."""

    who: str
    reason: str

    @property
    def mark(self) -> str:
        """The mark as one text, by which it is told from another."""
        return f"{self.who}: {self.reason}"


class Panicked(Event, frozen=True):
    """``bot panic`` acted while this process was not looking; read from ``panic.jsonl``."""

    lines: tuple[str, ...]


class Commanded(Event, frozen=True):
    """An operator's command. ``identity``: kernel or claimed. ``role``: by uid; empty in old ones."""

    id: str
    verb: str
    args: dict[str, str]
    operator: str
    identity: str
    reason: str
    expires_at: int
    role: str = ""
    uid: int = -1


class Emitted(Event, frozen=True):
    """An effect was decided on (derived); its delivery is born."""

    effect: str


class Alerted(Event, frozen=True):
    """Something happened that people should know of (derived)."""

    notify: Notify


class Reviewed(Event, frozen=True):
    """The account was reviewed (derived at a tick): fractions of 1, equity in quote units."""

    equity: Decimal
    drawdown: float
    guard_drawdown: float
    day_loss: float
    win_rate: float | None
    trades: int


Journaled = (
    Started
    | Recovered
    | VenueConnected
    | Listed
    | Reconciled
    | VenueTroubled
    | VenueAnswered
    | StopAsked
    | Poisoned
    | Restored
    | Ticked
    | ClockJumped
    | CandleClosed
    | Backfilled
    | FramesRefused
    | StreamUp
    | StreamLost
    | Measured
    | Accepted
    | NotSent
    | Rejected
    | Doubted
    | Absent
    | OrderReported
    | Filled
    | PositionReported
    | Delivered
    | Undelivered
    | StorageChecked
    | Latched
    | Halted
    | Panicked
    | Commanded
    | health_events.Journaled
    | model_events.Journaled
)
