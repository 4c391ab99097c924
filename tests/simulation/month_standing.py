"""How the bot stands in the month: whether the next second matters, and what is not well."""

from __future__ import annotations

from bot.core.effects import Notify
from bot.core.world import World

NEEDED = {
    "process": ("RUNNING",),
    "kill": ("ARMED",),
    "hold": ("FREE",),
    "guard": ("NORMAL", "REDUCED"),
    "storage": ("OK", "LOW"),
    "breaker": ("CLOSED",),
    "reconciliation": ("CLEAN",),
}
"""Where the machines of the account must stand for an entry to leave."""


def urgent(world: World) -> bool:
    """Tell whether the next second can change something."""
    return bool(
        world.orders
        or world.runs
        or world.guard_before
        or world.account.reread
        or world.state("process") != "RUNNING"
        or world.state("kill") in ("TRIPPED", "FLATTENING")
        or any(p.qty and not p.stop_held for p in world.positions.values())
        or any(
            world.state("delivery", key) == "RETRY" and not isinstance(d.effect, Notify)
            for key, d in world.deliveries.items()
        )
    )


def waiting(world: World) -> bool:
    """Tell whether the next seconds can."""
    return bool(
        world.private_lost
        or world.public_lost
        or world.private_up_at
        or world.state("breaker") != "CLOSED"
        or world.state("reconciliation") != "CLEAN"
        or any(world.state("feed", symbol) != "LIVE" for symbol in world.feeds)
        or any(world.state("delivery", key) == "RETRY" for key in world.deliveries)
    )


def why_not_well(world: World) -> str:
    """Return what is not as it is when all is well, "" if nothing is."""
    wanted = {**NEEDED, "storage": ("OK",), "guard": ("NORMAL", "REDUCED", "PAUSED")}
    found = [
        f"{machine} is {world.state(machine)}"
        for machine, states in wanted.items()
        if world.state(machine) not in states
    ]
    found += [f"feed {s} is {world.state('feed', s)}" for s in world.feeds if not live(world, s)]
    for machine, state in (("check", "WELL"), ("kill", "ARMED"), ("hold", "FREE")):
        found += [
            f"{machine} {key} is {instance.state}: {instance.reason}"
            for key, instance in world.machines.get(machine, {}).items()
            if instance.state != state
        ]
    found += [f"order {key} is UNKNOWN" for key in world.orders if unknown(world, key)]
    return "; ".join(found)


def live(world: World, symbol: str) -> bool:
    """Tell whether a symbol's data may be believed."""
    return world.state("feed", symbol) == "LIVE"


def unknown(world: World, order: str) -> bool:
    """Tell whether an order's outcome is in doubt."""
    return world.state("order", order) == "UNKNOWN"
