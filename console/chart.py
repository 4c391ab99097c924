"""Draws curves in braille: a cell has two by four dots, a column keeps its lowest and highest.

A cell's dots are bits of U+2800 (Unicode 13, Braille Patterns): 1 2 4 40 the left column from the
top, 8 10 20 80 the right one, hexadecimal.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800

Reach = tuple[float, float]
"""The lowest and the highest of one step."""


def curve(steps: Sequence[Reach], width: int, height: int, bounds: Reach) -> list[str]:
    """Return a curve in so many lines of so many cells; the top line first."""
    cells = [[0] * width for _ in range(height)]
    dots, (low, high) = height * 4, bounds
    size = (high - low) or 1.0

    def row(value: float) -> int:
        return min(dots - 1, max(0, round((high - value) / size * (dots - 1))))

    before: tuple[int, int] | None = None
    for x, (least, most) in enumerate(_columns(steps, width * 2)):
        top, bottom = row(most), row(least)
        joined = _joined(before, (top, bottom))
        for y in range(joined[0], joined[1] + 1):
            cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
        before = (top, bottom)
    return ["".join(chr(_BLANK + cell) for cell in line) for line in cells]


def filled(values: Sequence[float], width: int, height: int, most: float) -> list[str]:
    """Return what hangs from the top line, as drawdown does: full dots down to each value."""
    deep = [(-value, 0.0) for value in values]
    return curve(deep, width, height, (-(most or 1.0), 0.0))


def _joined(before: tuple[int, int] | None, now: tuple[int, int]) -> tuple[int, int]:
    """Stretch a column so far that it touches the one before it."""
    if before is None:
        return now
    top, bottom = now
    return (min(top, before[1]), max(bottom, before[0]))


def _columns(steps: Sequence[Reach], count: int) -> list[Reach]:
    """Return as many steps as there are columns of dots: joined where they are more, or spread."""
    if not steps:
        return []
    if len(steps) <= count:
        return [steps[x * len(steps) // count] for x in range(count)]
    edges = [x * len(steps) // count for x in range(count + 1)]
    parts = [steps[a : max(b, a + 1)] for a, b in pairwise(edges)]
    return [(min(low for low, _ in part), max(high for _, high in part)) for part in parts]
