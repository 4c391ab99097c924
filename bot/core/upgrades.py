"""Upgrades: people are told that another build decides now, who let it, and how to go back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.effects import Notify

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.upgrade_events import Upgraded


def upgraded(turn: Turn, event: Upgraded) -> None:
    """Tell people of it."""
    ran = f"{len(event.migrations)} migrations" if event.migrations else "no migration"
    text = (
        f"upgraded from {event.before or 'nothing'} to {event.build} by {event.operator}:"
        f" {event.reason}; {ran}; before it: {event.backup}"
    )
    turn.emit(Notify(severity="warning", text=text, key="upgrade", runbook="upgrade"))
