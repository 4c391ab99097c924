"""Deliberate faults of the bot, applied in a process of their own: each makes the month go red."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from bot.core import (
    alerts,
    attempts,
    breaker,
    controls,
    decide,
    deliveries,
    events,
    healing,
    health,
    protection,
)
from bot.core.effects import Notify
from bot.core.machine import Row, Table
from bot.core.world import DAY_MS
from tests.simulation.mutations import resend_on_unknown


def apply(name: str) -> None:
    """Apply a mutation by name; "" changes nothing."""
    if name:
        MUTATIONS[name]()


def _instead(event: type, old: Any, *new: Any) -> None:
    """Have other handlers in the place of one of an event's."""
    known = decide.ON[event]
    place = known.index(old)
    decide.ON[event] = (*known[:place], *new, *known[place + 1 :])


def _rows(table: Table, to: str) -> Iterator[Row]:
    return (row for row in table.rows if row.to == to)


def _never(table: Table, to: str) -> Callable[[], None]:
    """Return the mutation that has a machine never come to a state."""

    def mutate() -> None:
        for row in _rows(table, to):
            if "" not in row.sources:
                row.when = lambda world, event, key: None

    return mutate


def _forgets(machine: str, state: str) -> Callable[[], None]:
    """Return the mutation that has a start forget where a machine stood."""

    def forget(turn: Any, event: Any) -> None:
        standing = turn.world.machines.get(machine, {})
        fresh = {key: replace(known, state=state) for key, known in standing.items()}
        turn.set(machines={**turn.world.machines, machine: fresh})

    return lambda: _instead(events.Started, decide.started, decide.started, forget)


def forget_messages() -> None:
    """What a dead process had on its way to people is dropped at the next start."""

    def redeliver(turn: Any, event: Any) -> None:
        kept = {k: d for k, d in turn.world.deliveries.items() if not isinstance(d.effect, Notify)}
        turn.set(deliveries=kept)
        deliveries.redeliver(turn, event)

    _instead(events.Recovered, deliveries.redeliver, redeliver)


def forget_alerts() -> None:
    """A clock that is set forgets what nobody answered yet."""

    def forget(turn: Any, event: Any) -> None:
        turn.set(alerts={})

    _instead(events.ClockJumped, decide.clock_jumped, decide.clock_jumped, forget)


def tell_nobody() -> None:
    """People are not told of a check."""
    for row in _rows(health.CHECK, "ESCALATED"):
        row.then = ()


def trade_while_held() -> None:
    """Neither a hold nor a kill switch speaks against an entry."""
    lowered = controls.lowered

    def found(world: Any, symbol: str = "") -> Any:
        return [one for one in lowered(world, symbol) if not one[1].startswith(("hold", "kill"))]

    controls.lowered = found


def leave_naked() -> None:
    """A stop that the venue does not hold is not asked for again."""
    _instead(events.Ticked, protection.tick)


def heal_without_end() -> None:
    """No attempt is counted."""
    healing.today = lambda world, remedy="": 0


def never_cool_down() -> None:
    """A remedy is tried again at once."""

    def declare(turn: Any, event: Any) -> None:
        hot = tuple(replace(remedy, cool_real_seconds=0.0) for remedy in event.remedies)
        attempts.declare(turn, event)
        turn.set(remedies=hot)

    _instead(events.Started, attempts.declare, declare)


def starts_buy_attempts() -> None:
    """A new process forgets what was tried."""

    def forget(turn: Any, event: Any) -> None:
        turn.set(healing=replace(turn.world.healing, tries=()))

    _instead(events.Started, attempts.declare, attempts.declare, forget)


def clocks_buy_attempts() -> None:
    """A clock that is set makes a day of lived time."""

    def jump(turn: Any, event: Any) -> None:
        memory = turn.world.healing
        turn.set(healing=replace(memory, lived=memory.lived + DAY_MS))

    _instead(events.ClockJumped, decide.clock_jumped, decide.clock_jumped, jump)


def escalate_without_report() -> None:
    """What nothing cured leaves no report."""
    attempts._give_up = lambda turn, check, said: None


def decide_by_chance() -> None:
    """What is decided depends on more than the events."""
    named = alerts._named
    alerts._named = lambda notify, why: f"{named(notify, why)} {os.urandom(2).hex()}"


MUTATIONS: dict[str, Callable[[], Any]] = {
    "forget PAUSED at a start": _forgets("guard", "NORMAL"),
    "forget LATCHED at a start": _forgets("kill", "ARMED"),
    "forget HELD at a start": _forgets("hold", "FREE"),
    "forget messages at a start": forget_messages,
    "forget alerts as the clock is set": forget_alerts,
    "tell nobody": tell_nobody,
    "never escalate": _never(alerts.ALERT, "ESCALATED"),
    "trade while held": trade_while_held,
    "leave positions naked": leave_naked,
    "resend on UNKNOWN": resend_on_unknown,
    "never close the breaker": _never(breaker.BREAKER, "CLOSED"),
    "never be well again": _never(health.CHECK, "WELL"),
    "heal without end": heal_without_end,
    "never cool down": never_cool_down,
    "starts buy attempts": starts_buy_attempts,
    "clocks buy attempts": clocks_buy_attempts,
    "escalate without report": escalate_without_report,
    "decide by chance": decide_by_chance,
}
