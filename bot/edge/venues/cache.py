"""Remembers slow facts of the venue for a while, and how old they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from bot.edge.clock import monotonic_ns

T = TypeVar("T")


class Cache(Generic[T]):
    """At most ``most`` facts, each for ``seconds`` of real time; the oldest makes room."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._facts: OrderedDict[Hashable, tuple[int, T]] = OrderedDict()

    def put(self, key: Hashable, fact: T) -> None:
        """Remember a fact as it is now."""
        self._facts.pop(key, None)
        self._facts[key] = (monotonic_ns(), fact)
        if len(self._facts) > self._most:
            self._facts.popitem(last=False)

    def get(self, key: Hashable) -> T | None:
        """Return a fact that is not too old, or None."""
        age = self.age_seconds(key)
        return self._facts[key][1] if age is not None and age < self._seconds else None

    def age_seconds(self, key: Hashable) -> float | None:
        """Return how old a fact is, real seconds; None if it was never known."""
        known = self._facts.get(key)
        return None if known is None else (monotonic_ns() - known[0]) / 1e9

    def clear(self) -> None:
        """Forget everything: the next question goes to the venue."""
        self._facts.clear()
