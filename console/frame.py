"""The frame of every screen: who and what is shown, how old it is, what the keys do."""

from __future__ import annotations

from bot.desk.text import age, moment
from console.actions import ACTIONS, DO, SCREENS, Here, why_not
from console.feed import DEAD, LIVE, NONE, STALE, Freshness, Snapshot, Want
from console.screens.space import tone_of
from console.sheet import BAD, DIM, GOOD, PLAIN, TITLE, WARN, Line, Span, line, paragraph, span

_MARKS = {LIVE: ("●", GOOD), STALE: ("◐", WARN), DEAD: ("✖", BAD), NONE: ("○", BAD)}
_VENUES = {
    "embedded": ("PAPER", GOOD),
    "sim": ("PAPER", GOOD),
    "testnet": ("TESTNET", WARN),
    "demo": ("DEMO", WARN),
    "live": ("REAL MONEY", BAD),
}
BANNER_LINES_MAX = 2


def venue(shot: Snapshot) -> tuple[str, str]:
    """Return whose money it is, in words, and the tone of it."""
    return _VENUES.get(str(shot.said.get("venue", "")), ("MONEY ?", WARN))


def head(shot: Snapshot, fresh: Freshness, here: Here, want: Want, width: int) -> list[Line]:
    """Return the header: what is shown and where its machines stand; how old it is."""
    mark, tone = _MARKS[fresh.level]
    money, loud = venue(shot)
    parts = [Span(f"{mark} {fresh.level} ", tone), Span(f" {money} {shot.account} ", loud)]
    if shot.status is not None:
        account = {one.machine: one.state for one in shot.status.account}
        for name in ("guard", "kill", "hold"):
            state = account.get(name, "·")
            parts += [span(f" {name} "), span(state, tone_of(state, name))]
        parts += [span("  entries "), span(shot.status.level, tone_of(shot.status.level))]
    digit = SCREENS.index(want.screen) + 1
    crumbs = " › ".join((want.screen, *(f"{kind} {name}" for kind, name in want.opened)))
    ages = _ages(shot, fresh)
    time = f"{moment(here.now_ms)[-8:]}Z"
    badge = "READ-ONLY  " if here.read_only else ""
    room = max(8, width - len(ages) - len(time) - len(badge) - 6)
    return [
        line(*parts),
        line(Span(f"{digit} {_short(crumbs, room)}", TITLE), Span(f"  {badge}", WARN),
             Span(f"{ages}  {time}", DIM)),
    ]  # fmt: skip


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _ages(shot: Snapshot, fresh: Freshness) -> str:
    """Return the ages that are counted apart, the log's size, and which life of the bot it is."""
    parts = []
    if fresh.beat_seconds is not None:
        parts.append(f"beat {age(fresh.beat_seconds)}")
    if fresh.data_seconds is not None:
        parts.append(f"data {age(fresh.data_seconds)}")
    parts.append(f"wal {shot.wal_bytes / 1e6:.1f} MB")
    beat = shot.status.bot.heartbeat if shot.status else None
    if beat is not None:
        parts.append(
            f"pid {beat.pid} {shot.said.get('instance', '?')}-{shot.said.get('epoch', '?')}"
        )
    return "  ".join(parts)


def banner(shot: Snapshot, fresh: Freshness, frozen: float | None, width: int) -> list[Line]:
    """Return what must not be overlooked: no bot, old figures, a frozen screen."""
    lines: list[Line] = []
    if fresh.level != LIVE:
        mark, tone = _MARKS[fresh.level]
        lines += paragraph(fresh.sentence, width, tone=tone, mark=f"{mark} ")[:BANNER_LINES_MAX]
    if frozen is not None:
        told = f"FROZEN for {age(frozen)}: space lets the figures go on"
        lines += paragraph(told, width, tone=WARN, mark="‖ ")
    return lines


def foot(here: Here, width: int) -> Line:
    """Return the keys of the moment; one in brackets cannot be used now, and says why if it is."""
    parts = [Span("1-9 ", DIM)]
    shown = sorted((a for a in ACTIONS if a.footer), key=lambda a: a.group != DO)
    for action in shown:
        why = why_not(action, here)
        label = f"{action.shown} {action.label}"
        parts.append(Span(f"({label}) ", DIM) if why else Span(f"{label} ", PLAIN))
    return line(*parts)
