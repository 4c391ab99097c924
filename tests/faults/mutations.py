"""Deliberate faults of the bot, applied in a child: each must make the checker speak."""

from __future__ import annotations


def apply(name: str) -> None:
    """Apply a mutation by name; "" changes nothing."""
    if name:
        MUTATIONS[name]()


MUTATIONS: dict = {}
