"""Pre-trade controls: every reason why an order may not be sent, asked when it is decided on and again at the socket.

All controls are asked and each that refuses is named. An exit answers only to those that show
nonsense; an entry to all. Invariant: a larger quantity never turns a refusal into a pass. The
list follows RTS 6 (EU 2017/589) article 15 and SEC rule 15c3-5 (c).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec import Struct

from bot.core.account import fraction, present_equity
from bot.core.exposure import coming, gross_exposure, worth
from bot.core.machine import Level
from bot.core.permission import lowered
from bot.core.text import safe_text
from bot.core.values import ZERO, Side
from bot.core.world import ACCOUNT, DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from bot.core.world import Intent, World

MINUTES_A_DAY = 1440
LARGEST = Decimal("1e15")
"""No quantity and no price reaches it; what does cannot be counted in lots or ticks."""


class Asked(Struct, frozen=True):
    """An order, or the price it is to move to, as it would be sent.

    ``order`` is its id once decided; ``counted`` once it is among the messages.

    Quantity in base units; ``price`` is its limit in quote units, None at market.
    """

    symbol: str
    side: Side
    qty: Decimal
    price: Decimal | None
    reduce_only: bool
    order: str = ""
    counted: bool = False


REASON_MAX = 300
"""Characters of a reason, at most."""


class Denial(Struct, frozen=True):
    """A control that refuses, and why. ``holds``: the key that it holds until a person releases it."""

    control: str
    reason: str
    holds: str = ""


Question = Callable[["World", Asked], "str | None"]


# -- nonsense: asked of every order ----------------------------------------------------------------


def listed(world: World, asked: Asked) -> str | None:
    """Only what the venue lists and the configuration allows is traded."""
    allowed = world.settings.market.symbols
    if asked.symbol not in world.instruments:
        return f"{asked.symbol} is not an instrument of the venue"
    if allowed and asked.symbol not in allowed and not asked.reduce_only:
        return f"{asked.symbol} is not one of {', '.join(allowed)}"
    return None


def sound(world: World, asked: Asked) -> str | None:
    """Quantity and price are finite, above zero, and on the instrument's grid."""
    instrument = world.instruments.get(asked.symbol)
    if not (asked.qty.is_finite() and 0 < asked.qty < LARGEST):
        return f"expected a finite quantity above 0 and under {LARGEST:g}, found {asked.qty}"
    if asked.price is not None and not (asked.price.is_finite() and 0 < asked.price < LARGEST):
        return f"expected a finite price above 0 and under {LARGEST:g}, found {asked.price}"
    if instrument is None:
        return None
    if asked.qty % instrument.lot and not asked.reduce_only:  # what is open may always be closed
        return f"quantity {asked.qty} is not a multiple of the lot {instrument.lot:f}"
    if asked.price is not None and asked.price % instrument.tick:
        return f"price {asked.price} is not a multiple of the tick {instrument.tick:f}"
    return None


def decided(world: World, asked: Asked) -> str | None:
    """What goes out never exceeds what was decided on: no order without a decision."""
    if not asked.order:
        return None
    order = world.orders.get(asked.order)
    if order is None:
        return f"no decision stands behind {asked.order}"
    if (order.symbol, order.side, order.entry) != (asked.symbol, asked.side, not asked.reduce_only):
        return f"{asked.order} was decided on as {order.side} {order.symbol}"
    if not asked.qty + order.booked <= order.qty:
        return f"{asked.qty:f} and {order.booked:f} filled exceed the {order.qty:f} decided on"
    return None


# -- one order -------------------------------------------------------------------------------------


def collar_distance(world: World, symbol: str) -> Decimal:
    """Return how far from the mark a price may be, quote units: a fraction of it or some ATR."""
    limits, feed = world.settings.controls, world.feeds.get(symbol)
    nearest = world.marks.get(symbol, 0.0) * limits.collar
    if feed is not None and feed.atr > 0:
        nearest = min(nearest, feed.atr * limits.collar_atr)
    return Decimal(str(nearest))


def collar(world: World, asked: Asked) -> str | None:
    """The price is near the mark."""
    if asked.price is None:
        return "an entry needs a limit price"
    mark = Decimal(str(world.marks.get(asked.symbol, 0.0)))
    most = collar_distance(world, asked.symbol)
    if not abs(asked.price - mark) <= most:
        return f"price {asked.price:f} is more than {most:.8g} from the mark {mark:g}"
    return None


def drift(world: World, asked: Asked) -> str | None:
    """The mark has not run away since the last candle."""
    feed, mark = world.feeds.get(asked.symbol), world.marks.get(asked.symbol, 0.0)
    most = world.settings.controls.drift_max
    if feed is None or not feed.close > 0:
        return "no closed candle to compare the mark with"
    moved = abs(mark / feed.close - 1)
    if not moved <= most:
        return (
            f"the mark {mark:g} is {moved:.2%} from the last close {feed.close:g}, limit {most:.2%}"
        )
    return None


def value(world: World, asked: Asked) -> str | None:
    """The value of one order."""
    notional, most = (
        worth(world, asked.symbol, asked.qty, asked.price),
        world.settings.controls.value_max,
    )
    return None if notional <= Decimal(str(most)) else f"value {notional:.2f} over {most:g}"


def volume(world: World, asked: Asked) -> str | None:
    """The quantity of one order, against what a day trades."""
    feed, share = world.feeds.get(asked.symbol), world.settings.controls.volume_share_max
    most = Decimal(str((feed.volume if feed else 0.0) * MINUTES_A_DAY * share))
    if not asked.qty <= most:
        return f"quantity {asked.qty:f} over {share:.2%} of a day's volume ({most:.8g})"
    return None


# -- repetition ------------------------------------------------------------------------------------


def messages(world: World, asked: Asked) -> str | None:
    """The rate of orders, amendments, and cancels."""
    limits, sent, more = world.settings.controls, world.messages, 0 if asked.counted else 1
    second, minute = world.at - world.real_ms(1), world.at - world.real_ms(60)
    spans = (
        ("second", sum(1 for at in sent.recent if at > second), limits.messages_second_max),
        ("minute", sum(1 for at in sent.recent if at > minute), limits.messages_minute_max),
        ("day", sent.today if sent.day == world.at // DAY_MS else 0, limits.messages_day_max),
    )
    for span, count, most in spans:
        if not count + more <= most:
            return f"{count + more} messages this {span}, limit {most}"
    return None


def _intents(world: World, asked: Asked, since: int) -> list[Intent]:
    return [
        i
        for i in world.intents
        if i.symbol == asked.symbol and i.order != asked.order and i.at > since
    ]


def duplicate(world: World, asked: Asked) -> str | None:
    """The same entry twice within moments."""
    span = world.real_ms(world.settings.controls.duplicate_real_seconds)
    for intent in _intents(world, asked, world.at - span):
        if intent.side is asked.side and intent.at <= world.at:
            return f"{intent.order} was the same entry {(world.at - intent.at) / 1000:.1f} s ago"
    return None


def released_at(world: World, key: str) -> int:
    """Return when a person released the hold of a key last; 0 if that never was."""
    instance = world.instance_of("hold", key)
    return instance.since if instance is not None and instance.state == "FREE" else 0


def repeated(world: World, asked: Asked) -> str | None:
    """Executed entries of a symbol within an hour."""
    since = max(world.at - HOUR_MS, released_at(world, asked.symbol))
    count = sum(1 for i in _intents(world, asked, since) if i.executed)
    most = world.settings.controls.entries_hour_max
    return None if count < most else f"{count} entries executed within the hour, limit {most}"


def reentered(world: World, asked: Asked) -> str | None:
    """Entries on the same side again and again."""
    since = max(world.at - HOUR_MS, released_at(world, asked.symbol))
    same = [i for i in _intents(world, asked, since) if i.executed and i.side is asked.side]
    most = world.settings.controls.reentries_hour_max
    if not len(same) <= most:
        return f"{len(same) - 1} re-entries on the same side within the hour, limit {most}"
    return None


def lost_in_a_row(world: World, asked: Asked) -> str | None:
    """Losing trades in a row."""
    most, count = world.settings.controls.losses_row_max, 0
    since = released_at(world, ACCOUNT)
    for closed in reversed(world.closed):
        if closed.shadow:
            continue
        if closed.pnl > 0 or closed.at <= since:
            break
        count += 1
    return None if count < most else f"{count} losing trades in a row, limit {most}"


# -- the account -----------------------------------------------------------------------------------


def position(world: World, asked: Asked) -> str | None:
    """What one symbol may come to, everything on its way counted at its worst."""
    most = world.account.equity * Decimal(str(world.settings.risk.size_max))
    held = world.positions.get(asked.symbol)
    total = worth(world, asked.symbol, (abs(held.qty) if held else ZERO) + asked.qty, asked.price)
    for o in world.orders.values():
        if o.symbol == asked.symbol and o.order != asked.order:
            total += worth(world, o.symbol, coming(o), o.price)
    return None if total <= most else f"{asked.symbol} would come to {total:.2f}, limit {most:.2f}"


def gross(world: World, asked: Asked) -> str | None:
    """Longs and shorts together over equity."""
    most = world.account.equity * Decimal(str(world.settings.risk.leverage_max))
    total = gross_exposure(world, but=asked.order) + worth(
        world, asked.symbol, asked.qty, asked.price
    )
    return None if total <= most else f"gross exposure {total:.2f}, limit {most:.2f}"


def net(world: World, asked: Asked) -> str | None:
    """Longs less shorts over equity; what is on its way counts only where it adds."""
    most = world.account.equity * Decimal(str(world.settings.controls.net_max))
    total = worth(world, asked.symbol, asked.qty, asked.price)
    for p in world.positions.values():
        total += worth(world, p.symbol, p.qty * asked.side.sign, None)
    for o in world.orders.values():
        if o.side is asked.side and o.order != asked.order:
            total += worth(world, o.symbol, coming(o), o.price)
    for row in world.foreign.values():
        if row.side is asked.side:
            total += worth(world, row.symbol, max(row.qty - row.filled, ZERO), row.price)
    return None if total <= most else f"net exposure {total:.2f}, limit {most:.2f}"


def day_loss(world: World, asked: Asked) -> str | None:
    """The loss of this day, with open profit at the marks."""
    start, most = world.account.day_start, world.settings.kill.daily_loss_max
    loss = fraction(start - present_equity(world), start)
    return None if loss < most else f"daily loss {loss:.2%} at limit {most:.2%}"


def drawdown(world: World, asked: Asked) -> str | None:
    """The loss since the peak, with open profit at the marks."""
    peak, most = world.account.peak, world.settings.kill.drawdown_max
    loss = fraction(peak - present_equity(world), peak)
    return None if loss < most else f"drawdown {loss:.2%} at limit {most:.2%}"


def open_orders(world: World, asked: Asked) -> str | None:
    """How many orders are not at their end."""
    most = world.settings.controls.orders_open_max
    count = sum(1 for o in world.orders.values() if not o.ended and o.order != asked.order)
    count += len(world.foreign) + 1
    return None if count <= most else f"{count} orders open, limit {most}"


def self_match(world: World, asked: Asked) -> str | None:
    """It would trade with an order of our own."""
    for o in world.orders.values():
        if (
            o.symbol == asked.symbol
            and o.side is not asked.side
            and not o.ended
            and o.order != asked.order
        ):
            return f"our own order {o.order} is on the other side"
    return None


NONSENSE: tuple[tuple[str, Question], ...] = (
    ("instrument", listed),
    ("sanity", sound),
    ("ledger", decided),
)
"""Asked of every order; what they refuse could not be meant."""

LIMITS: tuple[tuple[str, Question], ...] = (
    ("price collar", collar),
    ("price drift", drift),
    ("order value", value),
    ("order volume", volume),
    ("message rate", messages),
    ("duplicate", duplicate),
    ("repeated execution", repeated),
    ("re-entry", reentered),
    ("losses in a row", lost_in_a_row),
    ("position", position),
    ("gross exposure", gross),
    ("net exposure", net),
    ("daily loss", day_loss),
    ("drawdown", drawdown),
    ("open orders", open_orders),
    ("self-match", self_match),
)
"""Asked of every entry beside the lattice."""

_HOLD_SYMBOL, _HOLD_ACCOUNT = (
    frozenset({"repeated execution", "re-entry"}),
    frozenset({"losses in a row"}),
)


def _holds(control: str, symbol: str) -> str:
    if control in _HOLD_SYMBOL:
        return symbol
    return ACCOUNT if control in _HOLD_ACCOUNT else ""


def _denial(control: str, why: str, holds: str = "") -> Denial:
    return Denial(control, safe_text(why, REASON_MAX), holds)  # a number may be a million digits


def denials(world: World, asked: Asked) -> list[Denial]:
    """Return every reason why an order may not be sent now; none means that it may."""
    found = [_denial(name, why) for name, ask in NONSENSE if (why := ask(world, asked))]
    if asked.reduce_only or any(denial.control == "sanity" for denial in found):
        return found  # what is no number cannot be measured
    found += [
        Denial("permission", why)
        for level, why in lowered(world, asked.symbol)
        if level < Level.REDUCED
    ]
    found += [
        _denial(name, why, _holds(name, asked.symbol))
        for name, ask in LIMITS
        if (why := ask(world, asked))
    ]
    return found
