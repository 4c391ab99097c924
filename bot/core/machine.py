"""A state machine is a table; this module reads tables. Only it knows the `transitions` library.

A row is ``from · on(event type) · when · to · then``. Rows are read top-down and the first match
wins. ``when`` answers *why, or None*, and its text becomes the audit's reason. ``then`` names the
effects. A machine is born by a row whose source is ``""``: so its first state, too, has a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from transitions import EventData, Machine

if TYPE_CHECKING:
    from bot.core.effects import Effect
    from bot.core.world import World

When = Callable[["World", Any, str], "str | None"]
Then = Callable[["World", Any, str], Iterable["Effect"]]

BORN = ""
_UNBORN = "UNBORN"  # the library wants a name for the state before the first


class Level(IntEnum):
    """What may be done. An entry's level is the minimum over all machines (the lattice)."""

    NONE = 0
    CANCEL_ONLY = 1
    REDUCE_ONLY = 2
    REDUCED = 3
    FULL = 4


class Instance(Struct, frozen=True, array_like=True):
    """Where one machine stands: its state, how many moves made it, since when, and why."""

    state: str
    version: int
    since: int
    reason: str


class Row:
    """One line of a table. ``source`` may be one state or several."""

    __slots__ = ("on", "sources", "then", "to", "when")

    def __init__(
        self,
        source: str | Iterable[str],
        on: type,
        when: When,
        to: str,
        then: tuple[Then, ...] = (),
    ) -> None:
        self.sources = (source,) if isinstance(source, str) else tuple(source)
        self.on, self.when, self.to, self.then = on, when, to, then

    @property
    def means(self) -> str:
        """What must hold for this row, in words."""
        return (self.when.__doc__ or self.when.__name__).strip().splitlines()[0].rstrip(".")


class Step(Struct, frozen=True):
    """One move, ready to be written: the transition's columns and the effects of its row."""

    machine: str
    key: str
    version: int
    source: str
    trigger: str
    dest: str
    reason: str
    effects: tuple[Any, ...] = ()


class _Cursor:
    """The model that the library moves; its state is set before each question."""

    state: str


class Table:
    """A machine: its states, its rows, and how far each state lowers what an entry may do.

    ``final`` states end the machine's life: nothing leaves them, and the world forgets the key.
    """

    def __init__(
        self,
        name: str,
        states: type[StrEnum],
        rows: tuple[Row, ...],
        *,
        key: str,
        lowers: Mapping[str, Level] | None = None,
        final: frozenset[str] = frozenset(),
    ) -> None:
        self.name, self.states, self.rows, self.key = name, states, rows, key
        self.lowers, self.final = dict(lowers or {}), final
        self.known = frozenset(state.value for state in states)
        self._by: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            for source in row.sources:
                self._by.setdefault((str(source), row.on.__name__), []).append(row)
        self.library()  # refuses rows whose states do not exist

    def library(self) -> tuple[Machine, Any]:
        """Return the table as a machine of the `transitions` library, and the model it moves.

        It checks the table when it is made, and a test holds ``fire`` to it for every state and
        event; the hot path reads the same rows without it, in a third of the time.
        """
        model = _Cursor()
        machine = Machine(
            model,
            states=[_UNBORN, *(state.value for state in self.states)],
            initial=_UNBORN,
            auto_transitions=False,
            send_event=True,
        )
        for row in self.rows:
            for source in row.sources:
                machine.add_transition(
                    row.on.__name__,
                    str(source) or _UNBORN,
                    str(row.to),
                    conditions=_condition(row),
                )
        return machine, model

    def rules(self) -> list[tuple[str, str, str, str]]:
        """Return the table as ``(machine, source, trigger, dest)``, as SQLite enforces it."""
        return sorted(
            {
                (self.name, str(source), row.on.__name__, str(row.to))
                for row in self.rows
                for source in row.sources
            }
        )

    def answers(self, state: str, event: object) -> bool:
        """Tell whether any row speaks of this event in this state (cheap)."""
        return (state, type(event).__name__) in self._by

    def fire(self, world: World, event: Any, key: str, at: Instance | None) -> Step | None:
        """Return the step that this event causes from where the machine stands, or None."""
        state = at.state if at else BORN
        trigger = type(event).__name__
        for row in self._by.get((state, trigger), ()):
            reason = row.when(world, event, key)
            if reason is not None:
                break
        else:
            return None
        return Step(
            self.name,
            key,
            (at.version if at else 0) + 1,
            str(state),
            trigger,
            str(row.to),
            reason or "no reason given",
            tuple(effect for then in row.then for effect in then(world, event, key)),
        )

    def mermaid(self) -> str:
        """Draw the table as a Mermaid state diagram."""
        lines = ["stateDiagram-v2"]
        lines += [
            f"    {source or '[*]'} --> {row.to}: {row.on.__name__} · {row.means}"
            for row in self.rows
            for source in row.sources
        ]
        lines += [f"    {state} --> [*]" for state in self.states if state in self.final]
        return "\n".join(lines)


def _condition(row: Row) -> Callable[[EventData], bool]:
    def check(data: EventData) -> bool:
        asked = data.kwargs
        return row.when(asked["world"], asked["event"], asked["key"]) is not None

    return check


def always(reason: str) -> When:
    """Return a predicate that always answers with this reason."""

    def when(world: World, event: Any, key: str) -> str | None:
        return reason

    when.__doc__ = reason
    return when
