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
    View(
        "limits_met",
        "Which controls refused, and which machines went where they lower what an entry may do?",
        {
            "at": _AT,
            "what": "control (an order was refused) or machine (a state that lowers)",
            "name": "the control, or the machine and its state",
            "key": "the symbol, account, check, or order",
            "reason": "why, with numbers",
            "seq": _SEQ,
        },
    ),
    View(
        "drills",
        "What did people ever do with the bot, how often, and when last?",
        {
            "name": "the command, restore, or panic",
            "times": "how often it was DONE",
            "last": "the computer's own time of the last one, UTC",
            "operator": "one of those who did it",
        },
    ),
)
