"""Cleans text from outside, so that it can be stored, shown in a terminal, and logged."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: terminal control
    "\xad\u180e\u200b-\u200d\u2060-\u2064\ufeff"  # zero width: two names that look the same
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi: text that reads in another order
    "\u2028\u2029"  # line breaks that are not C0
    "\ud800-\udfff"  # lone surrogates: cannot be encoded as UTF-8
    "\U000e0000-\U000e007f"  # tags: invisible text
    "]"
)


def safe_text(text: str, limit: int = 200) -> str:
    """Return the text with unsafe characters replaced, at most ``limit`` characters long."""
    clean = _UNSAFE.sub(REPLACEMENT, text[: limit + 1])
    return clean if len(clean) <= limit else f"{clean[: limit - 1]}…"
