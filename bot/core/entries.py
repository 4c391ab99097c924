"""From a signal to an order: the questions every entry must pass, and how large it may be.

All questions are asked; every answer that refuses is kept as a row. Only ``entries`` and
``exits`` decide on orders, and both go through ``orders.intend``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from bot.core import positions, protection, shadow
from bot.core.events import Measured
from bot.core.facts import EntryRefused
from bot.core.feeds import INTERVAL_MS
from bot.core.machine import Level
from bot.core.orders import intend
from bot.core.permission import lowered
from bot.core.strategy import Signal, against, trend
from bot.core.values import ZERO, Side
from bot.core.world import Shadow

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World


class Plan(Struct, frozen=True):
    """An entry as it would be sent: quantity in base units, bracket in quote units."""

    signal: Signal
    qty: Decimal
    mark: float
    stop: Decimal
    take: Decimal


def on_measured(turn: Turn, event: Measured) -> None:
    """Close what the market turned against; enter where a signal passes every question."""
    close_against(turn, event)
    signal = trend(event, turn.world.settings.strategy)
    if isinstance(signal, str):
        return
    if turn.world.state("position", event.symbol) != "FLAT":
        return  # one position a symbol: a signal while in one is no news
    plan = size(turn.world, signal)
    paused = turn.world.state("guard") == "PAUSED"
    refusals = list(why_not(turn.world, plan, event))
    if not refusals:
        turn.put("crosses", signal.symbol, crossed_at(event))
        order = intend(
            turn,
            signal.symbol,
            signal.side,
            plan.qty,
            sentence(turn.world, plan),
            (plan.stop, plan.take),
        )
        protection.bracket(turn, signal.symbol, plan.stop, plan.take)
        positions.opening(turn, signal.symbol, order)
        return
    if paused and all(level == Level.REDUCE_ONLY for level, _ in lowered(turn.world, event.symbol)):
        follow_in_shadow(turn, plan, event, refusals)
    turn.note(EntryRefused(signal.symbol, signal.side, "; ".join(refusals)))


def crossed_at(measured: Measured) -> int:
    """Return the open time of the candle at which the averages crossed last."""
    return measured.open_time - measured.cross_age * INTERVAL_MS


def guard_factor(world: World) -> Decimal:
    """Return the factor by which the guard scales a new position."""
    reduced = world.state("guard") == "REDUCED"
    return Decimal(str(world.settings.guard.reduced_factor)) if reduced else Decimal(1)


def size(world: World, signal: Signal) -> Plan:
    """Size an entry: a fixed fraction of equity, times the guard's factor, rounded down to the lot."""
    risk = world.settings.risk
    mark = world.marks.get(signal.symbol, 0.0)
    instrument = world.instruments[signal.symbol]
    qty = ZERO
    if mark > 0:
        share = min(Decimal(str(risk.base_size)) * guard_factor(world), Decimal(str(risk.size_max)))
        qty = instrument.round_qty(world.account.equity * share / Decimal(str(mark)))
    sign = signal.side.sign
    return Plan(
        signal,
        qty,
        mark,
        stop=instrument.round_price(mark - sign * signal.stop_distance),
        take=instrument.round_price(mark + sign * signal.take_distance),
    )


def sentence(world: World, plan: Plan) -> str:
    """Return why this entry, at this size."""
    risk, factor = world.settings.risk, guard_factor(world)
    return (
        f"{plan.signal.reason}; {risk.base_size:.2%} of {world.account.equity:.2f} × {factor:g} "
        f"= {plan.qty:f} at {plan.mark:g}, stop {plan.stop:f}, target {plan.take:f}"
    )


def gross_exposure(world: World) -> Decimal:
    """Return open positions and entries on their way at the marks, quote units (worst case)."""
    total = ZERO
    for position in world.positions.values():
        if position.qty:
            mark = world.marks.get(position.symbol, float(position.avg))
            total += abs(position.qty) * Decimal(str(mark))
    for order in world.orders.values():
        if order.entry:
            coming = (order.filled if order.ended else order.qty) - order.booked
            total += coming * Decimal(str(order.mark))
    return total


def why_not(world: World, plan: Plan, measured: Measured) -> Iterator[str]:
    """Yield every reason against an entry; none means that it may be sent."""
    signal, risk, symbol = plan.signal, world.settings.risk, plan.signal.symbol
    for level, reason in lowered(world, symbol):
        if level < Level.REDUCED:
            yield reason
    age = world.at - (measured.open_time + INTERVAL_MS)
    age_max = world.real_ms(world.settings.strategy.signal_age_real_seconds)
    if not age <= age_max:
        yield f"the candle closed {age / 1000:.0f} s ago, limit {age_max / 1000:.0f} s"
    if not signal.confidence >= risk.confidence_min:
        yield f"confidence {signal.confidence:.2f} under {risk.confidence_min:.2f}"
    if world.crosses.get(symbol) == crossed_at(measured):
        yield f"this cross, {measured.cross_age} candles ago, was traded already"
    if any(order.symbol == symbol for order in world.orders.values()):
        yield f"an order in {symbol} is not at its end"
    busy = {p.symbol for p in world.positions.values() if p.qty}
    busy |= {o.symbol for o in world.orders.values() if o.entry}
    if not len(busy) < risk.positions_max:
        yield f"{len(busy)} positions open, limit {risk.positions_max}"
    yield from _size_reasons(world, plan)


def _size_reasons(world: World, plan: Plan) -> Iterator[str]:
    risk, instrument = world.settings.risk, world.instruments[plan.signal.symbol]
    if not (plan.mark > 0 and world.account.equity > 0):
        yield f"expected a mark and equity above 0, found {plan.mark:g} and {world.account.equity:f}"
        return
    notional = plan.qty * Decimal(str(plan.mark))
    if not plan.qty >= instrument.qty_min or not notional >= instrument.notional_min:
        yield (
            f"size {plan.qty:f} ({notional:.2f}) under the venue's minimum "
            f"{instrument.qty_min:f} ({instrument.notional_min:f})"
        )
    if not notional <= world.account.equity * Decimal(str(risk.size_max)):
        yield f"notional {notional:.2f} over {risk.size_max:.0%} of equity"
    gross = gross_exposure(world) + notional
    if not gross <= world.account.equity * Decimal(str(risk.leverage_max)):
        yield f"gross exposure {gross:.2f} over {risk.leverage_max:g} × equity"
    good = ZERO < plan.stop < Decimal(str(plan.mark)) < plan.take
    if plan.signal.side is Side.SELL:
        good = ZERO < plan.take < Decimal(str(plan.mark)) < plan.stop
    if not good:
        yield f"bracket {plan.stop:f} / {plan.take:f} does not enclose the mark {plan.mark:g}"


def follow_in_shadow(turn: Turn, plan: Plan, measured: Measured, refusals: list[str]) -> None:
    """Follow an entry that only the guard's pause refused."""
    others = [reason for reason in refusals if not reason.startswith("guard ")]
    if not others and plan.qty:
        signal = plan.signal
        turn.put("crosses", signal.symbol, crossed_at(measured))
        shadow.open_shadow(
            turn,
            signal.symbol,
            Shadow(
                signal.side, plan.qty, plan.mark, float(plan.stop), float(plan.take), turn.world.at
            ),
        )


def close_against(turn: Turn, event: Measured) -> None:
    """Close a position, or a shadow, that the averages crossed against since it was opened."""
    crossed = crossed_at(event) + INTERVAL_MS
    position = turn.world.positions.get(event.symbol)
    if position is not None and turn.world.state("position", event.symbol) == "OPEN":
        why = against(event, 1 if position.qty > 0 else -1)
        if why and crossed >= position.opened_at:
            protection.leave(turn, event.symbol, why)
    ghost = turn.world.shadows.get(event.symbol)
    if ghost is not None and against(event, ghost.side.sign) and crossed >= ghost.opened_at:
        shadow.close(turn, event.symbol, event.close, "EMA cross")
