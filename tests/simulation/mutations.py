"""Deliberate faults of the bot, applied in a process of their own: each makes the ledgers differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from bot.core import positions
from bot.engine import effects, gate
from tests.faults.checker import OURS

ONE = 1


def apply(name: str) -> None:
    """Apply a mutation by name; "" changes nothing."""
    if name:
        MUTATIONS[name]()


def resend_on_unknown() -> None:
    """An order whose answer was lost is sent again."""
    original = gate.send_order

    async def twice(venue: Any, submit: Any, *more: Any) -> Any:
        outcome = await original(venue, submit, *more)
        return await original(venue, submit) if outcome.kind is gate.Kind.UNKNOWN else outcome

    gate.send_order = twice


def _booking(change: Callable[[Any], list[Any]]) -> Callable[[], None]:
    """Return a mutation that books other executions than those that were heard of."""

    def mutate() -> None:
        original = positions.book

        def book(turn: Any, fill: Any) -> None:
            for other in change(fill):
                original(turn, other)

        positions.book = book

    return mutate


def _odd(fill: Any) -> bool:
    return int(fill.fill[0], 16) % 2 == ONE


def _ours(fill: Any) -> bool:
    return not fill.order or bool(OURS.fullmatch(fill.order))


def lost_too_early() -> None:
    """An order that the venue does not show yet is declared LOST at once."""
    effects.PROOF_MARGIN_SECONDS = -3600.0


MUTATIONS: dict[str, Callable[[], None]] = {
    "resend on UNKNOWN": resend_on_unknown,
    "forget a fill": _booking(lambda fill: [] if _odd(fill) else [fill]),
    "count a fill twice": _booking(lambda fill: [fill, replace(fill, fill=f"{fill.fill}-2")]),
    "drop fees": _booking(lambda fill: [replace(fill, fee=fill.fee * 0)]),
    "ignore foreign fills": _booking(lambda fill: [fill] if _ours(fill) else []),
    "declare LOST too early": lost_too_early,
}
