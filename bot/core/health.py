"""Health: whether the bot and what it stands on are well. WELL SUSPECT HEALING VERIFYING ESCALATED.

The questions are in `checks.py`, `examination.py` asks them. Invariants: a check moves by a finding
or by what came of an attempt to heal it; only a finding makes it well; people are told once of each
episode, after as many findings in a row as the configuration asks; what is well again says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core import healing
from bot.core.checks import CHECKS
from bot.core.effects import Effect, Notify
from bot.core.events import Recovered
from bot.core.healing import carried_out, cured
from bot.core.health_events import Judged, Probed, Treated
from bot.core.machine import BORN, Row, Table, always

if TYPE_CHECKING:
    from bot.core.world import World


class CheckState(StrEnum):
    """How a check stands: a finding makes it SUSPECT, as many as it takes have it healed or told of."""

    WELL = "WELL"
    SUSPECT = "SUSPECT"
    HEALING = "HEALING"
    VERIFYING = "VERIFYING"
    ESCALATED = "ESCALATED"


WELL, SUSPECT, HEALING, VERIFYING, ESCALATED = CheckState


def fine(world: World, event: Probed, key: str) -> str | None:
    """It is well."""
    return event.said if event.well else None


def bad(world: World, event: Probed, key: str) -> str | None:
    """It is not well."""
    return None if event.well else event.said


def confirmed(world: World, event: Probed, key: str) -> str | None:
    """It was not well as often as it takes."""
    if event.well or event.times < world.settings.health.confirm:
        return None
    return f"{event.said} ({event.times} findings in a row)"


def curable(world: World, event: Probed, key: str) -> str | None:
    """There is something to try."""
    why = confirmed(world, event, key)
    remedy = healing.choose(world, key) if why else None
    return f"{why}; trying {remedy.name}" if remedy else None


def hopeless(world: World, event: Probed, key: str) -> str | None:
    """It was not well as often as it takes, and there is nothing to try."""
    why = confirmed(world, event, key)
    return f"{why}{_story(world, key)}" if why else None


def another(world: World, event: Judged, key: str) -> str | None:
    """There is something else to try."""
    remedy = None if event.well else healing.choose(world, key)
    return f"{event.said}; trying {remedy.name}" if remedy else None


def given_up(world: World, event: Judged, key: str) -> str | None:
    """Nothing is left to try."""
    return None if event.well else f"{event.said}{_story(world, key)}"


def tell_given_up(world: World, event: Judged, key: str) -> Iterator[Effect]:
    """Tell people that nothing helped."""
    yield _not_well(key, f"{event.found}; nothing helped{_story(world, key)}")


def tell(world: World, event: Probed, key: str) -> Iterator[Effect]:
    """Tell people that a check is not well."""
    yield _not_well(key, f"{event.said}{_story(world, key)}")


def _story(world: World, key: str) -> str:
    """Return what was tried and what is left, in brackets, where there are remedies."""
    story = healing.story(world, key)
    return f" ({story})" if story else ""


def _not_well(key: str, said: str) -> Notify:
    grave = CHECKS[key.partition(" ")[0]].grave
    severity = "critical" if grave else "warning"
    text = f"check {key}: {said}"
    return Notify(severity=severity, text=text, key=f"check {key}", runbook="check")


def tell_well(world: World, event: Probed | Judged, key: str) -> Iterator[Effect]:
    """Tell people that it is over."""
    text = f"check {key} is well again: {event.said}"
    yield Notify(severity="info", text=text, key=f"check {key} well")


# fmt: off
CHECK = Table("check", CheckState, (
    #   from                  on         when         to          then
    Row(BORN,                 Probed,    fine,        WELL),
    Row(BORN,                 Probed,    bad,         SUSPECT),
    Row(WELL,                 Probed,    bad,         SUSPECT),
    Row(SUSPECT,              Probed,    curable,     HEALING),
    Row(SUSPECT,              Probed,    hopeless,    ESCALATED,  (tell,)),
    Row(SUSPECT,              Probed,    fine,        WELL),
    Row(HEALING,              Treated,   carried_out, VERIFYING),
    Row((HEALING, VERIFYING), Judged,    cured,       WELL,       (tell_well,)),
    Row((HEALING, VERIFYING), Judged,    another,     HEALING),
    Row((HEALING, VERIFYING), Judged,    given_up,    ESCALATED,  (tell_given_up,)),
    Row(HEALING,              Recovered, always("the process ended while a remedy was tried"), SUSPECT),
    Row(ESCALATED,            Probed,    fine,        WELL,       (tell_well,)),
), key="check")
# fmt: on
