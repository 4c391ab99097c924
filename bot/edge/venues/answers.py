"""Reads an answer of Bybit V5: the fate of its request, and what is the matter with the venue."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bot.edge.venues.codes import (
    CLOCK,
    KEY,
    MAINTENANCE,
    THROTTLED,
    Kind,
    kind_of_code,
    kind_of_status,
)
from bot.edge.venues.trouble import Trouble

SHOWN_BYTES = 400


class Reply(msgspec.Struct, frozen=True):
    """What came back: the fate, the venue's code and words, its result, and its time (ms).

    ``retry_at`` (market ms) is when the next request may pass, 0 where nothing is known of it.
    """

    kind: Kind
    code: int = 0
    reason: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")
    at: int = 0
    retry_at: int = 0


class _Envelope(msgspec.Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")
    time: int = 0


_ENVELOPE = msgspec.json.Decoder(_Envelope)


def read(status: int, body: bytes, clean: Callable[[str], str]) -> tuple[Reply, bool]:
    """Return the reply, and whether the answer was one of the venue's at all.

    ``clean`` takes out of a text what must not be shown.
    """
    by_status = kind_of_status(status)
    try:
        envelope = _ENVELOPE.decode(body)
    except (msgspec.DecodeError, RecursionError):
        lost = Kind.UNKNOWN if status == 200 else Kind.REJECTED
        text = clean(body[:SHOWN_BYTES].decode(errors="replace"))
        reason = f"HTTP {status}, not understood: {text}"
        return Reply(by_status or lost, status, reason), False
    kind = by_status or kind_of_code(envelope.ret_code)
    if kind is Kind.ACK and status != 200:
        kind = Kind.UNKNOWN  # a success that HTTP does not call one
    code, words = envelope.ret_code, clean(envelope.ret_msg)
    reason = f"{code} {words}" if status == 200 else f"HTTP {status}: {code} {words}"
    if by_status is not None:
        code = code or status  # a refusal at the door has no code of its own
    return Reply(kind, code, reason, envelope.result, envelope.time), True


def trouble_of(status: int, code: int) -> Trouble | None:
    """Return what is the matter with a venue that answers so, or None."""
    if status == 403:
        return Trouble.BANNED
    if status == 429 or code == 429 or code in THROTTLED:
        return Trouble.THROTTLED
    if status >= 500 or code in MAINTENANCE:
        return Trouble.MAINTENANCE
    if code == CLOCK:
        return Trouble.CLOCK
    return Trouble.KEY if code in KEY else None
