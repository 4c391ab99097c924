"""The lattice: what an entry may do is the minimum over all machines, and each that lowers it says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.breaker import BREAKER
from bot.core.feeds import FEED
from bot.core.foreign import FOREIGN
from bot.core.guard import GUARD
from bot.core.holds import HOLD
from bot.core.killswitch import KILL
from bot.core.machine import Level, Table
from bot.core.orders import ORDER
from bot.core.process import PROCESS
from bot.core.reconciliation import RECONCILIATION
from bot.core.storage import STORAGE
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.world import World

_ACCOUNT_WIDE: tuple[Table, ...] = (
    PROCESS,
    KILL,
    HOLD,
    GUARD,
    STORAGE,
    BREAKER,
    RECONCILIATION,
)
_PER_SYMBOL: tuple[Table, ...] = (KILL, HOLD, FEED, FOREIGN)
_UNBORN_IS_FREE = (KILL, HOLD, FOREIGN)


def lowered(world: World, symbol: str = "") -> list[tuple[Level, str]]:
    """Return every machine that lowers an entry in ``symbol`` (or any symbol), lowest first."""
    asked = [(table, ACCOUNT) for table in _ACCOUNT_WIDE]
    asked += [(table, symbol) for table in _PER_SYMBOL if symbol]
    found = []
    for table, key in asked:
        instance = world.instance_of(table.name, key)
        if instance is None:
            if table not in _UNBORN_IS_FREE:
                found.append((Level.REDUCE_ONLY, f"{table.name} {key} is not born yet"))
            continue
        level = table.lowers.get(instance.state, Level.FULL)
        if instance.state not in table.known:
            found.append(
                (Level.REDUCE_ONLY, f"{table.name} {key} is in the unknown state {instance.state}")
            )
        elif level < Level.FULL:
            found.append((level, f"{table.name} {key} is {instance.state}: {instance.reason}"))
    if world.private_lost:
        found.append((Level.REDUCE_ONLY, f"the private stream is down: {world.private_lost}"))
    found += [
        (ORDER.lowers["UNKNOWN"], f"order {order.order} is UNKNOWN")
        for order in world.orders.values()
        if order.symbol == symbol and world.state("order", order.order) == "UNKNOWN"
    ]
    return sorted(found, key=lambda pair: pair[0])


def entry_level(world: World, symbol: str = "") -> Level:
    """Return what an entry in ``symbol`` may do now."""
    found = lowered(world, symbol)
    return found[0][0] if found else Level.FULL
