"""What Enter opens: the whole story of a position, an order, a machine, a transition, …"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from bot.desk import alerts, distance, models, orders, pages, refusals, tables
from bot.desk.alerts import Told
from bot.desk.orders import FillRow, OrderRow
from bot.desk.pages import Story
from bot.desk.reading import Connection
from bot.desk.text import moment
from bot.desk.views import Move, Standing
from bot.errors import Refused
from console.feed import Snapshot, Want
from console.screens import sql
from console.screens.models import criteria
from console.screens.space import Screen, Space, clock, moves, price, state
from console.screens.why import measured
from console.sheet import (
    BAD,
    DIM,
    GOOD,
    PLAIN,
    Column,
    Line,
    Row,
    Span,
    blank,
    line,
    paragraph,
    table,
    title,
)

GONE = "it is not in the database"


def _about(read: Callable[[Connection, str], Any]) -> Callable[[Connection, Want], Any]:
    """Read what was opened last, by its id."""
    return lambda connection, want: (read(connection, want.opened[-1][1]),)


def _drawn(draw: Callable[[Snapshot, Any, Space], list[Line]]) -> Callable[..., list[Line]]:
    """Draw what was found; what is gone is said."""

    def drawn(shot: Snapshot, found: tuple[Any], space: Space) -> list[Line]:
        kind, name = shot.want.opened[-1]
        if found[0] is None:
            return [title(f"{kind} {name}"), line(GONE)]
        return draw(shot, found[0], space)

    return drawn


# -- a transition ----------------------------------------------------------------------------------


def _read_move(connection: Connection, number: str) -> Story | None:
    return pages.story(connection, int(number))


def _draw_move(shot: Snapshot, found: Story, space: Space) -> list[Line]:
    move, width = found.move, space.width
    lines = [
        title(f"Transition #{move.id}", f"{moment(move.at)} market time, head {move.head}"),
        line(f"{move.machine} {move.key}: {move.source or '·'} → ", state(move.dest, move.machine),
             key=("machine", f"{move.machine} {move.key}")),
        *paragraph(move.reason, width, mark="why: "),
        blank(),
        title("Cause", f"event {move.seq}, {found.kind}, written {moment(found.wall)} UTC"),
        *_body(found.body, width),
    ]  # fmt: skip
    if found.asked is not None:
        lines.append(line(Span(f"it answers a question of event {found.asked}", DIM)))
    if found.others:
        lines += [blank(), title("The same event moved"), *moves(found.others, width)]
    lines += [blank(), title("Effects", "" if found.effects else "none")]
    for effect in found.effects:
        about = f"delivery {effect.id}"
        head = f"{effect.kind} {effect.id} is "
        lines.append(line(head, state(effect.state), f": {effect.reason}", key=("machine", about)))
        lines += _body(effect.body, width)
    return lines


def _body(body: str, width: int) -> list[Line]:
    """Return a JSON document as name and value, a line each."""
    try:
        found = json.loads(body)
    except ValueError:
        return paragraph(body, width, tone=DIM, mark="  ")
    lines = []
    for name, value in found.items() if isinstance(found, dict) else ():
        told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if name not in ("type", "at"):
            lines += paragraph(told, width, tone=DIM, mark=f"  {name}: ")[:6]
    return lines


# -- a machine -------------------------------------------------------------------------------------


class Machine(NamedTuple):
    """Where a machine stands, and how it came there, newest first."""

    standing: Standing
    past: list[Move]


def _read_machine(connection: Connection, name: str) -> Machine | None:
    machine, _, key = name.partition(" ")
    past = pages.history(connection, machine, key)
    if not past:
        return None
    last = past[0]
    return Machine(Standing(machine, key, last.dest, 0, last.at, last.reason), past)


def _draw_machine(shot: Snapshot, found: Machine, space: Space) -> list[Line]:
    one, width = found.standing, space.width
    lowers = tables.lowers(one.machine, one.state)
    lines = [
        title(f"{one.machine} {one.key}", f"one for each {tables.key_means(one.machine)}"),
        line("is ", state(one.state, one.machine), f" since {moment(one.since)}, market time"),
        *paragraph(one.reason, width, mark="why: "),
    ]
    if lowers:
        lines.append(line(Span(f"while it stands so, entries are lowered to {lowers}", BAD)))
    ways = tables.next_ways(one.machine, one.state)
    lines += [blank(), title("What can move it next", "" if ways else "nothing: it is at its end")]
    rows = [Row((way.on, way.when, f"→ {way.to}")) for way in ways]
    lines += (
        table([Column("on", 16), Column("when"), Column("to", 16)], rows, width) if rows else []
    )
    return [
        *lines,
        blank(),
        title("History", "newest first"),
        *moves(found.past, width, dated=True),
    ]


# -- an order, a position --------------------------------------------------------------------------


class OrderStory(NamedTuple):
    """An order with its moves, oldest first, its executions, and the moves of its decision."""

    order: OrderRow
    past: list[Move]
    fills: list[FillRow]


def _read_order(connection: Connection, order: str) -> OrderStory | None:
    found = orders.found(connection, order)
    if found is None:
        return None
    past = pages.history(connection, "order", order)[::-1]
    return OrderStory(found, past, orders.fills(connection, order))


def _draw_order(shot: Snapshot, found: OrderStory, space: Space) -> list[Line]:
    one, width = found.order, space.width
    kind = "exit" if one.exit else "entry"
    limit = f"at {price(one.price)} or better" if one.price else "at market"
    return [
        title(f"Order {one.order}", kind),
        line(f"{one.symbol} {one.side} {price(one.qty)} {limit} is ", state(one.state, "order")),
        *paragraph(one.reason, width, mark="why: "),
        line(f"stop {price(one.stop)}, target {price(one.take)} travelled with it"
             if one.stop else "no bracket travelled with it"),
        blank(),
        title("Decided because"),
        *paragraph(one.decided, width),
        blank(),
        title("What became of it"),
        *moves(found.past, width),
        blank(),
        *_fills(found.fills, width),
    ]  # fmt: skip


def _fills(found: list[FillRow], width: int) -> list[Line]:
    lines = [title("Executions", str(len(found)) if found else "none")]
    columns = [Column("at", 8), Column("side", 5), Column("qty", 11, right=True)]
    columns += [Column("price", 11, right=True), Column("fee", 10, right=True)]
    columns += [Column("realised", 11, right=True), Column("by")]
    rows = [
        Row((Span(clock(f.at), DIM), f.side, price(f.qty), price(f.price), price(f.fee),
             price(f.realised), f.closed_by or f.order), ("order", f.order))
        for f in found
    ]  # fmt: skip
    return [*lines, *table(columns, rows, width)] if rows else lines


class PositionStory(NamedTuple):
    """The orders and executions that made a position."""

    made: list[OrderRow]
    fills: list[FillRow]
    past: list[Move]


def _read_position(connection: Connection, symbol: str) -> PositionStory:
    made, fills = orders.opened_by(connection, symbol)
    return PositionStory(made, fills, pages.history(connection, "position", symbol, 10))


def _draw_position(shot: Snapshot, found: PositionStory, space: Space) -> list[Line]:
    symbol, width = shot.want.opened[-1][1], space.width
    held = [one for one in shot.status.positions if one.symbol == symbol] if shot.status else []
    if not held:
        return [title(f"Position {symbol}", "it is closed"), *moves(found.past, width)]
    one = held[0]
    stop = (
        Span("● the venue holds it", GOOD) if one.stop_held else Span("✖ the venue holds NONE", BAD)
    )
    lines = [
        title(f"Position {symbol}", f"open since {one.opened}"),
        line(
            f"{one.side} {price(one.qty)} at {price(one.entry)}, the machine is ",
            state(one.state or ""),
        ),
        line(f"stop {price(one.stop)} ", stop, f"   target {price(one.take)}"),
    ]
    for order in found.made:
        kind = "exit" if order.exit else "entry"
        head = f"{kind} {order.side} {price(order.qty)} is {order.state}"
        lines += [
            blank(),
            line(Span(f"Order {order.order}", "title"), f"  {head}", key=("order", order.order)),
        ]
        lines += paragraph(order.decided, width, mark="decided because: ")
    lines += [blank(), *_fills(found.fills, width), blank(), title("The machine, newest first")]
    return [*lines, *moves(found.past, width)]


# -- a symbol --------------------------------------------------------------------------------------


class SymbolStory(NamedTuple):
    """A symbol's newest refusals, and what was measured last."""

    refused: list[refusals.Refused]
    measure: refusals.Measure | None


def _read_symbol(connection: Connection, symbol: str) -> SymbolStory:
    measures = refusals.measures(connection)
    return SymbolStory(refusals.last(connection, symbol), measures.get(symbol))


def _draw_symbol(shot: Snapshot, found: SymbolStory, space: Space) -> list[Line]:
    symbol, width = shot.want.opened[-1][1], space.width
    own = [one for one in shot.status.symbols if one.symbol == symbol] if shot.status else []
    lines = [title(symbol, f"entries {own[0].level}" if own else "not known")]
    if shot.status:
        for why in (*shot.status.why, *(own[0].why if own else ())):
            lines += paragraph(why, width, mark="◐ ")
    machines = [("feed", own[0].feed), ("position", own[0].position)] if own else []
    for name, where in machines:
        lines.append(line(f"{name} is ", state(where, name), key=("machine", f"{name} {symbol}")))
    if found.measure is not None:
        lines += [blank(), *paragraph(measured(found.measure), width)]
    lines += [
        blank(),
        title("Refused of late", str(len(found.refused)) if found.refused else "nothing"),
    ]
    rows = [Row((Span(clock(r.at), DIM), r.side, r.control, r.reason)) for r in found.refused]
    columns = [Column("at", 8), Column("side", 4), Column("by", 18), Column("why")]
    return [*lines, *table(columns, rows, width)] if rows else lines


# -- an alert, a model -----------------------------------------------------------------------------


def _read_alert(connection: Connection, alert: str) -> Told | None:
    return next((one for one in alerts.read(connection, 100) if one.id == alert), None)


def _draw_alert(shot: Snapshot, found: Told, space: Space) -> list[Line]:
    lines = [
        title(f"Alert {found.id}", f"{found.severity}, ×{found.count}{_page(found.runbook)}"),
        line("is ", state(found.state, "alert"), f" since {moment(found.since)}, market time"),
        *paragraph(found.reason, space.width, mark="why: "),
        *paragraph(found.text, space.width, tone=BAD if found.open else PLAIN),
        blank(),
        title("Messages", "" if found.messages else "none"),
    ]
    rows = [
        Row((m.channel, state(m.state), "" if m.delay_ms is None else f"{m.delay_ms} ms", m.reason))
        for m in found.messages
    ]
    columns = [
        Column("channel", 14),
        Column("state", 10),
        Column("took", 10, right=True),
        Column("why"),
    ]
    return [*lines, *table(columns, rows, space.width)] if rows else lines


def _page(heading: str) -> str:
    return f", what to do: docs/alerts.md#{heading}" if heading else ""


class ModelStory(NamedTuple):
    """A model, what a promotion asks for, and where it stood."""

    row: models.ModelRow
    skill_min: float | None
    past: list[Move]


def _read_model(connection: Connection, model: str) -> ModelStory | None:
    try:
        row = models.found(connection, model)
    except Refused:
        return None
    settings = distance.settings(connection)
    past = pages.history(connection, "model", row.model)
    return ModelStory(row, settings.models.skill_min if settings else None, past)


def _draw_model(shot: Snapshot, found: ModelStory, space: Space) -> list[Line]:
    row, width = found.row, space.width
    lines = [
        title(
            f"Model {row.model[:12]}",
            f"made {row.made or 'at an unknown time'} by training {row.run}",
        ),
        line("is ", state(row.state, "model"), f" since {row.since}; reigned {row.reigns} times"),
        *paragraph(row.reason, width, mark="why: "),
        blank(),
        title("For and against a promotion"),
        *(line(one) for one in criteria(row, found.skill_min)),
        blank(),
        title("On candles that it did not learn from", f"{row.rows_held_out or 0} of them"),
    ]
    for name in ("skill", "auc", "log_loss", "brier", "base_rate"):
        value = getattr(row, name)
        lines.append(
            line(f"{name.replace('_', ' '):<10} {'–' if value is None else format(value, '.4f')}")
        )
    learnt = f"learnt from {row.trained_from or '?'} to {row.trained_to or '?'}"
    return [
        *lines,
        line(Span(learnt, DIM)),
        blank(),
        title("History"),
        *moves(found.past, width, dated=True),
    ]


DETAILS: dict[str, Screen] = {
    "move": Screen(_about(_read_move), _drawn(_draw_move)),
    "machine": Screen(_about(_read_machine), _drawn(_draw_machine)),
    "order": Screen(_about(_read_order), _drawn(_draw_order)),
    "position": Screen(_about(_read_position), _drawn(_draw_position)),
    "symbol": Screen(_about(_read_symbol), _drawn(_draw_symbol)),
    "alert": Screen(_about(_read_alert), _drawn(_draw_alert)),
    "model": Screen(_about(_read_model), _drawn(_draw_model)),
    "row": sql.SCREEN,
}
"""By the kind of a line's key."""
