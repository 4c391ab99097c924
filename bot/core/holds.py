"""Holds: a latched stop of entries, by a person or a machine, for the account or one symbol.

Invariants: a hold survives everything but a release by a named person with a reason; it never
touches what protects an open position; a poisoned event, a latch in memory, and a control that
only a person lifts end up as holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.effects import Effect, Notify
from bot.core.events import Commanded, Latched, Limited, Poisoned, Started
from bot.core.guard import cancel_entries
from bot.core.health_events import Distrusted
from bot.core.machine import BORN, Level, Row, Table, always
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


QUARANTINE = "quarantine"
"""The control that holds a symbol whose data is not to be trusted."""


class HoldState(StrEnum):
    """Whether entries are held."""

    FREE = "FREE"
    HELD = "HELD"


FREE, HELD = HoldState


def asked(world: World, event: Commanded, key: str) -> str | None:
    """An operator holds entries."""
    return f"{event.operator}: {event.reason}" if event.verb == "hold" else None


def released(world: World, event: Commanded, key: str) -> str | None:
    """A named person releases, with a reason."""
    return f"{event.operator}: {event.reason}" if event.verb == "release" else None


def poisoned(world: World, event: Poisoned, key: str) -> str:
    """Deciding an event failed."""
    return f"deciding {event.kind} failed: {event.error}"


def latched(world: World, event: Latched, key: str) -> str:
    """The latch acted before it could be written down."""
    return event.reason


def limited(world: World, event: Limited, key: str) -> str:
    """A control that only a named person lifts was reached."""
    return f"{event.control}: {event.reason}"


def alarm(world: World, event: Poisoned | Latched | Limited, key: str) -> Iterator[Effect]:
    """Call people: nothing goes on without them."""
    reason = poisoned(world, event, key) if isinstance(event, Poisoned) else event.reason
    where = "" if key == ACCOUNT else f" in {key}"
    text = f"entries held{where}: {reason}"
    yield Notify(severity="critical", text=text, runbook="hold", latch=True)


# fmt: off
HOLD = Table("hold", HoldState, (
    #   from          on         when                   to     then
    Row(BORN,         Started,   always("first start"), FREE),
    Row((BORN, FREE), Commanded, asked,                 HELD,  (cancel_entries,)),
    Row((BORN, FREE), Poisoned,  poisoned,              HELD,  (alarm, cancel_entries)),
    Row((BORN, FREE), Latched,   latched,               HELD,  (alarm, cancel_entries)),
    Row((BORN, FREE), Limited,   limited,               HELD,  (alarm, cancel_entries)),
    Row(HELD,         Commanded, released,              FREE),
), key="account or symbol", lowers={HELD: Level.REDUCE_ONLY})
# fmt: on


def quarantine(turn: Turn, event: Distrusted) -> None:
    """Hold a symbol whose data nothing made right."""
    limited = Limited(at=turn.world.at, control=QUARANTINE, reason=event.reason)
    if event.symbol in turn.world.feeds:
        turn.fire(HOLD, limited, event.symbol)


def quarantined(world: World, symbol: str) -> str | None:
    """Tell why a symbol is held by quarantine, or None if it is not."""
    hold = world.instance_of(HOLD.name, symbol)
    mine = hold is not None and hold.state == HELD and hold.reason.startswith(f"{QUARANTINE}: ")
    return hold.reason if hold is not None and mine else None


def hold_account(turn: Turn, event: Poisoned | Latched) -> None:
    """Hold every entry because the bot itself is not sound."""
    turn.fire(HOLD, event, ACCOUNT)
