"""Carries an upgrade out: stops the bot, migrates its database, and puts it back if that fails.

Every step may be the last one of its process: what is written down (``edge/upgrades.py``) before
and after it says what the next call does. The database is the old one or the new one, always.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import to_builtins
from msgspec.structs import replace

from bot.config.sections import Upgrade
from bot.core.checks import CHECKS
from bot.core.upgrade_events import Upgraded
from bot.core.world import HOUR_MS, World
from bot.desk import client, files, status
from bot.desk.client import Ask
from bot.edge import upgrades
from bot.edge.clock import monotonic_ns, wall_ms
from bot.edge.upgrades import Record, Stage
from bot.engine import restoring
from bot.engine.boot import take_lease
from bot.engine.build import build_id, code_id
from bot.engine.offline import decide_held
from bot.engine.rehearsal import Report, back_up
from bot.engine.restoring import Done
from bot.errors import LeaseHeld, NotRunning, OutcomeUnknown, Refused
from bot.store import schema
from bot.store.lease import Lease

LOOK_SECONDS = 0.25
CHECK_FIRST = "`bot upgrade check` first"


def keep(state: Path, report: Report) -> None:
    """Remember a rehearsal, on which an upgrade is applied. A failed one lifts no refusal."""
    known = upgrades.read(state)
    back = known is not None and known.stage in (Stage.ROLLING_BACK, Stage.ROLLED_BACK)
    if known is not None and back and known.code == report.code and not report.ok:
        return
    record = Record(
        stage=Stage.CHECKED,
        code=report.code,
        build=report.build,
        before=report.before,
        instance=report.instance,
        head_id=report.head_id,
        head=report.head,
        config=report.config,
        checked_at=report.at,
        ok=report.ok,
        report=to_builtins(report),
    )
    upgrades.write(state, record)


# -- step two --------------------------------------------------------------------------------------


def why_not_apply(state: Path, record: Record | None, config: str, hours: float) -> str | None:
    """Tell why the upgrade cannot be applied, or None. ``hours`` is how long a check is good."""
    if record is None:
        return f"expected a check of this upgrade, found none: {CHECK_FIRST}"
    if record.stage not in (Stage.CHECKED, Stage.APPLYING):
        return (
            f"expected an upgrade that was checked, found one that is {record.stage}: {CHECK_FIRST}"
        )
    if record.code != code_id():
        found = f"found one by {record.code}"
        return f"expected a check by this code ({code_id()}), {found}: {CHECK_FIRST}"
    if not record.ok:
        return f"the check found what is wrong: mend it, and {CHECK_FIRST}"
    if record.config != config:
        return f"the configuration was changed since the check: {CHECK_FIRST}"
    age = (wall_ms() - record.checked_at) / HOUR_MS
    if not 0 <= age <= hours:
        return (
            f"expected a check of the last {hours:g} h, found one of {age:.1f} h ago: {CHECK_FIRST}"
        )
    return _why_another(state, record)


def _why_another(state: Path, record: Record) -> str | None:
    """Tell why this database is not the one that was checked, grown on or not, or None."""
    reader = files.open_state(state)
    try:
        row = reader.execute(
            "SELECT hash FROM transition WHERE id = ?", (record.head_id,)
        ).fetchone()
        instance = reader.execute("SELECT value FROM meta WHERE name = 'instance'").fetchone()
    finally:
        reader.close()
    if instance is None or instance[0] != record.instance or not row or row[0].hex() != record.head:
        return (
            f"expected the database that was checked ({record.instance} with head"
            f" {record.head[:12]}), found another: {CHECK_FIRST}"
        )
    return None


def apply(state: Path, limits: Upgrade, operator: str, reason: str, stamp: str) -> Record:
    """Stop the bot, back up, and migrate in place; ``why_not_apply`` was asked before.

    Raises LeaseHeld if the bot does not stop, and whatever a backup or a migration raises: then the
    database is as it was.
    """
    checked = upgrades.read(state)
    assert checked is not None
    record = checked
    with _held(state, limits.stop_real_seconds, f"upgrade to {record.build}: {reason}"):
        made = back_up(state, stamp)
        record = replace(
            record, stage=Stage.APPLYING, backup=str(made.path), applied_id=made.transitions
        )
        upgrades.write(state, record)
        _migrate(state, record, operator, reason)
        record = replace(record, stage=Stage.APPLIED)
        upgrades.write(state, record)
    return record


def _migrate(state: Path, record: Record, operator: str, reason: str) -> None:
    """Bring the database to this code as its boot would, and have the core tell people of it."""
    reader = files.open_state(state)
    waiting = tuple(schema.pending(reader))
    reader.close()

    def told(world: World) -> Upgraded:
        return Upgraded(
            at=world.at,
            before=record.before,
            build=build_id(),
            migrations=waiting,
            backup=record.backup,
            operator=operator,
            reason=reason,
        )

    decide_held(state, told)


class _held:  # noqa: N801 a context manager reads as a verb
    """The lease of a database, once the bot that held it has stopped as it was asked to."""

    def __init__(self, state: Path, patience_seconds: float, reason: str) -> None:
        self.state, self.patience, self.reason = state, patience_seconds, reason
        self.lease: Lease | None = None

    def __enter__(self) -> None:
        deadline = monotonic_ns() + int(self.patience * 1e9)
        if files.holder(self.state) is not None:
            self._ask()
        while self.lease is None:
            try:
                self.lease = take_lease(self.state)
            except LeaseHeld:
                if monotonic_ns() > deadline:
                    raise
                time.sleep(LOOK_SECONDS)

    def _ask(self) -> None:
        """Ask the bot to stop; one that does not answer is told by the lease that it keeps."""
        try:
            for _ in client.command(self.state, Ask("stop", {}, self.reason), self.patience):
                pass
        except (NotRunning, OutcomeUnknown):
            return

    def __exit__(self, *_: object) -> None:
        if self.lease is not None:
            self.lease.release()


# -- the new build proves itself -------------------------------------------------------------------


def proved(state: Path, record: Record, limits: Upgrade, tell: Callable[[str], None]) -> str | None:
    """Watch the new build from its start; return None once it was well for long enough, or why not.

    Raises Refused if another build runs.
    """
    began, well_since, said = monotonic_ns(), 0, ""
    while True:
        now, look = monotonic_ns(), status.read(state)
        grave = _grave(state, record, look)
        if grave is not None:
            return grave
        unwell = _why_not_running(look)
        if unwell != said:
            tell(unwell or "it is RUNNING and well")
            said = unwell or ""
        if unwell is None:
            well_since = well_since or now
            if now - well_since >= limits.health_real_seconds * 1e9:
                return None
        elif well_since:
            return f"it was RUNNING, and then: {unwell}"
        elif now - began > limits.start_real_seconds * 1e9:
            return f"it was not RUNNING within {limits.start_real_seconds:g} s: {unwell}"
        time.sleep(LOOK_SECONDS)


def _why_not_running(look: status.Status) -> str | None:
    """Tell why the bot does not run as it should, or None."""
    process = next((row for row in look.account if row.machine == "process"), None)
    if look.bot.state != "running":
        return f"the bot is {look.bot.state}: {look.bot.sentence}"
    if process is None or process.state != "RUNNING":
        return f"the process is {process.state if process else 'not born'}"
    return None


def _grave(state: Path, record: Record, look: status.Status) -> str | None:
    """Tell of a crash since the upgrade, or of a grave check that people were told of, or None."""
    for check in look.health.checks:
        if CHECKS[check.name.partition(" ")[0]].grave and check.state == "ESCALATED":
            return f"check {check.name} is ESCALATED: {check.said}"
    starts = _starts(state, record)
    crashes = [reason for source, reason in starts[1:] if source != "STOPPED"]
    if crashes:
        return crashes[0]
    if starts and look.bot.state == "crashed":
        return f"it crashed: {look.bot.sentence}"
    return None


def _starts(state: Path, record: Record) -> list[tuple[str, str]]:
    """Return the starts since the upgrade, as state before and reason. Raises Refused.

    Refused if another build opened the database since.
    """
    reader = files.open_state(state)
    try:
        build = reader.execute("SELECT value FROM meta WHERE name = 'build'").fetchone()
        starts: list[tuple[str, str]] = reader.execute(
            "SELECT source, reason FROM transition WHERE machine = 'process' AND dest = 'BOOT'"
            " AND id > ? ORDER BY id",
            (record.applied_id,),
        ).fetchall()
    finally:
        reader.close()
    if build and build[0] != record.build:
        raise Refused(f"expected build {record.build} to run, found build {build[0]}")
    return starts


def confirmed(state: Path, record: Record) -> Record:
    """Remember that the new build proved itself."""
    record = replace(record, stage=Stage.CONFIRMED)
    upgrades.write(state, record)
    return record


# -- the way back ----------------------------------------------------------------------------------


def why_not_back(record: Record | None) -> str | None:
    """Tell why there is nothing to roll back, or None."""
    stages = (Stage.APPLYING, Stage.APPLIED, Stage.ROLLING_BACK)
    if record is None or not record.backup or record.stage not in stages:
        found = "none" if record is None else f"one that is {record.stage}"
        return f"expected an upgrade that was applied and not confirmed, found {found}"
    return None


def roll_back(
    state: Path, limits: Upgrade, operator: str, why: str, stamp: str
) -> tuple[Record, Done]:
    """Put the database of before back, as a new epoch, for the build of before to start.

    The new build is refused from the first moment on, whoever starts it. What is replaced stays
    beside it. Raises LeaseHeld if the bot does not stop: end it, and roll back again.
    """
    record = upgrades.read(state)
    assert record is not None
    record = replace(record, stage=Stage.ROLLING_BACK, why=record.why or why)
    upgrades.write(state, record)
    reason = f"upgrade from {record.before} to {record.build} rolled back: {record.why}"
    with _held(state, limits.stop_real_seconds, reason):
        done = restoring.restore(
            Path(record.backup), state, operator, reason, stamp, migrated=False
        )
        record = replace(record, stage=Stage.ROLLED_BACK)
        upgrades.write(state, record)
    return record, done


def sentences(report: Report) -> Iterator[str]:
    """Yield a rehearsal as lines for people."""
    yield f"from build {report.before or 'none'} to {report.build} (code {report.code})"
    for verdict in report.verdicts:
        seconds = report.seconds[verdict.name]
        yield f"{verdict.verdict:8} {verdict.name:8} {verdict.said} ({seconds:.1f} s)"
        if verdict.cure:
            yield f"{'':17} → {verdict.cure}"
    for name, (before, after) in report.rows.items():
        if before != after:
            yield f"{'':17} {name}: {before} → {after} rows"
    yield from (f"{'':17} {told}" for told in (report.redecided.first if report.redecided else ()))
