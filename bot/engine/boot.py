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

from bot.core.events import Event, Halted, Panicked, Recovered, Started, StorageChecked
from bot.core.settings import Settings
from bot.core.world import World
from bot.edge.clock import clock_text, wall_ms
from bot.edge.files import Halt, read_panic_lines, retire_panic_lines
from bot.edge.host import free_mb
from bot.engine.build import build_id
from bot.engine.reactor import Probe, Reactor, no_probe
from bot.engine.replay import recover
from bot.errors import StoreFatal
from bot.learn.indicators import Oracle
from bot.store import chain, snapshots
from bot.store.database import Connection, DriverError, classify, open_writer
from bot.store.lease import Lease
from bot.store.schema import migrate
from bot.store.writer import Writer

CHAIN_ROWS_AT_BOOT = 1_000


class Paths:
    """The files beside a database."""

    def __init__(self, state: Path) -> None:
        self.state = state.absolute()
        self.folder = self.state.parent
        self.socket = Path(f"{self.state}.sock")
        self.heartbeat = Path(f"{self.state}.heartbeat")
        self.halt = self.folder / "HALT"
        self.panic = self.folder / "panic.jsonl"


class Booted(Struct, frozen=True):
    """Memory rebuilt from the database, and how."""

    writer: Writer
    world: World
    snapshot_seq: int
    tail: int
    instance: str
    epoch: int


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
    connection = open_writer(state)
    migrate(connection, wall_ms())
    # a file that is locked, full, or read-only is found here, not in the first turn
    connection.execute("INSERT OR REPLACE INTO meta VALUES('opened_at', ?)", (str(wall_ms()),))
    head_id, _ = chain.head(connection)
    chain.verify(connection, max(0, head_id - CHAIN_ROWS_AT_BOOT), instances=False)
    world, snapshot_seq, tail = recover(connection)
    _agree(connection, world)
    instance, epoch = _identity(connection)
    return Booted(Writer(connection), world, snapshot_seq, tail, instance, epoch)


def _agree(connection: Connection, world: World) -> None:
    """Check that memory and database say the same of every machine that is not at its end."""
    for machine, instances in world.machines.items():
        for key, instance in instances.items():
            row = connection.execute(
                "SELECT state, version FROM instance WHERE machine = ? AND key = ?", (machine, key)
            ).fetchone()
            if row != (instance.state, instance.version):
                here = f"{instance.state} v{instance.version}"
                raise StoreFatal(f"{machine} {key}: memory says {here}, the database {row}")


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


def build_reactor(booted: Booted, settings: Settings, probe: Probe = no_probe) -> Reactor:
    """Return a reactor whose indicators are rebuilt from stored candles."""
    oracle = Oracle(settings.strategy, settings.market.warmup_candles)
    for symbol in booted.world.feeds:
        stored = snapshots.candles(booted.writer.connection, symbol, settings.market.warmup_candles)
        oracle.rebuild(symbol, stored)
    return Reactor(booted.writer, booted.world, oracle, wall=wall_ms, probe=probe)


def first_events(
    booted: Booted, paths: Paths, settings: Settings, config_hash: str, at: int
) -> list[Event]:
    """Return what the reactor hears first: panic's deeds, the start, the recovery, and HALT."""
    events: list[Event] = []
    lines = read_panic_lines(paths.panic)
    if lines:
        events.append(Panicked(at=at, lines=lines[-200:]))
    events.append(
        Started(
            at=at,
            instance=booted.instance,
            epoch=booted.epoch,
            build=build_id(),
            config_hash=config_hash,
            settings=settings,
        )
    )
    events.append(Recovered(at=at, snapshot_seq=booted.snapshot_seq, tail=booted.tail))
    events.append(StorageChecked(at=at, free_mb=free_mb(paths.folder)))
    mark = check_halt(booted, paths)
    if mark:
        events.append(Halted(at=at, who=mark[0], reason=mark[1]))
    return events


def check_halt(booted: Booted, paths: Paths) -> tuple[str, str] | None:
    """Read the HALT mark; a database that never ran gets its file first."""
    halt = Halt(paths.halt)
    if not booted.world.seq:
        halt.create()
    return halt.is_set()


def panic_was_read(paths: Paths) -> None:
    """Put panic's lines aside: they are in the journal now."""
    retire_panic_lines(paths.panic)
