"""A figure: what was measured, against which goal, and how; and the few statistics that figures need."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured number. ``note``: lines that explain it; ``unless``: why its goal is not asked."""

    name: str
    value: float
    unit: str
    goal: float
    how: str
    at_least: bool = False
    unless: str = ""
    note: Sequence[str] = field(default=())

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where it is not asked."""
        if self.unless:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def verdict(self) -> str:
        """Say whether the goal is reached, or by how much it is missed."""
        if self.unless:
            return f"not asked: {self.unless}"
        return (
            "reached" if self.reached else f"not reached: {self.value / self.goal:.2f} of the goal"
        )

    def text(self) -> str:
        """Return the figure as people read it."""
        sign = "≥" if self.at_least else "≤"
        head = f"{self.name:22} {_number(self.value, self.unit):>12}   goal {sign} {_number(self.goal, self.unit):10} {self.verdict}"
        return "\n".join([head, f"    {self.how}", *(f"      {line}" for line in self.note)])

    def fields(self) -> dict[str, Any]:
        """Return the figure as JSON takes it."""
        return {
            "name": self.name,
            "measured": self.value,
            "unit": self.unit,
            "goal": self.goal,
            "goal_is": "at least" if self.at_least else "at most",
            "reached": self.reached,
            "verdict": self.verdict,
            "how": self.how,
            "note": list(self.note),
        }


def _number(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"


def say(text: str) -> None:
    """Show progress, on stderr: stdout is for figures."""
    print(f"  … {text}", file=sys.stderr, flush=True)


def middle(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which ``share`` (0..1) of the values lie, the nearest one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def spread(values: Sequence[float], unit: str = "ms", by: float = 1e6) -> str:
    """Return p50 and p99 of values (ns by default) in a unit."""
    if not values:
        return "nothing measured"
    return f"p50 {percentile(values, 0.5) / by:.2f} {unit}, p99 {percentile(values, 0.99) / by:.2f} {unit}"
