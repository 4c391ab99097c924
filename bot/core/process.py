"""The process: BOOT RECOVERING RECONCILING RUNNING DRAINING STOPPED PROTECT_ONLY.

Boot is recovery: one path for a first start, a restart, and a crash. Invariants: entries are
possible only in RUNNING; a start that does not find STOPPED records the crash; DRAINING ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.asking import account_question
from bot.core.effects import Effect, Exit, Leverage, Notify
from bot.core.events import (
    Panicked,
    Reconciled,
    Recovered,
    Started,
    StopAsked,
    Ticked,
    VenueConnected,
)
from bot.core.machine import BORN, Level, Row, Table, always
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


class Process(StrEnum):
    """Where the process is in its life."""

    BOOT = "BOOT"
    RECOVERING = "RECOVERING"
    RECONCILING = "RECONCILING"
    RUNNING = "RUNNING"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"
    PROTECT_ONLY = "PROTECT_ONLY"


BOOT, RECOVERING, RECONCILING, RUNNING, DRAINING, STOPPED, PROTECT_ONLY = Process
ALIVE = (BOOT, RECOVERING, RECONCILING, RUNNING, DRAINING)


def crashed(world: World, event: Started, key: str) -> str:
    """The last process did not reach STOPPED."""
    words = f": {event.ended}" if event.ended else ""
    state = world.state("process")
    return f"crash recorded: the last process ended in {state} without stopping{words}"


def recovered(world: World, event: Recovered, key: str) -> str:
    """Memory is rebuilt."""
    doubt = len(world.orders)
    return f"memory from snapshot {event.snapshot_seq} and {event.tail} events; {doubt} orders to ask about"


def connected(world: World, event: VenueConnected, key: str) -> str:
    """The venue answers."""
    return f"venue answers: {len(event.instruments)} instruments, market at {event.rate:g}×"


def reconciled(world: World, event: Reconciled, key: str) -> str:
    """The account is known."""
    held = sum(1 for p in event.positions if p.stop is not None)
    return f"wallet {event.wallet:f}, {len(event.positions)} positions, {held} with a stop at the venue"


def asked(world: World, event: StopAsked, key: str) -> str:
    """A safe shutdown was asked for."""
    return event.cause


def protected_only(world: World, event: Panicked, key: str) -> str | None:
    """A boot could not write the database and only protected."""
    for line in event.lines:
        if "protect-only" in line and '"who":"boot"' in line:
            return line
    return None


def entries_open(world: World) -> list[str]:
    """Return the ids of entries that are not at their end."""
    return [order.order for order in world.orders.values() if order.entry]


def drained(world: World, event: Ticked, key: str) -> str | None:
    """Nothing is left to wait for, or the wait was long enough."""
    orders = list(world.orders)
    open_ = [p.symbol for p in world.positions.values() if p.qty]
    flatten = world.settings.shutdown.flatten
    kept = f"; {len(open_)} positions kept under their stops" if open_ and not flatten else ""
    naked = [s for s in open_ if not world.positions[s].stop_held]
    if not orders and not naked and not (flatten and open_):
        return f"drained: no orders open{kept}"
    instance = world.instance_of("process")
    waited = world.at - (instance.since if instance else 0)
    if waited >= world.real_ms(world.settings.shutdown.drain_real_seconds):
        left = [
            *orders,
            *(f"{s} without a confirmed stop" for s in naked),
            *(open_ if flatten else ()),
        ]
        return f"gave up waiting after {waited / 1000:.0f} s for {', '.join(left)}"
    return None


def tell_crash(world: World, event: Started, key: str) -> Iterator[Effect]:
    """Tell people of the crash."""
    yield Notify(severity="warning", text=crashed(world, event, key), runbook="crash")


def ask_venue(world: World, event: VenueConnected, key: str) -> Iterator[Effect]:
    """Set the leverage and read the account."""
    yield Leverage(leverage=int(world.settings.risk.leverage_max))
    yield account_question(world)


def leave(world: World, event: Ticked, key: str) -> Iterator[Effect]:
    """End the process."""
    yield Exit(reason=drained(world, event, key) or "")


# fmt: off
PROCESS = Table("process", Process, (
    #   from                    on              when                        to
    Row(BORN,                   Started,        always("first start"),      BOOT),
    Row(STOPPED,                Started,        always("start after stop"), BOOT),
    Row((*ALIVE, PROTECT_ONLY), Started,        crashed,                    BOOT,        (tell_crash,)),
    Row(BOOT,                   Recovered,      recovered,                  RECOVERING),
    Row(RECOVERING,             VenueConnected, connected,                  RECONCILING, (ask_venue,)),
    Row(RECONCILING,            Reconciled,     reconciled,                 RUNNING),
    Row((*ALIVE[:-1], PROTECT_ONLY), StopAsked, asked,                      DRAINING),
    Row(DRAINING,               Ticked,         drained,                    STOPPED,     (leave,)),
    Row((*ALIVE, STOPPED),      Panicked,       protected_only,             PROTECT_ONLY),
), key=ACCOUNT, lowers={s: Level.REDUCE_ONLY for s in Process if s is not RUNNING})
# fmt: on


def advance(turn: Turn, event: object) -> None:
    """Move the process where its table says so."""
    turn.fire(PROCESS, event)
