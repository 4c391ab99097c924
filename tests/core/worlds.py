"""Worlds that a pre-trade control judges: one thing changed in each, the rest as it should be."""

from bot.core.controls import Asked, denials
from bot.core.values import OrderStatus, Side, VenueOrder
from bot.core.world import DAY_MS, Closed, Intent, Messages, Order
from tests.given import (
    BTC,
    ETH,
    SOL,
    D,
    T,
    a_world,
    but,
    tuned,
    with_money,
)

BUY, SELL = Side.BUY, Side.SELL
HOUR = 3_600_000
WORLD = a_world((BTC, ETH, SOL))


def asking(qty="1", price="100", side=BUY, **more):
    """An entry, at the mark unless said."""
    usual = {"symbol": BTC, "reduce_only": False}
    return Asked(side=side, qty=D(qty), price=None if price is None else D(price), **usual | more)


def said(world, asked):
    """Return each refusal as ``control: reason``."""
    return [f"{denial.control}: {denial.reason}" for denial in denials(world, asked)]


def feed(world, **changes):
    return but(world, feeds={**world.feeds, BTC: but(world.feeds[BTC], **changes)})


def limited(**values):
    """The world with controls changed by name."""
    values = {name if "__" in name else f"controls__{name}": v for name, v in values.items()}
    return but(WORLD, settings=tuned(WORLD.settings, **values))


def holding(world, symbol, qty):
    position = but(world.positions[symbol], qty=D(qty), avg=D(100))
    return but(world, positions={**world.positions, symbol: position})


def an_order(order, symbol=ETH, qty="1", side=BUY, **more):
    usual = {"entry": True, "placed_at": T, "news_at": T, "price": D(100)}
    return Order(order, symbol, side, D(qty), **usual | more)


def with_orders(world, *orders):
    return but(world, orders={**world.orders, **{order.order: order for order in orders}})


def repeating(*sides, ago=60_000, executed=True, symbol=BTC):
    """The world after entries on these sides."""
    at = WORLD.at - ago
    return but(
        WORLD,
        intents=tuple(
            Intent(f"i{n}", symbol, side, D(1), at, executed) for n, side in enumerate(sides)
        ),
    )


def talking(count, ago=0, today=0, day=None):
    """The world after this many messages, and so many today."""
    day = WORLD.at // DAY_MS if day is None else day
    return but(WORLD, messages=Messages((WORLD.at - ago,) * count, day, today))


def closing(*profits, shadow=False):
    return but(WORLD, closed=tuple(Closed(D(p), shadow, WORLD.at) for p in profits))


def poor(cash, **account):
    return with_money(WORLD, cash, **{"peak": D(1), "day_start": D(1)} | account)


def theirs(symbol):
    row = VenueOrder("", "v7", symbol, SELL, D(3), D(0), OrderStatus.OPEN)
    return but(WORLD, foreign={"v7": row})
