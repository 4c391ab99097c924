"""A verdict: what was asked before money is at risk, how it stands, and what cures it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Verdict(Struct, frozen=True):
    """What was asked, how it stands (well, warning, wrong), why, and what cures it."""

    name: str
    verdict: Literal["well", "warning", "wrong"]
    said: str
    cure: str = ""
