"""A hostile life for a bot: news in any order, twice, of strangers; commands and jumps at any time."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Struct

from bot.core import events
from bot.core.decide import Decision, decide
from bot.core.runs import VERBS
from bot.core.values import CashMove, OrderStatus, Side, VenueFill, VenuePosition
from bot.core.world import World
from tests.given import (
    BTC,
    ETH,
    MINUTE,
    D,
    T,
    a_candle,
    a_row,
    a_world,
    but,
    candles,
    connected,
    measured,
    started,
    ticked,
    tuned,
)
from tests.properties.acts import (
    DEPTHS,
    MOVES,
    PARAMETERS,
    PRICES,
    REASONS,
    SECONDS,
    STRANGER,
    SYMBOLS,
    TROUBLES,
    Act,
    Past,
    newest,
    pick,
)


def _tick(w: World, past: Past, act: Act) -> list[Any]:
    marks = {s: price * pick(MOVES, act.b + i) for i, (s, price) in enumerate(w.marks.items())}
    marks = {s: price for s, price in marks.items() if 1e-6 < price < 1e12}
    return [
        events.Ticked(at=w.at + pick(SECONDS, act.a) * 1000, marks={} if act.c % 7 == 0 else marks)
    ]


def _signal(w: World, past: Past, act: Act) -> list[Any]:
    adx, atr = (40.0, 40.0, 60.0, 60.0, 10.0)[act.b % 5], (1.0, 0.5, 0.5, 1.0, 80.0)[act.c % 5]
    age = (*range(10), 30)[act.c % 11]
    return [measured(w, pick(SYMBOLS[:2], act.a), act.b % 2 == 0, adx=adx, atr=atr, cross_age=age)]


def _news(w: World, past: Past, act: Act) -> list[Any]:
    order, reason = newest(past.orders, act.a), pick(REASONS, act.c // 10)
    known = w.orders.get(order)
    qty = known.qty if known else D(20)
    filled = (D(0), qty / 2, qty)[act.c % 3]
    row = a_row(
        order,
        pick(OrderStatus, act.c // 3),
        filled,
        qty,
        symbol=known.symbol if known else BTC,
        price=pick((None, D("100.1"), D("103"), D(5_000)), act.c // 7),
    )
    return [
        pick(
            (
                events.Accepted(at=w.at, order=order, venue_id="v"),
                events.OrderReported(at=w.at, row=row),
                events.OrderReported(at=w.at, row=row),
                events.OrderReported(at=w.at, row=row),
                events.NotSent(at=w.at, order=order, reason=reason),
                events.Rejected(at=w.at, order=order, code=1, reason=reason),
                events.Doubted(at=w.at, order=order, reason=reason),
                events.Absent(at=w.at, order=order, reason=reason),
            ),
            act.b,
        )
    ]


def _fill(w: World, past: Past, act: Act) -> list[Any]:
    if act.c % 4 == 0 and past.fills:
        return [events.Filled(at=w.at, fill=newest(past.fills, act.a))]  # told twice
    order = newest(past.orders, act.a)
    known = w.orders.get(order)
    symbol = known.symbol if known else pick(SYMBOLS, act.b)
    position = w.positions.get(symbol)
    held = abs(position.qty) if position and position.qty else D(1)
    side = known.side if known else pick(Side, act.c)
    qty = (known.qty if known else held) * pick((D(1), D("0.5"), D("0.3"), D(2)), act.b)
    fill = VenueFill(
        f"f{past.number()}", order, symbol, side, qty, D(pick(PRICES, act.c)), D("0.013"), w.at
    )
    past.fills.append(fill)
    return [events.Filled(at=w.at, fill=fill)]


def _position(w: World, past: Past, act: Act) -> list[Any]:
    symbol = pick(SYMBOLS, act.a)
    known = w.positions.get(symbol)
    qty = known.qty if known else D(1)
    stop = pick((known.stop if known else None, None, D("50"), D("98.0")), act.b)
    return [
        events.PositionReported(
            at=w.at, position=VenuePosition(symbol, qty * (act.c % 3), D(100), stop, None)
        )
    ]


def _delivery(w: World, past: Past, act: Act) -> list[Any]:
    effect = newest(past.effects, act.a)
    reason = pick(REASONS, act.c)
    return [
        pick(
            (
                events.Delivered(at=w.at, effect=effect),
                events.Undelivered(at=w.at, effect=effect, reason=reason),
                events.Undelivered(at=w.at, effect=effect, reason=reason, final=True),
            ),
            act.b,
        )
    ]


def _command(w: World, past: Past, act: Act) -> list[Any]:
    if act.c % 5:
        past.commands.append(f"c-{past.number()}")
    name, value = pick(PARAMETERS, act.b)
    args = {"name": name, "value": value, "seconds": pick(("60", "60", "60", "²"), act.c)}
    args |= pick(({}, {}, {"symbol": BTC}, {"symbol": STRANGER}), act.b // 10)
    return [
        events.Commanded(
            at=w.at,
            id=newest(past.commands, 0 if act.c % 5 else act.c),
            verb=pick([*VERBS, "set-parameter", "set-parameter", "dance"], act.a),
            args=args,
            operator=pick(("ana", "ana", "bo", "cy", ""), act.a // 20),
            identity=pick(("kernel", "kernel", "kernel", "claimed"), act.a // 100),
            reason=pick(("why", "why", "why", " "), act.b // 100),
            expires_at=pick((0, 0, 0, 0, w.at - 1), act.c // 5),
        )
    ]


def _reconciled(w: World, past: Past, act: Act) -> list[Any]:
    rows = [VenuePosition(p.symbol, p.qty, p.avg, p.stop) for p in w.positions.values() if p.qty]
    if act.b % 3 == 1:
        rows = [but(row, qty=row.qty * (act.c % 4 - 1), stop=None) for row in rows]
    elif act.b % 3 == 2:
        rows = [VenuePosition(pick(SYMBOLS, act.c), D(act.c % 5 - 2), D(100))]
    mine = [order for order in past.orders if order not in w.orders]
    strangers = ("", "web-1", newest(mine, act.b), newest(past.orders, act.c))
    theirs = [
        a_row(order, OrderStatus.OPEN, qty=3, symbol=pick(SYMBOLS, act.a), venue_id=f"v{n}")
        for n, order in enumerate(strangers[: act.b % 5])
    ]
    if act.c % 4 == 0:
        past.moves.append(
            CashMove(f"m{past.number()}", "FUNDING", BTC, D(act.b - 500) / 100, w.at - act.a)
        )
    return [
        events.Reconciled(
            at=w.at,
            as_of=pick((w.at + 1, w.at + 1, w.at - 10_000), act.a),
            wallet=w.account.cash + pick((0, 0, 0, 1, 2), act.c),
            positions=tuple(row for row in rows if row.qty),
            orders=(),
            fills=tuple(past.fills[-2:]),
            foreign=tuple(theirs),
            moves=tuple(past.moves[-3:]),
            depth=pick(DEPTHS, act.b // 3),
        )
    ]


def _trouble(w: World, past: Past, act: Act) -> list[Any]:
    retry_at = pick((0, 0, w.at + 3_000, w.at + 90_000), act.b)
    trouble = events.VenueTroubled(
        at=w.at, kind=pick(TROUBLES, act.a), reason=pick(REASONS, act.c), retry_at=retry_at
    )
    return pick(([trouble], [trouble] * 5, [events.VenueAnswered(at=w.at, after="r")]), act.c // 10)


def _market(w: World, past: Past, act: Act) -> list[Any]:
    symbol = pick((BTC, BTC, ETH, STRANGER), act.a)
    feed = w.feeds.get(symbol)
    last = feed.last if feed else T
    now = max(last, w.at // MINUTE * MINUTE - MINUTE)
    opened = pick((last + MINUTE, last + 7 * MINUTE, last, now), act.c)
    candle = a_candle(opened)
    return [
        pick(
            (
                events.CandleClosed(at=w.at, symbol=symbol, candle=candle, source="t"),
                events.Backfilled(at=w.at, symbol=symbol, candles=candles(3, now), source="t"),
                events.Backfilled(at=w.at, symbol=symbol, candles=(), source="t"),
                events.FramesRefused(at=w.at, symbol=symbol, count=act.c, reason="NaN"),
                events.StreamUp(at=w.at, stream=pick(("private", "public"), act.c)),
                events.StreamLost(
                    at=w.at,
                    stream=pick(("public", "public", "private"), act.a),
                    reason=pick(REASONS, act.c),
                ),
                connected(w.at, pick(((BTC,), (BTC, ETH)), act.c), rate=pick((1.0, 60.0), act.a)),
            ),
            act.b,
        )
    ]


def _process(w: World, past: Past, act: Act) -> list[Any]:
    reason = pick(REASONS, act.c)
    restart = [
        started(w.at, tuned(kill__flatten=act.c % 2 == 0)),
        events.Recovered(at=w.at, snapshot_seq=0, tail=w.seq),
        connected(w.at + 1, (BTC, ETH)),
    ]
    return pick(
        (
            restart,
            restart,
            [events.StopAsked(at=w.at, cause=reason)],
            [events.Poisoned(at=w.at, kind="Filled", body="{}", error=reason)],
            [events.Latched(at=w.at, reason=reason)],
            [events.Halted(at=w.at, who="w", reason=reason)],
            [
                events.Panicked(
                    at=w.at, lines=pick(((), ('{"who":"boot","detail":"protect-only: x"}',)), act.c)
                )
            ],
            [
                events.StorageChecked(
                    at=w.at, free_mb=pick((10, 100, 400, 5_000), act.c), fault=reason
                )
            ],
            [
                events.ClockJumped(
                    at=max(1, w.at + pick((-3_600_000, 3_600_000, -9_000), act.c // 3)), by_ms=1
                )
            ],
            [
                events.Restored(
                    at=w.at,
                    epoch=2,
                    backup="b",
                    old_head="",
                    new_head="",
                    operator="bo",
                    reason="r",
                )
            ],
        ),
        act.b,
    )


def _repair(w: World, past: Past, act: Act) -> list[Any]:
    """People and the venue put things right, so that the life goes on."""
    now = w.at // MINUTE * MINUTE - MINUTE
    rows = tuple(
        VenuePosition(p.symbol, p.qty, p.avg, p.stop or D("50"))
        for p in w.positions.values()
        if p.qty
    )
    restart = [
        started(w.at),
        events.Recovered(at=w.at, snapshot_seq=0, tail=w.seq),
        connected(w.at, (BTC, ETH)),
    ]
    command = events.Commanded(
        at=w.at,
        id="",
        verb="",
        args={},
        operator="ana",
        identity="kernel",
        reason="why",
        expires_at=0,
    )
    return [
        *(restart if w.state("process") != "RUNNING" else ()),
        events.Ticked(at=max(w.at, w.breaker_until), marks={}),
        events.Reconciled(
            at=w.at,
            as_of=max(w.at, w.account.booked_at) + 1,
            wallet=w.account.cash,
            positions=rows,
            orders=(),
            fills=(),
        ),
        events.StorageChecked(at=w.at, free_mb=5_000),
        *(
            events.OrderReported(at=w.at, row=a_row(key, OrderStatus.CANCELED, o.filled, o.qty))
            for key, o in list(w.orders.items())[: act.c % 3]
        ),
        *(
            events.Backfilled(at=w.at, symbol=symbol, candles=candles(3, now), source="t")
            for symbol in w.feeds
        ),
        events.Ticked(at=w.at + 1_000, marks=dict.fromkeys(w.feeds, 100.0)),
        *(
            but(command, id=f"c-{past.number()}", verb=verb, args=args)
            for verb, args in (("release", {}), ("rearm", {}), ("rearm", {"symbol": BTC}))
        ),
        *(events.PositionReported(at=w.at, position=row) for row in rows[: act.a % 3]),
    ]


_KINDS = {
    "tick": _tick,
    "signal": _signal,
    "news": _news,
    "fill": _fill,
    "position": _position,
    "delivery": _delivery,
    "command": _command,
    "reconciled": _reconciled,
    "market": _market,
    "trouble": _trouble,
    "process": _process,
    "repair": _repair,
}
_OFTEN = (*("tick", "signal", "news") * 3, "repair", "fill", "command", *_KINDS)

ACTS = st.lists(
    st.builds(
        Act,
        st.sampled_from(_OFTEN),
        st.integers(0, 999),
        st.integers(0, 999),
        st.integers(0, 999),
    ),
    min_size=20,
    max_size=60,
)


class Moment(Struct, frozen=True):
    """One event: the world before it, what was decided, and with which number."""

    before: World
    event: Any
    seq: int
    decision: Decision

    @property
    def after(self) -> World:
        return self.decision.world


_read = msgspec.json.Decoder(events.Journaled).decode
_write = msgspec.json.Encoder(decimal_format="string").encode


def as_journaled(event: Any) -> Any:
    """Return the event as it is read back from the journal, as live and replay both see it."""
    return _read(_write(event))


def the_beginning() -> World:
    return a_world((BTC, ETH))


def live(acts: list[Act], world: World | None = None):
    """Decide what the acts bring about; yield each moment."""
    world, past = world or the_beginning(), Past()
    for act in acts:
        for raw in _KINDS[act.kind](world, past, act):
            event, seq = as_journaled(raw), world.seq + 1
            decision = decide(world, event, seq)
            yield Moment(world, event, seq, decision)
            world = decision.world
            past.remember(world)


__all__ = ["ACTS", "Act", "Moment", "as_journaled", "live", "the_beginning", "ticked"]
