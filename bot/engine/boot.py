"""Boot is recovery: lease, migrate, snapshot and tail, and what to tell the reactor first.

One path for a first start, a restart, and a crash. It refuses to run beside another writer, on an
affected SQLite, or on a file that does not belong to this code; it repairs nothing by itself.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bot.core.asking import pending
from bot.core.effects import ClearHalt
from bot.core.events import Event, Halted, Latched, Panicked, Recovered, Started, StorageChecked
from bot.core.settings import Settings
from bot.core.world import World
from bot.edge import upgrades
from bot.edge.clock import clock_text, wall_ms
from bot.edge.files import Halt, LastWords, read_panic_lines, retire_panic_lines
from bot.edge.host import free_mb
from bot.engine.build import build_id, code_id
from bot.engine.healing import treatments
from bot.engine.reactor import Probe, Reactor, no_probe
from bot.engine.replay import as_committed, disagreement, recover
from bot.errors import StoreFatal
from bot.learn.indicators import Oracle
from bot.learn.oracles import Oracles
from bot.learn.scorer import Scorer
from bot.store import chain, snapshots
from bot.store.database import Connection, DriverError, classify, open_writer
from bot.store.lease import Lease
from bot.store.schema import migrate
from bot.store.writer import Writer

CHAIN_ROWS_AT_BOOT = 1_000
PANIC_LINES_MAX = 200


class Paths:
    """The files beside a database."""

    def __init__(self, state: Path) -> None:
        self.state = state.absolute()
        self.folder = self.state.parent
        self.socket = Path(f"{self.state}.sock")
        self.heartbeat = Path(f"{self.state}.heartbeat")
        self.words = Path(f"{self.state}.words")
        self.halt = self.folder / "HALT"
        self.panic = self.folder / "panic.jsonl"
        self.status = self.folder / "status.json"
        self.backups = self.folder / "backups"
        self.reports = self.folder / "reports"
        self.good = self.folder / "bot.toml.good"
        self.ballast = self.folder / "ballast"


class Booted(Struct, frozen=True):
    """Memory rebuilt from the database, and how."""

    writer: Writer
    world: World
    snapshot_seq: int
    tail: int
    instance: str
    epoch: int
    doubt: str = ""


def take_lease(state: Path) -> Lease:
    """Become the one writer. Raises LeaseHeld, which names the holder."""
    who = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": clock_text(wall_ms()),
        "command": " ".join(sys.argv)[:200],
    }
    return Lease(state, who)


def open_state(state: Path) -> Booted:
    """Open, migrate, verify the newest rows, and rebuild memory. The lease must be held.

    Raises ConfigError, SchemaMismatch, ChainBroken, StoreBusy, StoreFatal.
    """
    try:
        return _open(state)
    except DriverError as error:
        raise classify(error) from error


def _open(state: Path) -> Booted:
    upgrades.refuse_rolled_back(state, code_id())
    connection = open_writer(state)
    migrate(connection, wall_ms())
    # a file that is locked, full, or read-only is found here, not in the first turn
    connection.execute("INSERT OR REPLACE INTO meta VALUES('opened_at', ?)", (str(wall_ms()),))
    head_id, _ = chain.head(connection)
    chain.verify(connection, max(0, head_id - CHAIN_ROWS_AT_BOOT), instances=False)
    recovered = recover(connection)
    instance, epoch = _identity(connection)
    booted = Booted(
        Writer(connection),
        recovered.world,
        recovered.snapshot_seq,
        recovered.tail,
        instance,
        epoch,
    )
    booted = _agreed(booted, recovered.failed or disagreement(connection, recovered.world))
    connection.execute("INSERT OR REPLACE INTO meta VALUES('build', ?)", (build_id(),))
    return booted


def _agreed(booted: Booted, difference: str | None) -> Booted:
    """Return memory as the database has it. Raises StoreFatal if one build contradicts itself.

    After a crash of another build the tail is decided anew by this one, and may come out
    otherwise. What was committed is the truth: it is taken over, and entries are held.
    """
    if difference is None:
        return booted
    connection = booted.writer.connection
    before = connection.execute("SELECT value FROM meta WHERE name = 'build'").fetchone()
    if before is None or before[0] == build_id():
        raise StoreFatal(difference)
    doubt = f"decided by build {before[0]}, recomputed by build {build_id()}: {difference}"
    world = as_committed(connection, booted.world)
    snapshots.save(booted.writer, world, wall_ms(), build_id())
    return replace(booted, world=world, doubt=doubt)


def _identity(connection: Connection) -> tuple[str, int]:
    """Return the database's instance name and epoch; give it a name if it is new."""
    found = dict(
        connection.execute("SELECT name, value FROM meta WHERE name IN ('instance', 'epoch')")
    )
    if "instance" not in found:
        found = {"instance": secrets.token_hex(3), "epoch": "1"}
        connection.execute(  # one statement: never a name without an epoch
            "INSERT INTO meta VALUES('instance', ?), ('epoch', ?)",
            (found["instance"], found["epoch"]),
        )
    return found["instance"], int(found["epoch"])


def build_reactor(
    booted: Booted, settings: Settings, probe: Probe = no_probe, scorer: Scorer | None = None
) -> Reactor:
    """Return a reactor whose indicators are rebuilt from stored candles.

    Once no reader holds the log, the writer cuts it to half of what the check `wal` allows.
    """
    limit = int(settings.health.wal_mb * 1e6 / 2)
    booted.writer.connection.execute(f"PRAGMA journal_size_limit={limit}")
    oracle = Oracle(settings.strategy, settings.market.warmup_candles)
    for symbol, feed in booted.world.feeds.items():
        stored = snapshots.candles(
            booted.writer.connection, symbol, feed.last, settings.market.warmup_candles
        )
        oracle.rebuild(symbol, stored)
    oracles = Oracles(oracle, scorer or Scorer())
    return Reactor(booted.writer, booted.world, oracles, wall=wall_ms, probe=probe)


def first_events(
    booted: Booted,
    paths: Paths,
    settings: Settings,
    config_hash: str,
    at: int,
    *,
    channels: tuple[str, ...] = (),
    second: tuple[str, ...] = (),
    rate: float = 1.0,
) -> list[Event]:
    """Return what the reactor hears first: panic's deeds, the start, the recovery, and HALT.

    ``rate`` is the market's where the venue was heard already, so that real seconds are real.
    """
    events: list[Event] = []
    lines = unread(paths.panic, booted.world)
    if lines:
        events.append(Panicked(at=at, lines=lines[-PANIC_LINES_MAX:]))
    events.append(
        Started(
            at=at,
            instance=booted.instance,
            epoch=booted.epoch,
            build=build_id(),
            config_hash=config_hash,
            settings=settings,
            channels=channels,
            second=second,
            rate=rate,
            ended=LastWords(paths.words).read(),
            remedies=tuple(treatment.remedy for treatment in treatments().values()),
        )
    )
    events.append(Recovered(at=at, snapshot_seq=booted.snapshot_seq, tail=booted.tail))
    events.append(StorageChecked(at=at, free_mb=free_mb(paths.folder)))
    if booted.doubt:
        events.append(Latched(at=at, reason=booted.doubt))
    halt = Halt(paths.halt)
    if not booted.world.seq:
        halt.create()  # a database that never ran gets its file first
    halted = halt_event(halt, booted.world, at)
    return [*events, halted] if halted is not None else events


def halt_event(halt: Halt, world: World, at: int) -> Halted | None:
    """Return the HALT mark as an event, unless it is known or a re-arm is clearing it."""
    found = halt.is_set()
    if found is None:
        return None
    halted = Halted(at=at, who=found[0], reason=found[1])
    clearing = any(effect.mark == halted.mark for effect in pending(world, ClearHalt))
    known = world.halt == halted.mark and world.state("kill") != "ARMED"
    return None if clearing or known else halted


def unread(panic: Path, world: World) -> tuple[str, ...]:
    """Return panic's lines that are not in the journal; put the file aside if all of them are."""
    lines = _after(read_panic_lines(panic), world.panic_read)
    if not lines:
        lines = _after(retire_panic_lines(panic), world.panic_read)
    return lines


def _after(lines: tuple[str, ...], known: str) -> tuple[str, ...]:
    """Return the lines that follow the one that is known, all of them if it is not among them."""
    return lines[len(lines) - lines[::-1].index(known) :] if known in lines else lines
