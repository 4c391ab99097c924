"""Health: whether the bot and what it stands on are well, judged again and again. WELL SUSPECT ESCALATED.

The questions are in `checks.py`; a sampling of the host makes those whose time it is. Invariants: a
check moves only by a finding; people are told once of each episode, after as many findings in a
row as the configuration asks; what is well again says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core import slo
from bot.core.checks import CHECKS, FAST, Check, Finding
from bot.core.effects import Effect, Notify
from bot.core.facts import CheckMarked
from bot.core.health_events import Probed, Sampled
from bot.core.machine import BORN, Row, Table

if TYPE_CHECKING:
    from bot.core.turn import Turn
    from bot.core.world import World

MARK_MS = 300_000
"""A finding that changes nothing leaves a row this often, market time."""


class CheckState(StrEnum):
    """How a check stands: one finding makes it SUSPECT, as many as it takes ESCALATED."""

    WELL = "WELL"
    SUSPECT = "SUSPECT"
    ESCALATED = "ESCALATED"


WELL, SUSPECT, ESCALATED = CheckState


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


def tell(world: World, event: Probed, key: str) -> Iterator[Effect]:
    """Tell people that a check is not well."""
    grave = CHECKS[event.check].grave
    severity = "critical" if grave else "warning"
    text = f"check {key}: {event.said}"
    yield Notify(severity=severity, text=text, key=f"check {key}", runbook="check")


def tell_well(world: World, event: Probed, key: str) -> Iterator[Effect]:
    """Tell people that it is over."""
    text = f"check {key} is well again: {event.said}"
    yield Notify(severity="info", text=text, key=f"check {key} well")


# fmt: off
CHECK = Table("check", CheckState, (
    #   from        on      when       to         then
    Row(BORN,       Probed, fine,      WELL),
    Row(BORN,       Probed, bad,       SUSPECT),
    Row(WELL,       Probed, bad,       SUSPECT),
    Row(SUSPECT,    Probed, confirmed, ESCALATED, (tell,)),
    Row(SUSPECT,    Probed, fine,      WELL),
    Row(ESCALATED,  Probed, fine,      WELL,      (tell_well,)),
), key="check")
# fmt: on


def sampled(turn: Turn, event: Sampled) -> None:
    """Make the checks whose time it is, on what the host measured and on what is remembered."""
    samples = {**turn.world.health.samples, **event.samples}
    turn.set(health=replace(turn.world.health, samples=samples))
    if turn.world.state("process") != "RUNNING":
        return  # what is not up yet, or is being taken down, is not well for good reasons
    suspect, marked = dict(turn.world.health.suspect), dict(turn.world.health.marked)
    for check in CHECKS.values():
        if check.pace == event.pace:
            for finding in check.judge(turn.world):
                _found(turn, check, finding, suspect, marked)
    turn.set(health=replace(turn.world.health, suspect=suspect, marked=marked))
    if event.pace == FAST:
        slo.count(turn)


def _found(
    turn: Turn, check: Check, finding: Finding, suspect: dict[str, int], marked: dict[str, int]
) -> None:
    """Move the check's machine, and leave a row where it moved or its last row is old."""
    key = f"{check.name} {finding.subject}".rstrip()
    times = 0 if finding.well else suspect.get(key, 0) + 1
    suspect[key] = times
    probed = Probed(
        at=turn.world.at, check=check.name, well=finding.well, said=finding.said, times=times
    )
    moved = turn.fire(CHECK, probed, key)
    if moved is not None or turn.world.at - marked.get(key, 0) >= MARK_MS:
        marked[key] = turn.world.at
        turn.note(CheckMarked(key, finding.well, finding.value, finding.limit, finding.said))
