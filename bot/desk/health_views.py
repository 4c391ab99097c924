"""The views of health and healing that people query."""

from __future__ import annotations

from msgspec import Struct


class View(Struct, frozen=True):
    """One documented view: the question that it answers and the meaning of each column."""

    name: str
    question: str
    columns: dict[str, str]


HEALTH: tuple[View, ...] = (
    View(
        "checks",
        "What did each check of health find last?",
        {
            "name": "the check, and its symbol or part where it has several",
            "state": "WELL, SUSPECT, HEALING, VERIFYING, or ESCALATED (people were told)",
            "said": "the finding, with its numbers",
            "value": "the number, where there is one",
            "most": "its limit",
            "at": "market time, UTC",
            "seq": "number of the event in the journal",
        },
    ),
    View(
        "objectives",
        "How much of the time was it well, and how much of the error budget is spent?",
        {
            "name": "the objective",
            "hours": "market hours counted",
            "good": "share of them that were good",
            "spent": "share of the error budget that is spent; over 1 nothing is loosened",
            "burn": "how many times faster than evenly it was spent in the last hour",
            "at": "market time, UTC",
            "seq": "number of the event in the journal",
        },
    ),
    View(
        "healing",
        "What may be tried against checks that are not well, how often was it, and does it cure?",
        {
            "remedy": "its name",
            "checks": "the checks it is for",
            "risk": "low, medium, or high; high waits for a person",
            "today": "attempts within the last day",
            "a_day": "at most so many a day",
            "cured": "attempts that ended well, ever",
            "failed": "attempts that did not, ever",
            "meaning": "what it does",
        },
    ),
    View(
        "healing_attempts",
        "What was tried, against what, and what came of it?",
        {
            "run": "the attempt, a key of the machine `run`",
            "at": "when it was proposed; market time, UTC",
            "name": "the check",
            "remedy": "what was tried",
            "risk": "its risk",
            "state": "PROPOSED, RUNNING, VERIFYING, DONE, FAILED, or EXPIRED",
            "said": "why it stands there",
            "seconds": "how long it took so far, market time",
            "seq": "number of the event in the journal",
        },
    ),
    View(
        "escalations",
        "What could not be healed, and where is the report?",
        {
            "id": "number of the escalation",
            "at": "market time, UTC",
            "name": "the check",
            "said": "the finding",
            "tried": "remedy → what came of it, JSON",
            "file": "the report, in the folder reports/ beside the database",
            "seq": "number of the event in the journal",
        },
    ),
)
