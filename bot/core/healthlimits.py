"""What the checks of health hold the bot to: how often they are made, and where each limit lies."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from bot.core.limits import number, text


class Health(Struct, frozen=True):
    """How often the bot looks at itself, and what it takes for well."""

    fast_real_seconds: Annotated[
        float, number("The checks of safety are made this often.", 1, 60)
    ] = 5.0
    slow_real_seconds: Annotated[
        float, number("The other checks are made this often.", 5, 3_600)
    ] = 300.0
    status_real_seconds: Annotated[
        float, number("status.json is written this often.", 1, 3_600)
    ] = 10.0
    confirm: Annotated[
        int, number("Findings in a row before people are told of a check.", 1, 20)
    ] = 2
    candle_seconds: Annotated[
        int, number("The newest closed candle of a symbol may be this old.", 60, 3_600)
    ] = 150
    latency_ms: Annotated[
        float, number("Slowest answer of the venue since the last check.", 10, 10_000)
    ] = 2_000.0
    budget_share: Annotated[
        float, number("Share of the venue's request limits in use.", 0.1, 1)
    ] = 0.8
    clock_ms: Annotated[
        float, number("How far the venue's clock may be from where ours took it to be.", 10, 5_000)
    ] = 500.0
    lag_ms: Annotated[
        float, number("How late the event loop may wake, at worst, between two checks.", 10, 10_000)
    ] = 250.0
    turn_ms: Annotated[
        float, number("The longest turn, its commit in it, between two checks.", 5, 10_000)
    ] = 500.0
    wal_mb: Annotated[float, number("Size of the database's log.", 1, 1_024)] = 64.0
    memory_mb: Annotated[float, number("Memory of the process.", 64, 65_536)] = 512.0
    memory_growth: Annotated[
        float, number("Growth of that memory within an hour, as a fraction.", 0.01, 10)
    ] = 0.25
    outbox_real_seconds: Annotated[
        float, number("The oldest effect on its way may be this old.", 5, 3_600)
    ] = 60.0
    alert_real_seconds: Annotated[
        float, number("The oldest alert on its way may be this old.", 5, 3_600)
    ] = 60.0
    doubt_real_seconds: Annotated[
        float, number("An outcome may be unknown for this long.", 1, 60)
    ] = 5.0
    naked_real_seconds: Annotated[
        float, number("A position's stop may be unconfirmed for this long.", 1, 60)
    ] = 3.0
    equity_gap: Annotated[
        float, number("Unrealised profit or loss as a fraction of equity.", 0.01, 1)
    ] = 0.3
    idle_hours: Annotated[float, number("Market hours without a trade.", 1, 10_000)] = 72.0
    backup_hours: Annotated[
        float, number("Age of the newest backup; it counts from the bot's own start.", 1, 10_000)
    ] = 26.0
    chain_hours: Annotated[
        float, number("Time since every new row of the audit was verified.", 0.1, 1_000)
    ] = 2.0
    scores: Annotated[
        int, number("Newest scores of the model in use that are looked at together.", 1, 50)
    ] = 4
    scores_dropped: Annotated[float, number("Share of them that may be dropped.", 0, 1)] = 0.25
    model_days: Annotated[float, number("Age of the model in use.", 0.1, 1_000)] = 14.0
    objective: Annotated[
        float, number("Share of time that each objective asks to be well.", 0.5, 0.9999)
    ] = 0.99
    window_hours: Annotated[
        int, number("Market hours over which an objective is counted.", 1, 168)
    ] = 168


class Healing(Struct, frozen=True):
    """What the bot may try by itself when a check is not well."""

    enabled: Annotated[bool, text("Try remedies; without it, checks are only told of.")] = True
    day_max: Annotated[int, number("Attempts a day, all remedies together.", 0, 20)] = 20
    wait_real_seconds: Annotated[
        float, number("A remedy of high risk waits this long for a person.", 60, 86_400)
    ] = 3_600.0
