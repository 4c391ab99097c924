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
BAD_PARAMETER = 10001
UNCHANGED = frozenset({110043, 110025, 110026, 110027, 34040})
GONE = frozenset({110001, 110008, 110010, 170139, 170142, 170143, 170213})
MAINTENANCE = frozenset({10016, 10019})
THROTTLED = frozenset({10006, 10018, 10403, 10429, 170005, 170222, 20003})
KEY = frozenset(
    {10003, 10004, 10005, 10007, 10008, 10009, 10010, 10024, 10027, 10029, 33004, -2015}
    | {110063, 110066, 110123, 110124, 110125, 110132, 170201, 170209}
)
"""No waiting and no other order will help: trading stops and a person is called."""

_DUPLICATE = frozenset({110072, 170141, 12141, 110030})
_AMBIGUOUS = MAINTENANCE | {429, 10000, 170001, 170007, 170032, 170146, 170147, 500000}
_REFUSALS = (  # the documented ranges of linear and of spot, and what belongs to neither
    frozenset(range(110001, 110133))
    | frozenset(range(170100, 170400))
    | {403, BAD_PARAMETER, 10014, 10017, 34040}
)
_KINDS = (
    dict.fromkeys(_REFUSALS | KEY, Kind.REJECTED)
    | dict.fromkeys(_DUPLICATE, Kind.EXISTS)
    | dict.fromkeys(_AMBIGUOUS, Kind.UNKNOWN)
    | dict.fromkeys(THROTTLED | {CLOCK}, Kind.NOT_SENT)
    | {0: Kind.ACK}
)


def kind_of_status(status: int) -> Kind | None:
    """Return what an HTTP status alone says, or None where the body must be read."""
    if status >= 500:
        return Kind.UNKNOWN
    if status in (403, 429):  # too many requests: turned away at the door
        return Kind.NOT_SENT
    return None


def is_known(code: int) -> bool:
    """Tell whether a code is in a table."""
    return code in _KINDS


def kind_of_code(code: int) -> Kind:
    """Return what a ``retCode`` says. One that is in no table leaves the fate open: ask."""
    return _KINDS.get(code, Kind.UNKNOWN)
