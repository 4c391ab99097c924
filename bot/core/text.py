"""Cleans text from outside, so that it can be stored, logged, and shown in a terminal."""

from __future__ import annotations

import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format (bidi, zero width), surrogates, breaks


def safe_text(text: str, limit: int = 200) -> str:
    """Return the text with control and invisible characters replaced, cut at ``limit``."""
    if len(text) > limit:
        text = f"{text[: limit - 1]}…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(REPLACEMENT if unicodedata.category(c) in _UNSAFE else c for c in text)
