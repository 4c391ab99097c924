"""Attempts: the life of each try at healing, from the bot's proposal to the check that is well, or not.

Invariants: one attempt at a time on each check; it counts from its beginning, so that a crash buys
none; only time that was lived counts, which no clock and no restart moves; what is begun comes to
an end; when nothing is left to try, people get a report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core import healing
from bot.core.checks import CHECKS, SLOW
from bot.core.effects import Report
from bot.core.facts import AttemptMarked, Escalated, RemediesDeclared
from bot.core.health import CHECK, CheckState
from bot.core.health_events import Judged, Proposed, Treated
from bot.core.remedy import Attempt, Remedy, Try
from bot.core.runs import RUN
from bot.core.verb import (
    APPROVED,
    DONE,
    EXPIRED,
    FAILED,
    PROPOSED,
    REFUSED,
    RUNNING,
    VERIFYING,
)
from bot.core.world import DAY_MS

if TYPE_CHECKING:
    from bot.core.events import Commanded, Recovered, Started, Ticked
    from bot.core.turn import Turn
    from bot.core.world import World

TICK_REAL_SECONDS_MAX = 60.0
"""More than this between two ticks was not lived: the process was away, or its clock was moved."""
PATIENCE = 2.0
"""A remedy that is carried out is cut off after its time; nothing is heard of it only if that failed."""


def declare(turn: Turn, event: Started) -> None:
    """Take in what this process may try."""
    turn.set(remedies=event.remedies)
    turn.note(RemediesDeclared(event.remedies))


def tick(turn: Turn, event: Ticked) -> None:
    """Count the time that was lived."""
    memory, at = turn.world.healing, turn.world.at
    passed = at - memory.ticked_at if memory.ticked_at else 0
    passed = min(max(0, passed), turn.world.real_ms(TICK_REAL_SECONDS_MAX))
    turn.set(healing=replace(memory, lived=memory.lived + passed, ticked_at=at))


def propose(turn: Turn, check: str, remedy: Remedy, said: str) -> None:
    """Propose a remedy, and begin it at once unless it waits for a person."""
    nth = sum(1 for key in turn.world.attempts if key.startswith(f"heal-{turn.seq}-"))
    key, lived = f"heal-{turn.seq}-{nth}", turn.world.healing.lived
    wait = turn.world.real_ms(turn.world.settings.healing.wait_real_seconds)
    turn.put("attempts", key, Attempt(remedy.name, check, said, lived, lived + wait))
    event = Proposed(at=turn.world.at)
    turn.fire(RUN, event, key)
    _mark(turn, key, PROPOSED, said)
    if turn.fire(RUN, event, key):
        begin(turn, key)


def begin(turn: Turn, key: str) -> None:
    """Begin an attempt that is APPROVED, and remember that it was."""
    attempt, memory = turn.world.attempts[key], turn.world.healing
    remedy = healing.remedy_of(turn.world, attempt.remedy)
    within = remedy.within_real_seconds if remedy else 0.0
    since = memory.lived - DAY_MS
    tries = (
        *(t for t in memory.tries if t.at > since),
        Try(attempt.remedy, attempt.check, memory.lived),
    )
    turn.set(healing=replace(memory, tries=tries))
    _remember(turn, attempt, "was begun")
    deadline = memory.lived + turn.world.real_ms(PATIENCE * within)
    turn.put("attempts", key, replace(attempt, deadline=deadline))
    turn.fire(RUN, Proposed(at=turn.world.at), key)
    _mark(turn, key, RUNNING, attempt.said)


def answered(turn: Turn, event: Commanded) -> None:
    """Begin what a person approved; what was declined is not proposed again in this episode."""
    for key, attempt in list(turn.world.attempts.items()):
        state = turn.world.state("run", key)
        if state == APPROVED:
            begin(turn, key)
        elif not state:
            turn.put("attempts", key, None)
            said = next(
                s.reason for s in reversed(turn.steps) if (s.machine, s.key) == ("run", key)
            )
            turn.note(_marked(turn.world, key, attempt, REFUSED, said))
            _remember(turn, attempt, said)


def treated(turn: Turn, event: Treated) -> None:
    """Hear that a remedy was carried out, or why not."""
    from bot.core.health import CHECK

    attempt = turn.world.attempts.get(event.run)
    step = turn.fire(RUN, event, event.run) if attempt else None
    if attempt is None or step is None:
        return
    if step.dest == FAILED:
        _settle(turn, event.run, attempt, cured=False, said=event.said)
        return
    _mark(turn, event.run, VERIFYING, event.said)
    remedy = healing.remedy_of(turn.world, attempt.remedy)
    pace = turn.world.settings.health.slow_real_seconds if _is_slow(attempt.check) else 0.0
    within = turn.world.real_ms(pace + (remedy.within_real_seconds if remedy else 0.0))
    later = replace(attempt, deadline=turn.world.healing.lived + within)
    turn.put("attempts", event.run, later)
    turn.fire(CHECK, event, attempt.check)


def _is_slow(check: str) -> bool:
    found = CHECKS.get(check.partition(" ")[0])
    return found is not None and found.pace == SLOW


def judge(turn: Turn, check: str, well: bool, said: str) -> None:
    """Let a finding end the attempts on its check: cured, or expired because there is no need."""
    for key, attempt in list(turn.world.attempts.items()):
        if attempt.check != check or not well:
            continue
        state = turn.world.state("run", key)
        if state == PROPOSED:
            _end(turn, key, attempt, well=True, said=f"the check is well by itself: {said}")
        elif state == VERIFYING:
            _end(turn, key, attempt, well=True, said=f"{said}, after {attempt.remedy}")


def overdue(turn: Turn) -> None:
    """End what took too long: unanswered, unheard of, or without effect."""
    sentences: dict[str, str] = {
        PROPOSED: "nobody approved it in time",
        RUNNING: "nothing was heard of it in time",
        VERIFYING: "the check did not get well in time",
    }
    for key, attempt in list(turn.world.attempts.items()):
        if turn.world.healing.lived >= attempt.deadline:
            said = sentences.get(turn.world.state("run", key), "it was never begun")
            _end(turn, key, attempt, well=False, said=said)


def recover(turn: Turn, event: Recovered) -> None:
    """After a start: what the dead process had begun is over; it counts as tried."""
    said = "the process ended while it was tried"
    for key, attempt in list(turn.world.attempts.items()):
        if turn.world.state("run", key) == RUNNING:
            turn.fire(RUN, Judged(at=turn.world.at, well=False, said=said), key)
            _close(turn, key, attempt, cured=False, said=said)
            turn.fire(CHECK, event, attempt.check)


def _end(turn: Turn, key: str, attempt: Attempt, *, well: bool, said: str) -> None:
    """End an attempt; one that was never begun leaves the check where it is."""
    waited = turn.world.state("run", key) == PROPOSED
    turn.fire(RUN, Judged(at=turn.world.at, well=well, said=said), key)
    if waited:
        turn.put("attempts", key, None)
        turn.note(_marked(turn.world, key, attempt, EXPIRED, said))
    else:
        _settle(turn, key, attempt, cured=well, said=said)


def _settle(turn: Turn, key: str, attempt: Attempt, *, cured: bool, said: str) -> None:
    """Let the check go on from what came of an attempt."""
    _close(turn, key, attempt, cured=cured, said=said)
    judged = Judged(at=turn.world.at, well=cured, said=said, found=attempt.said)
    step = turn.fire(CHECK, judged, attempt.check)
    if step is not None:
        follow(turn, attempt.check, step.dest, attempt.said)


def _close(turn: Turn, key: str, attempt: Attempt, *, cured: bool, said: str) -> None:
    """Remember what came of an attempt."""
    turn.put("attempts", key, None)
    turn.note(_marked(turn.world, key, attempt, DONE if cured else FAILED, said))
    name = f"{attempt.check.partition(' ')[0]} {attempt.remedy}"
    good, bad = turn.world.healing.record.get(name, (0, 0))
    record = {**turn.world.healing.record, name: (good + cured, bad + (not cured))}
    turn.set(healing=replace(turn.world.healing, record=record))
    _remember(turn, attempt, "cured" if cured else f"failed: {said}")


def follow(turn: Turn, check: str, state: str, said: str) -> None:
    """Do what a check's new state asks for: begin, give up, or forget the episode."""
    if state == CheckState.HEALING:
        remedy = healing.choose(turn.world, check)
        if remedy is not None:
            propose(turn, check, remedy, said)
    elif state == CheckState.ESCALATED:
        _give_up(turn, check, said)
    elif state == CheckState.WELL:
        tried = {k: v for k, v in turn.world.healing.tried.items() if k != check}
        turn.set(healing=replace(turn.world.healing, tried=tried))


def _give_up(turn: Turn, check: str, said: str) -> None:
    """Leave a report; propose to a person what only a person may allow."""
    tried = turn.world.healing.tried.get(check, {})
    name = f"escalation-{turn.seq}-{check.replace(' ', '-').replace('/', '-')}.md"
    turn.note(Escalated(check, said, tried, name))
    turn.emit(Report(name=name, text=_report(turn, check, said)))
    remedy = healing.choose(turn.world, check, high=True)
    waiting = any(a.check == check for a in turn.world.attempts.values())
    if remedy is not None and not waiting:
        propose(turn, check, remedy, said)


def _report(turn: Turn, check: str, said: str) -> str:
    """Return the report of an escalation, in Markdown."""
    question = CHECKS.get(check.partition(" ")[0])
    since = turn.world.instance_of("check", check)
    lines = [
        f"# Check {check} is not well",
        "",
        f"- what it asks: {question.meaning if question else 'unknown'}",
        f"- what was found: {said}",
        f"- journal: event #{turn.seq}, market time {turn.world.at} ms"
        + (f", ESCALATED since {since.since} ms" if since else ""),
        f"- attempts within a day: {healing.today(turn.world)} of all remedies",
        "",
        "## Remedies",
        "",
        *(
            f"- {r.name} ({r.risk} risk, {healing.today(turn.world, r.name)} of {r.attempts} today): "
            f"{healing.why_not(turn.world, r, check) or 'not tried'}"
            for r in healing.for_check(turn.world, check)
        ),
        "",
        "Nothing more is tried before the check is well. What to do: docs/alerts.md, `check`.",
        "Everything that led here: `bot query \"SELECT * FROM transition WHERE key = '…'\"`.",
    ]
    return "\n".join(lines) + "\n"


def _remember(turn: Turn, attempt: Attempt, outcome: str) -> None:
    memory = turn.world.healing
    mine = {**memory.tried.get(attempt.check, {}), attempt.remedy: outcome}
    turn.set(healing=replace(memory, tried={**memory.tried, attempt.check: mine}))


def _mark(turn: Turn, key: str, state: str, said: str) -> None:
    turn.note(_marked(turn.world, key, turn.world.attempts[key], state, said))


def _marked(world: World, key: str, attempt: Attempt, state: str, said: str) -> AttemptMarked:
    remedy = healing.remedy_of(world, attempt.remedy)
    risk = remedy.risk if remedy else "unknown"
    return AttemptMarked(key, attempt.remedy, attempt.check, risk, state, said)
