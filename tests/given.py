"""Builders: a world that trades, the events that move it, and what one decision after another gave."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bot.core.decide import decide
from bot.core.effects import Submit
from bot.core.events import (
    Accepted,
    Backfilled,
    Commanded,
    Delivered,
    Filled,
    Measured,
    OrderReported,
    PositionReported,
    Reconciled,
    Recovered,
    Started,
    Ticked,
    VenueConnected,
)
from bot.core.settings import Settings, with_value
from bot.core.values import (
    Candle,
    Instrument,
    OrderStatus,
    Side,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from bot.core.world import Closed, World

T = 1_700_000_000_000 // 60_000 * 60_000
"""A whole minute at which every test's time begins."""
MINUTE = 60_000
D = Decimal
BTC, ETH, SOL = "BTCUSDT", "ETHUSDT", "SOLUSDT"
_numbers = count(1)


class Told(Struct, frozen=True):
    """The world after some events, and all that followed from them in order."""

    world: World
    steps: tuple[Any, ...] = ()
    dispatches: tuple[Any, ...] = ()
    emitted: tuple[Any, ...] = ()
    facts: tuple[Any, ...] = ()
    questions: tuple[Any, ...] = ()

    @property
    def moves(self) -> list[str]:
        """Return each step as ``machine key: source → dest``."""
        return [f"{s.machine} {s.key}: {s.source} → {s.dest}" for s in self.steps]

    def reason(self, machine: str) -> str:
        """Return the newest reason for which a machine moved."""
        return next(s.reason for s in reversed(self.steps) if s.machine == machine)

    def effects(self, kind: type) -> list[Any]:
        """Return the handed-out effects of a kind."""
        return [d.effect for d in self.dispatches if isinstance(d.effect, kind)]

    def noted(self, kind: type) -> list[Any]:
        """Return the ledger rows of a kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


def go(world: World, *events: Any) -> Told:
    """Decide events one after another."""
    parts: dict[str, tuple[Any, ...]] = {}
    for event in events:
        decision = decide(world, event, world.seq + 1)
        world = decision.world
        for name in ("steps", "dispatches", "emitted", "facts", "questions"):
            parts[name] = parts.get(name, ()) + getattr(decision, name)
    return Told(world, **parts)


def but(struct: Any, **changes: Any) -> Any:
    """Return a struct with some fields changed."""
    return replace(struct, **changes)


def tuned(base: Settings | None = None, **values: Any) -> Settings:
    """Return settings with dotted keys changed; ``__`` stands for the dot."""
    settings = base or Settings()
    for key, value in values.items():
        settings = with_value(settings, key.replace("__", "."), value)
    return settings


# -- the world -------------------------------------------------------------------------------------


def an_instrument(symbol: str = BTC, **changes: Any) -> Instrument:
    """Tick 0.1, lot 0.001, at least 5 in quote units, taker fee 0.06 %."""
    usual = Instrument(symbol, D("0.1"), D("0.001"), D("0.001"), D(5), D("0.0006"))
    return replace(usual, **changes)


def started(at: int = T, settings: Settings | None = None, **changes: Any) -> Started:
    """A process takes the lease."""
    usual = {"instance": "abc123", "epoch": 1, "build": "b", "config_hash": "c"}
    return Started(at=at, settings=settings or Settings(), **{**usual, **changes})


def connected(at: int = T, symbols: tuple[str, ...] = (BTC,), rate: float = 1.0) -> VenueConnected:
    """The venue answers and lists these symbols."""
    return VenueConnected(at=at, rate=rate, instruments=tuple(map(an_instrument, symbols)))


def reconciled(world_or_at: World | int = T, wallet: Any = 100_000, **changes: Any) -> Reconciled:
    """The venue's account, with nothing in it unless said."""
    at = world_or_at if isinstance(world_or_at, int) else world_or_at.at + 1
    usual: dict[str, Any] = {"as_of": at, "positions": (), "orders": (), "fills": ()}
    return Reconciled(at=at, wallet=D(wallet), **{**usual, **changes})


def read_through(world: World, wallet: Any = 100_000, **changes: Any) -> Told:
    """The venue's account differs and does so in every deeper reading: its numbers are taken over."""
    depths = ("light", "full", "day")
    return go(world, *(reconciled(world, wallet, depth=depth, **changes) for depth in depths))


def opening_events(
    symbols: tuple[str, ...] = (BTC,),
    settings: Settings | None = None,
    wallet: Any = 100_000,
    rate: float = 1.0,
    at: int = T,
) -> list[Any]:
    """Return what brings an empty world to trading: started, connected, reconciled, backfilled."""
    found = candles(3, at - MINUTE)
    return [
        started(at, settings),
        Recovered(at=at, snapshot_seq=0, tail=0),
        connected(at, symbols, rate),
        reconciled(at + 1, wallet),
        *(backfilled(symbol, at + 2, found) for symbol in symbols),
        Ticked(at=at + 3, marks=dict.fromkeys(symbols, 100.0)),
    ]


def a_world(symbols: tuple[str, ...] = (BTC,), **opening: Any) -> World:
    """Return a world that runs, with every symbol LIVE at 100.0, flat, and 100,000 in cash."""
    return go(World(), *opening_events(symbols, **opening)).world


# -- market data -----------------------------------------------------------------------------------


def answered(world: World) -> World:
    """Return the world once every effect on its way was carried out."""
    events = [Delivered(at=world.at, effect=key) for key in world.deliveries]
    return go(world, *events).world


def a_candle(open_time: int = T, close: float = 100.0, **changes: Any) -> Candle:
    """A candle around its close."""
    usual = Candle(open_time, close, close * 1.001, close * 0.999, close, 1000.0)
    return replace(usual, **changes)


def candles(number: int, last: int = T - MINUTE, close: float = 100.0) -> tuple[Candle, ...]:
    """Return candles without a hole, the last of which opens at ``last``."""
    return tuple(a_candle(last - MINUTE * n, close) for n in reversed(range(number)))


def backfilled(symbol: str = BTC, at: int = T + 2, found: tuple[Candle, ...] | None = None):
    """Candles that were asked for; a few up to the newest unless said."""
    return Backfilled(
        at=at, symbol=symbol, candles=candles(3) if found is None else found, source="t"
    )


def ticked(world: World, seconds: float = 1, /, **marks: float) -> Ticked:
    """Time passes; every known symbol is quoted as before unless said."""
    return Ticked(at=world.at + int(seconds * 1000), marks={**world.marks, **marks})


def measured(world: World, symbol: str = BTC, up: bool = True, **changes: Any) -> Measured:
    """What the oracle says of a candle that closed just now; by default a signal to enter."""
    usual: dict[str, Any] = {
        "open_time": world.at - MINUTE,
        "close": world.marks.get(symbol, 100.0),
        "ema_fast": 101.0 if up else 99.0,
        "ema_slow": 100.0,
        "adx": 40.0,
        "atr": 1.0,
        "cross_age": 2,
    }
    return Measured(at=world.at, symbol=symbol, **{**usual, **changes})


# -- orders ----------------------------------------------------------------------------------------


def a_fill(symbol: str = BTC, side: Side = Side.BUY, qty: Any = 1, price: Any = 100, **more: Any):
    """An execution with an id of its own."""
    usual: dict[str, Any] = {"fill": f"f{next(_numbers)}", "order": "", "fee": D(0), "at": T}
    return VenueFill(symbol=symbol, side=side, qty=D(qty), price=D(price), **{**usual, **more})


def a_row(order: str, status: OrderStatus, filled: Any = 0, qty: Any = 20, **changes: Any):
    """The venue's row of an order."""
    usual = VenueOrder(order, "v1", BTC, Side.BUY, D(qty), D(filled), status)
    return replace(usual, **changes)


def reported(world: World, order: str, status: OrderStatus = OrderStatus.FILLED, **row: Any):
    """The venue reports an order, filled unless said."""
    found = world.orders[order]
    filled = found.qty if status is OrderStatus.FILLED else D(0)
    usual = {"filled": filled, "qty": found.qty, "symbol": found.symbol, "side": found.side}
    return OrderReported(at=world.at, row=a_row(order, status, **{**usual, **row}))


def stop_seen(world: World, symbol: str = BTC, **changes: Any) -> PositionReported:
    """The venue reports the position just as it is wanted."""
    position = world.positions[symbol]
    usual = VenuePosition(symbol, position.qty, position.avg, position.stop, position.take)
    return PositionReported(at=world.at, position=replace(usual, **changes))


def entering(world: World, symbol: str = BTC, up: bool = True) -> Told:
    """A signal passes every question: an entry is on its way."""
    told = go(world, measured(world, symbol, up))
    assert told.effects(Submit), told.noted(object)
    return told


def in_position(world: World, symbol: str = BTC, up: bool = True, fee: Any = 0) -> World:
    """The entry is filled at the mark and the venue holds the stop."""
    world = entering(world, symbol, up).world
    order = next(o for o in world.orders.values() if o.symbol == symbol)
    price = D(str(world.marks[symbol]))
    fill = a_fill(symbol, order.side, order.qty, price, order=order.order, fee=D(fee), at=world.at)
    world = go(
        world,
        Accepted(at=world.at, order=order.order, venue_id="v1"),
        Filled(at=world.at, fill=fill),
        reported(world, order.order),
    ).world
    return go(world, stop_seen(world, symbol)).world


# -- people and results ----------------------------------------------------------------------------


def commanded(world: World, verb: str, /, **more: Any) -> Commanded:
    """Ana asks; what is no field of a command is one of its arguments."""
    fields = {"id", "operator", "identity", "reason", "expires_at", "at", "role", "uid"}
    usual = {"at": world.at, "operator": "ana", "identity": "kernel", "reason": "I say so"}
    usual |= {"id": f"c{next(_numbers)}", "expires_at": 0}
    args = {key: str(value) for key, value in more.items() if key not in fields}
    return Commanded(verb=verb, args=args, **{**usual, **{k: more[k] for k in fields & set(more)}})


def trades(wins: int, losses: int, *, shadow: bool = False, at: int = T) -> tuple[Closed, ...]:
    """Return results as the guard counts them, losses first."""
    return (Closed(D(-1), shadow, at),) * losses + (Closed(D(1), shadow, at),) * wins


def with_money(world: World, equity: Any, **account: Any) -> World:
    """Return the world with this much cash, flat or not; baselines stay unless said."""
    return replace(world, account=replace(world.account, cash=D(equity), **account))


def review(world: World, **marks: float) -> Told:
    """Let time pass until the account is reviewed, once."""
    wait = world.account.reviewed_at + world.settings.guard.review_seconds * 1000 - world.at
    return go(world, ticked(world, max(wait, 1000) / 1000, **marks))


def reason_of(world: World, machine: str, key: str = "account") -> str:
    """Return why a machine stands where it stands."""
    instance = world.instance_of(machine, key)
    assert instance is not None
    return instance.reason
