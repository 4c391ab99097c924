"""Events of health: what the host measured, and what a check found in it."""

from __future__ import annotations

from decimal import Decimal

from bot.core.event import Event
from bot.core.values import Candle, VenueFill


class Sampled(Event, frozen=True):
    """The host was measured; ``pace`` (fast, slow) says which checks are to be made on it."""

    pace: str
    samples: dict[str, float]


class Probed(Event, frozen=True):
    """A check was made (derived at a sampling)."""

    check: str
    well: bool
    said: str
    times: int


class Proposed(Event, frozen=True):
    """The bot proposes to try a remedy (derived)."""


class Treated(Event, frozen=True):
    """A remedy was carried out, or could not be; whether it cured is for the check to say."""

    run: str
    ok: bool
    said: str


class Judged(Event, frozen=True):
    """An attempt is over (derived). ``found``: the finding that it was for."""

    well: bool
    said: str
    found: str = ""


# -- what remedies ask of the core -----------------------------------------------------------------


class Refetched(Event, frozen=True):
    """A symbol's whole warm-up was fetched anew: it takes the place of what was known."""

    symbol: str
    candles: tuple[Candle, ...]
    source: str


class Distrusted(Event, frozen=True):
    """Nothing made a symbol's data right."""

    symbol: str
    reason: str


class ResyncAsked(Event, frozen=True):
    """The account is to be read anew now, with its executions of the last hours."""


class PositionRead(Event, frozen=True):
    """What the venue has of a symbol, with its executions, oldest first, was read from ``as_of`` on.

    ``was``: the ledger's position at that time, as JSON: the way back.
    """

    symbol: str
    qty: Decimal
    fills: tuple[VenueFill, ...]
    as_of: int
    was: str


Journaled = Sampled | Treated | Refetched | Distrusted | ResyncAsked | PositionRead
