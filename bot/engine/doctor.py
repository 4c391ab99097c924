"""The doctor: asks what can be asked before money is at risk; each answer has a verdict and a cure.

It changes nothing, sends no order, and asks the venue only what a start asks, too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

from bot import config
from bot.config import Config, Loaded
from bot.core import flags
from bot.desk import audit, files, status
from bot.desk.verdict import Verdict
from bot.edge.clock import MarketClock, today, wall_ms
from bot.edge.notify import Notifier
from bot.edge.roles import ranks
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.keys import warnings_of, why_not_trade
from bot.engine.venue import find_venue
from bot.errors import BotError
from bot.store import backup
from bot.store.database import SQLITE_VERSION, DriverError, refuse_affected, refuse_unsafe_file

CLOCK_OFF_MS = 500
HOUR_SECONDS = 3600
FILES_MIN = 1_024
VENUE_PATIENCE_SECONDS = 15.0


def _well(name: str, said: str) -> Verdict:
    return Verdict(name, "well", said)


def _warning(name: str, said: str, cure: str) -> Verdict:
    return Verdict(name, "warning", said, cure)


def _wrong(name: str, said: str, cure: str) -> Verdict:
    return Verdict(name, "wrong", said, cure)


async def examine(file: Path | None, state: Path, env: Mapping[str, str]) -> AsyncIterator[Verdict]:
    """Yield a verdict for each question; what a wrong configuration hides is not asked."""
    yield _asked("sqlite", "install with `make`, which brings its own SQLite", _sqlite)
    try:
        loaded = config.load(file, env)
    except BotError as error:
        yield _wrong("config", str(error), "mend bot.toml; `bot config explain KEY` has the ranges")
        return
    yield _well("config", f"{loaded.file or 'defaults'}, profile {loaded.config.settings.profile}")
    for verdict in _of_this_machine(loaded.config, state):
        yield verdict
    yield await _channels(loaded.config)
    async for verdict in _venue(loaded, state):
        yield verdict


def _asked(name: str, cure: str, ask: Callable[[], Verdict]) -> Verdict:
    try:
        return ask()
    except (BotError, OSError, *DriverError) as error:
        return _wrong(name, str(error), cure)


def _sqlite() -> Verdict:
    refuse_affected()
    return _well("sqlite", f"version {SQLITE_VERSION}, without the bug that loses committed rows")


# -- this machine ----------------------------------------------------------------------------------


def _of_this_machine(found: Config, state: Path) -> Iterator[Verdict]:
    yield _asked("folder", f"mkdir -p {state.absolute().parent}", lambda: _folder(state))
    yield _asked(
        "disk", "make room, or name another place with --state", lambda: _disk(found, state)
    )
    yield _asked("database", "see `bot restore --help`", lambda: _database(state))
    yield _asked("state", "see `bot status`", lambda: _standing(state))
    yield _asked("backup", "`bot backup`", lambda: _backup(found, state))
    yield _asked("roles", "make the group, or leave its key out of [roles]", lambda: _roles(found))
    yield _flags()
    yield _limits()


def _folder(state: Path) -> Verdict:
    folder = state.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        return _wrong("folder", f"{folder} cannot be written by this user", f"chown it: {folder}")
    if folder.stat().st_mode & 0o002:
        return _wrong("folder", f"{folder} may be written by everybody", f"chmod o-w {folder}")
    if state.exists():
        refuse_unsafe_file(state)
    return _well("folder", f"{folder} is this user's to write, and nobody else's")


def _disk(found: Config, state: Path) -> Verdict:
    free, least = files.free_mb(state), found.settings.storage.low_mb
    if free < least:
        return _wrong(
            "disk", f"{free} MB free, expected {least} MB", "make room beside the database"
        )
    return _well("disk", f"{free} MB free, expected {least} MB")


def _database(state: Path) -> Verdict:
    if not state.exists():
        return _well("database", f"{state} is not there yet: the first start makes it")
    reader = files.open_state(state)
    try:
        seen = audit.verify(reader)
    finally:
        reader.close()
    if seen.pending_migrations:
        waiting = ", ".join(seen.pending_migrations)
        return _warning(
            "database", f"migrations wait: {waiting}", "`bot migrate`, or the next start"
        )
    return _well(
        "database", f"{seen.checked} transitions verified, head #{seen.head_id} {seen.head}"
    )


def _standing(state: Path) -> Verdict:
    """Tell what would keep it from trading: latches, holds, the HALT mark."""
    if not state.exists():
        return _well("state", "nothing is latched")
    now = status.read(state)
    held = [f"{row.machine} is {row.state}: {row.reason}" for row in now.account
            if row.machine in ("guard", "hold", "kill", "reconciliation")
            and row.state not in ("NORMAL", "FREE", "ARMED", "CLEAN")]  # fmt: skip
    if now.halt.set:
        held.append(f"HALT is set by {now.halt.who}: {now.halt.reason}")
    if held:
        return _warning(
            "state", "; ".join(held), "`bot do release` or `bot do rearm`, with a reason"
        )
    return _well("state", "nothing is latched, no hold, no HALT")


def _backup(found: Config, state: Path) -> Verdict:
    if not state.exists():
        return _well("backup", "there is nothing to back up yet")
    made = backup.existing(state, files.Beside(state).backups)
    if not made:
        return _warning("backup", "there is none", "`bot backup`, or the timer of `bot install`")
    hours = (wall_ms() / 1000 - max(path.stat().st_mtime for path in made)) / HOUR_SECONDS
    limit = found.settings.health.backup_hours
    if hours > limit:
        return _warning(
            "backup", f"the newest is {hours:.0f} h old, limit {limit:g}", "`bot backup`"
        )
    return _well("backup", f"{len(made)}, the newest {hours:.1f} h old")


def _roles(found: Config) -> Verdict:
    """Tell who may do what, and whether one person is enough for everything."""
    roles = found.settings.roles
    ranks(roles)
    groups = {"watch": roles.viewers_group, "command": roles.operators_group,
              "loosen what matters most": roles.admins_group}  # fmt: skip
    named = [f"{group} may {what}" for what, group in groups.items() if group]
    two = f"two people are {'needed' if roles.two else 'not needed'} for the riskiest loosenings"
    return _well("roles", "; ".join([*(named or ["whoever may connect may do everything"]), two]))


def _flags() -> Verdict:
    if wrong := [*flags.wrong(today())]:
        return _wrong("flags", "; ".join(wrong), "take it out of the code")
    return _well("flags", f"{len(flags.FLAGS)} flags, none past its end")


def _limits() -> Verdict:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < FILES_MIN:
        said = f"{soft} open files are allowed, expected {FILES_MIN}"
        return _warning("limits", said, f"ulimit -n {FILES_MIN}")
    return _well("limits", "enough open files are allowed")


# -- people and venue ------------------------------------------------------------------------------


async def _channels(found: Config) -> Verdict:
    notify = found.notify
    if not notify.urls:
        return _warning(
            "alerts", "no channel: nobody is told of anything", "notify.urls_file; docs/alerts.md"
        )
    try:
        await Notifier.of(notify).open()
    except BotError as error:
        return _wrong("alerts", str(error), "mend the address; `bot alerts test` tries it")
    if not notify.critical_urls:
        return _warning(
            "alerts",
            f"{len(notify.urls)} channels, no second group for a critical that nobody answers",
            "notify.critical_urls_file",
        )
    return _well("alerts", f"{len(notify.urls)} channels, and {len(notify.critical_urls)} more")


async def _venue(loaded: Loaded, state: Path) -> AsyncIterator[Verdict]:
    """Ask the venue who we are there, and what time it is."""
    env = loaded.config.venue.env
    if env == "embedded":
        yield _well("venue", "the embedded exchange: no key, no money")
        return
    where = await find_venue(loaded.config, state.parent)
    clock = MarketClock()
    venue = Bybit(where.rest_url, where.ws_url, where.key, where.secret, clock=clock)
    try:
        await venue.open()
        async with asyncio.timeout(VENUE_PATIENCE_SECONDS):
            await venue.sync_clock()
            off = clock.venue_ms() - wall_ms()
            why_not = await why_not_trade(venue, loaded.config.venue)
            warnings = await warnings_of(venue, loaded.config.venue)
    except (BotError, TimeoutError) as error:
        yield _wrong("venue", f"{where.rest_url}: {str(error) or 'no answer'}", "see docs/keys.md")
        return
    finally:
        await venue.close()
    if why_not:
        yield _wrong("venue", "; ".join(why_not), "see docs/keys.md")
    elif warnings:
        yield _warning("venue", "; ".join(warnings), "see docs/keys.md")
    else:
        yield _well("venue", f"{env}: this key may trade on this account")
    if abs(off) > CLOCK_OFF_MS and clock.rate == 1:
        yield _warning("clock", f"this machine is {off} ms off the venue", "run a time service")
    else:
        yield _well("clock", f"the venue's, which we follow, is {off} ms from ours")
