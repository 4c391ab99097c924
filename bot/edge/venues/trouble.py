"""Tells a listener when the venue is in trouble, and when it answers well again."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from bot.edge.clock import monotonic_ns

AGAIN_NS = 1_000_000_000  # one kind of trouble is told at most once a second
UNSEEN_MAX = 1_000


class Trouble(StrEnum):
    """What is the matter with the venue."""

    THROTTLED = "throttled"
    BANNED = "banned"  # this address asked too often
    MAINTENANCE = "maintenance"
    UNREACHABLE = "unreachable"
    CLOCK = "clock"
    KEY = "key"  # a person must see to the key or the account
    UNSEEN = "unseen code"  # in no table; its request counts as in doubt


class VenueTrouble(Struct, frozen=True):
    """Something is the matter; ``retry_at`` (market ms) is when it may be over, 0 if unsaid."""

    kind: Trouble
    reason: str
    retry_at: int = 0


class VenueAnswer(Struct, frozen=True):
    """The first good answer after trouble of these kinds."""

    after: tuple[Trouble, ...]


Heard = Callable[[VenueTrouble | VenueAnswer], None]

_SIGNED = frozenset({Trouble.CLOCK, Trouble.KEY})  # only a signed answer shows that they are over


class Ear:
    """Hears every answer, and tells ``heard`` what changes: no flood becomes a flood of events."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._told_ns: dict[Trouble, int] = {}
        self._open: set[Trouble] = set()  # told, and not over
        self._unseen: set[int | str] = set()

    def trouble(self, kind: Trouble, reason: str, retry_at: int = 0) -> None:
        """Hear of trouble."""
        now, told = monotonic_ns(), self._told_ns.get(kind)
        if told is None or now - told >= AGAIN_NS:
            self._told_ns[kind] = now
            self._open.add(kind)
            self._heard(VenueTrouble(kind, reason, retry_at))

    def unseen(self, what: int | str, reason: str) -> None:
        """Hear of a code that is in no table, or of another novelty; each is told once."""
        if what not in self._unseen and len(self._unseen) < UNSEEN_MAX:
            self._unseen.add(what)
            self._heard(VenueTrouble(Trouble.UNSEEN, reason))

    def good(self, *, signed: bool) -> None:
        """Hear a good answer."""
        over = self._open if signed else self._open - _SIGNED
        if over:
            self._open = self._open - over
            self._heard(VenueAnswer(tuple(sorted(over))))
