"""Every machine in every state, every event, and worlds in which each row of each table can match."""

from __future__ import annotations

from typing import Any, get_args

from bot.core import events, model_events, upgrade_events
from bot.core.effects import Notify, Protect, Submit
from bot.core.health_events import (
    Distrusted,
    Judged,
    PositionRead,
    Probed,
    Proposed,
    Refetched,
    ResyncAsked,
    Sampled,
    Treated,
)
from bot.core.machine import Instance, Table
from bot.core.remedy import Attempt, Remedy
from bot.core.run_events import Answered
from bot.core.runs import VERBS
from bot.core.values import OrderStatus, Side, VenuePosition
from bot.core.world import Alert, Delivery, Heir, Model, Order, Override, Position, Run, World
from tests.given import (
    BTC,
    ETH,
    MINUTE,
    D,
    T,
    a_candle,
    a_fill,
    a_row,
    a_world,
    backfilled,
    but,
    candles,
    connected,
    measured,
    reconciled,
    started,
    ticked,
    tuned,
)

MODEL, TRAINING = "a" * 64, "t1"
ORDER, RUN, EFFECT, NAME = "abc123-1-7-0", "run-1", "7-1", "risk.base_size"
CHECK = f"candles {BTC}"
ALERT = "a7-0"
VENUE_ID = "v9"
REMEDY = Remedy("drink-tea", "Drink tea.", ("candles",), "low", 3, 60.0, 30.0, "", "well")
KEYS = {
    "order": ORDER,
    "run": RUN,
    "delivery": EFFECT,
    "alert": ALERT,
    "parameter": NAME,
    "feed": BTC,
    "position": BTC,
    "external": BTC,
    "check": CHECK,
    "model": MODEL,
    "training": TRAINING,
}
KINDS: tuple[type, ...] = (
    *get_args(events.Journaled),
    events.Reviewed,
    events.Intended,
    events.Emitted,
    events.Alerted,
    Answered,
    events.Compared,
    events.Limited,
    events.DoubtAged,
    Probed,
    Proposed,
    Judged,
    model_events.ModelDisplaced,
)


def key_of(table: Table) -> str:
    return KEYS.get(table.name, "account")


def standing(world: World, table: Table, state: str) -> Instance | None:
    """Return where the machine stands if it stands in this state, since the world's time."""
    return Instance(state, 3, world.at, "because") if state else None


def states(table: Table) -> list[str]:
    """Return every state, the one before the first included."""
    return ["", *(str(state) for state in table.states)]


def worlds() -> list[World]:
    """Return worlds in which everything is there, sound, broken, late, and flat."""
    busy = with_everything(a_world(settings=tuned(kill__flatten=True)))
    elsewhere = {ORDER: but(busy.orders[ORDER], symbol=ETH, entry=False)}
    run, position = busy.runs[RUN], busy.positions[BTC]
    alone = but(busy, orders=elsewhere)
    kept = but(alone, settings=tuned())
    flat = but(alone, positions={BTC: Position(BTC)}, runs={RUN: but(run, verb="rearm")})
    flat = standing_in(flat, "kill", "LATCHED")
    refused = but(busy.feeds[BTC], refused=99, refused_at=busy.at - 60_000)
    notify = Delivery(Notify(severity="info", text="x"), attempts=1)
    protect = Delivery(Protect(symbol=BTC, stop=D(98), take=None), attempts=9)
    return [
        busy,
        alone,
        kept,
        but(kept, positions={BTC: but(position, stop_held=True)}),
        flat,
        but(busy, feeds={BTC: refused}),
        but(flat, deliveries={EFFECT: notify}, runs={RUN: but(run, verb="hold")}),
        but(flat, deliveries={EFFECT: protect}, runs={RUN: but(run, verb="release")}),
        but(flat, foreign={}, guard_before="NORMAL"),
        but(flat, guard_before="REDUCED"),
        but(busy, heir=Heir(MODEL, "promoted", back=False)),
        but(busy, models={MODEL: Model("t1", recent=(None,) * 9, requalify="again")}),
        but(
            standing_in(busy, "training", "RUNNING", TRAINING),
            models={MODEL: Model("t1", recent=(0.5,) * 50)},
        ),
        *_alerting(busy),
        but(busy, remedies=(REMEDY,)),
        but(busy, remedies=(but(REMEDY, risk="high"),)),
        *_waiting(flat),
    ]


def _alerting(busy: World) -> list[World]:
    """Return worlds in which an alert may wait, is due, is one too many, and is lifted."""
    quiet = tuned(alerts__quiet_from_hour=0.0, alerts__quiet_until_hour=24.0)
    few = tuned(alerts__open_max=0)
    critical = but(busy.alerts[ALERT].notify, severity="critical", key="kill account TRIPPED")
    unheard = Alert(but(critical, since=busy.at - 3_600_000))
    return [
        but(busy, settings=quiet),
        but(busy, settings=few),
        but(busy, digest_at=1),
        but(busy, alerts={ALERT: Alert(critical)}),
        but(busy, alerts={ALERT: unheard}),
    ]


def _waiting(flat: World) -> list[World]:
    """Return worlds in which a run needs a second person, or waits for one, in time or too late."""
    two = but(flat, settings=tuned(roles__two_people="on"))
    waits = but(flat.runs[RUN], needs="other", uid=1001)
    tripped = standing_in(two, "kill", "TRIPPED")
    return [but(world, runs={RUN: waits}) for world in (two, tripped)] + [two]


def standing_in(world: World, machine: str, state: str, key: str = "account") -> World:
    instance = Instance(state, 1, world.at, "because")
    return but(world, machines={**world.machines, machine: {key: instance}})


def with_everything(base: World) -> World:
    order = Order(ORDER, BTC, Side.BUY, D(20), True, base.at, base.at, price=D(100))
    position = Position(BTC, D(20), D(100), stop=D(98), take=D(103), opened_at=base.at)
    submit = Submit(
        order=ORDER,
        symbol=BTC,
        side=Side.BUY,
        qty=D(20),
        reduce_only=False,
        expires_at=base.at + 5_000,
    )
    run = Run("kill", {}, "ana", "kernel", "why", base.at, base.at + 10_000)
    return but(
        base,
        orders={ORDER: order},
        positions={BTC: position},
        deliveries={EFFECT: Delivery(submit)},
        runs={RUN: run},
        alerts={ALERT: Alert(Notify(severity="warning", text="x", key="k", since=base.at))},
        foreign={VENUE_ID: a_row("manual", OrderStatus.OPEN, venue_id=VENUE_ID)},
        troubles=9,
        parameters={NAME: Override(0.01, base.at + 60_000, "ana")},
        models={MODEL: Model("t1")},
        attempts={RUN: Attempt(REMEDY.name, CHECK, "late", 0, 0)},
    )


def samples(world: World) -> list[Any]:
    """Return events of every kind, more than one where the content decides."""
    return [
        *_of_process_and_market(world),
        *_of_orders(world),
        *_of_people_and_disk(world),
        *_of_health(world),
        *_of_models(world),
        upgrade_events.Upgraded(
            at=world.at,
            before="a",
            build="b",
            migrations=(),
            backup="c",
            operator="ana",
            reason="r",
        ),
    ]


def _of_process_and_market(world: World) -> list[Any]:
    at = world.at
    found = VenuePosition(BTC, D(20), D(100), D(98))
    return [
        started(at),
        events.Recovered(at=at, snapshot_seq=0, tail=world.seq),
        connected(at),
        reconciled(at),
        reconciled(at, positions=(found,)),
        *(
            events.Compared(at=at, depth=depth, differs=why)
            for depth in ("light", "full", "day")
            for why in ("", "wallet 1, ledger 2 (-1)")
        ),
        events.VenueTroubled(at=at, kind="maintenance", reason="10016"),
        events.VenueTroubled(at=at, kind="unreachable", reason="reset"),
        events.VenueAnswered(at=at, after="maintenance"),
        events.Listed(at=at, symbols=(BTC,), instruments=()),
        events.StopAsked(at=at, cause="SIGTERM"),
        events.Poisoned(at=at, kind="Filled", body="{}", error="E"),
        events.Restored(
            at=at, epoch=2, backup="b", old_head="", new_head="", operator="bo", reason="r"
        ),
        ticked(world, 1),
        but(ticked(world, 1), marks={}),
        ticked(world, 20),
        ticked(world, 3_600),
        but(ticked(world, 3_600), marks={}),
        but(ticked(world, 100), marks=dict(world.marks)),
        events.ClockJumped(at=at + 10**6, by_ms=10**6),
        events.CandleClosed(at=at, symbol=BTC, candle=a_candle(T), source="t"),
        events.CandleClosed(at=at, symbol=BTC, candle=a_candle(T + 9 * MINUTE), source="t"),
        backfilled(at=at),
        backfilled(at=at, found=candles(3, T - 900 * MINUTE)),
        events.FramesRefused(at=at, symbol=BTC, count=1, reason="NaN"),
        events.StreamUp(at=at, stream="private"),
        events.StreamLost(at=at, stream="public", reason="reset"),
        events.StreamLost(at=at, stream="private", reason="reset"),
        measured(world),
    ]


def _of_orders(world: World) -> list[Any]:
    at = world.at
    found = VenuePosition(BTC, D(20), D(100), D(98))
    return [
        events.Accepted(at=at, order=ORDER, venue_id="v"),
        events.NotSent(at=at, order=ORDER, reason="r"),
        events.Rejected(at=at, order=ORDER, code=1, reason="r"),
        events.Doubted(at=at, order=ORDER, reason="r"),
        events.Absent(at=at, order=ORDER, reason="r"),
        *(events.OrderReported(at=at, row=a_row(ORDER, status)) for status in OrderStatus),
        events.Filled(at=at, fill=a_fill()),
        events.PositionReported(at=at, position=found),
    ]


def _of_models(world: World) -> list[Any]:
    at = world.at
    ended = model_events.TrainingEnded(
        at=at, run=TRAINING, attempt=1, cause="killed", reason="r", seconds=1.0, peak_mb=1, rows=9
    )
    spoken = (model_events.Score(MODEL, 0.5), model_events.Score(MODEL, None, "NaN"))
    return [
        model_events.TrainingQueued(at=at, run=TRAINING, rows=9, operator="ana"),
        model_events.TrainingStarted(at=at, run=TRAINING, attempt=1, rows=9, pid=7),
        ended,
        but(ended, again=True, reduced="less"),
        but(ended, cause="ok", model=MODEL),
        model_events.ModelVerified(at=at, model=MODEL, manifest="{}", trained_to=at, skill=0.1),
        model_events.ModelRefused(at=at, model=MODEL, reason="gone"),
        *(
            model_events.ModelsScored(at=at, symbol=BTC, open_time=at, scores=(score,))
            for score in spoken
        ),
        model_events.ModelDisplaced(at=at, reason="r"),
    ]


def _of_health(world: World) -> list[Any]:
    at = world.at
    return [
        Sampled(at=at, pace="fast", samples={"lag_ms": 1.0}),
        *(
            Probed(at=at, check="candles", well=well, said="s", times=times)
            for well, times in ((True, 0), (False, 1), (False, 9))
        ),
        Proposed(at=at),
        *(Treated(at=at, run=RUN, ok=ok, said="s") for ok in (True, False)),
        *(Judged(at=at, well=well, said="s") for well in (True, False)),
        Refetched(at=at, symbol=BTC, candles=candles(3), source="t"),
        Distrusted(at=at, symbol=BTC, reason="r"),
        ResyncAsked(at=at),
        PositionRead(at=at, symbol=BTC, qty=D(20), fills=(a_fill(),), as_of=at, was="{}"),
    ]


def _of_people_and_disk(world: World) -> list[Any]:
    at, equity = world.at, D(100_000)
    review = events.Reviewed(
        at=at,
        equity=equity,
        drawdown=0.0,
        guard_drawdown=0.0,
        day_loss=0.0,
        win_rate=0.5,
        trades=20,
    )
    command = events.Commanded(
        at=at,
        id=RUN,
        verb="hold",
        args={},
        operator="ana",
        identity="kernel",
        reason="r",
        expires_at=0,
    )
    parameter = {"name": NAME, "value": "0.01", "seconds": "60"}
    checked = events.StorageChecked(at=at, free_mb=100_000)
    return [
        events.Delivered(at=at, effect=EFFECT),
        events.Undelivered(at=at, effect=EFFECT, reason="r"),
        events.Undelivered(at=at, effect=EFFECT, reason="r", final=True),
        checked,
        *(but(checked, free_mb=mb) for mb in (10, 130, 500)),
        *(but(checked, fault=text) for text in ("disk is full", "readonly", "malformed", "locked")),
        events.Latched(at=at, reason="r"),
        events.Limited(at=at, control="re-entry", reason="r"),
        *(events.DoubtAged(at=at, age=age, order=ORDER) for age in (0, 3_000, 20_000)),
        events.Halted(at=at, who="w", reason="r"),
        events.Panicked(at=at, lines=('{"who":"boot","detail":"protect-only: r"}',)),
        events.Panicked(at=at, lines=("cancelled",)),
        *(but(command, verb=verb, args=parameter) for verb in VERBS),
        but(command, verb="ack", args={"alert": ALERT}),
        but(command, verb="rearm"),
        but(command, verb="rearm", role="admin", uid=1001),
        but(command, reason=""),
        but(command, expires_at=1),
        *(Answered(at=at, granted=yes, operator="bo", reason="r") for yes in (True, False)),
        events.Emitted(at=at, effect=EFFECT),
        *(
            events.Alerted(at=at, notify=Notify(severity="warning", text="x", key="k", latch=latch))
            for latch in (False, True)
        ),
        review,
        but(review, win_rate=0.35),
        but(review, win_rate=0.1),
        but(review, win_rate=None, trades=0),
        but(review, day_loss=0.9),
        events.Intended(at=at, order=ORDER, symbol=BTC, entry=True, reason="r"),
        events.Intended(at=at, order=ORDER, symbol=BTC, entry=False, reason="r"),
    ]


def moments(table: Table):
    """Yield ``(world, state, event)``: every state of a table, every event, every world."""
    for world in worlds():
        for event in samples(world):
            for state in states(table):
                yield at_the_time_of(world, event), state, event


def at_the_time_of(world: World, event: Any) -> World:
    """Return the world as handlers prepare it before they fire: time, marks, and candles taken in."""
    feeds = world.feeds
    if isinstance(event, events.Backfilled):
        feeds = {BTC: but(feeds[BTC], last=event.candles[-1].open_time)}
    if isinstance(event, events.Ticked) and event.marks:
        feeds = {BTC: but(feeds[BTC], seen_at=event.at)}
    return but(world, at=max(world.at, event.at), feeds=feeds)
