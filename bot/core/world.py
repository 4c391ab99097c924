"""The world: all that a decision may read. Immutable, replaced after COMMIT, stored as snapshots."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.core.effects import AnyEffect, Notify
from bot.core.machine import Instance
from bot.core.remedy import Attempt, HealingMemory, Remedy
from bot.core.settings import Settings
from bot.core.values import ZERO, Instrument, Side, VenueOrder

ACCOUNT = "account"
"""The key of machines that concern the whole account."""

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class FeedData(Struct, frozen=True):
    """What is known of a symbol's data. ``last`` is the open time of the newest closed candle,
    ``measured`` of the newest that indicators were derived from (0: of none yet),
    ``close`` its close, ``atr`` the range of a minute (quote units), ``volume`` base units a minute.
    """

    last: int = 0
    seen_at: int = 0
    refused: int = 0
    refused_at: int = 0
    asked_at: int = 0
    source: str = ""
    close: float = 0.0
    atr: float = 0.0
    volume: float = 0.0
    measured: int = 0


class Account(Struct, frozen=True):
    """Cash in quote units by the bot's own ledger, and the baselines that losses are taken from.

    ``fills_since``: every execution before it was read. ``fills_floor``: executions before it are
    no longer remembered one by one, so none older is booked. Nothing before ``began_at`` is ours.
    ``reread``: how deep the account is to be read again, empty if not; not before ``reread_at``.
    """

    cash: Decimal = ZERO
    equity: Decimal = ZERO
    peak: Decimal = ZERO
    guard_peak: Decimal = ZERO
    guard_since: int = 0
    day: int = 0
    day_start: Decimal = ZERO
    reviewed_at: int = 0
    marked_at: int = 0
    reconciled_at: int = 0
    fills_since: int = 0
    booked_at: int = 0
    began_at: int = 0
    fills_floor: int = 0
    full_at: int = 0
    compared_day: int = 0
    reread: str = ""
    reread_at: int = 0


class Order(Struct, frozen=True):
    """An order of ours that is not at its end, or whose executions are not all booked yet.

    Quantities in base units; ``filled`` is what the venue reported, ``booked`` what was booked.
    ``price`` is its limit, None at market; it was last put or moved at ``worked_at``.
    """

    order: str
    symbol: str
    side: Side
    qty: Decimal
    entry: bool
    placed_at: int
    news_at: int
    filled: Decimal = ZERO
    booked: Decimal = ZERO
    ended: bool = False
    ended_at: int = 0
    price: Decimal | None = None
    worked_at: int = 0
    cancel_at: int = 0
    moves: int = 0


class Leg(Struct, frozen=True, array_like=True):
    """An execution of an open position, kept so that one that comes late can take its place."""

    at: int
    fill: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal


class Position(Struct, frozen=True):
    """A position; ``qty`` signed. ``stop_held`` tells whether the venue holds exactly this stop.

    ``venue_qty`` is what the venue reported last, at ``venue_at``. ``leaving`` is why it is being
    closed; exits go on until nothing is open. ``legs``: its executions, empty if not all are known.
    """

    symbol: str
    qty: Decimal = ZERO
    avg: Decimal = ZERO
    stop: Decimal | None = None
    take: Decimal | None = None
    stop_held: bool = False
    naked_since: int = 0
    asked_at: int = 0
    left_at: int = 0
    leaving: str = ""
    exits: int = 0
    venue_qty: Decimal | None = None
    venue_at: int = 0
    opened_at: int = 0
    opened_qty: Decimal = ZERO
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    exit_value: Decimal = ZERO
    exit_qty: Decimal = ZERO
    legs: tuple[Leg, ...] = ()


class Intent(Struct, frozen=True, array_like=True):
    """An entry that was decided on, kept for an hour: what repetition is measured by."""

    order: str
    symbol: str
    side: Side
    qty: Decimal
    at: int
    executed: bool = False


class Messages(Struct, frozen=True):
    """Orders, amendments, and cancels sent: their times within a real minute, and today's count."""

    recent: tuple[int, ...] = ()
    day: int = 0
    today: int = 0


class Rejections(Struct, frozen=True):
    """Entries that the venue refused: ``rows``: symbol → in a row, ``recent``: when, of a real minute."""

    rows: dict[str, int] = {}
    recent: tuple[int, ...] = ()


class Shadow(Struct, frozen=True):
    """A trade that the paused guard did not allow, followed as if it had been made."""

    side: Side
    qty: Decimal
    entry: float
    stop: float
    take: float
    opened_at: int


class Spell(Struct, frozen=True, array_like=True):
    """An hour of an objective: market ms that were counted, and ms of these that were bad."""

    hour: int
    counted: int
    bad: int


class HealthMemory(Struct, frozen=True):
    """What the checks of health remember.

    ``samples``: what the host measured last. ``suspect``: check → findings in a row that were bad.
    ``marked``: check → when its row was written. ``spells``: objective → its hours, oldest first.
    """

    samples: dict[str, float] = {}
    suspect: dict[str, int] = {}
    marked: dict[str, int] = {}
    spells: dict[str, tuple[Spell, ...]] = {}
    counted_at: int = 0


class Closed(Struct, frozen=True, array_like=True):
    """The result of a round trip, as the guard counts it."""

    pnl: Decimal
    shadow: bool
    at: int


class Delivery(Struct, frozen=True):
    """An effect on its way."""

    effect: AnyEffect
    attempts: int = 0
    not_before: int = 0


class Alert(Struct, frozen=True):
    """What people are to know of: the message as it stands, and when it is looked at again (ms)."""

    notify: Notify
    due_at: int = 0


class Run(Struct, frozen=True):
    """A command on its way to being verified, or waiting for a person's word until its deadline.

    ``needs``: whose word it waits for (``core.approvals``). ``least``: the role of who may give it.
    """

    verb: str
    args: dict[str, str]
    operator: str
    identity: str
    reason: str
    started_at: int
    deadline: int
    role: str = ""
    uid: int = -1
    needs: str = ""
    least: str = "operator"


class Override(Struct, frozen=True):
    """A setting changed by an operator until ``expires_at``."""

    value: float | int | bool
    expires_at: int
    operator: str


class Model(Struct, frozen=True):
    """A trained model. ``trained_to``: newest candle it learnt from. ``skill``: of its Brier score.

    ``crowned_at``: when it last became champion. ``loaded``: this process verified and may ask it.
    ``recent``: its last scores, None for a dropped vote. ``requalify``: why a person wants it back.
    """

    run: str
    trained_to: int = 0
    skill: float = 0.0
    crowned_at: int = 0
    loaded: bool = False
    recent: tuple[float | None, ...] = ()
    requalify: str = ""


class Heir(Struct, frozen=True):
    """The model that becomes champion once its files verify; ``back``: as an earlier champion."""

    model: str
    why: str
    back: bool


class Crash(Struct, frozen=True, array_like=True):
    """A run that did not end in STOPPED: when the next start found that, and how it ended."""

    at: int
    why: str


class World(Struct, frozen=True):
    """Everything the bot remembers. ``machines``: machine → key → where it stands.

    ``crosses``: symbol → open time of the EMA cross that was traded last, so that none is twice.
    ``private_lost``, ``public_lost``: why a stream is down, empty while it is up.
    ``halt``: the HALT mark that was seen last and not cleared by a re-arm.
    ``panic_read``: the last line of ``panic.jsonl`` that is in the journal.
    ``foreign``: open orders at the venue that are not ours, by the venue's id.
    ``fills``, ``moves``: the executions and cash moves booked last → when. ``troubles``: requests in a row that failed.
    ``stranger``: the order of the last execution that was not ours.
    ``crashes``: the crashes of late, oldest first.
    ``guard_before``: where the guard stood before doubt about an order lowered it.
    ``alerts``: those not closed, by id; ``digest_at``: when the next digest is due, 0 if none is.
    ``channels``, ``second``: the names of the channels to people, by group.
    ``models``: id → what is known of it; ``heir``: the one that is about to become champion.
    ``remedies``: what may be tried against checks that are not well; ``attempts``: by their runs.
    """

    seq: int = 0
    at: int = 0
    instance: str = ""
    epoch: int = 0
    rate: float = 1.0
    base: Settings = Settings()
    settings: Settings = Settings()
    machines: dict[str, dict[str, Instance]] = {}
    instruments: dict[str, Instrument] = {}
    marks: dict[str, float] = {}
    feeds: dict[str, FeedData] = {}
    account: Account = Account()
    orders: dict[str, Order] = {}
    intents: tuple[Intent, ...] = ()
    messages: Messages = Messages()
    rejections: Rejections = Rejections()
    foreign: dict[str, VenueOrder] = {}
    moves: dict[str, int] = {}
    guard_before: str = ""
    stranger: str = "-"
    troubles: int = 0
    breaker_until: int = 0
    positions: dict[str, Position] = {}
    shadows: dict[str, Shadow] = {}
    crosses: dict[str, int] = {}
    closed: tuple[Closed, ...] = ()
    fills: dict[str, int] = {}
    deliveries: dict[str, Delivery] = {}
    runs: dict[str, Run] = {}
    commands: tuple[str, ...] = ()
    private_lost: str = ""
    public_lost: str = ""
    private_up_at: int = 0
    halt: str = ""
    panic_read: str = ""
    crashes: tuple[Crash, ...] = ()
    parameters: dict[str, Override] = {}
    health: HealthMemory = HealthMemory()
    alerts: dict[str, Alert] = {}
    digest_at: int = 0
    channels: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    models: dict[str, Model] = {}
    heir: Heir | None = None
    remedies: tuple[Remedy, ...] = ()
    attempts: dict[str, Attempt] = {}
    healing: HealingMemory = HealingMemory()

    def instance_of(self, machine: str, key: str = ACCOUNT) -> Instance | None:
        """Return where a machine stands, or None if it was never born or is at its end."""
        return self.machines.get(machine, {}).get(key)

    def state(self, machine: str, key: str = ACCOUNT) -> str:
        """Return a machine's state, ``""`` if it was never born."""
        instance = self.instance_of(machine, key)
        return instance.state if instance else ""

    def real_ms(self, seconds: float) -> int:
        """Return market milliseconds that pass in this many real seconds."""
        return int(seconds * 1000 * max(1.0, self.rate))

    def order_id(self, seq: int, n: int) -> str:
        """Return the client order id of an effect (≤ 36 characters)."""
        return f"{self.instance}-{self.epoch}-{seq}-{n}"
