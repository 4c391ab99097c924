"""Objectives: how much of the time the bot was well, how much it may be unwell, and how much of that is spent.

An objective counts the time in which all its checks were WELL or only SUSPECT. Its error budget is
the rest of the window (Google SRE, "Embracing Risk"); the burn is how many times faster than evenly
it was spent in the last hour. Invariant: while a budget is spent, nobody loosens without saying that
they know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from bot.core.facts import ObjectiveMarked
from bot.core.world import HOUR_MS, Spell

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

OBJECTIVES: dict[str, tuple[str, ...]] = {
    "data": ("candles", "streams"),
    "venue": ("venue", "budget", "clock"),
    "safety": ("stops", "doubt", "ledger", "equity"),
    "process": ("loop", "commit", "wal", "disk", "memory", "outbox"),
    "people": ("alerts",),
    "records": ("backup", "chain", "tables", "config"),
}
"""Each objective and the checks that it is made of."""
GAP_REAL_SECONDS = 120
"""Time in which no check was made is not counted: nobody knows how it was."""
COUNTED_HOURS_MIN = 1.0
"""A budget is not judged before so much time was counted."""


class Standing(Struct, frozen=True):
    """How an objective stands: shares of 1; ``spent`` of its error budget, over 1 is more than there was."""

    objective: str
    counted_hours: float
    good: float
    spent: float
    burn: float

    def __str__(self) -> str:
        return (
            f"objective {self.objective}: {self.good:.2%} good over {self.counted_hours:.1f} h,"
            f" {self.spent:.0%} of its error budget is spent"
        )


def bad(world: World, objective: str) -> bool:
    """Tell whether a check of the objective is not well, as often in a row as it takes."""
    return any(
        instance.state not in ("WELL", "SUSPECT") and key.partition(" ")[0] in OBJECTIVES[objective]
        for key, instance in world.machines.get("check", {}).items()
    )


def count(turn: Turn) -> None:
    """Add the time since the last count to each objective; a row each hour, and when it is spent."""
    world, health = turn.world, turn.world.health
    passed = world.at - health.counted_at if health.counted_at else 0
    if passed > world.real_ms(GAP_REAL_SECONDS):
        passed = 0
    hour = world.at // HOUR_MS
    spells = {
        name: _added(health.spells.get(name, ()), hour, passed, passed if bad(world, name) else 0)
        for name in OBJECTIVES
    }
    oldest = hour - world.settings.health.window_hours
    kept = {name: tuple(s for s in rows if s.hour > oldest) for name, rows in spells.items()}
    before = {name: is_spent(world, name) for name in OBJECTIVES}
    turn.set(health=replace(health, spells=kept, counted_at=world.at))
    new_hour = health.counted_at // HOUR_MS != hour
    for name in OBJECTIVES:
        if new_hour or is_spent(turn.world, name) != before[name]:
            found = standing(turn.world, name)
            turn.note(
                ObjectiveMarked(name, found.counted_hours, found.good, found.spent, found.burn)
            )


def _added(rows: tuple[Spell, ...], hour: int, counted: int, bad_ms: int) -> tuple[Spell, ...]:
    if rows and rows[-1].hour == hour:
        last = rows[-1]
        return (*rows[:-1], Spell(hour, last.counted + counted, last.bad + bad_ms))
    return (*rows, Spell(hour, counted, bad_ms))


def standing(world: World, objective: str) -> Standing:
    """Return how an objective stands now."""
    rows, limits = world.health.spells.get(objective, ()), world.settings.health
    counted, bad_ms = sum(r.counted for r in rows), sum(r.bad for r in rows)
    allowed = 1 - limits.objective
    last = rows[-1] if rows else Spell(0, 0, 0)
    return Standing(
        objective,
        counted / HOUR_MS,
        1 - bad_ms / counted if counted else 1.0,
        bad_ms / (allowed * limits.window_hours * HOUR_MS),
        last.bad / last.counted / allowed if last.counted else 0.0,
    )


def is_spent(world: World, objective: str) -> bool:
    """Tell whether an objective's error budget is spent."""
    found = standing(world, objective)
    return found.counted_hours >= COUNTED_HOURS_MIN and found.spent > 1


def why_not_loosen(world: World) -> str | None:
    """Tell which error budgets are spent, or None."""
    spent = [str(standing(world, name)) for name in OBJECTIVES if is_spent(world, name)]
    return "; ".join(spent) or None
