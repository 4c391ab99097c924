"""Holds the entries of one symbol whose data nothing made right, until a person releases it."""

from __future__ import annotations

from bot.core.health_events import Distrusted
from bot.core.holds import HELD
from bot.core.remedy import MEDIUM, Remedy
from bot.engine.healing.treatment import Means, Treatment
from bot.errors import Refused


async def act(means: Means, subject: str) -> str:
    """Hold a symbol in the bot's name. Raises Refused if it is held, or is not the only one."""
    world = means.world()
    hold, found = world.instance_of("hold", subject), world.instance_of("feed", subject)
    if hold is not None and hold.state == HELD:
        raise Refused(f"{subject} is held already: {hold.reason}")
    if world.public_lost:
        raise Refused(f"the public stream is down, not {subject} alone: {world.public_lost}")
    reason = f"feed is {found.state}: {found.reason}" if found else "it has no feed"
    means.post(Distrusted(at=means.venue.clock.now(), symbol=subject, reason=reason))
    return f"{subject} is held; `bot do release symbol={subject}` ends it"


TREATMENT = Treatment(
    Remedy(
        name="quarantine-symbol",
        meaning="Hold the entries of one symbol until a person releases it.",
        checks=("candles",),
        risk=MEDIUM,
        attempts=3,  # where more are bad it is not the symbols
        cool_real_seconds=900.0,
        within_real_seconds=5.0,
        backs_up="",
        verified="the symbol is HELD",
        venue=True,
        last=True,
    ),
    act,
)
