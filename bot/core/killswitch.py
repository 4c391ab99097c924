"""The kill switch: ARMED TRIPPED FLATTENING LATCHED, for the account or one symbol.

Invariants: it trips on daily loss, maximum drawdown, the HALT mark, or an operator; once tripped
it cancels entries, keeps or flattens positions as configured, and latches; only a named person
re-arms it, with a reason, when nothing is in doubt; re-arming sets the baselines anew and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.effects import ClearHalt, Effect, Notify
from bot.core.events import Commanded, Halted, Reviewed, Started, Ticked
from bot.core.guard import cancel_entries
from bot.core.machine import BORN, Level, Row, Table, always
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.world import World


class KillState(StrEnum):
    """How far a kill has come."""

    ARMED = "ARMED"
    TRIPPED = "TRIPPED"
    FLATTENING = "FLATTENING"
    LATCHED = "LATCHED"


ARMED, TRIPPED, FLATTENING, LATCHED = KillState


def lost(world: World, event: Reviewed, key: str) -> str | None:
    """Daily loss or drawdown is at its limit."""
    limits = world.settings.kill
    if not event.day_loss < limits.daily_loss_max:
        return f"daily loss {event.day_loss:.2%} at limit {limits.daily_loss_max:.2%}"
    if not event.drawdown < limits.drawdown_max:
        return f"drawdown {event.drawdown:.2%} at limit {limits.drawdown_max:.2%}"
    return None


def told(world: World, event: Commanded, key: str) -> str | None:
    """An operator kills."""
    return f"{event.operator}: {event.reason}" if event.verb == "kill" else None


def halted(world: World, event: Halted, key: str) -> str:
    """The HALT mark is set."""
    return f"HALT mark set by {event.who}: {event.reason}"


def in_scope(world: World, key: str, symbol: str) -> bool:
    """Tell whether a switch of this key speaks for a symbol."""
    return key in (ACCOUNT, symbol)


def still_open(world: World, key: str) -> list[str]:
    """Return the symbols of a switch that have a position."""
    return [p.symbol for p in world.positions.values() if p.qty and in_scope(world, key, p.symbol)]


def _entries_gone(world: World, key: str) -> bool:
    return not any(o.entry and in_scope(world, key, o.symbol) for o in world.orders.values())


def _since(world: World, key: str) -> str:
    """Return why it was tripped: what follows must not hide it."""
    instance = world.instance_of("kill", key)
    return instance.reason.partition("; entries are gone")[0] if instance else ""


def to_flatten(world: World, event: Ticked, key: str) -> str | None:
    """Entries are gone and positions are to be closed."""
    open_ = still_open(world, key)
    if _entries_gone(world, key) and world.settings.kill.flatten and open_:
        return f"{_since(world, key)}; entries are gone; closing {', '.join(open_)}"
    return None


def entries_gone(world: World, event: Ticked, key: str) -> str | None:
    """Entries are gone; positions are kept under their stops."""
    if not _entries_gone(world, key):
        return None
    open_ = still_open(world, key)
    kept = f"{len(open_)} positions kept under their stops"
    return f"{_since(world, key)}; entries are gone; {kept}"


def flat(world: World, event: Ticked, key: str) -> str | None:
    """All positions are closed."""
    if still_open(world, key):
        return None
    return f"{_since(world, key)}; all positions are closed"


def rearm_blockers(world: World, key: str) -> list[str]:
    """Return what must become true before a re-arm, as sentences."""
    blockers = []
    if world.state("process") != "RUNNING":
        blockers.append(
            f"the process must be RUNNING, it is {world.state('process') or 'not born'}"
        )
    if world.state("kill", key) != LATCHED:
        blockers.append(f"the switch must be LATCHED, it is {world.state('kill', key) or 'ARMED'}")
    blockers += [
        f"order {order.order} must have a known outcome, it is UNKNOWN"
        for order in world.orders.values()
        if in_scope(world, key, order.symbol) and world.state("order", order.order) == "UNKNOWN"
    ]
    blockers += [
        f"the venue must hold a stop for {position.symbol}, it does not"
        for position in world.positions.values()
        if position.qty and in_scope(world, key, position.symbol) and not position.stop_held
    ]
    if world.state("storage") not in ("OK", "LOW"):
        blockers.append(f"storage must be OK or LOW, it is {world.state('storage')}")
    return blockers


def rearmed(world: World, event: Commanded, key: str) -> str | None:
    """A named person re-arms; nothing is in doubt."""
    if event.verb != "rearm" or rearm_blockers(world, key):
        return None
    account = world.account
    return (
        f"{event.operator}: {event.reason}; baselines set anew "
        f"(peak was {account.peak:.2f}, day start {account.day_start:.2f})"
    )


def alarm(world: World, event: Reviewed | Commanded | Halted, key: str) -> Iterator[Effect]:
    """Call people."""
    why = (
        lost(world, event, key)
        if isinstance(event, Reviewed)
        else halted(world, event, key)
        if isinstance(event, Halted)
        else told(world, event, key)
    )
    text = f"kill switch tripped ({key}): {why}"
    yield Notify(severity="critical", text=text, runbook="kill", latch=True)


def clear_halt(world: World, event: Commanded, key: str) -> Iterator[Effect]:
    """Clear the HALT mark once the re-arm is committed."""
    if key == ACCOUNT:
        yield ClearHalt(run=event.id, mark=world.halt)


# fmt: off
KILL = Table("kill", KillState, (
    #   from           on         when                   to          then
    Row(BORN,          Started,   always("first start"), ARMED),
    Row(ARMED,         Reviewed,  lost,                  TRIPPED,    (alarm, cancel_entries)),
    Row((BORN, ARMED), Commanded, told,                  TRIPPED,    (alarm, cancel_entries)),
    Row(ARMED,         Halted,    halted,                TRIPPED,    (alarm, cancel_entries)),
    Row(TRIPPED,       Ticked,    to_flatten,            FLATTENING),
    Row(TRIPPED,       Ticked,    entries_gone,          LATCHED),
    Row(FLATTENING,    Ticked,    flat,                  LATCHED),
    Row(LATCHED,       Commanded, rearmed,               ARMED,      (clear_halt,)),
), key="account or symbol", lowers={s: Level.REDUCE_ONLY for s in KillState if s is not ARMED})
# fmt: on
