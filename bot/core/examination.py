"""An examination: makes the checks whose time it is, and lets what they find move them and their healing.

A sampling of the host asks for it. What it finds leaves a row where it changed something, and now
and then where it did not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core import attempts, slo
from bot.core.checks import CHECKS, FAST, Check, Finding
from bot.core.facts import CheckMarked
from bot.core.health import CHECK, CheckState
from bot.core.health_events import Probed, Sampled

if TYPE_CHECKING:
    from bot.core.turn import Turn

MARK_MS = 300_000
"""A finding that changes nothing leaves a row this often, market time."""


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
    attempts.overdue(turn)
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
    attempts.judge(turn, key, finding.well, finding.said)
    moved = turn.fire(CHECK, probed, key)
    if moved is not None and moved.dest == CheckState.SUSPECT:  # where one finding is enough
        moved = turn.fire(CHECK, probed, key) or moved
    if moved is not None:
        attempts.follow(turn, key, moved.dest, finding.said)
    if moved is not None or turn.world.at - marked.get(key, 0) >= MARK_MS:
        marked[key] = turn.world.at
        turn.note(CheckMarked(key, finding.well, finding.value, finding.limit, finding.said))
