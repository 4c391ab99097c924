"""Decides whether a key may trade: its rights, its end, and the account that it belongs to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Struct

from bot.core.text import safe_text
from bot.edge.clock import clock_text
from bot.edge.venues.asking import Doubt, decoded
from bot.edge.venues.budget import Priority
from bot.edge.venues.rest import Declined

if TYPE_CHECKING:
    from bot.edge.venues.bybit import Bybit

PATH = "/v5/user/query-api"
DAY_MS = 86_400_000
WITHDRAW = "Wallet:Withdraw"
NEEDED = {
    "linear": ("ContractTrade:Order", "ContractTrade:Position"),
    "spot": ("Spot:SpotTrade",),
}
ANY_ADDRESS = "*"


class KeyInfo(Struct, frozen=True):
    """What the venue says of a key and its account; ``expires_at``: ms, 0 for a key without end."""

    uid: str
    name: str
    read_only: bool
    rights: frozenset[str]
    ips: tuple[str, ...]
    expires_at: int


class Wanted(Protocol):
    """What the configuration says of the account: its environment, and its uid or name."""

    @property
    def env(self) -> str:
        """The environment."""
        ...

    @property
    def account(self) -> str:
        """The uid or name, "" if none is given."""
        ...


class _Row(Struct, rename="camel"):
    read_only: int
    permissions: dict[str, list[str]]
    user_id: int | str = msgspec.field(name="userID")
    note: str = ""
    ips: list[str] = []
    expired_at: str = ""

    def value(self) -> KeyInfo:
        return KeyInfo(
            uid=safe_text(str(self.user_id), 40),
            name=safe_text(self.note, 80),
            read_only=bool(self.read_only),
            rights=frozenset(
                f"{group}:{right}" for group, rights in self.permissions.items() for right in rights
            ),
            ips=tuple(safe_text(ip, 60) for ip in self.ips),
            expires_at=_ms(self.expired_at),
        )


def _ms(text: str) -> int:
    """Return an ISO time as ms; 0 for none and for 1970, which is how the venue writes never."""
    return round(datetime.fromisoformat(text).timestamp() * 1000) if text else 0


async def key_info(venue: Bybit) -> KeyInfo:
    """Return what the venue says of the key. Raises Busy, Declined."""
    reply = await venue.ask(PATH, {}, True, Priority.INQUIRE)
    with Doubt(PATH):
        return decoded(reply, _Row).value()


def why_not_key(info: KeyInfo, category: str, now_ms: int) -> list[str]:
    """Return a sentence for each thing that forbids to trade with a key."""
    problems = []
    if any("withdraw" in right.lower() for right in info.rights):
        problems.append(f"expected a key that cannot withdraw, found the right {WITHDRAW}")
    if info.read_only:
        problems.append("expected a key that may trade, found one that is read-only")
    missing = [right for right in NEEDED[category] if right not in info.rights]
    if missing:
        found = ", ".join(sorted(info.rights)) or "none"
        problems.append(f"expected the rights {', '.join(missing)}, found {found}")
    if info.expires_at and info.expires_at < now_ms + DAY_MS:
        until = clock_text(info.expires_at)
        problems.append(f"expected a key that is good for a day or more, found its end at {until}")
    return [f"venue key: {problem}" for problem in problems]


def key_warnings(info: KeyInfo) -> list[str]:
    """Return a sentence for each thing that is worth a person's while."""
    if not info.ips or ANY_ADDRESS in info.ips:
        return ["venue key: expected one bound to this machine's address, found any address"]
    return []


def why_not_account(info: KeyInfo, wanted: Wanted) -> list[str]:
    """Return why the account is not the one that the configuration names; real money needs it."""
    if wanted.account in (info.uid, info.name) if wanted.account else wanted.env != "live":
        return []
    named = f"{info.uid} ({info.name})" if info.name else info.uid
    return [f"venue.account: expected {named}, found {wanted.account or 'nothing'}"]


async def why_not_trade(venue: Bybit, wanted: Wanted) -> list[str]:
    """Return a sentence for each reason why this key and account may not trade; none: it may.

    Asks the venue anew, of the position mode only with a key that may. Raises Busy if it does not
    answer, Refused.
    """
    try:
        info = await venue.key_info(anew=True)
    except Declined as error:
        return [f"venue key: expected one that the venue accepts, found: {error}"]
    problems = [
        *why_not_key(info, venue.category, venue.clock.venue_ms()),
        *why_not_account(info, wanted),
    ]
    return problems or await why_not_mode(venue)


async def why_not_mode(venue: Bybit) -> list[str]:
    """Return why the position mode forbids to trade: our orders name no side of a hedge."""
    symbol = await venue.hedged() if venue.category == "linear" else ""
    return [f"venue account: expected one-way mode, found hedge mode ({symbol})"] if symbol else []


async def warnings_of(venue: Bybit, wanted: Wanted) -> list[str]:
    """Return the warnings about this key; none about the embedded exchange's, which buys nothing.

    Raises Busy, Declined.
    """
    return [] if wanted.env == "embedded" else key_warnings(await venue.key_info())
