"""Cleans what the database says before it is shown, and writes times and ages for people."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format (bidi, zero width), surrogates, breaks


def clean(text: str, limit: int = 2_000) -> str:
    """Return the text with control and invisible characters replaced, cut at ``limit``."""
    if len(text) > limit:
        text = f"{text[: limit - 1]}…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(REPLACEMENT if unicodedata.category(c) in _UNSAFE else c for c in text)


def shown(value: Any) -> str:
    """Return a value of the database as one cell of text."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return clean(value.hex())
    return clean(str(value))


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
