"""The reactor: all waiting events in one transaction, then, and only then, their effects.

A plain object with no thread, clock, or socket: live, replay, and rehearsal call ``turn``. Memory
changes only after COMMIT, so memory and disk cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from bot.core.decide import Decision, decide
from bot.core.events import Event, Poisoned
from bot.core.machine import Step
from bot.core.turn import Dispatch, Question
from bot.core.world import World
from bot.errors import BotError
from bot.store.writer import IllegalWrite, Writer, encode


class Point(StrEnum):
    """Every instant of a turn at which the process may die; tests kill it at each."""

    TAKEN = "taken"
    BEGUN = "begun"
    JOURNALED = "journaled"
    DECIDED = "decided"
    WRITTEN = "written"
    ANSWERED = "answered"
    COMMITTING = "committing"
    COMMITTED = "committed"
    SWAPPED = "swapped"
    SNAPSHOT = "snapshot"
    SENDING = "sending"
    SENT = "sent"
    OUTCOME = "outcome"


Probe = Callable[[Point], None]


def no_probe(point: Point) -> None:
    """Do nothing at a point."""


class OracleLike(Protocol):
    """Answers questions on copies; ``swap`` makes the answers count."""

    def ask(self, question: Question, at: int, base: Any = None) -> tuple[Any | None, Any]:
        """Return the answer, or None, and the symbol's next state."""

    def swap(self, states: dict[str, Any]) -> None:
        """Make answered questions count."""


class Committed(Struct, frozen=True):
    """What a turn made durable. ``entries``: ``(transition id, at, step)`` in order."""

    world: World
    entries: tuple[tuple[int, int, Step], ...]
    dispatches: tuple[Dispatch, ...]
    head_id: int
    head: bytes


class _Turn:
    """The candidates of a turn: what becomes of memory if COMMIT succeeds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.states: dict[str, Any] = {}
        self.entries: list[tuple[int, Step]] = []
        self.dispatches: list[Dispatch] = []


class Reactor:
    """Owns the world. ``wall`` gives the time written beside each event, for people only."""

    def __init__(
        self,
        writer: Writer,
        world: World,
        oracle: OracleLike,
        *,
        wall: Callable[[], int],
        probe: Probe = no_probe,
    ) -> None:
        self.writer, self.world, self.oracle = writer, world, oracle
        self.wall, self.probe = wall, probe

    def turn(self, events: Sequence[Event]) -> Committed:
        """Make all events durable in one transaction and return what follows.

        Raises StoreBusy if nothing was written (the events may be given again, in order), and
        StoreFatal if the process must end.
        """
        self.probe(Point.TAKEN)
        self.writer.begin()
        turn, wall = _Turn(self.world), self.wall()
        first = self.writer.head_id + 1
        try:
            self.probe(Point.BEGUN)
            for event in events:
                self._event(turn, event, wall)
            self.probe(Point.COMMITTING)
            self.writer.commit()
        except BaseException:
            self.writer.rollback()
            raise
        self.probe(Point.COMMITTED)
        self.world = turn.world
        self.oracle.swap(turn.states)
        self.probe(Point.SWAPPED)
        entries = tuple((first + n, at, step) for n, (at, step) in enumerate(turn.entries))
        return Committed(
            self.world, entries, tuple(turn.dispatches), self.writer.head_id, self.writer.head
        )

    def _event(self, turn: _Turn, event: Event, wall: int) -> None:
        """Decide one event in a savepoint of its own; an event that cannot be decided is poison."""
        kept = (turn.world, dict(turn.states), len(turn.entries), len(turn.dispatches))
        self.writer.savepoint()
        try:
            self._decide(turn, event, wall, None)
        except BotError:
            raise
        except Exception as error:
            self.writer.undo()
            turn.world, turn.states = kept[0], kept[1]
            del turn.entries[kept[2] :], turn.dispatches[kept[3] :]
            if isinstance(event, Poisoned):
                raise
            poison = Poisoned(
                at=event.at,
                kind=type(event).__name__,
                body=_as_text(event)[:10_000],
                error=f"{type(error).__name__}: {error!s}"[:500]
                .encode("utf-8", "replace")
                .decode(),
            )
            self._event(turn, poison, wall)
        else:
            self.writer.release()

    def _decide(self, turn: _Turn, event: Event, wall: int, cause: int | None) -> None:
        seq, body, event = self.writer.journal(event, wall, cause)
        self.probe(Point.JOURNALED)
        decision = decide(turn.world, event, seq)
        self.probe(Point.DECIDED)
        self.writer.decision(seq, body, decision)
        self.probe(Point.WRITTEN)
        self._take(turn, decision)
        for question in decision.questions:
            answer, state = self.oracle.ask(question, event.at, turn.states.get(question.symbol))
            turn.states[question.symbol] = state
            self.probe(Point.ANSWERED)
            if answer is not None:
                self._decide(turn, answer, wall, seq)

    def _take(self, turn: _Turn, decision: Decision) -> None:
        turn.world = decision.world
        turn.entries += ((decision.world.at, step) for step in decision.steps)
        turn.dispatches += decision.dispatches


def _as_text(event: Event) -> str:
    """Return what can be kept of an event that may be the very thing that cannot be encoded."""
    try:
        return encode(event)
    except Exception:  # noqa: BLE001 whatever is wrong with it, its text is kept
        return repr(event).encode("utf-8", "replace").decode()


__all__ = ["Committed", "IllegalWrite", "OracleLike", "Point", "Probe", "Reactor", "no_probe"]
