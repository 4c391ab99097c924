"""The status document: what the bot is, what an entry may do, and every reason that holds it down.

It is made from the database and the small files beside it, so it is true while the bot runs, after
a clean stop, and after a crash. The level is asked of the same function as the gate of entries.
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from bot.core.heartbeat import LifeSign
from bot.core.machine import Instance, Level
from bot.core.permission import lowered
from bot.core.runs import RUN
from bot.core.values import ZERO, Side
from bot.core.verb import PROPOSED
from bot.core.world import ACCOUNT, Order, World
from bot.desk import alerts, files, healing, models, panics, views
from bot.desk.clock import wall_ms
from bot.desk.files import HaltMark
from bot.desk.text import age
from bot.store import chain
from bot.store.database import Connection

SILENT_SECONDS = 10.0
LAST_MOVES = 8
WAITING_MAX = 200

_NO_BOT = "no bot is running: `python -m bot` starts one"


class Life(Struct, frozen=True):
    """What the process is: running, silent, busy, stopped, crashed, protect-only, or new."""

    state: str
    sentence: str
    lease: dict[str, object] | None
    heartbeat: LifeSign | None
    heartbeat_age_seconds: float | None


class Symbol(Struct, frozen=True):
    """One symbol: what an entry may do, where its machines stand, and why it is held down."""

    symbol: str
    level: str
    feed: str
    position: str
    hold: str
    kill: str
    why: tuple[str, ...]


class Storage(Struct, frozen=True):
    """The machine's state, the database's size with its log, and the disk's free space."""

    state: str
    database_mb: float
    free_mb: int


class Health(Struct, frozen=True):
    """What the checks found, those that are not well first; how the objectives stand."""

    well: int
    not_well: tuple[views.CheckStanding, ...]
    checks: tuple[views.CheckStanding, ...]
    objectives: tuple[views.ObjectiveStanding, ...]


class Status(Struct, frozen=True):
    """All that one screen shows. ``why`` holds a sentence for each machine that lowers entries."""

    database: str
    bot: Life
    level: str
    why: tuple[str, ...]
    account: tuple[views.Standing, ...]
    symbols: tuple[Symbol, ...]
    positions: tuple[views.OpenPosition, ...]
    equity: views.EquityMark | None
    parameters: tuple[views.Standing, ...]
    waiting: tuple[views.Standing, ...]
    foreign: tuple[views.Standing, ...]
    halt: HaltMark
    panics: tuple[panics.Deed, ...]
    storage: Storage
    health: Health
    healing: healing.Healing
    alerts: tuple[alerts.Told, ...]
    models: tuple[models.InUse, ...]
    last: tuple[views.Move, ...]
    head_id: int
    head: str


def read(state: Path) -> Status:
    """Return the status of a database and its bot. Raises ConfigError if there is no database."""
    connection = files.open_state(state)
    try:
        connection.execute("BEGIN")  # one moment for all that follows
        return document(connection, state)
    finally:
        connection.close()


def remembered(connection: Connection) -> World:
    """Return as much of the world as the lattice asks for, from the database alone."""
    machines: dict[str, dict[str, Instance]] = {}
    for row in views.standings(connection, *views.LIVING):
        instance = Instance(row.state, row.version, row.since, row.reason)
        machines.setdefault(row.machine, {})[row.key] = instance
    doubts = views.doubts(connection)
    machines["order"] = {row.order: Instance("UNKNOWN", 0, 0, row.reason) for row in doubts}
    orders = {row.order: Order(row.order, row.symbol, Side.BUY, ZERO, True, 0, 0) for row in doubts}
    return World(machines=machines, orders=orders)


def life(state: Path, world: World) -> Life:
    """Tell what the process is, from lease, heartbeat, and the machine's last state."""
    now, beat = life_now(state), files.heartbeat(state)
    beat_age = beat.age_seconds(wall_ms()) if beat else None
    return now or Life(*_ended(world), None, beat, beat_age)


def life_now(state: Path) -> Life | None:
    """Tell what the process is that holds the lease, without the database; None if none does."""
    lease, beat = files.holder(state), files.heartbeat(state)
    if lease is None:
        return None
    beat_age = beat.age_seconds(wall_ms()) if beat else None
    return Life(*_living(lease, beat), lease, beat, beat_age)


def _living(lease: dict[str, object], beat: LifeSign | None) -> tuple[str, str]:
    pid = lease.get("pid")
    if beat is None or (pid is not None and beat.pid != pid):
        named = ", ".join(f"{key} {value}" for key, value in lease.items())
        return "busy", f"the lease is held ({named}); its holder has not beaten yet"
    seconds = beat.age_seconds(wall_ms())
    if seconds > SILENT_SECONDS:
        return "silent", f"pid {beat.pid} is silent for {age(seconds)}: it may hang"
    return "running", f"pid {beat.pid}, heartbeat {age(seconds)} ago"


def _ended(world: World) -> tuple[str, str]:
    process = world.state("process")
    instance = world.instance_of("process")
    why = instance.reason if instance else ""
    if not process:
        return "new", "it was never started"
    if process == "STOPPED":
        return "stopped", f"stopped cleanly: {why}"
    if process == "PROTECT_ONLY":
        return "protect-only", f"the last start only protected: {why}"
    return "crashed", f"ended in {process} without stopping; the next start recovers"


def _above(bot: Life, halt: HaltMark, level: Level) -> list[tuple[Level, str]]:
    """Return what lowers entries beyond the machines: no bot, the HALT mark, the latch."""
    found = []
    if bot.lease is None:
        found.append((Level.NONE, _NO_BOT))
    elif bot.state != "running":
        found.append((Level.REDUCE_ONLY, f"the bot is {bot.state}: {bot.sentence}"))
    if halt.set and bot.state != "new":
        found.append((Level.REDUCE_ONLY, f"HALT is set by {halt.who}: {halt.reason}"))
    said = bot.heartbeat.fields.get("level") if bot.heartbeat and bot.lease else None
    told = Level.__members__.get(str(said))
    if told is not None and told < level:
        fields = bot.heartbeat.fields if bot.heartbeat else {}
        why = fields.get("latch") or fields.get("why") or "it does not say why"
        found.append((told, f"the bot allows only {told.name}: {why}"))
    return found


def document(connection: Connection, state: Path) -> Status:
    """Return the status as an open connection sees it; one transaction gives one moment."""
    world, halt = remembered(connection), files.halt(state)
    bot = life(state, world)
    mine = lowered(world)
    found = sorted(
        [*mine, *_above(bot, halt, mine[0][0] if mine else Level.FULL)], key=lambda pair: pair[0]
    )
    level = found[0][0] if found else Level.FULL
    head_id, head = chain.head(connection)
    account = [row for row in views.standings(connection, *views.LIVING) if row.key == ACCOUNT]
    return Status(
        database=str(state),
        bot=bot,
        level=level.name,
        why=tuple(reason for _, reason in found),
        account=tuple(account),
        symbols=tuple(_symbol(world, name, level) for name in _symbols(world)),
        positions=tuple(views.open_positions(connection)),
        equity=views.equity(connection),
        parameters=tuple(
            row for row in views.standings(connection, "parameter") if row.state == "SET"
        ),
        waiting=tuple(
            row for row in views.unfinished(connection, RUN, WAITING_MAX) if row.state == PROPOSED
        ),
        foreign=tuple(
            row for row in views.standings(connection, "external") if row.state == "EXTERNAL"
        ),
        halt=halt,
        panics=panics.deeds(state) if halt.set or _killed(world) else (),
        storage=_storage(state, world),
        health=_health(connection),
        healing=healing.read(connection),
        alerts=tuple(alerts.open_now(connection)),
        models=tuple(models.in_use(connection)),
        last=tuple(views.last_moves(connection, LAST_MOVES, without="delivery")),
        head_id=head_id,
        head=chain.short(head),
    )


def _killed(world: World) -> bool:
    """Tell whether the account's switch is not re-armed: until then, what was done is shown."""
    return world.state("kill") not in ("", "ARMED")


def _symbols(world: World) -> list[str]:
    return sorted({*world.machines.get("feed", {}), *world.machines.get("position", {})})


def _symbol(world: World, name: str, level: Level) -> Symbol:
    shared = {reason for _, reason in lowered(world)}
    own = [(found, reason) for found, reason in lowered(world, name) if reason not in shared]
    return Symbol(
        symbol=name,
        level=min([level, *(found for found, _ in own)]).name,
        feed=world.state("feed", name),
        position=world.state("position", name),
        hold=_tighter(world, "hold", name, "FREE"),
        kill=_tighter(world, "kill", name, "ARMED"),
        why=tuple(reason for _, reason in own),
    )


def _tighter(world: World, machine: str, symbol: str, free: str) -> str:
    """Return the state of a symbol's own machine, or the account's where that is tighter."""
    own = world.state(machine, symbol) or free
    return world.state(machine) or free if own == free else own


def _storage(state: Path, world: World) -> Storage:
    size = sum(path.stat().st_size for path in (state, Path(f"{state}-wal")) if path.exists())
    return Storage(world.state("storage"), round(size / 1e6, 3), files.free_mb(state))


def _health(connection: Connection) -> Health:
    checks = tuple(views.checks(connection))
    return Health(
        well=sum(check.state == "WELL" for check in checks),
        not_well=tuple(check for check in checks if check.state != "WELL"),
        checks=checks,
        objectives=tuple(views.objectives(connection)),
    )
