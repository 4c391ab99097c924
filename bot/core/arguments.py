"""What each command may be told beside its reason: a mistyped symbol never means the account."""

from __future__ import annotations

from bot.core.events import Commanded

SYMBOL, MODEL = frozenset({"symbol"}), frozenset({"model"})
DESPITE = "despite"
"""A loosening is told with it what its operator knows and accepts."""
ARGUMENTS: dict[str, frozenset[str]] = {
    "reduce": frozenset(),
    "stop": frozenset(),
    "release": SYMBOL | {DESPITE},
    "rearm": SYMBOL | {DESPITE},
    "ack": frozenset({"alert"}),
    "set-parameter": frozenset({"name", "value", "seconds", DESPITE}),
    "promote": MODEL | {DESPITE},
    "rollback": frozenset(),
    "quarantine": MODEL,
    "retire": MODEL,
    "requalify": MODEL | {DESPITE},
    "approve": frozenset({"run"}),
    "decline": frozenset({"run"}),
}
"""The arguments of each command; one that is not listed takes a symbol."""


def waits_for_budget(verb: str) -> bool:
    """Tell whether a spent error budget holds a command back unless its operator knows of it."""
    return DESPITE in ARGUMENTS.get(verb, ())


def why_not_args(event: Commanded) -> str | None:
    """Tell which arguments a command does not know, or None."""
    known = ARGUMENTS.get(event.verb, SYMBOL)
    strange = sorted(set(event.args) - known)
    if not strange:
        return None
    return f"{event.verb}: expected {', '.join(sorted(known)) or 'no arguments'}; found {', '.join(strange)}"
