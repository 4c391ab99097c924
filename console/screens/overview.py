"""The first screen: what needs you, the distance to each limit, what is open, what moves."""

from __future__ import annotations

from collections.abc import Iterator

from bot.desk import views
from bot.desk.reading import Connection
from bot.desk.status import Status
from bot.desk.text import moment
from console.feed import Snapshot, Want
from console.screens import positions
from console.screens.space import Screen, Space, gained, moves, tone_of
from console.sheet import (
    BAD,
    DIM,
    GOOD,
    PLAIN,
    WARN,
    Key,
    Line,
    Span,
    beside,
    blank,
    line,
    paragraph,
    title,
)

MOVES_READ = 60
NEEDS_SHOWN = 6
BAR_CELLS = 6
NEAR = 0.6  # from this share of the way to a limit on, the figure is no longer calm

Need = tuple[str, str, Key | None]


def read(connection: Connection, want: Want) -> list[views.Move]:
    """Return the newest transitions, newest first."""
    return views.last_moves(connection, MOVES_READ, without="delivery")[::-1]


def needs(found: Status) -> Iterator[Need]:
    """Yield what a person should see to, as (tone, sentence, what it is about)."""
    if found.bot.state != "running":
        yield BAD, f"bot: {found.bot.sentence}", None
    if found.halt.set:
        yield BAD, f"HALT is set by {found.halt.who}: {found.halt.reason}", None
    for position in found.positions:
        if not position.stop_held:
            about = ("position", position.symbol)
            yield BAD, f"the venue holds NO stop for {position.symbol}", about
    for alert in found.alerts:
        if alert.state != "ACKNOWLEDGED" and alert.severity == "critical":
            yield BAD, f"alert {alert.id}: {alert.text}", ("alert", alert.id)
    for row in found.account:
        if row.machine in ("guard", "kill", "hold", "breaker", "reconciliation", "storage"):
            tone = tone_of(row.state, row.machine)
            if tone in (WARN, BAD):
                about = ("machine", f"{row.machine} {row.key}")
                yield tone, f"{row.machine} is {row.state}: {row.reason}", about
    yield from _lesser(found)


def _lesser(found: Status) -> Iterator[Need]:
    for run in found.waiting:
        yield WARN, f"a run waits for a person (Y, N): {run.reason}", ("machine", f"run {run.key}")
    for check in found.health.not_well:
        about = ("machine", f"check {check.name}")
        yield tone_of(check.state), f"{check.name} is {check.state}: {check.said}", about
    for objective in found.health.objectives:
        if objective.spent > 1:
            spent = f"{objective.spent:.0%} of its error budget spent: nothing is loosened"
            yield WARN, f"objective {objective.name}: {spent}", None
    for alert in found.alerts:
        if alert.state != "ACKNOWLEDGED" and alert.severity == "warning":
            yield WARN, f"alert {alert.id}: {alert.text}", ("alert", alert.id)
    for row in found.foreign:
        yield WARN, f"order {row.key} is not ours: {row.reason}", None
    for symbol in found.symbols:
        for why in symbol.why:
            yield WARN, f"{symbol.symbol}: {why}", ("symbol", symbol.symbol)


def draw(shot: Snapshot, found: list[views.Move], space: Space) -> list[Line]:
    """Draw the screen: two panes where there is room, else one under the other."""
    assert shot.status is not None
    if not space.wide:
        top = _left(shot, space, space.width)
        return [*top, blank(), title("What moves"), *moves(found, space.width)]
    at = max(62, space.width // 2)
    left = _left(shot, space, at - 3)
    right = [title("What moves"), *moves(found, space.width - at)]
    return beside(left, [one._replace(key=None) for one in right[: space.height]], at)


def _left(shot: Snapshot, space: Space, width: int) -> list[Line]:
    assert shot.status is not None
    held = positions.held(shot, width)
    return [*_needs(shot.status, width), blank(), *_money(shot, width), blank(), *held]


def _needs(found: Status, width: int) -> list[Line]:
    wanted = list(needs(found))
    lines = [title("Needs you", f"{len(wanted)}" if wanted else "")]
    if not wanted:
        return [*lines, line(Span("● nothing: the bot runs, and every guard is at rest", GOOD))]
    for tone, sentence, key in wanted[:NEEDS_SHOWN]:
        mark = "✖ " if tone == BAD else "◐ "
        lines += paragraph(sentence, width, tone=tone, mark=mark, key=key)[:2]
    if len(wanted) > NEEDS_SHOWN:
        lines.append(line(Span(f"… and {len(wanted) - NEEDS_SHOWN} more: 5 and 8 have them", DIM)))
    return lines


def _money(shot: Snapshot, width: int) -> list[Line]:
    mark = shot.status.equity if shot.status else None
    if mark is None:
        return [title("Money", "not reviewed yet")]
    day = float(mark.equity) - float(mark.day_start)
    lines = [
        title("Money", f"as of {moment(mark.at)}, market time"),
        line("equity ", Span(f"{float(mark.equity):,.2f}", GOOD), "  today ", gained(day),
             f"  peak {float(mark.peak):,.2f}"),
    ]  # fmt: skip
    for one in shot.distances:
        used = min(1.0, one.used)
        tone = BAD if used >= 1 else WARN if used >= NEAR else PLAIN
        bar = "█" * round(used * BAR_CELLS)
        sign = "≥" if one.floor else "of"
        told = f"{one.name:<14} {one.now:>7.2%} {sign:>2} {one.limit:>6.2%} "
        share = f"{bar:░<{BAR_CELLS}} {used:>4.0%} "
        lines.append(line(Span(told), Span(share, tone), Span(f"→ {one.then}", DIM)))
    return lines


SCREEN = Screen(read, draw)
