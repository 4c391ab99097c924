"""Closing: which positions are to be closed now, by a kill, a shutdown, or a command, and that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core import protection
from bot.core.account_verbs import key_of
from bot.core.events import Ticked
from bot.core.killswitch import in_scope

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


def flatten_wanted(world: World, symbol: str) -> str | None:
    """Tell why a position is to be closed now, or None."""
    for key, instance in world.machines.get("kill", {}).items():
        if instance.state == "FLATTENING" and in_scope(world, key, symbol):
            return f"kill switch {key}: {instance.reason}"
    if world.state("process") == "DRAINING" and world.settings.shutdown.flatten:
        return "safe shutdown with flatten"
    for run in world.runs.values():
        if run.verb == "flatten" and in_scope(world, key_of(run.args), symbol):
            return f"{run.operator}: {run.reason}"
    return None


def flatten(turn: Turn, event: Ticked) -> None:
    """Close what is to be closed, again if an earlier exit ended with a rest."""
    for symbol, position in list(turn.world.positions.items()):
        why = flatten_wanted(turn.world, symbol) if position.qty else None
        if why:
            protection.leave(turn, symbol, why)
