"""Decides how long to wait before the next attempt: full jitter over a smallest gap."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DOUBLINGS_MAX = 16


class _Source:
    """Where chance comes from; a simulation puts a seeded one in its place."""

    draw: Callable[[], float] = staticmethod(secrets.SystemRandom().random)


_source = _Source()


@contextmanager
def chance_from(draw: Callable[[], float]) -> Iterator[None]:
    """Take all chance of the edge from ``draw`` (0 to 1) for as long as the context lasts."""
    before, _source.draw = _source.draw, draw
    try:
        yield
    finally:
        _source.draw = before


def backoff(attempt: int, least: float, most: float) -> float:
    """Return the seconds to wait before ``attempt`` (1 is the first repetition).

    Evenly drawn between ``least`` and ``least * 2**attempt``, at most ``most``: full jitter
    (Brooker, "Exponential backoff and jitter"), over a gap that no attempt falls short of.
    """
    ceiling: float = min(most, least * 2 ** min(attempt, DOUBLINGS_MAX))
    return least + _source.draw() * max(0.0, ceiling - least)
