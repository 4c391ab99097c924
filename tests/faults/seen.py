"""What became visible since a moment: moves of machines, what people were told, and the status."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bot.desk import status
from tests.edge.worlds import venue_at
from tests.faults.places import Place, until

PATIENCE_SECONDS = 30.0


def asked(place: Place, question: Callable[[Any], Awaitable[Any]]) -> Any:
    """Return what a coroutine function gets of the venue, on the bot's account and beside the bot."""

    async def answer() -> Any:
        url = place.url()
        assert url is not None
        async with venue_at(url) as venue:
            await venue.sync_clock()
            return await question(venue)

    return asyncio.run(answer())


def in_order(text: str, parts: tuple[str, ...]) -> bool:
    """Tell whether a text begins with the first part and goes on to the others, one after another."""
    at = 0
    for part in parts:
        found = text.find(part, at)
        if found < 0 or (part is parts[0] and found):
            return False
        at = found + len(part)
    return True


class Since:
    """Everything that the bot wrote down since this was made."""

    def __init__(self, place: Place, *, alive: bool = True) -> None:
        self.place, self.alive = place, alive
        there = place.state.exists()
        newest = self._rows("SELECT coalesce(max(id), 0) FROM transition") if there else [(0,)]
        self.id: int = newest[0][0]

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.place.rows(sql, *values, alive=self.alive)

    def moves(self, machine: str, key: str | None = None) -> list[tuple[str, str, str, str]]:
        """Return the moves of a machine: key, source, dest, reason."""
        found = self._rows(
            "SELECT key, source, dest, reason FROM transition"
            " WHERE machine = ? AND id > ? AND (? IS NULL OR key = ?) ORDER BY id",
            machine, self.id, key, key,
        )  # fmt: skip
        return [(str(k), str(s), str(d), str(r)) for k, s, d, r in found]

    def moved(
        self, machine: str, source: str, dest: str, *words: str, key: str | None = None
    ) -> str:
        """Wait for a move whose reason begins so and goes on so; return the key that moved."""

        def found() -> str | None:
            for name, before, after, reason in self.moves(machine, key):
                if (before, after) == (source, dest) and in_order(reason, words):
                    return name
            return None

        def what() -> str:
            return f"{machine} {source} to {dest} {words}; it did {self.moves(machine, key)[-12:]}"

        return str(until(found, what, PATIENCE_SECONDS))

    def told(self, severity: str, runbook: str, *words: str) -> str:
        """Wait until people are told so, as its row and its machine say; return the whole text."""
        sql = (
            "SELECT a.text, a.severity, a.runbook FROM alert a JOIN transition t"
            " ON t.machine = 'alert' AND t.key = a.id AND t.trigger = 'Alerted' AND t.dest = 'RAISED'"
            " WHERE t.id > ?"
        )

        def found() -> str | None:
            for text, how, where in self._rows(sql, self.id):
                if (how, where) == (severity, runbook) and in_order(text, words):
                    return str(text)
            return None

        def what() -> str:
            return f"{severity} {runbook} {words}; told were {self._rows(sql, self.id)}"

        return str(until(found, what, PATIENCE_SECONDS))

    def shown(self, *words: str) -> str:
        """Wait until the status has such a line: why nothing is opened, or a check that is not well."""

        def lines() -> list[str]:
            document = status.read(self.place.state)
            own = [why for symbol in document.symbols for why in symbol.why]
            checks = [f"{check.name}: {check.said}" for check in document.health.not_well]
            return [*document.why, *own, *checks]

        def found() -> str | None:
            return next((line for line in lines() if in_order(line, words)), None)

        return str(until(found, lambda: f"status {words}; it has {lines()}", PATIENCE_SECONDS))
