"""Commands that show: status, metrics, tail, query, machines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.options import DURATION, json_option, state_option
from bot.cli.output import CODES, Exit, put, put_csv, put_json, put_table, say
from bot.core.text import safe_text
from bot.desk.text import CELL_MAX, age, moment, number
from bot.errors import ConfigError, NotRunning

if TYPE_CHECKING:
    from bot.core.machine import Table
    from bot.desk.status import Health, Status
    from bot.desk.views import Move, Standing

POLL_SECONDS = 0.5
STANDINGS_MAX = 100
_WAY = ("from", "on", "when", "to")


# -- status ----------------------------------------------------------------------------------------


@click.command(epilog=CODES)
@state_option
@json_option
def status(state: Path, as_json: bool) -> int:
    """Show what the bot is, what it may do, and every reason that holds it down.

    Works while the bot runs, after a stop, and after a crash.
    """
    from bot.desk.status import read

    found = read(state)
    if as_json:
        put_json(found)
    else:
        _show_status(found)
    return Exit.OK


def _show_health(found: Health) -> None:
    put(f"health    {found.well} of {len(found.checks)} checks are well")
    for check in found.not_well:
        put(f"          {check.name} is {check.state}: {check.said}")
    for objective in found.objectives:
        if objective.spent > 1:
            put(f"          objective {objective.name}: {objective.spent:.0%} of its budget spent")


def _show_healing(found: Status) -> None:
    for attempt in found.healing.attempts:
        waits = f": `bot do approve run={attempt.run}`" if attempt.state == "PROPOSED" else ""
        put(f"healing   {attempt.remedy} for {attempt.check} is {attempt.state}{waits}")
    for remedy in found.healing.remedies:
        if remedy.today:
            put(
                f"          {remedy.remedy}: {remedy.today} of {remedy.a_day} attempts within a day"
            )
    for alert in found.alerts:
        put(f"alert     {alert.severity} {alert.id} since {moment(alert.since)}: {alert.text}")


def _show_status(found: Status) -> None:
    put(f"bot       {found.bot.state}: {found.bot.sentence}")
    if found.bot.state != "running" and found.bot.heartbeat_age_seconds is not None:
        put(f"          last heartbeat {age(found.bot.heartbeat_age_seconds)} ago")
    if found.bot.lease:
        lease = ", ".join(f"{key} {value}" for key, value in found.bot.lease.items())
        put(f"lease     {lease} (real time; all below is market time)")
    put(f"entries   {found.level}{': why' if found.why else ''}")
    for reason in found.why:
        put(f"          - {reason}")
    halt = found.halt
    put(f"HALT      {f'set by {halt.who}: {halt.reason}' if halt.set else 'clear'}")
    for deed in found.panics:
        did = "; ".join(deed.did) or "nothing could be done"
        put(f"panic     {moment(deed.wall_ms)} real time, {deed.who}: {did}")
        put(f"          - because {deed.reason}")
        if deed.undone:
            put(f"          - NOT done: {deed.undone}")
    _show_equity(found)
    disk = found.storage
    put(f"storage   {disk.state}, {disk.database_mb} MB, {disk.free_mb} MB free")
    _show_health(found.health)
    _show_healing(found)
    put(f"model     {_models(found)}")
    put(f"audit     head #{found.head_id} {found.head}")
    put_table(
        ("machine", "state", "since", "reason"),
        [(row.machine, row.state, moment(row.since), row.reason) for row in found.account],
    )
    if found.symbols:
        put_table(
            ("symbol", "entries", "feed", "position", "hold", "kill", "why"),
            [
                (s.symbol, s.level, s.feed, s.position, s.hold, s.kill, "; ".join(s.why))
                for s in found.symbols
            ],
        )
    known = "position" if found.bot.state == "running" else "position (as last known)"
    if found.positions:
        put_table(
            (known, "side", "qty", "entry", "stop", "target", "stop at venue"),
            [
                (
                    p.symbol,
                    p.side,
                    p.qty,
                    number(p.entry),
                    p.stop,
                    p.take,
                    "yes" if p.stop_held else "NO",
                )
                for p in found.positions
            ],
        )
    _show_people(found)
    for move in found.last:
        put(line_of(move))


def _show_people(found: Status) -> None:
    """Show what people did beside the bot, what waits for them, and what they changed."""
    for row in found.foreign:
        put(f"not ours  order {row.key}: {row.reason}")
    healing = {attempt.run for attempt in found.healing.attempts}
    for row in found.waiting:
        if row.key not in healing:
            put(f"waiting   since {moment(row.since)}: {row.reason}")
    for row in found.parameters:
        put(f"parameter {row.key} is SET: {row.reason}")


def _models(found: Status) -> str:
    """Return which models are asked, and how old what they learnt is; none is an answer."""
    told = [
        f"{one.state} {one.model[:12]}"
        + (f", learnt until {age(one.age_seconds)} ago" if one.age_seconds is not None else "")
        for one in found.models
    ]
    return "; ".join(told) or "no model: `python -m bot train` makes one"


def _show_equity(found: Status) -> None:
    if found.equity:
        mark = found.equity
        put(
            f"equity    {number(mark.equity)} (peak {number(mark.peak)}, "
            f"drawdown {mark.drawdown:.2%}, day {-mark.day_loss:+.2%}) at {moment(mark.at)}"
        )


# -- metrics ---------------------------------------------------------------------------------------


@click.command(epilog=CODES)
@state_option
@json_option
def metrics(state: Path, as_json: bool) -> int:
    """Print the metrics as Prometheus reads them: the same state as status, in numbers.

    Works while the bot runs, after a stop, and after a crash; docs/metrics.md lists them. What
    only the running process knows is at its own endpoint (metrics.port).
    """
    from bot.desk.measures import read

    values = read(state)
    if as_json:
        put_json({"metrics": values.document()})
    else:
        print(values.text(), end="", flush=True)
    return Exit.OK


# -- tail ------------------------------------------------------------------------------------------


@click.command(epilog=CODES)
@click.option("-n", "count", type=click.IntRange(0, 100_000), default=20, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now.")
@click.option("--machine", default="", help="Only this machine.")
@state_option
@json_option
def tail(count: int, follow: bool, machine: str, state: Path, as_json: bool) -> int:
    """Show the newest transitions; with --json one object a line."""
    from bot.desk import files, views

    connection = files.open_state(state)
    connection.execute("BEGIN")
    moves, after = views.last_moves(connection, count, machine), views.head_id(connection)
    connection.close()
    for move in moves:
        _put_move(move, as_json=as_json)
    if follow:
        for move in _follow(state, after):
            if machine in ("", move.machine):
                _put_move(move, as_json=as_json)
    return Exit.OK


def _put_move(move: Move, *, as_json: bool) -> None:
    if as_json:
        put_json(move)
    else:
        put(line_of(move))


def line_of(move: Move) -> str:
    """Return a transition as one line: when, what, from, to, why, and by which event."""
    source = move.source or "·"
    return (
        f"{moment(move.at)}  {move.machine} {move.key}  {source} → {move.dest}  "
        f"{move.reason}  [{move.trigger} #{move.id}]"
    )


def _follow(state: Path, after: int) -> Iterator[Move]:
    """Yield what happens: from the bot while one runs, from its database while none does."""
    from bot.desk import client, files, views

    while True:
        try:
            for move in client.watch(state, after):
                if move.id > after:
                    after = move.id
                    yield move
        except NotRunning:
            time.sleep(POLL_SECONDS)
        connection = files.open_state(state)
        moves = views.moves_after(connection, after)
        connection.close()
        for move in moves:
            after = move.id
            yield move


# -- query -----------------------------------------------------------------------------------------


@click.command(epilog=CODES)
@click.argument("sql", required=False)
@click.option("--list", "listing", is_flag=True, help="List the views and what they answer.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--timeout", type=DURATION, default="5s", show_default=True, help="Cut after this.")
@state_option
@json_option
def query(
    sql: str | None,
    state: Path,
    *,
    listing: bool,
    as_csv: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Ask the database with SQL, or with a view's name; it can only be read.

    At most 10,000 rows are shown. docs/queries.md has the views and questions they answer.
    """
    from bot.desk.query import Limits, run

    if listing:
        return _list_views(as_json=as_json)
    if not sql:
        raise click.UsageError("expected SQL or a view's name; --list shows the views")
    found = run(state, sql, Limits(seconds=timeout))
    if as_json:
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
        put_json({"columns": found.columns, "rows": rows, "cut": found.cut})
    elif as_csv:
        put_csv(found.columns, found.rows)
    else:
        put_table(found.columns, found.rows)
        say(f"rows: {len(found.rows):,}")
    if found.cut:
        say(found.cut)
    return Exit.OK


def _list_views(*, as_json: bool) -> int:
    from bot.desk.catalogue import ANSWERS, VIEWS

    if as_json:
        put_json({"views": list(VIEWS.values()), "answers": ANSWERS})
        return Exit.OK
    put_table(
        ("view", "question", "columns"),
        [(v.name, v.question, ", ".join(v.columns)) for v in VIEWS.values()],
    )
    for answer in ANSWERS:
        put(answer.question)
        put(f"    {answer.sql}")
    return Exit.OK


# -- machines --------------------------------------------------------------------------------------


@click.command(epilog=CODES)
@click.argument("name", required=False)
@click.option("--mermaid", is_flag=True, help="Draw the table as a Mermaid state diagram.")
@state_option
@json_option
def machines(name: str | None, mermaid: bool, state: Path, as_json: bool) -> int:
    """Show the machines' tables: from, on which event, when, to; and where they stand."""
    from bot.core.decide import TABLES

    found = [table for table in TABLES if name in (None, table.name)]
    if not found:
        known = ", ".join(table.name for table in TABLES)
        raise click.UsageError(f"expected one of {known}; found {name!r}")
    standing = _standings(state, found)
    if as_json:
        put_json([_document(table, standing.get(table.name, []), mermaid) for table in found])
        return Exit.OK
    for table in found:
        if mermaid:
            print(table.mermaid())
        else:
            _show_machine(table, standing.get(table.name, []))
    return Exit.OK


def _standings(state: Path, tables: list[Table]) -> dict[str, list[Standing]]:
    """Return where the machines stand that are not at their end; nothing without a database."""
    from bot.desk import files, views

    try:
        connection = files.open_state(state)
    except ConfigError:
        return {}
    found = {table.name: views.unfinished(connection, table, STANDINGS_MAX) for table in tables}
    connection.close()
    return found


def _ways(table: Table) -> list[tuple[str, str, str, str]]:
    from bot.desk.tables import ways

    return [(way.source, way.on, way.when, way.to) for way in ways(table)]


def _show_machine(table: Table, standing: list[Standing]) -> None:
    lowers = ", ".join(f"{state} to {level.name}" for state, level in table.lowers.items())
    put(
        f"{table.name} (one for each {table.key})"
        + (f"; lowers entries: {lowers}" if lowers else "")
    )
    put_table(_WAY, _ways(table))
    if standing:
        put_table(
            ("key", "state", "since", "why"),
            [
                (row.key, row.state, moment(row.since), safe_text(row.reason, CELL_MAX))
                for row in standing
            ],
        )


def _document(table: Table, standing: list[Standing], mermaid: bool) -> dict[str, Any]:
    return {
        "name": table.name,
        "key": table.key,
        "states": [str(state) for state in table.states],
        "final": sorted(str(state) for state in table.final),
        "lowers": {str(state): level.name for state, level in table.lowers.items()},
        "rows": [dict(zip(_WAY, way, strict=True)) for way in _ways(table)],
        "standing": standing,
        **({"mermaid": table.mermaid()} if mermaid else {}),
    }
