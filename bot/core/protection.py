"""Protection: whether the venue holds the stop of every open position, and what is done if not.

Invariants: an open quantity whose stop the venue does not hold is protected within seconds, or
closed if the market is already through its bracket; a stop is never taken away from one; a request
on its way is not repeated beside itself.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core.asking import ask_account, pending
from bot.core.effects import Notify, Protect
from bot.core.events import PositionReported, Reconciled, Ticked
from bot.core.guard import cancel_entries
from bot.core.orders import intend
from bot.core.positions import FLAT, OPEN, exit_side, opening
from bot.core.values import ZERO, VenuePosition

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Position, World

EXITS_TOLD = 3
"""Attempts to close a position before people are called."""
EXIT_DOUBLINGS_MAX = 4
"""How often the pause between attempts doubles; it begins with ``orders.naked_real_seconds``."""
FALLBACK = Decimal("0.02")
"""Distance from the mark, as a fraction, of the stop of a position whose own is not known."""


def bracket(turn: Turn, symbol: str, stop: Decimal, take: Decimal) -> None:
    """Remember the bracket that an entry carries."""
    position = turn.world.positions[symbol]
    turn.put(
        "positions",
        symbol,
        replace(position, stop=stop, take=take, stop_held=False, naked_since=turn.world.at),
    )


def reported(turn: Turn, event: PositionReported) -> None:
    """Compare what the private stream says of a position with what is wanted."""
    seen(turn, event.position)


def reconciled(turn: Turn, event: Reconciled) -> None:
    """Compare what was read of every position with what is wanted."""
    venue = {p.symbol: p for p in event.positions}
    for symbol in turn.world.positions:
        seen(turn, venue.get(symbol, VenuePosition(symbol, ZERO, ZERO)))


def seen(turn: Turn, venue: VenuePosition) -> None:
    """Take in the quantity and the stop that the venue has for a position."""
    position, now = turn.world.positions.get(venue.symbol), turn.world.at
    if position is None:
        return
    position = replace(position, venue_qty=venue.qty, venue_at=now)
    if position.qty or turn.world.state("position", venue.symbol) != FLAT:
        wanted = tighter(position, venue) or position.stop or venue.stop
        held = venue.stop is not None and venue.stop == wanted and bool(venue.qty)
        naked = position.naked_since if not held and position.naked_since else now
        position = replace(
            position,
            stop_held=held,
            stop=wanted,
            take=position.take or venue.take,
            naked_since=0 if held else naked,
        )
    turn.put("positions", venue.symbol, position)


def tighter(position: Position, venue: VenuePosition) -> Decimal | None:
    """Return a stop that a person moved closer at the venue, or None: it is never widened again."""
    if venue.stop is None or position.stop is None or not position.stop_held:
        return None
    closer = (venue.stop - position.stop) * (1 if position.qty > 0 else -1)
    return venue.stop if closer > 0 else None


def tick(turn: Turn, event: Ticked) -> None:
    """Protect what the venue holds no stop for; ask where the venue has another quantity."""
    patience = turn.world.real_ms(turn.world.settings.orders.naked_real_seconds)
    for symbol, position in list(turn.world.positions.items()):
        naked = position.qty and not position.stop_held
        if naked and turn.world.at - max(position.naked_since, position.asked_at) >= patience:
            protect(turn, symbol)
        if position.leaving:
            leave(turn, symbol, position.leaving)
        differs = position.venue_qty is not None and position.venue_qty != position.qty
        if differs and turn.world.at - position.venue_at >= patience:
            turn.put(
                "positions",
                symbol,
                replace(turn.world.positions[symbol], venue_at=turn.world.at),
            )
            ask_account(turn)


def protect(turn: Turn, symbol: str) -> None:
    """Have the venue hold the stop of an open position, or close it if the market is through."""
    position = turn.world.positions[symbol]
    stop = position.stop if position.stop is not None else fallback_stop(turn.world, symbol)
    turn.put("positions", symbol, replace(position, stop=stop, asked_at=turn.world.at))
    passed = through(turn.world, symbol)
    if passed:
        leave(turn, symbol, f"{passed} while the venue held no stop")
        return
    wanted = Protect(symbol=symbol, stop=stop, take=position.take)
    if wanted not in pending(turn.world, Protect):
        turn.emit(wanted)


def through(world: World, symbol: str) -> str | None:
    """Tell which side of its bracket the market has passed, or None."""
    position, mark = world.positions[symbol], world.marks.get(symbol)
    if mark is None:
        return None
    sign, price = (1 if position.qty > 0 else -1), Decimal(str(mark))
    if position.stop is not None and (price - position.stop) * sign <= 0:
        return f"the stop {position.stop:f} was passed, mark {mark},"
    if position.take is not None and (price - position.take) * sign >= 0:
        return f"the target {position.take:f} was passed, mark {mark},"
    return None


def fallback_stop(world: World, symbol: str) -> Decimal:
    """Return a stop 2 % from the mark, for a position whose own bracket is not known."""
    position, instrument = world.positions[symbol], world.instruments[symbol]
    mark = Decimal(str(world.marks.get(symbol, float(position.avg))))
    stop = mark * (1 - FALLBACK if position.qty > 0 else 1 + FALLBACK)
    return max(instrument.round_price(float(stop)), instrument.tick)


def leave(turn: Turn, symbol: str, reason: str) -> str | None:
    """Close an open position with a reduce-only order at market; what it leaves is closed again.

    None if that is on its way, or was tried a moment ago: the pause doubles with each attempt,
    so that exits which cannot leave are no loop, and people are told. An entry
    that still rests in the symbol is cancelled first, or it would open what is being closed.
    """
    position: Position = turn.world.positions[symbol]
    pause = turn.world.real_ms(turn.world.settings.orders.naked_real_seconds)
    if turn.world.state("position", symbol) != OPEN or not position.qty:
        return None
    tries = position.exits
    pause *= 2 ** min(tries, EXIT_DOUBLINGS_MAX)
    if position.left_at and turn.world.at < position.left_at + pause:
        return None
    left = replace(
        position, left_at=turn.world.at, leaving=position.leaving or reason, exits=tries + 1
    )
    turn.put("positions", symbol, left)
    if tries == EXITS_TOLD:
        text = (
            f"{symbol} could not be closed in {tries} attempts ({left.leaving}): look at the venue"
        )
        about = f"cannot close {symbol}"
        turn.emit(Notify(severity="critical", text=text, key=about, runbook="cannot-close"))
    turn.emit_all(cancel_entries(turn.world, None, symbol))
    order = intend(turn, symbol, exit_side(position), abs(position.qty), reason)
    opening(turn, symbol, order)
    return order
