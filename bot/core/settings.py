"""Every number that tunes a decision, with its meaning, range, and the direction that is tighter.

A profile sets the ceilings: a configuration or a parameter may tighten a value that has a
``tighter`` direction, never widen it. Durations named ``*_seconds`` are market time; those named
``*_real_seconds`` are about networks and people and are multiplied by the market's rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from typing import Annotated, Any, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from bot.core.alertlimits import Alerts
from bot.core.healthlimits import Healing, Health
from bot.core.limits import HIGHER, LOWER, Controls
from bot.core.limits import number as _number
from bot.core.limits import text as _text
from bot.core.roles import Roles


class Market(Struct, frozen=True):
    """What is traded."""

    symbols: Annotated[
        tuple[str, ...],
        _text("Symbols traded; empty means all the venue offers, up to symbols_max."),
    ] = ()
    symbols_max: Annotated[int, _number("How many symbols may be traded at once.", 1, 50)] = 20
    warmup_candles: Annotated[
        int, _number("Closed candles needed before a symbol may trade.", 600, 1000)
    ] = 1000


class Risk(Struct, frozen=True):
    """How large a position may be."""

    leverage_max: Annotated[float, _number("Gross exposure over equity, at most.", 1, 5, LOWER)] = (
        3.0
    )
    base_size: Annotated[
        float, _number("Notional of a new position as a fraction of equity.", 0.0001, 0.03, LOWER)
    ] = 0.02
    size_max: Annotated[
        float,
        _number(
            "Notional of any one position as a fraction of equity, at most.", 0.0001, 0.15, LOWER
        ),
    ] = 0.10
    confidence_min: Annotated[
        float, _number("A signal below this confidence is not traded.", 0, 1, HIGHER)
    ] = 0.60
    positions_max: Annotated[int, _number("Open positions at once, at most.", 1, 50, LOWER)] = 10


class Strategy(Struct, frozen=True):
    """The trend strategy: EMA cross with an ADX filter and an ATR bracket."""

    ema_fast: Annotated[int, _number("Period of the fast EMA, candles.", 2, 100)] = 12
    ema_slow: Annotated[int, _number("Period of the slow EMA, candles.", 3, 200)] = 26
    adx_period: Annotated[int, _number("Period of ADX, candles.", 2, 50)] = 14
    atr_period: Annotated[int, _number("Period of ATR, candles.", 2, 50)] = 14
    adx_min: Annotated[float, _number("No entry while ADX is below this.", 0, 100, HIGHER)] = 25.0
    cross_age_max: Annotated[
        int, _number("A cross older than this many candles is no signal.", 0, 100)
    ] = 15
    stop_atr: Annotated[float, _number("Distance of the stop from entry, in ATR.", 0.5, 10)] = 2.0
    take_atr: Annotated[float, _number("Distance of the target from entry, in ATR.", 0.5, 20)] = 3.0
    signal_age_real_seconds: Annotated[
        float, _number("A candle received later than this after its close is no signal.", 0.5, 60)
    ] = 10.0


class Guard(Struct, frozen=True):
    """The performance guard: NORMAL, REDUCED, PAUSED."""

    window: Annotated[int, _number("Closed trades over which the win rate is taken.", 5, 500)] = 20
    trades_min: Annotated[
        int, _number("The win rate counts only from this many trades.", 5, 100)
    ] = 5
    reduced_win_rate: Annotated[float, _number("REDUCED below this win rate.", 0, 1, HIGHER)] = 0.40
    paused_win_rate: Annotated[float, _number("PAUSED below this win rate.", 0, 1, HIGHER)] = 0.30
    recover_margin: Annotated[
        float, _number("Back only at the reduce line plus this win rate.", 0.05, 0.5, HIGHER)
    ] = 0.05
    reduced_drawdown: Annotated[
        float, _number("REDUCED above this drawdown from the guard's peak.", 0.001, 0.05, LOWER)
    ] = 0.05
    paused_drawdown: Annotated[
        float, _number("PAUSED above this drawdown from the guard's peak.", 0.001, 0.10, LOWER)
    ] = 0.10
    reduced_factor: Annotated[float, _number("Size factor while REDUCED.", 0, 0.5, LOWER)] = 0.5
    review_seconds: Annotated[int, _number("The account is reviewed this often.", 1, 300)] = 15
    doubt_reduced_real_seconds: Annotated[
        float, _number("REDUCED while an order's outcome is unknown for this long.", 0.5, 5, LOWER)
    ] = 2.0
    doubt_paused_real_seconds: Annotated[
        float, _number("PAUSED while an order's outcome is unknown for this long.", 1, 30, LOWER)
    ] = 15.0


class Kill(Struct, frozen=True):
    """The kill switch."""

    daily_loss_max: Annotated[
        float, _number("Trip at this loss since the day's start.", 0.001, 0.06, LOWER)
    ] = 0.04
    drawdown_max: Annotated[
        float, _number("Trip at this drawdown from the peak.", 0.001, 0.20, LOWER)
    ] = 0.15
    flatten: Annotated[
        bool, _text("Close positions when tripped; otherwise keep them under their stops.")
    ] = False


class Feed(Struct, frozen=True):
    """When market data is to be believed."""

    stale_seconds: Annotated[int, _number("A symbol silent for this long is stale.", 1, 600)] = 30
    stale_real_seconds: Annotated[
        float, _number("… but never sooner than this in real time.", 0.5, 60)
    ] = 3.0
    refused_max: Annotated[
        int, _number("Refused frames of a symbol a minute before it is quarantined.", 1, 10_000)
    ] = 20
    quarantine_real_seconds: Annotated[
        float, _number("A quarantined symbol stays so until quiet for this long.", 1, 3600)
    ] = 30.0
    clock_jump_ms: Annotated[
        int, _number("A venue clock that moves by more is a jump.", 500, 600_000)
    ] = 5_000


class Orders(Struct, frozen=True):
    """Time limits of the order path."""

    slippage_max: Annotated[
        float,
        _number(
            "An entry's limit price is this fraction beyond the mark, at most.", 0.0001, 0.01, LOWER
        ),
    ] = 0.001
    rest_real_seconds: Annotated[
        float,
        _number("An entry that rests for this long follows the market, or is cancelled.", 0.5, 60),
    ] = 3.0
    moves_max: Annotated[
        int, _number("How often a resting entry follows the market.", 0, 5, LOWER)
    ] = 1
    entry_ttl_real_seconds: Annotated[
        float, _number("An entry not sent within this is EXPIRED.", 0.5, 60)
    ] = 5.0
    silent_real_seconds: Annotated[
        float, _number("An order without news for this long is asked about.", 1, 120)
    ] = 5.0
    naked_real_seconds: Annotated[
        float,
        _number(
            "A position whose stop the venue does not hold for this long is protected anew.",
            0.5,
            60,
        ),
    ] = 1.0
    troubles_max: Annotated[
        int, _number("Requests in a row that fail before the venue breaker opens.", 1, 20, LOWER)
    ] = 5
    breaker_real_seconds: Annotated[
        float, _number("Pause of an open breaker before the venue is tried again.", 1, 600)
    ] = 10.0
    reconcile_real_seconds: Annotated[
        float,
        _number("Stops, positions, and wallet are compared with the venue this often.", 5, 120),
    ] = 60.0
    reconcile_full_real_seconds: Annotated[
        float,
        _number("Executions and cash moves of the last hours are read anew this often.", 30, 3600),
    ] = 900.0


class Delivery(Struct, frozen=True):
    """How effects are retried."""

    backoff_real_seconds: Annotated[
        float, _number("First pause before another attempt; it doubles.", 0.05, 60)
    ] = 0.5
    backoff_max_real_seconds: Annotated[
        float, _number("Longest pause between attempts.", 1, 3600)
    ] = 30.0
    attempts_max: Annotated[
        int, _number("Attempts before a notification is dead. Protection never gives up.", 1, 100)
    ] = 8


class Shutdown(Struct, frozen=True):
    """The safe shutdown."""

    flatten: Annotated[
        bool, _text("Close positions before stopping; otherwise keep them under their stops.")
    ] = False
    drain_real_seconds: Annotated[
        float, _number("Longest wait for entries to end and positions to close.", 1, 600)
    ] = 15.0


class Storage(Struct, frozen=True):
    """Limits of the disk and the journal."""

    low_mb: Annotated[int, _number("Free space below this is LOW.", 16, 1_000_000)] = 512
    full_mb: Annotated[int, _number("Free space below this is FULL: no entries.", 4, 100_000)] = 64
    ballast_mb: Annotated[
        int,
        _number("Space that is taken at the start, to be given back when it gets LOW.", 0, 1_024),
    ] = 32
    snapshot_events: Annotated[
        int, _number("Events between snapshots of memory.", 100, 100_000)
    ] = 2_000
    journal_days: Annotated[
        int, _number("Days of journal kept beside what caused a transition.", 1, 3650)
    ] = 7


class Models(Struct, frozen=True):
    """Models: what they may cost, and when they are no longer believed."""

    scoring: Annotated[
        bool,
        _text("Models in use are asked at each candle; false: they rest, and keep their place."),
    ] = True
    skill_min: Annotated[
        float, _number("Brier skill on held-out candles that a promotion asks for.", -1, 1)
    ] = 0.0
    shadows_max: Annotated[int, _number("Models that score in shadow at once.", 1, 10)] = 2
    archive_max: Annotated[
        int, _number("Models kept in the archive beside the champion before.", 1, 100)
    ] = 5
    window: Annotated[int, _number("Scores of a model that are judged together.", 5, 500)] = 50
    faults_max: Annotated[
        int, _number("Dropped votes among them before a model is quarantined.", 1, 500)
    ] = 5
    scores_max: Annotated[int, _number("Scores kept as rows; older ones go.", 100, 10_000_000)] = (
        100_000
    )
    verify_real_seconds: Annotated[
        float, _number("A verification that takes longer has failed.", 1, 25)
    ] = 10.0
    silent_real_seconds: Annotated[
        float, _number("A trainer silent for this long has failed.", 10, 86_400)
    ] = 1_800.0


class Restarts(Struct, frozen=True):
    """When a bot that keeps dying may no longer trade."""

    crashes_max: Annotated[
        int,
        _number("So many runs that did not end in STOPPED hold the account.", 1, 10_000),
    ] = 3
    window_real_seconds: Annotated[
        float, _number("Crashes longer ago than this are not counted.", 60, 86_400)
    ] = 600.0


class Settings(Struct, frozen=True):
    """The whole of what tunes decisions. Immutable; a change makes a new one."""

    profile: Annotated[str, _text("conservative, moderate, or aggressive.")] = "moderate"
    market: Market = Market()
    risk: Risk = Risk()
    controls: Controls = Controls()
    strategy: Strategy = Strategy()
    guard: Guard = Guard()
    kill: Kill = Kill()
    feed: Feed = Feed()
    orders: Orders = Orders()
    delivery: Delivery = Delivery()
    alerts: Alerts = Alerts()
    shutdown: Shutdown = Shutdown()
    storage: Storage = Storage()
    health: Health = Health()
    healing: Healing = Healing()
    models: Models = Models()
    restarts: Restarts = Restarts()
    roles: Roles = Roles()


PROFILES: dict[str, dict[str, float]] = {
    "conservative": {
        "risk.leverage_max": 2.0,
        "risk.base_size": 0.01,
        "risk.size_max": 0.05,
        "risk.confidence_min": 0.65,
        "strategy.adx_min": 30.0,
        "guard.reduced_win_rate": 0.35,
        "guard.paused_win_rate": 0.25,
        "kill.daily_loss_max": 0.03,
        "kill.drawdown_max": 0.10,
    },
    "moderate": {},
    "aggressive": {
        "risk.leverage_max": 5.0,
        "risk.base_size": 0.03,
        "risk.size_max": 0.15,
        "risk.confidence_min": 0.55,
        "strategy.adx_min": 20.0,
        "guard.reduced_win_rate": 0.45,
        "guard.paused_win_rate": 0.35,
        "kill.daily_loss_max": 0.06,
        "kill.drawdown_max": 0.20,
    },
}
"""What each profile changes; ``moderate`` is the defaults above."""


def profile(name: str) -> Settings:
    """Return the settings of a profile: its values are the ceilings. KeyError if unknown."""
    settings = Settings(profile=name)
    for key, value in PROFILES[name].items():
        settings = with_value(settings, key, value)
    return settings


def keys(kind: type[Struct] = Settings, prefix: str = "") -> Iterator[tuple[str, Any, Meta]]:
    """Yield ``(dotted key, annotated type, its Meta)`` of every setting."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if isinstance(hint, type) and issubclass(hint, Struct):
            yield from keys(hint, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", hint, get_args(hint)[1]


def value_of(settings: Settings, key: str) -> Any:
    """Return the value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def with_value(settings: Settings, key: str, value: Any) -> Settings:
    """Return the settings with one dotted key changed; the value is not checked."""
    section, _, name = key.rpartition(".")
    if not section:
        return msgspec.structs.replace(settings, **{name: value})
    part = msgspec.structs.replace(getattr(settings, section), **{name: value})
    return msgspec.structs.replace(settings, **{section: part})


def why_not_value(hint: Any, value: Any) -> str | None:
    """Tell why a value does not fit a setting's type and range, or None."""
    kind, meta = get_args(hint)
    number = kind in (int, float)
    if number and (isinstance(value, bool) or (isinstance(value, float) and isnan(value))):
        return f"expected {kind.__name__}, found {value!r}"
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        span = f" in {meta.ge:g}..{meta.le:g}" if number else ""
        named = f"{getattr(kind, '__name__', kind)}{span}"
        return f"expected {named}, found {value!r}" if number else f"{error}, found {value!r}"
    return None


def why_wider(settings: Settings, key: str, value: Any, meta: Meta) -> str | None:
    """Tell why a value would widen the ceiling of the settings' profile, or None."""
    tighter = (meta.extra or {}).get("tighter")
    ceiling = value_of(profile(settings.profile), key)
    if tighter == LOWER and not value <= ceiling:
        return (
            f"expected at most {ceiling:g} (ceiling of profile {settings.profile}), found {value:g}"
        )
    if tighter == HIGHER and not value >= ceiling:
        return (
            f"expected at least {ceiling:g} (floor of profile {settings.profile}), found {value:g}"
        )
    return None


def cross_rules(settings: Settings) -> Iterator[str]:
    """Yield a sentence for each rule between settings that does not hold."""
    rules = (
        ("guard.paused_win_rate", "<", "guard.reduced_win_rate"),
        ("guard.reduced_drawdown", "<", "guard.paused_drawdown"),
        ("strategy.ema_fast", "<", "strategy.ema_slow"),
        ("storage.full_mb", "<", "storage.low_mb"),
        ("risk.base_size", "≤", "risk.size_max"),
        ("guard.trades_min", "≤", "guard.window"),
        ("guard.doubt_reduced_real_seconds", "<", "guard.doubt_paused_real_seconds"),
        ("alerts.repeat_real_seconds", "<", "alerts.escalate_real_seconds"),
        ("models.faults_max", "≤", "models.window"),
        ("controls.messages_second_max", "≤", "controls.messages_minute_max"),
    )
    for small, relation, large in rules:
        a, b = value_of(settings, small), value_of(settings, large)
        if not (a < b or (relation == "≤" and a == b)):
            yield f"{small}: expected {relation} {large} ({b:g}), found {a:g}"
