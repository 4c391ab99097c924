"""Drops a stream that is down or silent, so that it is dialed anew without waiting any longer."""

from __future__ import annotations

from bot.core.feeds import why_streamed
from bot.core.remedy import LOW, Remedy
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Refused

STREAMS = ("public", "private")


async def act(means: Means, subject: str) -> str:
    """Drop a stream, or the one that brings a symbol's prices, and wait until it is up anew.

    Raises Refused where prices arrive, Retryable if the venue does not let it come up.
    """
    name = subject if subject in STREAMS else "public"
    why = why_streamed(means.world(), subject)
    if why:
        raise Refused(why)
    await means.link.reconnect(name, f"dropped to heal {subject}")
    return f"the {name} stream was dropped, and is up anew"


TREATMENT = Treatment(
    Remedy(
        name="reconnect-stream",
        meaning="Drop a stream that is down or silent, and dial it anew.",
        checks=("candles", "streams"),
        risk=LOW,
        attempts=10,
        cool_real_seconds=120.0,
        within_real_seconds=10.0,
        backs_up="",
        verified="prices arrive, and both streams are up",
        venue=True,
    ),
    act,
)
