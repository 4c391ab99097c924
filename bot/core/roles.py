"""Roles: who may give a command, by what the kernel says of the caller; viewer < operator < admin.

Invariants: a role comes with the command and was found by the bot, never by who asks; every command
names the least role that it needs; a role is never checked anywhere else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Struct

from bot.core.limits import number, text

if TYPE_CHECKING:
    from bot.core.events import Commanded


class Role(StrEnum):
    """What a person may do, each more than the one before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


VIEWER, OPERATOR, ADMIN = Role


class Roles(Struct, frozen=True):
    """Who may do what, by Unix group, and what two people must want."""

    viewers_group: Annotated[
        str,
        text(
            "Group that may connect and watch; operators and admins are in it, too. "
            "Empty: operators alone may connect."
        ),
    ] = ""
    operators_group: Annotated[
        str,
        text("Group that may command the bot and set HALT; empty: the group of its process."),
    ] = ""
    admins_group: Annotated[
        str, text("Group that may loosen what matters most; empty: operators may, too.")
    ] = ""
    two_people: Annotated[
        Literal["auto", "on", "off"],
        text("The riskiest loosenings need two people; auto: on where admins_group is named."),
    ] = "auto"
    approve_real_seconds: Annotated[
        float, number("What waits for a person's word is over after this.", 10, 86_400)
    ] = 900.0
    waiting_max: Annotated[
        int, number("Commands that wait for a person's word at once, at most.", 1, 100)
    ] = 10

    @property
    def two(self) -> bool:
        """Whether the riskiest loosenings need two people."""
        named = bool(self.admins_group)
        return {"on": True, "off": False, "auto": named}[self.two_people]


def why_not(event: Commanded, least: str, what: str) -> str | None:
    """Tell why the caller's role is not enough for ``what``, or None.

    A command of an old journal has no role: whoever could connect then could do everything.
    """
    ranks = [str(role) for role in Role]
    if not event.role or ranks.index(event.role) >= ranks.index(least):
        return None
    return f"expected role {least} for {what}, found {event.role} (uid {event.uid})"
