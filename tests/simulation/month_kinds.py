"""What the faults of the month have in common: their registry, and how they bear on the stage.

A fault is an async function of the stage, named as people would name it; False says that it did not
come about, and it is not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.month_stage import Month

Kind = Callable[["Month"], Awaitable["bool | None"]]

FAST_SECONDS, SLOW_SECONDS = 200.0, 700.0
"""Longer than it takes a check to be not well twice, at either pace."""
KINDS: list[Kind] = []
"""Every kind of fault, in the order of the modules."""


def fault(kind: Kind) -> Kind:
    """Register a kind of fault."""
    KINDS.append(kind)
    return kind


def named(kind: Kind) -> str:
    """Return what people would call it."""
    return kind.__name__.replace("_", " ")  # type: ignore[attr-defined]


@contextlib.contextmanager
def brisk(month: Month) -> Iterator[None]:
    """Have time go by seconds, and people wait."""
    month.brisk += 1
    month.again_in(1.0)
    try:
        yield
    finally:
        month.brisk -= 1


@contextlib.contextmanager
def ails(month: Month, name: str, value: float) -> Iterator[None]:
    """Have the host measure another number."""
    month.host[name] = value
    try:
        yield
    finally:
        month.host.pop(name, None)


async def some(month: Month, least: float, most: float) -> None:
    """Let some seconds pass."""
    await asyncio.sleep(month.chance.uniform(least, most))
