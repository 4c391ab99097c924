"""Cleans what the database says before it is shown, and writes times and ages for people."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bot.core.text import safe_text

CELL_MAX = 2_000


def shown(value: Any) -> str:
    """Return a value of the database as one cell of text."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return safe_text(value.hex(), CELL_MAX)
    return safe_text(str(value), CELL_MAX)


def moment(ms: int) -> str:
    """Return a time in ms UTC as people write it; a nonsense number as it is."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(ms)


def age(seconds: float) -> str:
    """Return a duration in the unit that fits it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"


def number(text: str) -> str:
    """Return a stored decimal as people read it: eight places at most, no idle zeros."""
    value = round(Decimal(text), 8)
    return f"{value.normalize():f}" if value else "0"


def share(value: float | None, form: str = "g") -> str:
    """Return a measured number in four digits, or in percent; what is not on record says so."""
    if value is None:
        return "not on record"
    return f"{value:.0%}" if form == "%" else f"{value:.4g}"
