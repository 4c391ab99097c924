"""Begins the market data anew, from what the venue lists to the streams, when dialing did not help.

A stream is refused whole if one of its symbols is not traded any more: only a new list helps.
"""

from __future__ import annotations

from bot.core.feeds import why_streamed
from bot.core.remedy import MEDIUM, Remedy
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Refused


async def act(means: Means, subject: str) -> str:
    """Cancel the market-data task and begin it anew; wait until its streams are up.

    Raises Refused where prices arrive, Retryable if the venue does not let the streams come up.
    """
    why = why_streamed(means.world(), subject)
    if why:
        raise Refused(why)
    await means.link.restart(f"begun anew to heal {subject}")
    return "the market data was begun anew, and both streams are up"


TREATMENT = Treatment(
    Remedy(
        name="restart-market-data",
        meaning="Cancel the market-data task and begin it anew.",
        checks=("candles", "streams"),
        risk=MEDIUM,
        attempts=5,
        cool_real_seconds=600.0,
        within_real_seconds=15.0,
        backs_up="",
        verified="prices arrive, and both streams are up",
        venue=True,
    ),
    act,
)
