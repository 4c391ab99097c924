"""Rejections: entries that the venue refuses again and again hold their symbol, or the account.

What is asked for is wrong, or the account is not what it seems; asking on mends neither. Invariants:
only the venue's own refusal of an entry, of which nothing was executed, counts; one that it took ends
a symbol's row; a hold begins the count anew, so that a release buys as many tries as before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core.events import Limited
from bot.core.holds import HOLD
from bot.core.machine import Step
from bot.core.world import ACCOUNT

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Order

CONTROL = "rejections"
MINUTE_REAL_SECONDS = 60.0


def heed(turn: Turn, order: Order, step: Step) -> None:
    """Count what became of an entry; hold its symbol, or the account, at the limits."""
    if not order.entry:
        return
    if step.dest == "REJECTED" and not order.filled:
        _rejected(turn, order.symbol, step.reason)
    elif step.dest in ("FILLED", "CANCELED", "REJECTED"):  # taken, in part at least
        _in_a_row(turn, order.symbol, 0)


def _rejected(turn: Turn, symbol: str, why: str) -> None:
    limits, known = turn.world.settings.controls, turn.world.rejections
    since = turn.world.at - turn.world.real_ms(MINUTE_REAL_SECONDS)
    recent = (*(at for at in known.recent if at > since), turn.world.at)
    turn.set(rejections=replace(known, recent=recent))
    count = known.rows.get(symbol, 0) + 1
    _in_a_row(turn, symbol, count)
    if count >= limits.rejections_row_max:
        _hold(turn, symbol, f"{count} entries in a row were rejected, the last with {why}")
        _in_a_row(turn, symbol, 0)
    if len(recent) >= limits.rejections_minute_max:
        _hold(turn, ACCOUNT, f"{len(recent)} entries rejected within a minute, the last with {why}")
        turn.set(rejections=replace(turn.world.rejections, recent=()))


def _in_a_row(turn: Turn, symbol: str, count: int) -> None:
    rows = {key: n for key, n in turn.world.rejections.rows.items() if key != symbol}
    if count:
        rows[symbol] = count
    turn.set(rejections=replace(turn.world.rejections, rows=rows))


def _hold(turn: Turn, key: str, reason: str) -> None:
    turn.fire(HOLD, Limited(at=turn.world.at, control=CONTROL, reason=reason), key)
