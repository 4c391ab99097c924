"""Keeps disconnect protection armed: the venue cancels open orders once no private stream is left.

The venue gives it to institutions only. A refusal is said once, and changes nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from bot.edge.backoff import backoff
from bot.errors import OutcomeUnknown, Refused, Retryable

if TYPE_CHECKING:
    from bot.edge.venues.bybit import Bybit

TOPIC = "dcp.future"
SETTLE_REAL_SECONDS = 10.0  # the venue says to look after so long whether it took effect
AGAIN_REAL_SECONDS = (1.0, 60.0)


class Dcp:
    """The protection of one account: all private streams gone for ``seconds``, then it acts.

    ``seconds`` are the venue's, 3 to 300. ``say`` is told the first reason why it is not armed.
    """

    def __init__(self, venue: Bybit, seconds: int, say: Callable[[str], None]) -> None:
        self._venue, self._seconds, self._say = venue, seconds, say
        self._said = False

    def refused(self, reason: str) -> None:
        """Say once that the venue does not protect this account so."""
        if not self._said:
            self._said = True
            self._say(f"disconnect protection is not armed: {reason}")

    async def arm(self) -> None:
        """Set the window and see that it stands; a venue that does not answer is asked again."""
        attempt = 0
        while True:
            try:
                why_not = await self._why_not_armed()
            except Refused as error:
                why_not = str(error)
            except (Retryable, OutcomeUnknown):
                attempt += 1
                await asyncio.sleep(backoff(attempt, *AGAIN_REAL_SECONDS))
                continue
            if why_not:
                self.refused(why_not)
            return

    async def _why_not_armed(self) -> str | None:
        await self._venue.arm_dcp(self._seconds)
        await asyncio.sleep(SETTLE_REAL_SECONDS)
        found = await self._venue.dcp_seconds()
        return None if found == self._seconds else f"expected {self._seconds} s, found {found}"
