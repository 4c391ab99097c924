"""Has the whole account read anew now, when what is known of it stands still or cannot be right."""

from __future__ import annotations

from bot.core.health_events import ResyncAsked
from bot.core.remedy import LOW, Remedy
from bot.engine.healing.treatment import Means, Treatment


async def act(means: Means, subject: str) -> str:
    """Ask for orders, positions, wallet, and executions; nothing is sent that changes any."""
    means.post(ResyncAsked(at=means.venue.clock.now()))
    return "orders, positions, wallet, and the executions of the last hours are being read anew"


TREATMENT = Treatment(
    Remedy(
        name="resync-orders",
        meaning="Read orders, positions, wallet, and executions anew.",
        checks=("doubt", "ledger", "outbox", "stops"),
        risk=LOW,
        attempts=10,
        cool_real_seconds=60.0,
        within_real_seconds=10.0,
        backs_up="",
        verified="no outcome is unknown, no stop is missing, and the ledger is the venue's",
        venue=True,
    ),
    act,
)
