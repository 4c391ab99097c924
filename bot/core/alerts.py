"""Alerts: what people are told, when, through which channels, and again until somebody answers.

QUEUED waits for the digest; RAISED was told; ESCALATED went to the second channels; ACKNOWLEDGED was
answered; CLOSED is the end. Invariants: every ``Notify`` comes through here and nothing else is sent
to people; a critical is never put in a digest and ends only by a named person's word; neither it nor
a latch is ever held back; what is open for the same key and severity is counted, not sent again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core.effects import SEVERITIES, Effect, Notify
from bot.core.events import Alerted, Commanded, Ticked
from bot.core.facts import AlertNoted
from bot.core.machine import BORN, Row, Table
from bot.core.text import safe_text
from bot.core.world import ACCOUNT, DAY_MS, HOUR_MS, Alert

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import Run, World

SCREEN = "screen"
"""The channel that is always there: the log of the process."""
DIGEST = "digest"
"""The key of the message that gathers what was held back."""
KEY_MAX, REASON_MAX, DIGEST_LINE_MAX, DIGEST_LINES = 120, 300, 160, 20
LIFTS = {"release": "hold", "rearm": "kill"}
"""The machine that a command of a person lifts: who lifts it has seen its alert."""


class AlertState(StrEnum):
    """How far people know of it."""

    QUEUED = "QUEUED"
    RAISED = "RAISED"
    ESCALATED = "ESCALATED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    CLOSED = "CLOSED"


QUEUED, RAISED, ESCALATED, ACKNOWLEDGED, CLOSED = AlertState
UNANSWERED = (QUEUED, RAISED, ESCALATED)
OPEN = (*UNANSWERED, ACKNOWLEDGED)


# -- questions -------------------------------------------------------------------------------------


def is_critical(notify: Notify) -> bool:
    """Tell whether somebody must answer."""
    return notify.severity == "critical"


def is_wanted(world: World, notify: Notify) -> bool:
    """Tell whether it matters enough to be sent."""
    least = world.settings.alerts.severity_min
    return SEVERITIES.index(notify.severity) >= SEVERITIES.index(least)


def may_wait(world: World, notify: Notify) -> bool:
    """Tell whether it may be held back at all: no critical, no latch, and not what is never sent."""
    return not is_critical(notify) and not notify.latch and is_wanted(world, notify)


def quiet_until(world: World) -> int:
    """Return when the quiet hours end that it is now, market ms; 0 if it is none."""
    limits = world.settings.alerts
    begin, end = (int(h * HOUR_MS) for h in (limits.quiet_from_hour, limits.quiet_until_hour))
    now = world.at % DAY_MS
    quiet = begin <= now < end if begin <= end else now >= begin or now < end
    return world.at - now + end + (DAY_MS if end <= now else 0) if quiet else 0


def digest_due(world: World) -> bool:
    """Tell whether what was held back is told now."""
    return bool(world.digest_at) and world.at >= world.digest_at and not quiet_until(world)


def held_back(world: World, event: Alerted, key: str) -> str | None:
    """Quiet hours or a storm: it waits for the digest."""
    if not may_wait(world, event.notify) or not world.settings.alerts.digest:
        return None
    until = quiet_until(world)
    if until:
        return _named(event.notify, f"quiet hours until {_clock(until)} UTC")
    told = sum(
        may_wait(world, alert.notify) and world.state("alert", name) != QUEUED
        for name, alert in world.alerts.items()
    )
    limits = world.settings.alerts
    if told < limits.storm_max:
        return None
    return _named(event.notify, f"{told} were sent in {limits.window_real_seconds:g} s")


def raised(world: World, event: Alerted, key: str) -> str:
    """People are told."""
    return _named(event.notify, event.notify.severity)


def latched_anew(world: World, event: Alerted, key: str) -> str | None:
    """A latch closed again: that is news."""
    return raised(world, event, key) if event.notify.latch else None


def crowded(world: World, event: Ticked, key: str) -> str | None:
    """More alerts are open than may be, and it is the first to go."""
    most = world.settings.alerts.open_max
    if len(world.alerts) <= most or key != _first_to_go(world):
        return None
    return f"more than {most} are open"


def _first_to_go(world: World) -> str:
    """Return the oldest alert, an unanswered critical only if there is nothing else."""

    def order(key: str) -> tuple[bool, int]:
        notify = world.alerts[key].notify
        answered = world.state("alert", key) == ACKNOWLEDGED
        return is_critical(notify) and not answered, notify.since

    return min(world.alerts, key=order)


def in_digest(world: World, event: Ticked, key: str) -> str | None:
    """The digest tells it."""
    return f"told in the digest, {_times(world, key)}" if digest_due(world) else None


def unheard(world: World, event: Ticked, key: str) -> str | None:
    """Nobody acknowledged a critical, for so long that the second channels are told."""
    since = world.alerts[key].notify.since
    late = world.at >= since + world.real_ms(world.settings.alerts.escalate_real_seconds)
    return unanswered(world, event, key) if late else None


def unanswered(world: World, event: Ticked, key: str) -> str | None:
    """Nobody acknowledged a critical."""
    alert = world.alerts[key]
    if not is_critical(alert.notify) or world.at < alert.due_at:
        return None
    minutes = (world.at - alert.notify.since) / 60_000 / max(1.0, world.rate)
    return f"nobody acknowledged it for {minutes:.0f} min"


def passed(world: World, event: Ticked, key: str) -> str | None:
    """Its window is over, and nobody needs to answer."""
    return None if is_critical(world.alerts[key].notify) else over(world, event, key)


def over(world: World, event: Ticked, key: str) -> str | None:
    """Its window is over."""
    return _times(world, key) if world.at >= world.alerts[key].due_at else None


def acknowledged(world: World, event: Commanded, key: str) -> str | None:
    """A named person answers."""
    named = event.args.get("alert") in (key, world.alerts[key].notify.key)
    return f"{event.operator}: {event.reason}" if event.verb == "ack" and named else None


def lifted(world: World, event: Commanded, key: str) -> str | None:
    """A named person lifted what it is about."""
    machine = LIFTS.get(event.verb, "")
    origin = f"{machine} {event.args.get('symbol') or ACCOUNT} "
    if not machine or not world.alerts[key].notify.key.startswith(origin):
        return None
    return f"{event.verb} by {event.operator}: {event.reason}"


# -- messages --------------------------------------------------------------------------------------


def tell(world: World, event: Alerted, key: str) -> Iterator[Effect]:
    """Tell people, each channel by a message of its own."""
    wanted = world.channels if is_wanted(world, event.notify) else ()
    yield from _to((SCREEN, *wanted), event.notify)


def repeat(world: World, event: Ticked, key: str) -> Iterator[Effect]:
    """Tell the same people again."""
    yield from _to((SCREEN, *world.channels), _still(world, event, key))


def escalate(world: World, event: Ticked, key: str) -> Iterator[Effect]:
    """Tell the second channels; where there are none, the first ones again."""
    yield from _to((SCREEN, *(world.second or world.channels)), _still(world, event, key))


def remind(world: World, event: Ticked, key: str) -> Iterator[Effect]:
    """Tell everybody again."""
    yield from _to((SCREEN, *world.channels, *world.second), _still(world, event, key))


def _still(world: World, event: Ticked, key: str) -> Notify:
    notify = world.alerts[key].notify
    return replace(notify, text=f"{notify.text}; {unanswered(world, event, key)}")


def _to(channels: Iterable[str], notify: Notify) -> Iterator[Notify]:
    return (replace(notify, channel=channel) for channel in channels)


def _named(notify: Notify, why: str) -> str:
    return safe_text(f"{notify.key} ({why}): {notify.text}", REASON_MAX)


def _times(world: World, key: str) -> str:
    count = world.alerts[key].notify.count
    return "it happened once" if count == 1 else f"it happened {count} times"


def _clock(at: int) -> str:
    hours, minutes = divmod(at % DAY_MS // 60_000, 60)
    return f"{hours:02d}:{minutes:02d}"


# fmt: off
ALERT = Table("alert", AlertState, (
    #   from              on         when          to
    Row(BORN,             Alerted,   held_back,    QUEUED),
    Row(BORN,             Alerted,   raised,       RAISED,    (tell,)),
    Row(OPEN,             Alerted,   latched_anew, RAISED,    (tell,)),
    Row(OPEN,             Ticked,    crowded,      CLOSED),
    Row(QUEUED,           Ticked,    in_digest,    CLOSED),
    Row(RAISED,           Ticked,    unheard,      ESCALATED, (escalate,)),
    Row(RAISED,           Ticked,    unanswered,   RAISED,    (repeat,)),
    Row(RAISED,           Ticked,    passed,       CLOSED),
    Row(ESCALATED,        Ticked,    unanswered,   ESCALATED, (remind,)),
    Row(ACKNOWLEDGED,     Ticked,    over,         CLOSED),
    Row(UNANSWERED,       Commanded, acknowledged, ACKNOWLEDGED),
    Row(OPEN,             Commanded, lifted,       CLOSED),
), key="alert id", final=frozenset({CLOSED}))
# fmt: on


# -- what happens ----------------------------------------------------------------------------------


def heed(turn: Turn, notify: Notify, origin: str) -> str:
    """Decide what becomes of something that people should know of; return its alert's id."""
    world = turn.world
    key = safe_text(notify.key or origin, KEY_MAX)
    about = (key, notify.severity)
    known = next(
        (k for k, a in world.alerts.items() if (a.notify.key, a.notify.severity) == about), ""
    )
    before = world.alerts.get(known)
    said = replace(
        notify,
        key=key,
        alert=known or _next_id(turn),
        since=world.at if before is None or notify.latch else before.notify.since,
        count=before.notify.count + 1 if before else 1,
    )
    step = turn.fire(ALERT, Alerted(at=world.at, notify=said), said.alert)
    due_at = before.due_at if before else 0
    if step is None and world.state("alert", known) == ACKNOWLEDGED:
        due_at = _later(world, world.settings.alerts.window_real_seconds)
    elif step is not None and step.dest == RAISED:
        limits = world.settings.alerts
        due_at = _later(
            world, limits.repeat_real_seconds if is_critical(said) else limits.window_real_seconds
        )
    elif step is not None and not world.digest_at:
        wait = _later(world, world.settings.alerts.window_real_seconds)
        turn.set(digest_at=quiet_until(world) or wait)
    turn.put("alerts", said.alert, Alert(said, due_at))
    turn.note(AlertNoted(said))
    return said.alert


def _next_id(turn: Turn) -> str:
    """Return the id of an alert: the event's number, and which of its alerts it is."""
    born = sum(step.machine == ALERT.name and step.source == BORN for step in turn.steps)
    return f"a{turn.seq}-{born}"


def _later(world: World, seconds: float) -> int:
    return world.at + world.real_ms(seconds)


def tick(turn: Turn, event: Ticked) -> None:
    """Tell what is due again, close what is over, and send the digest."""
    if digest_due(turn.world):
        _digest(turn, event)
    excess = len(turn.world.alerts) - turn.world.settings.alerts.open_max
    for _ in range(excess):
        _move(turn, event, _first_to_go(turn.world))
    for key, alert in list(turn.world.alerts.items()):
        if turn.world.at >= alert.due_at:
            _move(turn, event, key)


def _move(turn: Turn, event: Ticked | Commanded, key: str) -> None:
    """Move an alert if its table says so, and set when it is looked at again."""
    step = turn.fire(ALERT, event, key)
    if step is None:
        return
    alert, limits = turn.world.alerts[key], turn.world.settings.alerts
    due_at = {
        RAISED: alert.notify.since + turn.world.real_ms(limits.escalate_real_seconds),
        ESCALATED: _later(turn.world, limits.remind_real_seconds),
        ACKNOWLEDGED: _later(turn.world, limits.window_real_seconds),
    }.get(AlertState(step.dest))
    turn.put("alerts", key, None if due_at is None else replace(alert, due_at=due_at))


def _digest(turn: Turn, event: Ticked) -> None:
    """Tell all that was held back in one message."""
    alerts = turn.world.alerts
    queued = [key for key in alerts if turn.world.state("alert", key) == QUEUED]
    for key in queued:
        _move(turn, event, key)
    turn.set(digest_at=0)
    if queued:
        notify = _gathered([alerts[key].notify for key in queued])
        turn.emit_all(_to((SCREEN, *turn.world.channels), notify))


def _gathered(held: list[Notify]) -> Notify:
    """Return the one message that tells them all, the worst first."""
    worst_first = sorted(held, key=lambda n: (-SEVERITIES.index(n.severity), n.since))
    since = min(n.since for n in held)
    lines = [f"{len(held)} alerts were held back since {_clock(since)} UTC:"]
    lines += [
        safe_text(
            f"- {n.severity}{f' ×{n.count}' if n.count > 1 else ''}: {n.text}", DIGEST_LINE_MAX
        )
        for n in worst_first[:DIGEST_LINES]
    ]
    if len(held) > DIGEST_LINES:
        lines.append(f"and {len(held) - DIGEST_LINES} more: `bot alerts list`")
    return Notify(
        severity=worst_first[0].severity,
        text="\n".join(lines),
        key=DIGEST,
        alert=DIGEST,
        since=since,
        count=sum(n.count for n in held),
    )


def answered(turn: Turn, event: Commanded) -> None:
    """Move the alerts that a person's command answers."""
    for key in list(turn.world.alerts):
        _move(turn, event, key)


# -- the command -----------------------------------------------------------------------------------


def _called(world: World, name: str | None) -> list[str]:
    return [key for key, alert in world.alerts.items() if name in (key, alert.notify.key)]


def why_not_ack(world: World, event: Commanded) -> str | None:
    """Tell why there is nothing to acknowledge, or None."""
    name = event.args.get("alert", "")
    found = {world.state("alert", key) for key in _called(world, name)}
    if found & set(UNANSWERED):
        return None
    if found:
        return f"alert {name} is ACKNOWLEDGED already"
    return f"alert: expected the id or the key of an open alert, found {name!r}"


def all_answered(world: World, run: Run) -> str | None:
    """Tell how the alerts of an acknowledgement stand, or None while one is unanswered."""
    name = run.args["alert"]
    if any(world.state("alert", key) in UNANSWERED for key in _called(world, name)):
        return None
    return f"alert {name} is ACKNOWLEDGED"
