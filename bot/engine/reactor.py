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
from bot.core.facts import OrderRefused
from bot.core.turn import Dispatch
from bot.core.world import World
from bot.store.writer import IllegalWrite, JournalRow, Writer, Written, decode, encode


class Point(StrEnum):
    """Every instant of a turn at which the process may die; tests kill it at each, and the time
    between them is measured (``engine.timings``).
    """

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

    def ask(self, question: Any, at: int, base: Any = None) -> tuple[Any | None, Any]:
        """Return the answer, or None, and the symbol's next state, None where it is as it was."""

    def swap(self, states: dict[str, Any]) -> None:
        """Make answered questions count."""


class Committed(Struct, frozen=True):
    """What a turn made durable; ``entries`` are its transitions in order, ``refusals`` the orders
    that it did not want to send: seq, market time (ms), and why.
    """

    world: World
    entries: tuple[Written, ...]
    dispatches: tuple[Dispatch, ...]
    head_id: int
    head: bytes
    refusals: tuple[tuple[int, int, OrderRefused], ...] = ()


class _Turn:
    """The candidates of a turn: what becomes of memory if COMMIT succeeds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.done = 0
        self.states: dict[str, Any] = {}
        self.entries: list[Written] = []
        self.dispatches: list[Dispatch] = []
        self.refusals: list[tuple[int, int, OrderRefused]] = []


class _Decided:
    """One event and its answers, decided and not yet written."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.states: dict[str, Any] = {}
        self.rows: list[tuple[JournalRow, Decision]] = []


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
        waiting = list(events)
        while True:
            turn = _Turn(self.world)
            self.writer.begin()
            try:
                self.probe(Point.BEGUN)
                for event in waiting:
                    self._event(turn, event)
                    turn.done += 1
                self.probe(Point.COMMITTING)
                self.writer.commit()
                break
            except IllegalWrite as error:
                # SQLite is the second guard: what it refuses is poison, and its neighbours are not
                self.writer.rollback()
                refused = waiting[turn.done]
                if isinstance(refused, Poisoned):
                    raise
                waiting[turn.done] = poison(refused, error)
            except BaseException:
                self.writer.rollback()
                raise
        self.probe(Point.COMMITTED)
        self.world = turn.world
        self.oracle.swap(turn.states)
        self.probe(Point.SWAPPED)
        return Committed(
            self.world,
            tuple(turn.entries),
            tuple(turn.dispatches),
            self.writer.head_id,
            self.writer.head,
            tuple(turn.refusals),
        )

    def _event(self, turn: _Turn, event: Event) -> None:
        """Decide one event and all answers it asks for, then write it: pure first, rows second."""
        try:
            decided = self._decided(turn, event)
        except Exception as error:  # whatever it is, the event is not tried again
            if isinstance(event, Poisoned):
                raise
            decided = self._decided(turn, poison(event, error))
        for row, decision in decided.rows:
            self.writer.append(row)
            self.probe(Point.JOURNALED)
            turn.entries += self.writer.decision(row[0], row[5], decision)
            self.probe(Point.WRITTEN)
            turn.dispatches += decision.dispatches
            turn.refusals += [
                (row[0], row[1], fact) for fact in decision.facts if isinstance(fact, OrderRefused)
            ]
        turn.world = decided.world
        turn.states |= decided.states

    def _decided(self, turn: _Turn, event: Event) -> _Decided:
        decided = _Decided(turn.world)
        self._decide(decided, turn, event, None)
        return decided

    def _decide(self, decided: _Decided, turn: _Turn, event: Event, cause: int | None) -> None:
        """Decide on what the journal will say, so that live and replay are the same."""
        seq = self.writer.next_seq() + len(decided.rows)
        body = encode(event)
        decision = decide(decided.world, decode(body), seq)
        self.probe(Point.DECIDED)
        row = (seq, event.at, self.wall(), type(event).__name__, cause, body)
        decided.rows.append((row, decision))
        decided.world = decision.world
        for question in decision.questions:
            base = decided.states.get(question.symbol) or turn.states.get(question.symbol)
            answer, state = self.oracle.ask(question, event.at, base)
            if state is not None:
                decided.states[question.symbol] = state
            self.probe(Point.ANSWERED)
            if answer is not None:
                self._decide(decided, turn, answer, seq)


def poison(event: Event, error: Exception) -> Poisoned:
    """Return what is journaled in place of an event that cannot be decided or written."""
    why = f"{type(error).__name__}: {error!s}"[:500].encode("utf-8", "replace").decode()
    return Poisoned(
        at=event.at, kind=type(event).__name__, body=_as_text(event)[:10_000], error=why
    )


def _as_text(event: Event) -> str:
    """Return what can be kept of an event that may be the very thing that cannot be encoded."""
    try:
        return encode(event)
    except Exception:  # noqa: BLE001 whatever is wrong with it, its text is kept
        return repr(event).encode("utf-8", "replace").decode()
