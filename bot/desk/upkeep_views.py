"""The documented views of the keeping of the bot: which code decides, limits met, drills."""

from __future__ import annotations

from bot.desk.health_views import View

_AT = "market time, UTC"
_SEQ = "number of the event in the journal"

UPKEEP: tuple[View, ...] = (
    View(
        "builds",
        "Which code decided when, and who put it there?",
        {
            "at": _AT,
            "wall": "the computer's own time, UTC",
            "what": "start (of a build that did not run before it), upgrade, restore",
            "before": "the build before",
            "build": "the build from then on; empty for a restore",
            "operator": "who let it, empty for a start",
            "reason": "the operator's reason",
            "detail": "migrations that ran (JSON), or the backup that was put back",
            "seq": _SEQ,
        },
    ),
)
