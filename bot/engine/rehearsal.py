"""Rehearses an upgrade on a copy, while the old build runs: step one, which changes nothing.

Backup, migrations, audit, the newest events decided anew, a shadow boot, and the models. Nothing
here carries effects out: no connection is made and no order can leave.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from bot import config
from bot.config import Loaded
from bot.core.events import Event, Recovered, Started
from bot.desk import audit, files, models
from bot.desk.verdict import Verdict
from bot.edge import artefacts
from bot.edge.clock import monotonic_ns, wall_ms
from bot.engine import boot, replay
from bot.engine.build import build_id, code_id
from bot.engine.replay import Redecided
from bot.errors import ConfigError, Refused
from bot.store import backup, chain, schema
from bot.store.database import open_writer

ROOM = 3
"""A backup, the copy that is migrated, and what the migrations add."""


class Report(Struct, frozen=True):
    """What a rehearsal found. ``rows`` of each table before and after; ``seconds`` of each step."""

    at: int
    code: str
    build: str
    before: str
    config: str
    instance: str
    head_id: int
    head: str
    backup: str
    migrations: tuple[str, ...]
    rows: dict[str, tuple[int, int]]
    redecided: Redecided | None
    verdicts: tuple[Verdict, ...]
    seconds: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(verdict.verdict != "wrong" for verdict in self.verdicts)


def rehearse(file: Path | None, state: Path, env: Mapping[str, str], stamp: str) -> Report:
    """Rehearse the upgrade of a database to this code. Raises ConfigError if there is no database.

    The lease of rehearsals must be held. ``stamp`` names the backup.
    """
    rehearsal = Rehearsal(file, state, env, stamp)
    try:
        for name, ask in rehearsal.steps():
            began = monotonic_ns()
            verdict = _asked(name, ask)
            rehearsal.verdicts.append(verdict)
            rehearsal.seconds[name] = round((monotonic_ns() - began) / 1e9, 3)
            if verdict.verdict == "wrong":
                break  # what stands on it is not asked
    finally:
        rehearsal.sweep()
    return rehearsal.report()


def _asked(name: str, ask: Callable[[], Verdict]) -> Verdict:
    try:
        return ask()
    except ConfigError as error:
        return Verdict(name, "wrong", str(error), "mend it, and check again")
    except Exception as error:  # noqa: BLE001 whatever the new code meets here is the finding
        said = f"{type(error).__name__}: {error}"
        return Verdict(name, "wrong", said, "do not upgrade: the database is as it was")


class Rehearsal:
    """One rehearsal; each step answers with a verdict and leaves what the next ones need."""

    def __init__(self, file: Path | None, state: Path, env: Mapping[str, str], stamp: str) -> None:
        self.file, self.state, self.env, self.stamp = file, state, env, stamp
        self.folder = Path(f"{state}.rehearsal")
        self.copy = self.folder / "state.db"
        self.loaded: Loaded | None = None
        self.made: backup.Backup | None = None
        self.migrations: list[str] = []
        self.rows: dict[str, tuple[int, int]] = {}
        self.redecided: Redecided | None = None
        self.verdicts: list[Verdict] = []
        self.seconds: dict[str, float] = {}
        reader = files.open_state(state)
        try:
            self.meta = dict(reader.execute("SELECT name, value FROM meta"))
            self.head_id, head = chain.head(reader)
        finally:
            reader.close()
        self.head = head.hex()

    @property
    def before(self) -> str:
        """The build that wrote the database last."""
        return str(self.meta.get("build", ""))

    @property
    def read(self) -> Loaded:
        """The configuration with its hash, once it is read."""
        assert self.loaded is not None
        return self.loaded

    @property
    def config(self) -> config.Config:
        """The configuration, once it is read."""
        return self.read.config

    def steps(self) -> Iterator[tuple[str, Callable[[], Verdict]]]:
        """Yield each step in order."""
        yield "config", self._config
        yield "room", self._room
        yield "backup", self._backup
        yield "migrate", self._migrate
        yield "audit", self._audit
        yield "replay", self._replay
        yield "boot", self._boot
        yield "models", self._models

    def report(self) -> Report:
        """Return all that was found."""
        return Report(
            at=wall_ms(),
            code=code_id(),
            build=build_id(),
            before=self.before,
            config=self.loaded.hash if self.loaded else "",
            instance=self.meta.get("instance", ""),
            head_id=self.head_id,
            head=self.head,
            backup=str(self.made.path) if self.made else "",
            migrations=tuple(self.migrations),
            rows=self.rows,
            redecided=self.redecided,
            verdicts=tuple(self.verdicts),
            seconds=self.seconds,
        )

    def sweep(self) -> None:
        """Remove the copy, and what a rehearsal that was killed left."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- steps -------------------------------------------------------------------------------------

    def _config(self) -> Verdict:
        self.loaded = config.load(self.file, self.env, "")
        where = self.loaded.file or "defaults"
        return Verdict("config", "well", f"{where}, profile {self.config.settings.profile}")

    def _room(self) -> Verdict:
        sizes = (path.stat().st_size for path in backup.family(self.state) if path.exists())
        needed, free = ROOM * sum(sizes), files.free_bytes(self.state)
        said = f"{free / 1e6:,.0f} MB free, expected {needed / 1e6:,.1f} MB"
        if free < needed:
            return Verdict("room", "wrong", said, "make room beside the database")
        return Verdict("room", "well", said)

    def _backup(self) -> Verdict:
        self.made = made = back_up(self.state, self.stamp)
        self.head_id, self.head = made.transitions, made.head
        return Verdict("backup", "well", f"{made.path}: {made.transitions} transitions verified")

    def _migrate(self) -> Verdict:
        assert self.made is not None
        self.sweep()
        self.folder.mkdir(mode=0o700)
        shutil.copyfile(self.made.path, self.copy)
        connection = open_writer(self.copy)
        before = schema.counted(connection)
        self.migrations = schema.migrate(connection, wall_ms())
        after = schema.counted(connection)
        connection.close()
        names = sorted(before.keys() | after.keys())
        self.rows = {name: (before.get(name, 0), after.get(name, 0)) for name in names}
        ran = ", ".join(self.migrations) or "no migration is needed"
        lost = [f"{name} {a} → {b}" for name, (a, b) in self.rows.items() if b < a]
        if lost:
            cure = "read the migration: are these rows meant to go?"
            return Verdict("migrate", "warning", f"{ran}; rows go: {', '.join(lost)}", cure)
        return Verdict("migrate", "well", f"{ran}; no row goes")

    def _audit(self) -> Verdict:
        connection = open_writer(self.copy)
        try:
            seen = audit.verify(connection, expect=self.head)
        finally:
            connection.close()
        return Verdict("audit", "well", f"{seen.checked} transitions and every page verified")

    def _replay(self) -> Verdict:
        connection = open_writer(self.copy)
        try:
            found = replay.redecide(connection, self.config.upgrade.replay_events)
        finally:
            connection.close()
        self.redecided = found
        if found.failed:
            return Verdict("replay", "wrong", found.failed, "do not upgrade to this build")
        said = f"{found.differ} of {found.events} events are decided otherwise"
        if not found.differ:
            return Verdict("replay", "well", f"{found.events} events are decided as before")
        if self.before == build_id():
            return Verdict(
                "replay", "wrong", said, "one build contradicts itself: `replay --check`"
            )
        return Verdict("replay", "warning", said, "read them: are they what this build is for?")

    def _boot(self) -> Verdict:
        booted = boot.open_state(self.copy)
        reactor = boot.build_reactor(booted, self.config.settings)
        committed = reactor.turn(_start(booted, self.copy, self.read))
        writer = booted.writer
        poisoned = writer.connection.execute(
            "SELECT json_extract(body, '$.error') FROM journal WHERE kind = 'Poisoned' AND seq > ?",
            (booted.world.seq,),
        ).fetchone()
        writer.connection.close()
        if poisoned:
            return Verdict("boot", "wrong", poisoned[0], "do not upgrade to this build")
        if booted.doubt:
            cure = "stop the bot first; or entries are held until a person releases them"
            return Verdict("boot", "warning", booted.doubt, cure)
        kinds = sorted({type(dispatch.effect).__name__ for dispatch in committed.dispatches})
        asked = f"it would carry out {', '.join(kinds)}" if kinds else "it would carry out nothing"
        return Verdict(
            "boot",
            "well",
            f"memory from snapshot {booted.snapshot_seq} and {booted.tail} events,"
            f" process {reactor.world.state('process')}; before the venue answers {asked}",
        )

    def _models(self) -> Verdict:
        connection = files.open_state(self.copy)
        names = [row.model for row in models.in_use(connection)]
        connection.close()
        limit = self.config.settings.models.verify_real_seconds
        folder, strategy = files.Beside(self.state).models, self.config.settings.strategy
        refused = []
        for name in names:
            try:
                asyncio.run(artefacts.verify(folder, name, strategy, limit))
            except Refused as error:
                refused.append(f"{name[:12]}: {error}")
        if refused:
            cure = "it is quarantined at the start; `bot train` makes another"
            return Verdict("models", "warning", "; ".join(refused), cure)
        return Verdict("models", "well", f"{len(names)} in use, all of them verified")


def back_up(state: Path, stamp: str) -> backup.Backup:
    """Make a verified copy of the database, whoever writes it; no other copy is dropped for it."""
    folder = files.Beside(state).backups
    connection = files.open_state(state)
    try:
        kept = len(backup.existing(state, folder)) + 1
        return backup.make(connection, state, folder, stamp, keep=kept)
    finally:
        connection.close()


def _start(booted: boot.Booted, copy: Path, loaded: Loaded) -> list[Event]:
    """Return what a start hears first, but for the marks of people, which are not copied."""
    heard = boot.first_events(
        booted,
        boot.Paths(copy),
        loaded.config.settings,
        loaded.hash,
        booted.world.at,
        rate=booted.world.rate,
    )
    return [event for event in heard if isinstance(event, (Started, Recovered))]
