"""Positions and their brackets: FLAT OPENING OPEN CLOSING, and whether the venue holds the stop.

Invariants: the quantity is the sum of executions, each booked once; an open quantity whose stop
the venue does not hold is protected anew within seconds; a stop is never taken away from one.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from bot.core import orders
from bot.core.effects import Notify
from bot.core.events import (
    Filled,
    Intended,
    Reconciled,
    Ticked,
    VenueConnected,
)
from bot.core.facts import FillBooked, TradeClosed
from bot.core.health_events import PositionRead
from bot.core.machine import BORN, Row, Table, always
from bot.core.values import ZERO, Side, VenueFill, VenuePosition
from bot.core.world import Closed, Leg, Position

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

FILLS_REMEMBERED = 2_000
CLOSED_REMEMBERED = 500
LEGS_MAX = 200


class PositionState(StrEnum):
    """What is open in a symbol."""

    FLAT = "FLAT"
    OPENING = "OPENING"
    OPEN = "OPEN"
    CLOSING = "CLOSING"


FLAT, OPENING, OPEN, CLOSING = PositionState


def entering(world: World, event: Intended, key: str) -> str | None:
    """An entry was decided on."""
    return event.reason if event.entry else None


def leaving(world: World, event: Intended, key: str) -> str | None:
    """An exit was decided on."""
    return None if event.entry else event.reason


def has_qty(world: World, event: Filled | Reconciled | PositionRead, key: str) -> str | None:
    """There is an open quantity."""
    position = world.positions[key]
    return f"{position.qty:f} at {position.avg:f}" if position.qty else None


def no_qty(world: World, event: Filled | Reconciled | PositionRead, key: str) -> str | None:
    """Nothing is open any more."""
    if world.positions[key].qty:
        return None
    by = event.fill.by if isinstance(event, Filled) else "seen at the venue"
    return f"closed{f' by {by}' if by else ''}"


def no_order(world: World, event: Any, key: str) -> str | None:
    """The order ended without opening anything."""
    waiting = any(o.symbol == key for o in world.orders.values())
    return None if waiting or world.positions[key].qty else "the entry ended without a fill"


def exit_failed(world: World, event: Any, key: str) -> str | None:
    """The exit ended and something is still open."""
    waiting = any(o.symbol == key and not o.entry for o in world.orders.values())
    return (
        None if waiting or not world.positions[key].qty else "the exit ended with a rest still open"
    )


# fmt: off
POSITION = Table("position", PositionState, (
    #   from               on              when         to
    Row(BORN,              VenueConnected, always("a symbol to trade"), FLAT),
    Row(FLAT,              Intended,       entering,    OPENING),
    Row((FLAT, OPENING),   Filled,         has_qty,     OPEN),
    Row((OPENING, OPEN, CLOSING), Filled,  no_qty,      FLAT),
    Row((FLAT, OPENING),   Reconciled,     has_qty,     OPEN),
    Row((OPEN, CLOSING),   Reconciled,     no_qty,      FLAT),
    Row((FLAT, OPENING),   PositionRead,   has_qty,     OPEN),
    Row((OPENING, OPEN, CLOSING), PositionRead, no_qty, FLAT),
    Row(OPENING,           Ticked,         no_order,    FLAT),
    Row(OPEN,              Intended,       leaving,     CLOSING),
    Row(CLOSING,           Ticked,         exit_failed, OPEN),
), key="symbol")
# fmt: on


def connect(turn: Turn, event: VenueConnected) -> None:
    """Give every symbol a position, flat at first."""
    for instrument in event.instruments:
        if instrument.symbol not in turn.world.positions:
            turn.put("positions", instrument.symbol, Position(instrument.symbol))
        turn.fire(POSITION, event, instrument.symbol)


def book(turn: Turn, fill: VenueFill) -> None:
    """Book an execution once: quantity, average, realised profit, fees, cash, and the round trip."""
    world = turn.world
    forgotten = fill.at < max(world.account.began_at, world.account.fills_floor)
    if fill.fill in world.fills or forgotten or fill.symbol not in world.positions:
        return
    before = world.positions[fill.symbol]
    after, realised = in_its_place(before, fill)
    account = replace(
        world.account,
        cash=world.account.cash + realised - fill.fee,
        booked_at=max(world.account.booked_at, min(fill.at, world.at + world.real_ms(1))),
    )
    turn.set(account=account, fills={**world.fills, fill.fill: fill.at})
    _forget(turn)
    # an execution that is dated ahead does not keep its position waiting for protection
    after = replace(after, naked_since=min(after.naked_since, world.at))
    turn.put("positions", fill.symbol, after)
    turn.note(FillBooked(fill, realised))
    _tell_stranger(turn, fill)
    orders.booked(turn, fill.order, fill.qty)
    event = Filled(at=world.at, fill=fill)
    if before.qty and (not after.qty or after.qty * before.qty < 0):
        _close(turn, before, after, fill)
    turn.fire(POSITION, event, fill.symbol)


def in_its_place(before: Position, fill: VenueFill) -> tuple[Position, Decimal]:
    """Return the position after an execution and the profit that it realised, before fees.

    One that comes late changes the average that later ones were closed at: they are taken anew in
    the order of the venue.
    """
    after, realised = apply_fill(before, fill)
    leg = Leg(fill.at, fill.fill, fill.side, fill.qty, fill.price, fill.fee)
    whole = bool(before.legs) or not before.qty
    legs = (*before.legs, leg) if whole and len(before.legs) < LEGS_MAX else ()
    late = len(legs) > 1 and leg.at < legs[-2].at
    if late:
        legs = tuple(sorted(legs, key=lambda one: one.at))
        anew = Position(before.symbol)
        for one in legs:
            anew, _ = apply_fill(anew, _as_fill(before.symbol, one))
        if anew.qty == after.qty:
            realised = anew.realised - before.realised
            after = replace(after, avg=anew.avg, realised=anew.realised)
    return replace(after, legs=legs), realised


def _as_fill(symbol: str, leg: Leg) -> VenueFill:
    return VenueFill(leg.fill, "", symbol, leg.side, leg.qty, leg.price, leg.fee, leg.at)


def _tell_stranger(turn: Turn, fill: VenueFill) -> None:
    """Tell people, once an order, that somebody else trades what the bot keeps."""
    mine = fill.order.startswith(f"{turn.world.instance}-") or fill.by
    if mine or fill.order == turn.world.stranger:
        return
    turn.set(stranger=fill.order)
    text = (
        f"{fill.side} {fill.qty:f} {fill.symbol} at {fill.price:f} was not ours"
        f" (order {fill.order or 'without an id'}): it is booked, and the position is kept as one"
    )
    about = f"not ours {fill.symbol} {fill.order}"
    turn.emit(Notify(severity="warning", text=text, key=about, runbook="not-ours"))


def _forget(turn: Turn) -> None:
    """Remember so many executions; what is older than the oldest kept is never booked again."""
    if len(turn.world.fills) < 2 * FILLS_REMEMBERED:
        return
    by_time = sorted(turn.world.fills.items(), key=lambda pair: pair[1])
    dropped, kept = by_time[:-FILLS_REMEMBERED], by_time[-FILLS_REMEMBERED:]
    account = replace(turn.world.account, fills_floor=dropped[-1][1] + 1)
    turn.set(fills=dict(kept), account=account)


def apply_fill(before: Position, fill: VenueFill) -> tuple[Position, Decimal]:
    """Return the position after an execution and the profit it realised, before fees."""
    change = fill.qty * fill.side.sign
    qty = before.qty + change
    if before.qty * change >= 0:
        opened = abs(before.qty) + fill.qty
        avg = (abs(before.qty) * before.avg + fill.qty * fill.price) / opened
        grown = replace(
            before,
            qty=qty,
            avg=avg,
            fees=before.fees + fill.fee,
            opened_qty=before.opened_qty + fill.qty,
        )
        if not before.qty:
            grown = replace(grown, opened_at=fill.at, naked_since=before.naked_since or fill.at)
        return grown, ZERO
    closing = min(fill.qty, abs(before.qty))
    realised = (fill.price - before.avg) * closing * (1 if before.qty > 0 else -1)
    rest = replace(
        before,
        qty=qty,
        fees=before.fees + fill.fee,
        realised=before.realised + realised,
        exits=0,
        exit_value=before.exit_value + closing * fill.price,
        exit_qty=before.exit_qty + closing,
    )
    if qty * before.qty < 0:
        rest = replace(rest, avg=fill.price, opened_at=fill.at)
    return rest, realised


def _close(turn: Turn, before: Position, after: Position, fill: VenueFill) -> None:
    """Record the round trip and start the position anew."""
    pnl = after.realised - after.fees
    turn.note(
        TradeClosed(
            symbol=before.symbol,
            side=Side.of(before.qty),
            qty=after.exit_qty,
            entry=before.avg,
            exit=after.exit_value / after.exit_qty,
            pnl=pnl,
            fees=after.fees,
            opened_at=before.opened_at,
            closed_at=fill.at,
            shadow=False,
            reason=fill.by or "exit order",
        )
    )
    remember(turn, Closed(pnl, False, turn.world.at))
    turn.put("positions", before.symbol, _rest(after, fill))


def _rest(after: Position, fill: VenueFill) -> Position:
    """Return what is left of a position that an execution closed: nothing, or the other side."""
    rest = Position(after.symbol)
    if not after.qty:
        return rest
    return replace(
        rest, qty=after.qty, avg=fill.price, opened_at=fill.at, opened_qty=abs(after.qty)
    )


def replayed(symbol: str, fills: Iterable[VenueFill]) -> Position:
    """Return the position that executions, oldest first, lead to from nothing."""
    position = Position(symbol)
    for fill in fills:
        before = position
        position, _ = in_its_place(before, fill)
        if before.qty and position.qty * before.qty <= 0:
            position = _rest(position, fill)
    return position


def remember(turn: Turn, closed: Closed) -> None:
    """Keep the result of a round trip for the guard's window."""
    turn.set(closed=(*turn.world.closed[-CLOSED_REMEMBERED:], closed))


def opening(turn: Turn, symbol: str, order: str) -> None:
    """Move a position because an order for it was decided on."""
    intent = turn.world.orders[order]
    reason = next(s.reason for s in turn.steps if s.machine == "order" and s.key == order)
    event = Intended(
        at=turn.world.at, order=order, symbol=symbol, entry=intent.entry, reason=reason
    )
    turn.fire(POSITION, event, symbol)


def adopt(turn: Turn, event: Reconciled) -> None:
    """Take over what the venue says is open where the executions read do not explain it."""
    venue = {p.symbol: p for p in event.positions}
    for symbol, position in list(turn.world.positions.items()):
        there = venue.get(symbol, VenuePosition(symbol, ZERO, ZERO))
        if there.qty != position.qty:
            turn.put("positions", symbol, _adopted(position, there, turn.world.at))
        turn.fire(POSITION, event, symbol)


def _adopted(position: Position, there: VenuePosition, now: int) -> Position:
    """Return the position as the venue has it; of another side, nothing of ours is kept."""
    if not there.qty:
        return Position(position.symbol)
    kept = position if there.qty * position.qty > 0 else Position(position.symbol)
    opened_at = position.opened_at or now
    return replace(
        kept, qty=there.qty, avg=there.entry, opened_at=opened_at, naked_since=now, legs=()
    )


def tick(turn: Turn, event: Ticked) -> None:
    """Move positions whose orders ended."""
    for symbol in turn.world.positions:
        if turn.world.state("position", symbol) in (OPENING, CLOSING):
            step = turn.fire(POSITION, event, symbol)
            if step is not None and step.dest == FLAT:
                # the bracket was for an entry that never filled
                turn.put("positions", symbol, Position(symbol))


def exit_side(position: Position) -> Side:
    """Return the side that closes a position."""
    return Side.of(position.qty).opposite


def unrealised(world: World) -> Decimal:
    """Return the profit of open positions at the last marks, quote units."""
    total = ZERO
    for symbol, position in world.positions.items():
        mark = world.marks.get(symbol)
        if position.qty and mark is not None:
            total += (Decimal(str(mark)) - position.avg) * position.qty
    return total
