"""Commands of the two-step upgrade: upgrade check, apply, confirm, rollback."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import asdict

from bot.cli.alerting import mark
from bot.cli.keeping import stamp
from bot.cli.options import config_option, json_option, operator, reason_option, state_option
from bot.cli.output import CODES, Exit, put, put_json, say
from bot.errors import ConfigError, Refused

if TYPE_CHECKING:
    from bot.config import Loaded
    from bot.edge.upgrades import Record


@click.group(epilog=CODES)
def upgrade() -> None:
    """Let this code take the database of an older build over, in two steps, with a way back.

    All four are run with the new code. Steps as typed: docs/operating.md, Upgrade.
    """


@upgrade.command(epilog=CODES)
@state_option
@config_option
@json_option
def check(state: Path, config_path: Path | None, as_json: bool) -> int:
    """Rehearse the upgrade on a copy, while the old bot runs; it changes nothing.

    Backup, migrations, audit, newest events decided anew, a shadow boot, models. No venue is known
    there, and no order can leave. Exit 1 if anything is wrong.
    """
    from bot.desk import files
    from bot.engine import rehearsal
    from bot.engine import upgrade as engine
    from bot.store.lease import Lease

    files.open_state(state).close()  # where there is none, nothing is made
    lease = Lease(Path(f"{state}.rehearsal"), {"pid": os.getpid()})
    report = rehearsal.rehearse(config_path, state, os.environ, stamp())
    engine.keep(state, report)
    mark(state, "upgrade check")
    lease.release()
    if as_json:
        put_json({"ok": report.ok, **asdict(report)})
        return Exit.OK if report.ok else Exit.FAILED
    for line in engine.sentences(report):
        put(line)
    put("nothing is wrong: `bot upgrade apply`" if report.ok else "do not upgrade")
    return Exit.OK if report.ok else Exit.FAILED


@upgrade.command(epilog=CODES)
@reason_option
@state_option
@config_option
@json_option
def apply(state: Path, config_path: Path | None, *, reason: str, as_json: bool) -> int:
    """Stop the bot safely, back up, and migrate in place; then start the new build and confirm.

    Refused (3) without a fresh check of exactly this code and this database.
    """
    from bot.edge import upgrades
    from bot.engine import upgrade as engine

    loaded = _loaded(config_path)
    limits = loaded.config.upgrade
    _refuse(None if reason.strip() else "expected a reason, found none")
    _refuse(engine.why_not_apply(state, upgrades.read(state), loaded.hash, limits.fresh_hours))
    done = engine.apply(state, limits, operator(), reason, stamp())
    said = f"applied: start build {done.build}, then `bot upgrade confirm`; before: {done.backup}"
    return _tell(done, said, as_json=as_json)


@upgrade.command(epilog=CODES)
@state_option
@config_option
@json_option
def confirm(state: Path, config_path: Path | None, as_json: bool) -> int:
    """Watch the new build until it has proved itself; if it does not, roll back, and exit 1.

    It has failed if it is not RUNNING in time, crashes, or a grave check is ESCALATED.
    """
    from bot.edge import upgrades
    from bot.edge.upgrades import Stage
    from bot.engine import upgrade as engine

    limits = _loaded(config_path).config.upgrade
    record = upgrades.read(state)
    if record is None or record.stage not in (Stage.APPLIED, Stage.ROLLING_BACK):
        found = "none" if record is None else f"one that is {record.stage}"
        raise Refused(f"expected an upgrade that is APPLIED, found {found}")
    why: str | None = record.why
    if record.stage == Stage.APPLIED:
        why = engine.proved(state, record, limits, say)
    if why is None:
        done = engine.confirmed(state, record)
        return _tell(done, f"confirmed: build {done.build} is well", as_json=as_json)
    return _roll_back(state, config_path, why, as_json=as_json)


@upgrade.command(epilog=CODES)
@reason_option
@state_option
@config_option
@json_option
def rollback(state: Path, config_path: Path | None, *, reason: str, as_json: bool) -> int:
    """Put the database of before the upgrade back, as a new epoch; exit 1, as `confirm` does then.

    The new build is refused from then on. What it wrote is kept aside.
    """
    from bot.edge import upgrades
    from bot.engine import upgrade as engine

    _refuse(None if reason.strip() else "expected a reason, found none")
    _refuse(engine.why_not_back(upgrades.read(state)))
    return _roll_back(state, config_path, reason, as_json=as_json)


def _loaded(file: Path | None) -> Loaded:
    from bot.config import load

    return load(file, os.environ, "")


def _refuse(why: str | None) -> None:
    if why:
        raise Refused(why)


def _roll_back(state: Path, config_path: Path | None, why: str, *, as_json: bool) -> int:
    """Roll back, and tell people which build to start: no bot runs that could."""
    from bot.engine import upgrade as engine

    limits = _loaded(config_path).config.upgrade
    record, done = engine.roll_back(state, limits, operator(), why, stamp())
    said = f"rolled back: {record.why}; start build {record.before}"
    if done.halted:
        said = f"{said}; HALT is set, re-arm after looking: {done.halted}"
    _tell_people(config_path, f"upgrade to {record.build} {said}", done.new_head[:12])
    _tell(record, said, as_json=as_json, kept=done.kept)
    return Exit.FAILED


def _tell_people(config_path: Path | None, text: str, head: str) -> None:
    """Tell people through the channels whose addresses this process may read."""
    from bot.config import load
    from bot.core.effects import Notify
    from bot.edge.notify import Notifier

    notify = Notify(severity="critical", text=text, runbook="upgrade")
    try:
        notifier = Notifier.of(load(config_path, os.environ).config.notify)
    except ConfigError as error:
        say(f"no channel was told: {error}")
        return
    failed = asyncio.run(notifier.send_all(notify, head))
    for channel, fault in failed.items():
        if fault:
            say(f"{channel} was not told: {fault}")


def _tell(record: Record, said: str, *, as_json: bool, kept: tuple[str, ...] = ()) -> int:
    if as_json:
        fields = ("stage", "build", "before", "backup", "why")
        put_json({"said": said, "kept": kept, **{f: getattr(record, f) for f in fields}})
        return Exit.OK
    put(said)
    for path in kept:
        put(f"kept {path}")
    return Exit.OK
