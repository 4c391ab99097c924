"""Which fault comes next in the month: the deck of all kinds, and what becomes of single requests."""

from __future__ import annotations

import random
from collections import Counter

from tests.simulation import month_inside, month_outside
from tests.simulation.month_hands import OUTCOMES
from tests.simulation.month_kinds import KINDS, Kind, named

assert month_inside
assert month_outside

ORDER_KINDS = {
    "entry": ("reject", "partial", "answer lost", "never arrives", "arrives late", "turned away"),
    "exit": ("reject", "answer lost", "never arrives", "turned away"),
    "cancel": ("race", "answer lost"),
    "amend": ("race",),
    "protect": ("answer lost",),
    "leverage": (),
}
"""What may become of a single request."""
SHARES = {"entry": 0.5, "exit": 0.9, "cancel": 0.7, "amend": 0.5, "protect": 0.7, "leverage": 0.0}
"""How many requests of each kind meet it."""
NAMES = (
    *map(named, KINDS),
    *sorted(f"{change}: {name}" for change, names in ORDER_KINDS.items() for name in names),
    *(f"remedy {outcome}" for outcome in dict.fromkeys(OUTCOMES)),
)
"""Every kind of fault, as it is counted."""


class Deck:
    """Deals kinds in a random order, all of them before any comes again."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self._left: list[Kind] = []

    def deal(self, count: int) -> list[Kind]:
        """Return so many different kinds."""
        dealt: list[Kind] = []
        while len(dealt) < count:
            if not self._left:
                self._left = self.chance.sample(KINDS, len(KINDS))
            if self._left[-1] in dealt:
                break
            dealt.append(self._left.pop())
        return dealt


class Mischief:
    """Says what becomes of each change at the venue; nothing while ``resting``."""

    def __init__(self, chance: random.Random, counts: Counter[str]) -> None:
        self.chance, self.counts = chance, counts
        self.resting = False
        self._left: dict[str, list[str]] = {}

    def drawn(self, change: str) -> str:
        """Return what becomes of this one, "" for nothing unkind."""
        kinds = ORDER_KINDS[change]
        if self.resting or not kinds or self.chance.random() > SHARES[change]:
            return ""
        left = self._left.setdefault(change, [])
        if not left:
            left += self.chance.sample(kinds, len(kinds))
        name = left.pop()
        self.counts[f"{change}: {name}"] += 1
        return name
