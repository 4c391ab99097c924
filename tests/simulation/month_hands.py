"""What the bot may try against ill checks in the month: scripted remedies, beside those it declares.

The real healer calls them. Each cures, helps nothing, fails, or hangs for longer than it may, by the
seed; what it cures is the number that the host measures.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core.remedy import HIGH, LOW, MEDIUM, Remedy
from bot.engine.healing.treatment import Means, Treatment, treatments
from bot.errors import Retryable

if TYPE_CHECKING:
    from tests.simulation.month_stage import Month

SCRIPTED = (
    ("stir-loop", LOW, ("loop", "commit"), 3, 900.0),
    ("stir-loop-more", MEDIUM, ("loop", "commit", "clock"), 4, 300.0),
    ("ask-again", LOW, ("candles", "streams", "venue", "budget"), 10, 120.0),
    ("make-room", LOW, ("wal", "disk"), 5, 600.0),
    ("put-back", MEDIUM, ("config", "backup", "chain", "ledger"), 3, 1_200.0),
    ("start-anew", HIGH, ("memory", "alerts", "loop"), 3, 600.0),
)
"""Name, risk, checks, attempts a day, cool-down in seconds."""
ILLS = {
    "loop": ("lag_ms",),
    "commit": ("turn_ms",),
    "clock": ("clock_ms",),
    "venue": ("latency_ms",),
    "budget": ("budget_share",),
    "wal": ("wal_mb",),
    "config": ("config_differs",),
    "backup": ("backup_hours",),
    "chain": ("chain_hours",),
    "memory": ("rss_mb", "rss_growth"),
}
"""The numbers that make a check ill."""
OUTCOMES = ("cures", "helps nothing", "helps nothing", "fails", "hangs")


def hands(month: Month) -> dict[str, Treatment]:
    """Return every treatment: those that the bot declares, carried out by script, and the month's own."""
    declared = [treatment.remedy for treatment in treatments().values()]
    scripted = [
        Remedy(
            name=name,
            meaning=f"Do what is called {name}.",
            checks=checks,
            risk=risk,
            attempts=attempts,
            cool_real_seconds=cool,
            within_real_seconds=30.0,
            backs_up="the file" if risk == MEDIUM else "",
            verified="the check is well",
        )
        for name, risk, checks, attempts, cool in SCRIPTED
    ]
    return {
        remedy.name: Treatment(remedy, partial(_act, month, remedy))
        for remedy in (*(replace(one) for one in declared), *scripted)
    }


async def _act(month: Month, remedy: Remedy, means: Means, subject: str) -> str:
    """Try it."""
    outcome = month.chance.choice(OUTCOMES)
    month.counts[f"remedy {outcome}"] += 1
    if outcome == "fails":
        raise Retryable("it could not be done")
    await asyncio.sleep(0.5 if outcome != "hangs" else 2 * remedy.within_real_seconds)
    if outcome == "cures":
        for name in (name for check in remedy.checks for name in ILLS.get(check, ())):
            month.host.pop(name, None)
    return f"done, which {outcome}"
