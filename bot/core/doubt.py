"""Doubt: how long the oldest unknown outcome has been unknown, and that the guard hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core.events import DoubtAged, Ticked
from bot.core.guard import GUARD, PAUSED

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


def oldest(world: World) -> tuple[int, str]:
    """Return the age (ms) and id of the order whose outcome is unknown for longest; (0, "") if none is."""
    unknown = [
        (max(1, world.at - instance.since), key)
        for key, instance in world.machines.get("order", {}).items()
        if instance.state == "UNKNOWN"
    ]
    return max(unknown, default=(0, ""))


def tick(turn: Turn, event: Ticked) -> None:
    """Let the guard answer the age of a doubt; what doubt alone lowered comes back with its end."""
    age, order = oldest(turn.world)
    if not age and not turn.world.guard_before:
        return
    before = turn.world.state("guard")
    step = turn.fire(GUARD, DoubtAged(at=turn.world.at, age=age, order=order))
    if step is not None and age:
        turn.set(guard_before=turn.world.guard_before or before)
    elif not age:
        # shadows were followed while doubt kept the guard from trading: they prove nothing
        shadows = {} if before == PAUSED else turn.world.shadows
        # what performance says was not heard meanwhile: the account is reviewed in this turn
        account = replace(turn.world.account, reviewed_at=0)
        turn.set(guard_before="", shadows=shadows, account=account)
