"""One event's decision in the making: the world so far, its steps, effects, facts, and questions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from bot.core import alerts
from bot.core.deliveries import DELIVERY
from bot.core.effects import Amend, Cancel, Effect, Notify, Submit
from bot.core.events import Emitted, Measured
from bot.core.facts import Fact
from bot.core.machine import Instance, Step, Table
from bot.core.values import Candle
from bot.core.world import ACCOUNT, DAY_MS, Delivery, Messages, World

MESSAGES_REMEMBERED = 1_000
"""More than the highest limit of a minute."""


class Question(Struct, frozen=True):
    """Asked of the oracle: take these candles of a symbol in, and measure after the last."""

    symbol: str
    candles: tuple[Candle, ...]
    reset: bool = False


class ScoreQuestion(Struct, frozen=True):
    """Asked of the models: what each of them says of a symbol as it was just measured."""

    symbol: str
    models: tuple[str, ...]
    measured: Measured


class Dispatch(Struct, frozen=True):
    """An effect to carry out after COMMIT, with its id; ``again`` if it was tried before."""

    id: str
    effect: Any
    again: bool = False


class Turn:
    """What the handlers of one event build up. Local to ``decide``: nothing else sees it."""

    __slots__ = ("dispatches", "emitted", "event", "facts", "questions", "seq", "steps", "world")

    def __init__(self, world: World, event: Any, seq: int) -> None:
        self.world = msgspec.structs.replace(world, seq=seq, at=max(world.at, event.at))
        self.event, self.seq = event, seq
        self.steps: list[Step] = []
        self.emitted: list[Dispatch] = []
        self.dispatches: list[Dispatch] = []
        self.facts: list[Fact] = []
        self.questions: list[Question | ScoreQuestion] = []

    def set(self, **changes: Any) -> None:
        """Replace fields of the world."""
        self.world = msgspec.structs.replace(self.world, **changes)

    def put(self, field: str, key: str, value: Any) -> None:
        """Put one entry of a mapping of the world; None removes it."""
        mapping = dict(getattr(self.world, field))
        if value is None:
            mapping.pop(key, None)
        else:
            mapping[key] = value
        self.set(**{field: mapping})

    def fire(self, table: Table, event: Any, key: str = ACCOUNT) -> Step | None:
        """Move a machine if a row of its table matches; record the step and emit its effects."""
        at = self.world.instance_of(table.name, key)
        if not table.answers(at.state if at else "", event):
            return None
        step = table.fire(self.world, event, key, at)
        if step is None:
            return None
        instances = dict(self.world.machines.get(table.name, {}))
        if step.dest in table.final:
            instances.pop(key, None)
        else:
            instances[key] = Instance(step.dest, step.version, self.world.at, step.reason)
        self.put("machines", table.name, instances)
        self.steps.append(step)
        for effect in step.effects:
            self.emit(effect, f"{step.machine} {step.key} {step.dest}")
        return step

    def next_id(self) -> str:
        """Return the id that the next emitted effect will have."""
        return f"{self.seq}-{len(self.emitted)}"

    def emit(self, effect: Effect, origin: str = "") -> str:
        """Record an effect: stored with this event, carried out after COMMIT. Return its id.

        What people should know of becomes an alert of this ``origin``, and its id is returned.
        """
        if isinstance(effect, Notify) and not effect.channel:
            return alerts.heed(self, effect, origin or type(self.event).__name__)
        dispatch = Dispatch(self.next_id(), effect)
        self.emitted.append(dispatch)
        self.dispatches.append(dispatch)
        self.put("deliveries", dispatch.id, Delivery(effect))  # type: ignore[arg-type]
        self._count(effect)
        self.fire(DELIVERY, Emitted(at=self.world.at, effect=dispatch.id), dispatch.id)
        return dispatch.id

    def emit_all(self, effects: Iterable[Effect]) -> None:
        """Record effects that were decided on the world as it is before the first."""
        for effect in tuple(effects):
            self.emit(effect)

    def again(self, effect_id: str, effect: Any) -> None:
        """Hand out an effect that was stored by an earlier event."""
        self.dispatches.append(Dispatch(effect_id, effect, again=True))
        if self.world.state("breaker") != "OPEN":  # else hardly any of them leaves
            self._count(effect)

    def _count(self, effect: Effect) -> None:
        """Count a message to the venue's order book towards its rate."""
        if not isinstance(effect, (Submit, Amend, Cancel)):
            return
        at, sent = self.world.at, self.world.messages
        since, day = at - self.world.real_ms(60), at // DAY_MS
        recent = (*(t for t in sent.recent[-MESSAGES_REMEMBERED:] if t > since), at)
        today = sent.today + 1 if sent.day == day else 1
        self.set(messages=Messages(recent, day, today))

    def note(self, fact: Fact) -> None:
        """Record a row of the ledger."""
        self.facts.append(fact)

    def ask(self, question: Question | ScoreQuestion) -> None:
        """Ask the oracle; its answer follows as an event of its own in the same transaction."""
        self.questions.append(question)
