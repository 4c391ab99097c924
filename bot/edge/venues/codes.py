"""Says what an answer of Bybit means for the fate of a request: one table of codes."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What is known of a request's fate."""

    ACK = "ACK"  # accepted for processing; not yet the order's fate
    EXISTS = "EXISTS"  # an earlier request with this order id got through
    REJECTED = "REJECTED"  # refused for good
    NOT_SENT = "NOT_SENT"  # it provably never reached the matching
    UNKNOWN = "UNKNOWN"  # it may have been carried out: ask before anything else


CLOCK = 10002  # the timestamp is outside the window: refused before processing
UNCHANGED = frozenset({110043, 110025, 110026, 110027, 34040})
GONE = frozenset({110001, 110008, 110010, 170139, 170142, 170143, 170213})
BAD_PARAMETER = 10001

_DUPLICATE = frozenset({110072, 170141, 12141, 110030})
_AMBIGUOUS = frozenset({429, 10000, 10016, 10019, 170001, 170007, 170032, 170146, 170147, 500000})
_THROTTLED = frozenset({CLOCK, 10006, 10018, 10403, 10429, 170005, 170222, 20003})
_KINDS = (
    {0: Kind.ACK}
    | dict.fromkeys(_DUPLICATE, Kind.EXISTS)
    | dict.fromkeys(_AMBIGUOUS, Kind.UNKNOWN)
    | dict.fromkeys(_THROTTLED, Kind.NOT_SENT)
)


def kind_of_status(status: int) -> Kind | None:
    """Return what an HTTP status alone says, or None where the body must be read."""
    if status >= 500:
        return Kind.UNKNOWN
    if status in (403, 429):  # too many requests: turned away at the door
        return Kind.NOT_SENT
    return None


def kind_of_code(code: int) -> Kind:
    """Return what a ``retCode`` says; a code that is in no table is a refusal."""
    return _KINDS.get(code, Kind.REJECTED)
