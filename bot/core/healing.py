"""Healing: what the bot may try by itself against a check that is not well, and how often at most.

An attempt is a run that the bot proposes; `attempts.py` leads it through its life. Invariants: no
remedy is tried more often a day than it declares, nor on one check before it cooled down, nor all
together more often than is configured; what may do much harm waits for a person; what failed is not
tried again before the check was well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.core.effects import Effect, Heal, Notify
from bot.core.health_events import Judged, Proposed, Treated
from bot.core.machine import BORN, Row
from bot.core.remedy import HIGH, Remedy, worth
from bot.core.verb import APPROVED, DONE, EXPIRED, FAILED, PROPOSED, RUNNING, VERIFYING
from bot.core.world import DAY_MS

if TYPE_CHECKING:
    from bot.core.world import World

# -- what may be tried -----------------------------------------------------------------------------


def remedy_of(world: World, name: str) -> Remedy | None:
    """Return a remedy by its name, None if this process does not have it."""
    return next((remedy for remedy in world.remedies if remedy.name == name), None)


def today(world: World, remedy: str = "") -> int:
    """Return how many attempts were begun within a lived day, of one remedy or of all."""
    since = world.healing.lived - DAY_MS
    return sum(1 for t in world.healing.tries if t.at > since and remedy in ("", t.remedy))


def why_not(world: World, remedy: Remedy, check: str) -> str | None:
    """Tell why a remedy may not be tried on a check now, or None."""
    limits, memory = world.settings.healing, world.healing
    if not limits.enabled:
        return "healing is switched off (healing.enabled)"
    if remedy.name in memory.tried.get(check, {}):
        return memory.tried[check][remedy.name]
    if world.state("process") != "RUNNING":
        return "nothing is tried unless the bot is RUNNING"
    if remedy.venue and world.state("breaker") not in ("", "CLOSED"):
        return "of no use while the venue is away"
    if today(world, remedy.name) >= remedy.attempts:
        return f"tried {remedy.attempts} times within a day, which is its limit"
    if today(world) >= limits.day_max:
        return f"{limits.day_max} attempts of all remedies within a day, which is their limit"
    last = max(
        (t.at for t in memory.tries if (t.remedy, t.check) == (remedy.name, check)), default=None
    )
    wait = 0 if last is None else last + world.real_ms(remedy.cool_real_seconds) - memory.lived
    return f"cools down for {wait / world.real_ms(1):.0f} s more" if wait > 0 else None


def for_check(world: World, check: str) -> list[Remedy]:
    """Return the remedies for a check, the likeliest to cure first, last resorts behind them."""
    name = check.partition(" ")[0]
    found = [remedy for remedy in world.remedies if {name, check} & set(remedy.checks)]

    def rank(remedy: Remedy) -> tuple[bool, float]:
        return remedy.last, -worth(world.healing.record.get(f"{name} {remedy.name}", (0, 0)))

    return sorted(found, key=rank)


def choose(world: World, check: str, *, high: bool = False) -> Remedy | None:
    """Return the remedy to try on a check now; ``high``: the one to propose to a person."""
    for remedy in for_check(world, check):
        if (remedy.risk == HIGH) == high and why_not(world, remedy, check) is None:
            return remedy
    return None


def unfit(world: World, run: str) -> str | None:
    """Tell why an attempt that waited for a person may not be made any more, or None."""
    attempt = world.attempts[run]
    remedy = remedy_of(world, attempt.remedy)
    if remedy is None:
        return f"{attempt.remedy} is not known to this process"
    return why_not(world, remedy, attempt.check)


def story(world: World, check: str) -> str:
    """Return what was tried on a check, and what keeps the other remedies back, in a line."""
    told = [
        f"{remedy.name}: {why_not(world, remedy, check) or f'{remedy.risk} risk, not tried yet'}"
        for remedy in for_check(world, check)
    ]
    return "; ".join(told)


# -- the rows of an attempt, a run -----------------------------------------------------------------


def proposed(world: World, event: Proposed, key: str) -> str:
    """The bot proposes a remedy."""
    attempt = world.attempts[key]
    return f"{attempt.remedy} by the bot for check {attempt.check}: {attempt.said}"


def harmless(world: World, event: Proposed, key: str) -> str | None:
    """Its risk is not high: the bot may."""
    remedy = remedy_of(world, world.attempts[key].remedy)
    return f"{remedy.risk} risk: the bot may" if remedy and remedy.risk != HIGH else None


def begun(world: World, event: Proposed, key: str) -> str:
    """It is being tried."""
    remedy = remedy_of(world, world.attempts[key].remedy)
    first = f"; first {remedy.backs_up}" if remedy and remedy.backs_up else ""
    return f"{remedy.meaning if remedy else 'unknown'}{first}"


def carried_out(world: World, event: Treated, key: str) -> str | None:
    """It was carried out; now the check has to be well."""
    return event.said if event.ok else None


def not_carried_out(world: World, event: Treated, key: str) -> str | None:
    """It could not be carried out."""
    return None if event.ok else event.said


def cured(world: World, event: Judged, key: str) -> str | None:
    """The check is well."""
    return event.said if event.well else None


def not_cured(world: World, event: Judged, key: str) -> str | None:
    """The check is not well, or nothing was heard in time."""
    return None if event.well else event.said


def over(world: World, event: Judged, key: str) -> str:
    """Nobody approved it in time, or the check is well by itself."""
    return event.said


def tell_failed(world: World, event: Treated | Judged, key: str) -> Iterator[Effect]:
    """Tell the people who were asked that what they allowed did not help."""
    attempt = world.attempts[key]
    remedy = remedy_of(world, attempt.remedy)
    if remedy is not None and remedy.risk == HIGH:
        text = f"check {attempt.check}: {attempt.remedy} did not help: {event.said}"
        yield Notify(severity="warning", text=text, runbook="check")


def heal(world: World, event: Proposed, key: str) -> Iterator[Effect]:
    """Try it."""
    attempt = world.attempts[key]
    yield Heal(run=key, remedy=attempt.remedy, check=attempt.check)


def ask(world: World, event: Proposed, key: str) -> Iterator[Effect]:
    """Ask a person for a remedy of high risk."""
    attempt = world.attempts[key]
    remedy = remedy_of(world, attempt.remedy)
    if remedy is None or remedy.risk != HIGH:
        return
    text = (
        f"check {attempt.check}: {attempt.said}; the bot would {remedy.meaning[0].lower()}"
        f"{remedy.meaning[1:].rstrip('.')} (high risk): `bot do approve run={key}`"
    )
    yield Notify(severity="warning", text=text, key=f"approve {key}", runbook="check")


# fmt: off
ROWS: tuple[Row, ...] = (
    #   from       on        when             to         then
    Row(BORN,      Proposed, proposed,        PROPOSED,  (ask,)),
    Row(PROPOSED,  Proposed, harmless,        APPROVED),
    Row(APPROVED,  Proposed, begun,           RUNNING,   (heal,)),
    Row(PROPOSED,  Judged,   over,            EXPIRED),
    Row(RUNNING,   Treated,  carried_out,     VERIFYING),
    Row(RUNNING,   Treated,  not_carried_out, FAILED,    (tell_failed,)),
    Row(RUNNING,   Judged,   not_cured,       FAILED,    (tell_failed,)),
    Row(VERIFYING, Judged,   cured,           DONE),
    Row(VERIFYING, Judged,   not_cured,       FAILED,    (tell_failed,)),
)
# fmt: on
"""A row each of the machine `run` for what the bot proposes."""
