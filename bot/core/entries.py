"""From a signal to an order: the questions every entry must pass, how large it may be, and at what price.

All questions are asked, the strategy's own and the pre-trade controls; every answer that refuses
is kept as a row. Only this module and ``protection`` decide on orders, through ``orders.intend``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from bot.core import controls, positions, protection, shadow
from bot.core.controls import Asked, Denial
from bot.core.events import Limited, Measured
from bot.core.facts import OrderRefused
from bot.core.feeds import INTERVAL_MS
from bot.core.holds import HOLD
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
    """An entry as it would be sent: quantity in base units, prices in quote units."""

    signal: Signal
    qty: Decimal
    mark: float
    price: Decimal
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
    refusals = [*why_not(turn.world, plan, event), *controls.denials(turn.world, asked(plan))]
    if not refusals:
        turn.put("crosses", signal.symbol, crossed_at(event))
        order = intend(
            turn,
            signal.symbol,
            signal.side,
            plan.qty,
            sentence(turn.world, plan),
            price=plan.price,
            bracket=(plan.stop, plan.take),
        )
        protection.bracket(turn, signal.symbol, plan.stop, plan.take)
        positions.opening(turn, signal.symbol, order)
        return
    if paused and all(level == Level.REDUCE_ONLY for level, _ in lowered(turn.world, event.symbol)):
        follow_in_shadow(turn, plan, event, refusals)
    refuse(turn, signal, refusals)


def asked(plan: Plan) -> Asked:
    """Return the order that a plan would send."""
    signal = plan.signal
    return Asked(signal.symbol, signal.side, plan.qty, plan.price, reduce_only=False)


def refuse(turn: Turn, signal: Signal, refusals: list[Denial]) -> None:
    """Leave a row for each refusal; hold what a control holds until a person releases it."""
    for denial in refusals:
        turn.note(OrderRefused(signal.symbol, signal.side, denial.control, denial.reason))
        if denial.holds:
            limited = Limited(at=turn.world.at, control=denial.control, reason=denial.reason)
            turn.fire(HOLD, limited, denial.holds)


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
        limit_price(world, signal.symbol, signal.side),
        stop=instrument.round_price(mark - sign * signal.stop_distance),
        take=instrument.round_price(mark + sign * signal.take_distance),
    )


def limit_price(world: World, symbol: str, side: Side) -> Decimal:
    """Return the price an entry may cost at worst: beyond the mark, and well within the collar."""
    mark = Decimal(str(world.marks.get(symbol, 0.0)))
    beyond = mark * Decimal(str(world.settings.orders.slippage_max))
    beyond = min(beyond, controls.collar_distance(world, symbol) / 2)
    return world.instruments[symbol].round_price(float(mark + side.sign * beyond))


def sentence(world: World, plan: Plan) -> str:
    """Return why this entry, at this size."""
    risk, factor = world.settings.risk, guard_factor(world)
    return (
        f"{plan.signal.reason}; {risk.base_size:.2%} of {world.account.equity:.2f} × {factor:g} "
        f"= {plan.qty:f} at {plan.price:f} or better, stop {plan.stop:f}, target {plan.take:f}"
    )


def why_not(world: World, plan: Plan, measured: Measured) -> Iterator[Denial]:
    """Yield what the strategy itself has against an entry; the controls are asked beside it."""
    signal, risk, symbol = plan.signal, world.settings.risk, plan.signal.symbol
    age = world.at - (measured.open_time + INTERVAL_MS)
    age_max = world.real_ms(world.settings.strategy.signal_age_real_seconds)
    if not age <= age_max:
        text = f"the candle closed {age / 1000:.0f} s ago, limit {age_max / 1000:.0f} s"
        yield Denial("signal age", text)
    if not signal.confidence >= risk.confidence_min:
        text = f"confidence {signal.confidence:.2f} under {risk.confidence_min:.2f}"
        yield Denial("confidence", text)
    if world.crosses.get(symbol) == crossed_at(measured):
        text = f"this cross, {measured.cross_age} candles ago, was traded already"
        yield Denial("cross", text)
    if any(order.symbol == symbol for order in world.orders.values()):
        yield Denial("order in symbol", f"an order in {symbol} is not at its end")
    busy = {p.symbol for p in world.positions.values() if p.qty}
    busy |= {o.symbol for o in world.orders.values() if o.entry}
    if not len(busy) < risk.positions_max:
        yield Denial("positions", f"{len(busy)} positions open, limit {risk.positions_max}")
    yield from _size_reasons(world, plan)


def _size_reasons(world: World, plan: Plan) -> Iterator[Denial]:
    instrument = world.instruments[plan.signal.symbol]
    if not (plan.mark > 0 and world.account.equity > 0):
        text = f"no size without a mark and equity ({plan.mark:g}, {world.account.equity:.2f})"
        yield Denial("size", text)
        return
    notional = plan.qty * Decimal(str(plan.mark))
    if not plan.qty >= instrument.qty_min or not notional >= instrument.notional_min:
        text = (
            f"size {plan.qty:f} ({notional:.2f}) under the venue's minimum "
            f"{instrument.qty_min:f} ({instrument.notional_min:f})"
        )
        yield Denial("size", text)
    good = ZERO < plan.stop < Decimal(str(plan.mark)) < plan.take
    if plan.signal.side is Side.SELL:
        good = ZERO < plan.take < Decimal(str(plan.mark)) < plan.stop
    if not good:
        text = f"bracket {plan.stop:f} / {plan.take:f} does not enclose the mark {plan.mark:g}"
        yield Denial("bracket", text)


def follow_in_shadow(turn: Turn, plan: Plan, measured: Measured, refusals: list[Denial]) -> None:
    """Follow an entry that only the guard's pause refused."""
    others = [
        r for r in refusals if not (r.control == "permission" and r.reason.startswith("guard "))
    ]
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
