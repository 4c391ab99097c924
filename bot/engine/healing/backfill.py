"""Fetches a symbol's whole warm-up anew, and has its indicators derived from it."""

from __future__ import annotations

from itertools import pairwise

from bot.core.feeds import INTERVAL_MS, QUARANTINED, STALE
from bot.core.health_events import Refetched
from bot.core.remedy import LOW, Remedy
from bot.core.values import Candle
from bot.edge.venues.frames import SOURCE
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Refused


async def act(means: Means, subject: str) -> str:
    """Fetch the candles, and let them take the place of what is known only if they are whole.

    Raises Refused where candles are not what is missing, or theirs are not whole; Retryable.
    """
    world = means.world()
    state = world.state("feed", subject)
    if state in (STALE, QUARANTINED):
        raise Refused(f"the feed of {subject} is {state}: candles are not what is missing")
    wanted = world.settings.market.warmup_candles
    candles = await means.venue.candles(subject, 0, wanted)
    why = _why_not_whole(candles, wanted)
    if why:
        raise Refused(why)
    at = means.venue.clock.now()
    means.post(Refetched(at=at, symbol=subject, candles=candles, source=SOURCE))
    return f"{len(candles)} candles of {subject} were fetched anew, and its indicators derived"


def _why_not_whole(candles: tuple[Candle, ...], wanted: int) -> str | None:
    """Tell what is missing among the candles of a warm-up, or None."""
    if len(candles) < wanted:
        return f"expected {wanted} candles, found {len(candles)} at the venue"
    for one, other in pairwise(candles):
        if other.open_time != one.open_time + INTERVAL_MS:
            return f"the venue has a hole between {one.open_time} and {other.open_time}"
    return None


TREATMENT = Treatment(
    Remedy(
        name="backfill",
        meaning="Fetch a symbol's candles anew and derive its indicators from them.",
        checks=("candles",),
        risk=LOW,
        attempts=10,
        cool_real_seconds=300.0,
        within_real_seconds=20.0,
        backs_up="",
        verified="the feed is LIVE, its newest candle is young, and it was measured",
        venue=True,
    ),
    act,
)
