"""The root of every event, apart from the closed set so that a capability may have a module of its own."""

from __future__ import annotations

from msgspec import Struct


class Event(Struct, frozen=True, tag=True, kw_only=True):
    """Something that happened, and when (market ms UTC)."""

    at: int
