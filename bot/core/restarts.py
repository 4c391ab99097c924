"""Restarts: too many starts that found a crash hold the account until a named person looks.

A service manager starts a bot again that keeps dying; this is what keeps such a bot from trading in
between. Invariants: a start after STOPPED counts for nothing; what was counted survives restarts
and clocks that are set back; a hold that stands is not lifted by time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.events import Limited, Started
from bot.core.holds import HOLD
from bot.core.process import STOPPED
from bot.core.world import ACCOUNT, Crash

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

TOLD_MAX = 3


def count(turn: Turn, event: Started, before: World) -> None:
    """Remember the crash that a start found; hold the account if there were too many of late."""
    left = before.state("process")
    if left in ("", STOPPED):
        return
    limits = turn.world.settings.restarts
    # the market's rate is known only once the venue answers: the longer window is the safe one
    window = max(w.real_ms(limits.window_real_seconds) for w in (before, turn.world))
    recent = [crash for crash in before.crashes if event.at - crash.at <= window]
    found = Crash(event.at, f"{left}: {event.ended or 'without a word'}")
    crashes = (*recent, found)[-limits.crashes_max :]
    turn.set(crashes=crashes)
    if len(crashes) >= limits.crashes_max:
        why = stormed(crashes, limits.window_real_seconds)
        turn.fire(HOLD, Limited(at=event.at, control="restarts", reason=why), ACCOUNT)


def stormed(crashes: tuple[Crash, ...], window: float) -> str:
    """Return the sentence that names how many, within what time, and the newest reasons."""
    newest = "; ".join(crash.why for crash in crashes[: -TOLD_MAX - 1 : -1])
    return (
        f"{len(crashes)} runs within {window / 60:g} min did not end in STOPPED;"
        f" they ended in (newest first) {newest}"
    )
