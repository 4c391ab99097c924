"""Checks: the questions about the bot's health, each answered with numbers from memory and the host.

A check is a row of ``CHECKS``. What follows from an answer is `health.py`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from bot.core import doubt, holds, models, positions
from bot.core.effects import Cancel, Notify
from bot.core.feeds import INTERVAL_MS, LIVE, STALE
from bot.core.world import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from bot.core.healthlimits import Health
    from bot.core.world import World

FAST, SLOW = "fast", "slow"
NO_MODEL = "no model: trades are decided by rules"


class Finding(Struct, frozen=True):
    """The answer of a check, in a sentence with its numbers; ``subject`` is a symbol or ""."""

    well: bool
    said: str
    value: float | None = None
    limit: float | None = None
    subject: str = ""


class Check(Struct, frozen=True):
    """A question about health: what it means, how often it is asked, and the runbook that helps.

    ``grave``: people are called at any hour.
    """

    name: str
    meaning: str
    pace: str
    judge: Callable[[World], Iterator[Finding]]
    grave: bool = False


# -- what a finding is made of ---------------------------------------------------------------------


def _within(said: str, value: float, limit: float, subject: str = "") -> Finding:
    """Return whether a number is within its limit; ``{}`` in the sentence stands for the number."""
    well = value <= limit  # a value that is no number is never within
    text = f"{said.format(_short(value))}, limit {_short(limit)}"
    return Finding(well, text, value, limit, subject)


def _short(value: float) -> str:
    return f"{value:.0f}" if not abs(value) < 10 else f"{value:.2f}".rstrip("0").rstrip(".")


def _measured(
    name: str, said: str, limit: Callable[[Health], float]
) -> Callable[[World], Iterator[Finding]]:
    """Return a check of what the host measured; what it has not measured yet is well."""

    def judge(world: World) -> Iterator[Finding]:
        value = world.health.samples.get(name)
        if value is None:
            yield Finding(True, "not measured yet")
        else:
            yield _within(said, value, limit(world.settings.health))

    return judge


# -- the questions ---------------------------------------------------------------------------------


def _candles(world: World) -> Iterator[Finding]:
    limit = max(world.settings.health.candle_seconds, world.real_ms(10) / 1000)
    everywhere = world.public_lost or _silent(world)
    for symbol, feed in world.feeds.items():
        state = world.instance_of("feed", symbol)
        if everywhere and state is not None and state.state == STALE:
            continue  # what ails every symbol at once is the check of streams'
        age = (world.at - feed.last - INTERVAL_MS) / 1000
        held = holds.quarantined(world, symbol)
        behind = (feed.last - feed.measured) // INTERVAL_MS if feed.measured else 0
        if held:
            yield Finding(True, held, age, limit, symbol)
        elif not feed.last:
            yield Finding(True, "no candle yet", None, limit, symbol)
        elif state is not None and state.state != LIVE:
            said = f"feed is {state.state}: {state.reason}"
            yield Finding(False, said, age, limit, symbol)
        elif behind > 0:
            said = f"indicators were not derived from the newest {behind} candles"
            yield Finding(False, said, behind, 0, symbol)
        else:
            yield _within("the newest candle closed {} s ago", age, limit, symbol)


def _silent(world: World) -> str:
    """Tell that no symbol's data arrive although there are several, or ""."""
    states = [world.state("feed", symbol) for symbol in world.feeds]
    silent = len(states) > 1 and all(state == STALE for state in states)
    return f"it is silent: all {len(states)} feeds are STALE" if silent else ""


def _streams(world: World) -> Iterator[Finding]:
    public = world.public_lost or _silent(world)
    for name, lost in (("private", world.private_lost), ("public", public)):
        said = f"the {name} stream is down: {lost}" if lost else f"the {name} stream is up"
        yield Finding(not lost, said, subject=name)


_latency = _measured("latency_ms", "the slowest answer took {} ms", lambda h: h.latency_ms)


def _venue(world: World) -> Iterator[Finding]:
    breaker = world.instance_of("breaker")
    if breaker is not None and breaker.state != "CLOSED":
        yield Finding(False, f"the breaker is {breaker.state}: {breaker.reason}", subject="breaker")
    else:
        said = f"the breaker is closed, {world.troubles} requests in a row failed"
        yield Finding(True, said, world.troubles, subject="breaker")
    yield from _latency(world)


def _disk(world: World) -> Iterator[Finding]:
    storage, free = world.instance_of("storage"), world.health.samples.get("free_mb")
    if storage is not None and storage.state != "OK":
        yield Finding(False, f"storage is {storage.state}: {storage.reason}", free)
    else:
        yield Finding(True, "storage is OK", free, world.settings.storage.low_mb)


def _memory(world: World) -> Iterator[Finding]:
    limits, samples = world.settings.health, world.health.samples
    if "rss_mb" in samples:
        yield _within("memory is {} MB", samples["rss_mb"], limits.memory_mb)
    if "rss_growth" in samples:
        growth, most = samples["rss_growth"] * 100, limits.memory_growth * 100
        yield _within("memory grew by {} % within an hour", growth, most, "growth")


def _oldest(world: World, *, alerts: bool) -> float:
    """Return the age of the oldest effect on its way, real seconds. Cancels go on while it takes."""
    born = [
        instance.since
        for key, instance in world.machines.get("delivery", {}).items()
        if key in world.deliveries
        and isinstance(world.deliveries[key].effect, Notify) == alerts
        and not isinstance(world.deliveries[key].effect, Cancel)
    ]
    return (world.at - min(born, default=world.at)) / world.real_ms(1)


def _outbox(world: World) -> Iterator[Finding]:
    limit = world.settings.health.outbox_real_seconds
    yield _within("the oldest effect is on its way for {} s", _oldest(world, alerts=False), limit)


def _alerts(world: World) -> Iterator[Finding]:
    limit = world.settings.health.alert_real_seconds
    yield _within("the oldest alert is on its way for {} s", _oldest(world, alerts=True), limit)


def _doubt(world: World) -> Iterator[Finding]:
    age, order = doubt.oldest(world)
    if not order:
        yield Finding(True, "no outcome is unknown")
        return
    limit = world.settings.health.doubt_real_seconds
    yield _within(f"the outcome of {order} is unknown for {{}} s", age / world.real_ms(1), limit)


def _stops(world: World) -> Iterator[Finding]:
    limit = world.settings.health.naked_real_seconds
    for symbol, position in world.positions.items():
        if not position.qty:
            yield Finding(True, "no open position", subject=symbol)
            continue
        if position.stop_held:
            yield Finding(True, f"the venue holds the stop {position.stop:f}", subject=symbol)
            continue
        naked = (world.at - position.naked_since) / world.real_ms(1)
        yield _within("the venue confirmed no stop for {} s", naked, limit, symbol)


def _ledger(world: World) -> Iterator[Finding]:
    awaited = world.private_lost or world.private_up_at  # a reading will book what came meanwhile
    for symbol, position in world.positions.items():
        there = position.venue_qty
        if awaited or there is None or position.venue_at < world.account.booked_at:
            there = position.qty  # what the venue said before the newest execution is no news
        said = f"the venue has {there:f}, the ledger {position.qty:f}"
        yield Finding(there == position.qty, said, subject=symbol)
    standing = world.instance_of("reconciliation")
    state = standing.state if standing else ""
    if standing is not None and state in ("RESOLVING", "MISMATCH"):
        yield Finding(False, f"the comparison is {state}: {standing.reason}")
        return
    age = (world.at - world.account.reconciled_at) / world.real_ms(1)
    limit = 3 * world.settings.orders.reconcile_real_seconds
    yield _within("the account was compared with the venue {} s ago", age, limit)


def _equity(world: World) -> Iterator[Finding]:
    equity, open_ = world.account.equity, positions.unrealised(world)
    if not equity > 0:
        yield Finding(False, f"equity is {equity:f}, expected more than nothing", float(equity))
        return
    gap, most = float(abs(open_) / equity) * 100, world.settings.health.equity_gap * 100
    yield _within("unrealised profit or loss is {} % of equity", gap, most)


def _activity(world: World) -> Iterator[Finding]:
    opened = (p.opened_at for p in world.positions.values() if p.qty)
    closed = (trade.at for trade in world.closed)
    since = max(world.account.began_at, *opened, *closed, 0)
    hours = (world.at - since) / HOUR_MS
    yield _within("no trade for {} h", hours, world.settings.health.idle_hours)


def _model(world: World) -> Iterator[Finding]:
    used = models.champion(world)
    age = models.age_ms(world, used)
    if age is None:
        yield Finding(True, NO_MODEL)
        return
    said, limit = models.short(used), world.settings.health.model_days
    yield _within(f"what model {said} learnt from ended {{}} days ago", age / DAY_MS, limit)


def _scores(world: World) -> Iterator[Finding]:
    used, limits = models.champion(world), world.settings.health
    known = world.models.get(used)
    if known is None:
        yield Finding(True, NO_MODEL)
    elif known.recent:  # loaded anew, it first has to say something
        newest = known.recent[-limits.scores :]
        dropped = 100 * newest.count(None) / len(newest)
        said = f"{{}} % of the last {len(newest)} scores of model {models.short(used)} were dropped"
        yield _within(said, dropped, limits.scores_dropped * 100)


def _config(world: World) -> Iterator[Finding]:
    samples = world.health.samples
    broken = samples.get("config_broken")
    yield Finding(
        not broken,
        "the next start could not use bot.toml: `bot config check`" if broken else "it can be used",
        subject="file",
    )
    if not broken:  # what is broken says nothing of what its author wants
        changed = samples.get("config_changed")
        said = "bot.toml was changed since the start: `bot config check`, then restart"
        yield Finding(not changed, said if changed else "bot.toml is what is in force")


def _chain(world: World) -> Iterator[Finding]:
    samples = world.health.samples
    if samples.get("chain_broken"):
        yield Finding(False, "the audit's chain is broken: `bot verify` names the first bad row")
        return
    limit = world.settings.health.chain_hours
    hours = samples.get("chain_hours")
    if hours is None:
        yield Finding(True, "the audit was verified at the start")
    else:
        yield _within("every row of the audit was verified {} h ago", hours, limit)


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check(
            "candles",
            "Every symbol's candles arrive, without gaps, and are measured.",
            FAST,
            _candles,
        ),
        Check("streams", "Both streams are up.", FAST, _streams),
        Check("venue", "The venue answers, and soon.", FAST, _venue),
        Check(
            "budget",
            "There is room under the venue's request limits.",
            FAST,
            _measured("budget_share", "{} of a request limit is in use", lambda h: h.budget_share),
        ),
        Check(
            "clock",
            "Our time is the venue's.",
            FAST,
            _measured("clock_ms", "the venue's clock is off by {} ms", lambda h: h.clock_ms),
        ),
        Check(
            "loop",
            "The event loop wakes in time.",
            FAST,
            _measured("lag_ms", "the event loop woke {} ms late", lambda h: h.lag_ms),
        ),
        Check(
            "commit",
            "Deciding and committing take little time.",
            FAST,
            _measured("turn_ms", "the longest turn took {} ms", lambda h: h.turn_ms),
        ),
        Check(
            "wal",
            "The database's log stays small.",
            FAST,
            _measured("wal_mb", "the log is {} MB", lambda h: h.wal_mb),
        ),
        Check("disk", "The disk takes what is written.", FAST, _disk, grave=True),
        Check("memory", "Memory is bounded.", SLOW, _memory),
        Check("outbox", "What was decided is carried out soon.", FAST, _outbox),
        Check("alerts", "People hear what they are told.", FAST, _alerts),
        Check("doubt", "The outcome of every order is known.", FAST, _doubt),
        Check("stops", "The venue holds a stop for every open position.", FAST, _stops, grave=True),
        Check("ledger", "Our ledger is the venue's account.", FAST, _ledger, grave=True),
        Check("equity", "Equity is a number that can be.", FAST, _equity, grave=True),
        Check("model", "The model in use is young enough.", SLOW, _model),
        Check("scores", "The model in use answers.", FAST, _scores),
        Check("activity", "It trades now and then.", SLOW, _activity),
        Check(
            "backup",
            "There is a young backup.",
            SLOW,
            _measured("backup_hours", "{} h since the newest backup", lambda h: h.backup_hours),
        ),
        Check(
            "config",
            "The configuration file is the one that is in force.",
            SLOW,
            _config,
        ),
        Check(
            "tables",
            "What is derived from the audit is what the audit says.",
            SLOW,
            _measured("rows_astray", "{} rows of `instance` differ from the audit", lambda h: 0.0),
            grave=True,
        ),
        Check("chain", "The audit is whole.", SLOW, _chain, grave=True),
    )
}
"""Every check there is, by name."""
