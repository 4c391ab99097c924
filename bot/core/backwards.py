"""Time that goes back: every memory of a future that was a mistake is cut off at the present."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from bot.core import runs
from bot.core.effects import AnyEffect, Inquire
from bot.core.machine import Instance
from bot.core.world import DAY_MS, Alert

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

S = TypeVar("S", bound=Struct)

ACCOUNT_TIMES = (
    "reviewed_at",
    "marked_at",
    "reconciled_at",
    "fills_since",
    "booked_at",
    "guard_since",
    "full_at",
    "began_at",
    "fills_floor",
    "reread_at",
)
ORDER_TIMES = ("news_at", "worked_at", "cancel_at")
POSITION_TIMES = ("naked_since", "asked_at", "left_at", "venue_at")
FEED_TIMES = ("seen_at", "refused_at", "asked_at")


def go_back(turn: Turn, at: int) -> None:
    """Go on from an earlier time: nothing may wait for a future that was a mistake.

    The day is kept, so that going back over midnight does not forgive a daily loss.
    """
    world = turn.world
    account = _capped(world.account, at // DAY_MS, "compared_day")
    turn.set(
        at=at,
        private_up_at=min(world.private_up_at, at),
        crashes=tuple(_capped(crash, at, "at") for crash in world.crashes),
        breaker_until=min(world.breaker_until, at),
        intents=tuple(_capped(i, at, "at") for i in world.intents),
        messages=replace(
            _capped(world.messages, at // DAY_MS, "day"),
            recent=tuple(min(t, at) for t in world.messages.recent),
        ),
        rejections=replace(
            world.rejections, recent=tuple(min(t, at) for t in world.rejections.recent)
        ),
        account=_capped(account, at - 1, *ACCOUNT_TIMES),
        runs={
            k: replace(r, deadline=min(r.deadline, at + runs.limit_ms(world, k)))
            for k, r in world.runs.items()
        },
        alerts={key: _alert_capped(world, alert, at) for key, alert in world.alerts.items()},
        digest_at=min(world.digest_at, at),
        machines={name: _since_capped(known, at) for name, known in world.machines.items()},
        positions={s: _capped(p, at, *POSITION_TIMES) for s, p in world.positions.items()},
        orders={
            k: _capped(_capped(o, at, *ORDER_TIMES), at - 1, "ended_at")
            for k, o in world.orders.items()
        },
        deliveries={
            k: replace(_capped(d, at, "not_before"), effect=_asked_by(d.effect, at))
            for k, d in world.deliveries.items()
        },
        health=_capped(world.health, at, "counted_at"),
        # candles of a time that was a mistake are not built upon
        feeds={s: replace(_capped(f, at, *FEED_TIMES), last=0) for s, f in world.feeds.items()},
    )


def _capped(struct: S, at: int, *names: str) -> S:
    """Return a struct none of whose named times is after ``at``."""
    return replace(struct, **{name: min(getattr(struct, name), at) for name in names})


def _asked_by(effect: AnyEffect, at: int) -> AnyEffect:
    """Return an effect whose proof of absence does not wait for a time that was a mistake."""
    if isinstance(effect, Inquire):
        return replace(effect, sent_at=min(effect.sent_at, at))
    return effect


def _alert_capped(world: World, alert: Alert, at: int) -> Alert:
    """Return an alert that nobody is told of at once, and that waits no longer than it may."""
    soon = at + world.real_ms(world.settings.alerts.repeat_real_seconds)
    return replace(_capped(alert, soon, "due_at"), notify=_capped(alert.notify, at, "since"))


def _since_capped(instances: dict[str, Instance], at: int) -> dict[str, Instance]:
    return {key: replace(i, since=min(i.since, at)) for key, i in instances.items()}
