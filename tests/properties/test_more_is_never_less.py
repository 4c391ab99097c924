"""Pre-trade controls in any world: they never raise, and a larger quantity is never refused by less."""

from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.core.controls import Asked, denials
from bot.core.machine import Instance
from bot.core.orders import LIVE
from bot.core.values import OrderStatus, Side, VenueOrder
from bot.core.world import DAY_MS, Closed, Intent, Messages, Order, Position, World
from tests.given import BTC, ETH, D, a_world, but, tuned

EXAMPLES = 2_000 if settings.get_current_profile_name() == "explore" else 100
often = settings(max_examples=EXAMPLES)
STRANGER = "XXXUSDT"
BASE = a_world((BTC, ETH))
SYMBOLS = st.sampled_from((BTC, ETH, STRANGER))
SIDES = st.sampled_from(Side)
MONEY = st.decimals(-10_000, 1_000_000, places=2)
LOTS = st.one_of(st.integers(1, 200_000), st.integers(1, 10**12)).map(lambda n: n * D("0.001"))
TICKS = st.integers(1, 100_000).map(lambda n: n * D("0.1"))
NEAR = st.integers(950, 1_050).map(lambda n: n * D("0.1"))
MARKS = st.one_of(st.sampled_from((0.0, 1e-9, 100.0, 1e12, 1e300)), st.floats(1e-6, 1e6))
AGO = st.one_of(st.integers(0, 5_000), st.integers(0, 2 * DAY_MS))

POSITIONS = st.builds(
    lambda qty, avg: (qty, avg), st.decimals(-10_000, 10_000, places=3), st.decimals(1, 9, places=1)
)
ORDERS = st.builds(
    Order,
    order=st.sampled_from([f"o{n}" for n in range(6)]),
    symbol=SYMBOLS,
    side=SIDES,
    qty=LOTS,
    entry=st.booleans(),
    placed_at=st.just(0),
    news_at=st.just(0),
    filled=st.one_of(st.just(D(0)), LOTS),
    booked=st.one_of(st.just(D(0)), LOTS),
    ended=st.booleans(),
    price=st.one_of(st.none(), TICKS),
)
FOREIGN = st.builds(
    VenueOrder,
    order=st.just(""),
    venue_id=st.sampled_from(("v1", "v2")),
    symbol=SYMBOLS,
    side=SIDES,
    qty=LOTS,
    filled=st.one_of(st.just(D(0)), LOTS),
    status=st.sampled_from(OrderStatus),
    price=st.one_of(st.none(), TICKS),
)
INTENTS = st.builds(
    Intent,
    order=st.sampled_from([f"o{n}" for n in range(6)]),
    symbol=SYMBOLS,
    side=SIDES,
    qty=LOTS,
    at=AGO.map(lambda ago: BASE.at - ago),
    executed=st.booleans(),
)
MESSAGES = st.builds(
    lambda count, ago, day, today: Messages((BASE.at - ago,) * count, day, today),
    st.sampled_from((0, 19, 20, 199, 200)),
    AGO,
    st.sampled_from((0, BASE.at // DAY_MS)),
    st.sampled_from((0, 9_999, 10_000)),
)
CLOSED = st.builds(Closed, MONEY, st.booleans(), AGO.map(lambda ago: BASE.at - ago))
SETTINGS = st.builds(
    lambda value, leverage, net, open_, size: tuned(
        controls__value_max=value,
        risk__leverage_max=leverage,
        controls__net_max=net,
        controls__orders_open_max=open_,
        risk__size_max=size,
    ),
    st.floats(1, 1e6),
    st.floats(1, 5),
    st.floats(0.01, 5),
    st.integers(1, 10),
    st.floats(0.0001, 0.15),
)


@st.composite
def worlds(draw) -> World:
    """A world in which anything may stand anywhere."""
    orders = {o.order: o for o in draw(st.lists(ORDERS, max_size=4))}
    states = {key: draw(st.sampled_from(LIVE)) for key, o in orders.items() if not o.ended}
    at = {key: Instance(str(state), 1, 0, "r") for key, state in states.items()}
    held = {s: draw(POSITIONS) for s in draw(st.lists(SYMBOLS, max_size=3, unique=True))}
    volume, atr, close = draw(MARKS), draw(MARKS), draw(MARKS)
    feed = but(BASE.feeds[BTC], volume=min(volume, 1e9), atr=min(atr, 1e6), close=min(close, 1e6))
    equity = draw(MONEY)
    account = but(
        BASE.account,
        equity=equity,
        cash=equity + draw(st.sampled_from((D(0), D(-4000)))),
        peak=draw(MONEY),
        day_start=draw(MONEY),
    )
    return but(
        BASE,
        settings=draw(SETTINGS),
        marks=draw(st.dictionaries(SYMBOLS, MARKS, max_size=3)),
        feeds=draw(st.sampled_from(({**BASE.feeds, BTC: feed}, {}))),
        positions={s: Position(s, qty=qty, avg=avg) for s, (qty, avg) in held.items()},
        orders=orders,
        machines={**BASE.machines, "order": at},
        foreign={o.venue_id: o for o in draw(st.lists(FOREIGN, max_size=2))},
        intents=tuple(draw(st.lists(INTENTS, max_size=12))),
        messages=draw(MESSAGES),
        closed=tuple(draw(st.lists(CLOSED, max_size=12))),
        account=account,
    )


ASKED = st.builds(
    Asked,
    symbol=SYMBOLS,
    side=SIDES,
    qty=LOTS,
    price=st.one_of(st.none(), NEAR, TICKS),
    reduce_only=st.sampled_from((False, False, False, True)),
    order=st.sampled_from(("", "", "o1", "o2")),
)


@often
@given(st.one_of(st.just(BASE), worlds()), ASKED, LOTS)
@example(BASE, Asked(BTC, Side.BUY, D("100"), D("100"), False), D("0.001"))
def test_a_larger_quantity_never_turns_a_refusal_into_a_pass(world, asked, more):
    smaller = {denial.control for denial in denials(world, asked)}
    larger = {denial.control for denial in denials(world, but(asked, qty=asked.qty + more))}
    assert smaller <= larger


NUMBERS = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True),
    st.sampled_from([Decimal(text) for text in ("sNaN", "1E+999999", "-1E+999999", "1E-999999")]),
    LOTS,
)


@often
@given(worlds(), ASKED, NUMBERS, st.one_of(st.none(), NUMBERS))
def test_whatever_is_asked_in_whatever_world_is_answered(world, asked, qty, price):
    found = denials(world, but(asked, qty=qty, price=price))
    assert all(denial.reason and len(denial.reason) < 500 for denial in found)
    wrong = [n for n in (qty, price) if n is not None and not (n.is_finite() and n > 0)]
    assert not wrong or "sanity" in {denial.control for denial in found}


@often
@given(worlds(), ASKED, st.integers(1, 10**6))
def test_a_poorer_account_is_not_allowed_what_a_richer_one_is_not(world, asked, factor):
    def sized(at):
        names = ("position", "gross exposure", "net exposure")
        return {d.control for d in denials(at, asked) if d.control in names}

    richer = but(world, account=but(world.account, equity=abs(world.account.equity)))
    poorer = but(world, account=but(world.account, equity=abs(world.account.equity) / factor))
    assert sized(richer) <= sized(poorer)
