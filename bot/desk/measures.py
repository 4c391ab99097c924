"""Reads the values of the metrics from the database, and from the small files beside it.

They are what ``status`` says, as numbers: true while a bot runs, after a stop, and after a crash.
Ages are real seconds: market time, at the market's speed, up to the newest event.
"""

from __future__ import annotations

from pathlib import Path

from bot.core.decide import TABLES
from bot.core.deliveries import DELIVERY
from bot.core.effects import SEVERITIES, AnyEffect
from bot.core.feeds import INTERVAL_MS
from bot.core.machine import Level
from bot.core.orders import ORDER
from bot.desk import files, status, views
from bot.desk.clock import wall_ms
from bot.desk.metrics import METRICS, Values
from bot.desk.status import Status
from bot.store.database import Connection

LIVES = ("running", "silent", "busy", "stopped", "crashed", "protect-only", "new")
EFFECTS = tuple(sorted(kind.__name__ for kind in AnyEffect.__args__))


def read(state: Path) -> Values:
    """Return all that the database and its files tell. Raises ConfigError if there is none."""
    found, values = status.read(state), Values()
    _life(values, found)
    _states(values, found)
    _money(values, found)
    _files(values, state)
    _health(values, found)
    speed = float((found.bot.heartbeat.fields if found.bot.heartbeat else {}).get("speed", 1.0))
    values.put("bot_market_speed", speed)
    connection = files.open_state(state)
    try:
        connection.execute("BEGIN")
        now = views.market_now(connection)
        values.put("bot_market_timestamp_seconds", now / 1000)
        _machines(values, connection)
        _effects(values, connection, now, speed)
        _feeds(values, connection, now, speed)
        _totals(values, connection)
    finally:
        connection.close()
    process(values, found.bot.lease)
    return values


def process(values: Values, lease: dict[str, object] | None) -> None:
    """Add what the kernel tells of the process that holds the lease, if it may be asked."""
    from prometheus_client import ProcessCollector

    pid = (lease or {}).get("pid")
    if not isinstance(pid, int):
        return
    for family in ProcessCollector(namespace="bot", pid=lambda: pid, registry=None).collect():
        for sample in family.samples:
            if sample.name in METRICS:
                values.put(sample.name, sample.value)


def _life(values: Values, found: Status) -> None:
    beat = found.bot.heartbeat
    values.put("bot_up", float(found.bot.state == "running"))
    values.one_of("bot_life_state", found.bot.state, LIVES)
    if beat:
        values.put("bot_heartbeat_timestamp_seconds", beat.wall_ms / 1000)
    values.put("bot_metrics_timestamp_seconds", wall_ms() / 1000)
    values.put("bot_latch_set", float(bool(beat and found.bot.lease and beat.fields.get("latch"))))


def _states(values: Values, found: Status) -> None:
    values.one_of("bot_entry_level", found.level, [level.name for level in Level])
    values.put("bot_halt_set", float(found.halt.set))
    values.put("bot_parameters_set", len(found.parameters))
    values.put("bot_foreign_symbols", len(found.foreign))


def _money(values: Values, found: Status) -> None:
    mark, held = found.equity, [float(p.stop_held) for p in found.positions]
    values.put("bot_positions", len(held))
    values.put("bot_stop_coverage_ratio", sum(held) / len(held) if held else 1.0)
    for position in found.positions:
        values.put("bot_position_stop_held", float(position.stop_held), position.symbol)
    if mark:
        values.put("bot_equity_quote", float(mark.equity))
        values.put("bot_equity_peak_quote", float(mark.peak))
        values.put("bot_cash_quote", float(mark.cash))
        values.put("bot_drawdown_ratio", mark.drawdown)
        values.put("bot_day_loss_ratio", mark.day_loss)


def _files(values: Values, state: Path) -> None:
    for name, path in (("main", state), ("wal", Path(f"{state}-wal"))):
        values.put("bot_database_bytes", path.stat().st_size if path.exists() else 0, name)
    values.put("bot_disk_free_bytes", files.free_bytes(state))
    newest = files.newest_backup(state)
    if newest is not None:
        values.put("bot_backup_age_seconds", wall_ms() / 1000 - newest)


def _health(values: Values, found: Status) -> None:
    """Add what the bot thinks of itself: checks, objectives, healing, alerts, models."""
    for check in found.health.checks:
        values.put("bot_check_well", float(check.state == "WELL"), check.name)
    for objective in found.health.objectives:
        values.put("bot_objective_spent_ratio", objective.spent, objective.name)
        values.put("bot_objective_burn", objective.burn, objective.name)
    for remedy in found.healing.remedies:
        values.put("bot_healing_attempts_total", remedy.cured, remedy.remedy, "cured")
        values.put("bot_healing_attempts_total", remedy.failed, remedy.remedy, "failed")
        values.put("bot_healing_today", remedy.today, remedy.remedy)
        values.put("bot_healing_limit", remedy.a_day, remedy.remedy)
    waiting = sum(attempt.state == "PROPOSED" for attempt in found.healing.attempts)
    values.put("bot_healing_waiting", waiting)
    values.put("bot_escalations_total", found.healing.escalations)
    for severity in SEVERITIES:
        open_ = sum(alert.severity == severity for alert in found.alerts)
        values.put("bot_alerts_open", open_, severity)
    for model in found.models:
        if model.age_seconds is not None:
            values.put("bot_model_age_seconds", model.age_seconds, model.model[:12], model.state)


def _machines(values: Values, connection: Connection) -> None:
    for table in TABLES:
        if table.final:
            continue  # as many keys as there were orders: they are counted, not listed
        states = [str(known) for known in table.states]
        for row in views.standings(connection, table.name):
            values.one_of("bot_machine_state", row.state, states, row.machine, row.key)


def _effects(values: Values, connection: Connection, now: int, speed: float) -> None:
    """Add where all orders and effects stand, and how old the oldest is that waits."""
    for table, most, name in (
        (ORDER, "FILLED", "bot_orders"),
        (DELIVERY, "SENT", "bot_deliveries"),
    ):
        counted = views.counted(connection, table.name, most)
        for known in dict.fromkeys((*map(str, table.states), *counted)):
            values.put(name, counted.get(known, 0), known)
    doubted = views.oldest_doubt(connection)
    values.put("bot_order_doubt_age_seconds", _age(now, doubted, speed))
    waiting = views.undelivered(connection)
    for kind in dict.fromkeys((*EFFECTS, *waiting)):
        count, since = waiting.get(kind, (0, None))
        values.put("bot_undelivered", count, kind)
        values.put("bot_undelivered_age_seconds", _age(now, since, speed), kind)


def _feeds(values: Values, connection: Connection, now: int, speed: float) -> None:
    for row in views.standings(connection, "feed"):
        opened = views.newest_candle(connection, row.key)
        if opened is not None:
            age = _age(now, opened + INTERVAL_MS, speed)
            values.put("bot_feed_candle_age_seconds", age, row.key)


def _totals(values: Values, connection: Connection) -> None:
    seq, transitions, refusals = views.heights(connection)
    values.put("bot_journal_events_total", seq)
    values.put("bot_transitions_total", transitions)
    values.put("bot_refusals_total", refusals)
    won, lost = views.round_trips(connection)
    values.put("bot_trades_total", won, "won")
    values.put("bot_trades_total", lost, "lost")


def _age(now: int, since: int | None, speed: float) -> float:
    """Return the real seconds from a market time (ms) to now; 0 where there is none."""
    return 0.0 if since is None else max(0, now - since) / 1000 / max(1.0, speed)
