"""Makes a position anew from its executions at the venue, where the ledger has another."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from bot.core.health_events import PositionRead
from bot.core.rebuilding import since_flat
from bot.core.remedy import MEDIUM, Remedy
from bot.core.values import ZERO
from bot.core.world import DAY_MS
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Refused, Retryable

REACH_DAYS = 7
"""How far back executions are read: one request of the venue's list, with its pages."""


async def act(means: Means, subject: str) -> str:
    """Read a position and its executions, and let them take its place if they add up.

    Raises Refused where no symbol is named, nothing differs, or the executions do not add up;
    Retryable if one came while they were read.
    """
    position = means.world().positions.get(subject)
    if position is None:
        raise Refused("the check names no symbol: it is not one position that differs")
    as_of = means.venue.clock.venue_ms()
    qty = await _quantity(means, subject)
    if qty == position.qty:
        raise Refused(f"the ledger has the {qty:f} that the venue has: nothing is to be rebuilt")
    found = await means.venue.fills(as_of - REACH_DAYS * DAY_MS)
    fills = tuple(fill for fill in found if fill.symbol == subject)
    if await _quantity(means, subject) != qty:
        raise Retryable(f"{subject} was traded while its executions were read")
    made = since_flat(fills, qty)
    if made is None:
        raise Refused(
            f"expected executions that add up to {qty:f}, found {len(fills)} in {REACH_DAYS} days"
        )
    booked = means.world().fills
    unknown = [fill for fill in fills if fill.fill not in booked and fill not in made]
    was = msgspec.json.encode(position).decode()
    now = means.venue.clock.now()
    told = (*unknown, *made)
    read = PositionRead(at=now, symbol=subject, qty=qty, fills=told, as_of=as_of, was=was)
    means.post(read)
    return f"{len(made)} executions make {qty:f}; the ledger had {position.qty:f}"


async def _quantity(means: Means, symbol: str) -> Decimal:
    found = {position.symbol: position.qty for position in await means.venue.positions()}
    return found.get(symbol, ZERO)


TREATMENT = Treatment(
    Remedy(
        name="rebuild-position",
        meaning="Make a position anew from its executions at the venue.",
        checks=("ledger",),
        risk=MEDIUM,
        attempts=6,
        cool_real_seconds=600.0,
        within_real_seconds=10.0,
        backs_up="writes the position as it was into the journal",
        verified="the ledger has what the venue has",
        venue=True,
    ),
    act,
)
