"""When people are told: what is counted, gathered, held back, and sent again."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from bot.core.limits import number, text


class Alerts(Struct, frozen=True):
    """What people are told, when, and how often."""

    severity_min: Annotated[
        Literal["info", "warning", "critical"],
        text("Anything below is said on the screen only, not sent."),
    ] = "warning"
    window_real_seconds: Annotated[
        float, number("The same alert within this is counted, not sent again.", 1, 86_400)
    ] = 600.0
    storm_max: Annotated[
        int,
        number(
            "Warnings and infos sent one by one in the window; more become one digest.", 1, 1000
        ),
    ] = 10
    digest: Annotated[
        bool,
        text("Storms and quiet hours become a digest; false: everything is sent at once."),
    ] = True
    quiet_from_hour: Annotated[
        float,
        number(
            "Quiet hours begin (hours UTC: 22.5 is 22:30): infos and warnings wait for their end; "
            "the same as quiet_until_hour: none.",
            0,
            24,
        ),
    ] = 0.0
    quiet_until_hour: Annotated[
        float, number("… and end (hours UTC). Criticals and latches are never held back.", 0, 24)
    ] = 0.0
    repeat_real_seconds: Annotated[
        float, number("A critical that nobody acknowledged is sent again after this.", 10, 86_400)
    ] = 300.0
    escalate_real_seconds: Annotated[
        float, number("… and to the second channels after this.", 20, 86_400)
    ] = 900.0
    remind_real_seconds: Annotated[
        float, number("… and to all channels each time this has passed.", 60, 604_800)
    ] = 3600.0
    open_max: Annotated[
        int, number("Alerts open at once, at most; beyond it the oldest are closed.", 10, 1000)
    ] = 200
