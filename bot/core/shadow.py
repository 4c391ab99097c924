"""Shadow trades: what the paused guard would have done, costs included, so that it can come back."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bot.core.events import CandleClosed, Ticked
from bot.core.facts import TradeClosed
from bot.core.positions import remember
from bot.core.values import ZERO, Side
from bot.core.world import Closed, Shadow

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

COST = 0.0002
"""Slippage of a round trip as a fraction of notional, beside the taker fee of both sides."""


def profit(world: World, symbol: str, shadow: Shadow, price: float) -> Decimal:
    """Return what a shadow trade makes if closed at ``price``: quote units net of costs."""
    instrument = world.instruments.get(symbol)
    fees = 2 * float(instrument.taker_fee if instrument else ZERO) + COST
    gross = (price - shadow.entry) * shadow.side.sign
    return shadow.qty * Decimal(str(round(gross - fees * shadow.entry, 10)))


def shadow_profit(world: World) -> Decimal:
    """Return the profit of all shadow trades since the guard paused, open ones at the marks."""
    if world.state("guard") != "PAUSED":
        return ZERO
    instance = world.instance_of("guard")
    since = instance.since if instance else 0
    total = sum((c.pnl for c in world.closed if c.shadow and c.at >= since), ZERO)
    for symbol, shadow in world.shadows.items():
        total += profit(world, symbol, shadow, world.marks.get(symbol, shadow.entry))
    return total


def open_shadow(turn: Turn, symbol: str, shadow: Shadow) -> None:
    """Follow a trade that was refused only because the guard is PAUSED."""
    if symbol not in turn.world.shadows:
        turn.put("shadows", symbol, shadow)


def follow(turn: Turn, event: Ticked) -> None:
    """Close the shadow trades whose stop or target the mark has reached."""
    for symbol, shadow in list(turn.world.shadows.items()):
        price = event.marks.get(symbol)
        if price is not None:
            _close_if_reached(turn, symbol, shadow, price, price)


def candle(turn: Turn, event: CandleClosed) -> None:
    """Close a shadow trade whose stop or target lies within the candle; the stop counts first."""
    shadow = turn.world.shadows.get(event.symbol)
    if shadow is not None and event.candle.open_time >= shadow.opened_at:
        _close_if_reached(turn, event.symbol, shadow, event.candle.low, event.candle.high)


def _close_if_reached(turn: Turn, symbol: str, shadow: Shadow, low: float, high: float) -> None:
    long = shadow.side is Side.BUY
    if low <= shadow.stop if long else high >= shadow.stop:
        close(turn, symbol, shadow.stop, "StopLoss")
    elif high >= shadow.take if long else low <= shadow.take:
        close(turn, symbol, shadow.take, "TakeProfit")


def close(turn: Turn, symbol: str, price: float, reason: str) -> None:
    """End a shadow trade at a price and count it."""
    shadow = turn.world.shadows[symbol]
    pnl = profit(turn.world, symbol, shadow, price)
    turn.put("shadows", symbol, None)
    remember(turn, Closed(pnl, True, turn.world.at))
    turn.note(
        TradeClosed(
            symbol=symbol,
            side=shadow.side,
            qty=shadow.qty,
            entry=Decimal(str(shadow.entry)),
            exit=Decimal(str(price)),
            pnl=pnl,
            fees=ZERO,
            opened_at=shadow.opened_at,
            closed_at=turn.world.at,
            shadow=True,
            reason=reason,
        )
    )
