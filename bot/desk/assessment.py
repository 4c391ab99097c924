"""Assesses the bot by its own record: limits against how near they came, controls, drills, checks.

It asks what an auditor asks: was each limit ever near, was each control ever exercised, who drilled
what and when, what was never looked at. Absence is said: "never" is a finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from bot.core.checks import CHECKS
from bot.core.controls import LIMITS, NONSENSE
from bot.core.settings import Settings, value_of
from bot.core.world import DAY_MS
from bot.desk import files, healing, nearness, views
from bot.desk.clock import wall_ms
from bot.desk.text import moment
from bot.desk.verdict import Verdict
from bot.store import backup
from bot.store.database import Connection

NEAR, HALF = 0.8, 0.5
NEVER = "never"
LOWERING = {
    "guard": ("REDUCED", "PAUSED"),
    "kill": ("TRIPPED",),
    "hold": ("HELD",),
    "breaker": ("OPEN",),
    "reconciliation": ("MISMATCH",),
    "external": ("EXTERNAL",),
    "process": ("PROTECT_ONLY",),
    "feed": ("STALE", "GAPPED", "QUARANTINED"),
    "storage": ("LOW", "FULL", "READONLY", "CORRUPT"),
    "check": ("ESCALATED",),
    "order": ("UNKNOWN",),
    "delivery": ("DEAD",),
    "model": ("QUARANTINED",),
}
"""The states that the view ``limits_met`` has: where machines go when something is wrong."""
STATES = tuple(f"{machine} {state}" for machine, states in LOWERING.items() for state in states)
CONTROLS = tuple(name for name, _ in (*NONSENSE, *LIMITS))
DRILLS = {
    "hold": "`bot do hold`, then `release`",
    "kill": "`bot do kill`, then `rearm`",
    "flatten": "`bot do flatten` with play money",
    "stop": "`bot do stop`",
    "panic": "`bot panic` with play money",
    "restore": "`bot restore` of the newest backup, aside: --state",
    "rollback": "`bot models rollback`",
    "ack": "`bot alerts ack`",
    "alerts test": "`bot alerts test`",
    "backup": "`bot backup`; each is verified when it is made",
    "upgrade check": "`bot upgrade check`",
}
"""What people should have done once before they need it, and how."""


class Limit(Struct, frozen=True):
    """A limit, the worst that came (None: not on record), and how often and when it was met."""

    key: str
    limit: float
    nearest: float | None
    share: float | None
    met: int
    last: str


class Control(Struct, frozen=True):
    """A control or a lowering state: how often within the days, how often ever, when last."""

    name: str
    times: int
    ever: int
    last: str


class Drill(Struct, frozen=True):
    """What people did: how often (None: only the last is known), when last, and how it is done."""

    name: str
    times: int | None
    last: str
    due: bool
    how: str


class Assessment(Struct, frozen=True):
    """All of it. ``since`` and times are market time, those of drills the computer's, UTC."""

    database: str
    days: int
    since: str
    limits: tuple[Limit, ...]
    controls: tuple[Control, ...]
    drills: tuple[Drill, ...]
    checks: tuple[views.CheckStanding, ...]
    checks_never: tuple[str, ...]
    unanswered: tuple[str, ...]
    objectives: tuple[views.ObjectiveStanding, ...]
    healing: healing.Healing
    verdicts: tuple[Verdict, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(verdict.verdict != "wrong" for verdict in self.verdicts)


def read(state: Path, settings: Settings, days: int, drill_days: int) -> Assessment:
    """Assess the last days of market time; drills of the last ``drill_days`` of the computer's.

    Raises ConfigError if there is no database.
    """
    connection = files.open_state(state)
    try:
        connection.execute("BEGIN")  # one moment for all that follows
        since = views.market_now(connection) - days * DAY_MS
        met = _met(connection, moment(since))
        checks = tuple(views.checks(connection))
        judged = {check.name.partition(" ")[0] for check in checks}
        found: dict[str, Any] = {
            "limits": tuple(_limits(connection, settings, since, met)),
            "controls": tuple(_control(name, met) for name in (*CONTROLS, *STATES)),
            "drills": tuple(_drills(connection, state, drill_days)),
            "checks": checks,
            "checks_never": tuple(name for name in CHECKS if name not in judged),
            "unanswered": tuple(_unanswered(connection)),
            "objectives": tuple(views.objectives(connection)),
            "healing": healing.read(connection),
        }
    finally:
        connection.close()
    return Assessment(
        database=str(state),
        days=days,
        since=moment(since),
        verdicts=tuple(_verdicts(found)),
        **found,
    )


# -- what is on record -----------------------------------------------------------------------------


def _met(connection: Connection, since: str) -> dict[str, Control]:
    rows = connection.execute(
        "SELECT name, sum(at >= ?), count(*), max(at) FROM limits_met GROUP BY name", (since,)
    )
    return {row[0]: Control(*row) for row in rows}


def _control(name: str, met: dict[str, Control]) -> Control:
    return met.get(name, Control(name, 0, 0, NEVER))


def _limits(
    connection: Connection, settings: Settings, since: int, met: dict[str, Control]
) -> Iterator[Limit]:
    lost, open_ = nearness.losses(connection, since), nearness.exposure(connection, since)
    entry = nearness.largest_entry(connection, since)

    def of_equity(value: float | None) -> float | None:
        return value / lost.equity if value is not None and lost.equity else None

    def sent(span_ms: int) -> int:
        return nearness.messages(connection, since, span_ms)

    table: tuple[tuple[str, str, float | None], ...] = (
        ("kill.daily_loss_max", "daily loss", lost.day),
        ("kill.drawdown_max", "drawdown", lost.drawdown),
        ("guard.reduced_drawdown", "guard REDUCED", lost.drawdown),
        ("guard.paused_drawdown", "guard PAUSED", lost.drawdown),
        ("risk.leverage_max", "gross exposure", of_equity(open_.gross)),
        ("controls.net_max", "net exposure", of_equity(open_.net)),
        ("risk.size_max", "position", of_equity(entry)),
        ("risk.positions_max", "positions", open_.positions),
        ("controls.value_max", "order value", entry),
        ("controls.messages_second_max", "message rate", sent(nearness.SECOND_MS)),
        ("controls.messages_minute_max", "message rate", sent(nearness.MINUTE_MS)),
        ("controls.messages_day_max", "message rate", sent(DAY_MS)),
        ("controls.losses_row_max", "losses in a row", nearness.losing_streak(connection, since)),
        ("controls.collar", "price collar", None),
        ("controls.drift_max", "price drift", None),
        ("controls.volume_share_max", "order volume", None),
        ("controls.duplicate_real_seconds", "duplicate", None),
        ("controls.entries_hour_max", "repeated execution", None),
        ("controls.reentries_hour_max", "re-entry", None),
        ("controls.orders_open_max", "open orders", None),
    )
    for key, name, nearest in table:
        limit, control = float(value_of(settings, key)), _control(name, met)
        share = None if nearest is None else nearest / limit
        yield Limit(key, limit, nearest, share, control.times, control.last)


def _drills(connection: Connection, state: Path, days: int) -> Iterator[Drill]:
    done = {
        name: (times, last)
        for name, times, last in connection.execute("SELECT name, times, last FROM drills")
    }
    made = backup.existing(state, files.Beside(state).backups)
    if made:
        newest = max(path.stat().st_mtime for path in made)
        done["backup"] = (len(made), moment(int(newest * 1000)))
    for name, at in files.marks(state).items():
        done[name] = (None, moment(at))
    since = moment(wall_ms() - days * DAY_MS)
    for name, how in DRILLS.items():
        times, last = done.get(name, (0, NEVER))
        yield Drill(name, times, last, last == NEVER or last < since, how)


def _unanswered(connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        "SELECT id, since, text FROM alerts WHERE severity = 'critical'"
        " AND state IN ('RAISED', 'ESCALATED') ORDER BY seq"
    )
    for name, since, text in rows:
        yield f"{name} since {since}: {text}"


# -- what to make of it ----------------------------------------------------------------------------


def _verdicts(found: dict[str, Any]) -> Iterator[Verdict]:
    near = [
        f"{limit.key} came to {limit.share:.0%} ({limit.nearest:g} of {limit.limit:g})"
        for limit in found["limits"]
        if limit.share is not None and limit.share >= NEAR
    ]
    yield _of("limits", "warning", near, "none came to 80 %", "look at what led there")
    idle = [control.name for control in found["controls"] if not control.ever]
    cure = "never exercised: drill it with play money, or rely on the tests of this release"
    yield _of("controls", "warning", idle, "each was exercised", cure)
    due = [f"{drill.name} ({drill.last})" for drill in found["drills"] if drill.due]
    yield _of("drills", "warning", due, "each was run of late", "see below how each is run")
    cure = "checks that never ran: was it RUNNING for `health.slow_real_seconds`?"
    yield _of("coverage", "warning", list(found["checks_never"]), "each check ran", cure)
    bad = [f"{row.name}: {row.said}" for row in found["checks"] if row.state == "ESCALATED"]
    yield _of("checks", "wrong", bad, "none is ESCALATED", "`bot status`, docs/health.md")
    waiting, cure = list(found["unanswered"]), "`bot alerts ack ID --reason …`"
    yield _of("alerts", "wrong", waiting, "every critical was acknowledged", cure)
    yield from _objectives(found["objectives"])
    yield _healing(found["healing"])


def _objectives(rows: tuple[views.ObjectiveStanding, ...]) -> Iterator[Verdict]:
    """Judge each error budget: over the half of it is worth a look, over all of it is wrong."""
    told = [f"{row.name} spent {row.spent:.0%}, burns {row.burn:g}×" for row in rows]
    worst = max((row.spent for row in rows), default=0.0)
    said, cure = "; ".join(told) or "none was counted yet", "docs/health.md: what each is made of"
    if worst > HALF:
        yield Verdict("objectives", "wrong" if worst > 1 else "warning", said, cure)
    else:
        yield Verdict("objectives", "well", said)


def _healing(found: healing.Healing) -> Verdict:
    cured, failed = (
        sum(getattr(row, name) for row in found.remedies) for name in ("cured", "failed")
    )
    tried = cured + failed
    rate = (
        f"{cured} of {tried} attempts cured ({cured / tried:.0%})" if tried else "nothing was tried"
    )
    if found.escalations:
        said = f"{rate}; {found.escalations} were left to people"
        return Verdict("healing", "warning", said, "`bot query escalations`")
    return Verdict("healing", "well", rate)


def _of(name: str, verdict: Any, found: list[str], good: str, cure: str) -> Verdict:
    return Verdict(name, verdict, "; ".join(found), cure) if found else Verdict(name, "well", good)
