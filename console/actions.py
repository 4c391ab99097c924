"""Every key of the console: this one registry drives keys, footer, help, palette, and the docs.

Invariants: what tightens needs one confirmation, kill and flatten a typed phrase, what loosens a
reason of the operator's own; the key that confirms is never the key that asked; an action that
cannot be done stays visible and says why.
"""

from __future__ import annotations

from msgspec import Struct

from console.feed import DEAD, NONE, Snapshot, freshness
from console.sheet import Key

QUICK, PHRASE, REASON = "one confirmation", "a typed phrase", "a reason of your own"

LOOK, MOVE, DO = "Screens", "Moving", "Doing"


class Action(Struct, frozen=True):
    """Something a person can do. ``keys`` as Textual names them; people see ``shown``."""

    name: str
    keys: tuple[str, ...]
    shown: str
    label: str
    meaning: str
    group: str
    verb: str = ""
    confirm: str = ""
    footer: bool = False


def _screen(digit: str, name: str, label: str, meaning: str) -> Action:
    return Action(f"screen-{name}", (digit,), digit, label, meaning, LOOK)


ACTIONS: tuple[Action, ...] = (
    _screen("1", "overview", "Overview", "What needs you, the money, the positions, what moves."),
    _screen("2", "positions", "Positions", "Positions and orders; Enter tells the whole story."),
    _screen("3", "machines", "Machines", "Where each machine stands, and what can move it next."),
    _screen("4", "audit", "Audit", "Every transition ever, by pages; Enter: cause and effect."),
    _screen("5", "health", "Health", "Checks, objectives, healing, alerts."),
    _screen("6", "models", "Models", "The models, and what speaks for and against each."),
    _screen("7", "equity", "Equity", "The curve, its drawdown, the days."),
    _screen("8", "why", "Why", "Why nothing is traded, symbol by symbol, gate by gate."),
    _screen("9", "sql", "SQL", "Saved questions, and SQL that can only read."),
    Action("open", ("enter",), "↵", "Open", "Open what the cursor is on.", MOVE, footer=True),
    Action("back", ("escape", "backspace"), "Esc", "Back", "One level up; never anything else.", MOVE),
    Action("down", ("down", "j"), "↓ j", "Down", "The next line.", MOVE),
    Action("up", ("up", "k"), "↑ k", "Up", "The line before.", MOVE),
    Action("page-down", ("pagedown",), "PgDn", "Page down", "A page on.", MOVE),
    Action("page-up", ("pageup",), "PgUp", "Page up", "A page back.", MOVE),
    Action("first", ("home", "g"), "g", "First", "The first line; of the audit, the newest.", MOVE),
    Action("last", ("end", "G"), "G", "Last", "The last line; of the audit, the oldest.", MOVE),
    Action("find", ("slash",), "/", "Filter", "Show only lines with a text; ! turns it round.", MOVE, footer=True),
    Action("palette", ("colon",), ":", "Go", "Any action by name; `pause BTCUSDT` for one symbol.", MOVE, footer=True),
    Action("freeze", ("space",), "␣", "Freeze", "Stop the figures; the header goes on.", MOVE),
    Action("export", ("E",), "E", "Export", "Write the rows of a question to a CSV file.", MOVE),
    Action("help", ("question_mark",), "?", "Help", "This page.", MOVE, footer=True),
    Action("quit", ("q",), "q", "Quit", "Close the console; the bot goes on.", MOVE, footer=True),
    Action("pause", ("P",), "P", "Pause", "Open nothing new; positions stay protected.", DO, "hold", QUICK, footer=True),
    Action("resume", ("R",), "R", "Resume", "End a pause.", DO, "release", REASON, footer=True),
    Action("reduce", ("D",), "D", "Reduce", "Trade at reduced size until the guard recovers.", DO, "reduce", QUICK),
    Action("kill", ("K",), "K", "Kill", "Trip the kill switch.", DO, "kill", PHRASE, footer=True),
    Action("rearm", ("M",), "M", "Re-arm", "Re-arm a latched kill switch.", DO, "rearm", REASON),
    Action("flatten", ("F",), "F", "Flatten", "Close every open position at market.", DO, "flatten", PHRASE, footer=True),
    Action("stop", ("S",), "S", "Stop", "Safe shutdown of the bot.", DO, "stop", QUICK),
    Action("ack", ("A",), "A", "Ack", "Acknowledge the alert that the cursor is on.", DO, "ack", QUICK),
    Action("approve", ("Y",), "Y", "Approve", "Be the person whose word a waiting run needs.", DO, "approve", REASON),
    Action("decline", ("N",), "N", "Decline", "Say no to a run that waits for a word.", DO, "decline", QUICK),
)  # fmt: skip
"""In the order in which a person meets them."""

BY_NAME = {action.name: action for action in ACTIONS}
SCREENS = tuple(a.name.removeprefix("screen-") for a in ACTIONS if a.group == LOOK)


class Here(Struct, frozen=True):
    """What an action may depend on: snapshot, time, what is looked at, how it was opened."""

    shot: Snapshot
    now_ms: int
    about: Key = ("", "")
    read_only: bool = False
    rows: bool = False


def why_not(action: Action, here: Here, symbol: str = "") -> str | None:
    """Tell why an action cannot be done now, or None."""
    if action.name == "export":
        return None if here.rows else "nothing to export: ask a question first (9)"
    if not action.verb:
        return None
    if here.read_only:
        return "this console is read-only (--read-only)"
    fresh = freshness(here.shot, here.now_ms)
    if fresh.level == NONE:
        return fresh.sentence
    possible = here.shot.possible.get((action.verb, symbol))
    if possible is None:
        known = ", ".join(sorted({s for _, s in here.shot.possible if s})) or "none yet"
        return f"expected one of {known}; found {symbol!r}"
    if action.verb in _OF_A_LINE and not about(action, here):
        return _OF_A_LINE[action.verb]
    if fresh.level == DEAD and possible.why_not is None:
        return fresh.sentence
    return possible.why_not


_OF_A_LINE = {
    "ack": "put the cursor on an open alert first (5)",
    "approve": "put the cursor on a run that waits for a person first (1)",
    "decline": "put the cursor on a run that waits for a person first (1)",
}


def about(action: Action, here: Here) -> dict[str, str]:
    """Return the arguments that what is looked at gives to an action; nothing if it gives none."""
    kind, name = here.about
    if action.verb == "ack":
        return {"alert": name} if kind == "alert" else {}
    waits = here.shot.status.waiting if here.shot.status else ()
    run = name.removeprefix("run ")
    return {"run": run} if kind == "machine" and run in {one.key for one in waits} else {}


def phrase(action: Action, account: str, symbol: str = "") -> str:
    """Return what has to be typed."""
    return f"{action.label.upper()} {symbol or account}"


def matches(text: str) -> list[Action]:
    """Return the actions that a person may mean, the likeliest first; all for no text."""
    word = text.strip().split(" ")[0].lower()
    begun = [a for a in ACTIONS if a.label.lower().startswith(word) or a.shown == word]
    within = [a for a in ACTIONS if word in f"{a.label} {a.meaning}".lower() and a not in begun]
    return [*begun, *within]


def markdown() -> str:
    """Return the tables of keys of ``docs/console.md``."""
    lines: list[str] = []
    for group in (LOOK, MOVE, DO):
        lines += [f"### {group}", "", "| key | what | meaning | asks for |", "|---|---|---|---|"]
        lines += [
            f"| `{one.shown}` | {one.label} | {one.meaning} | {one.confirm or '–'} |"
            for one in ACTIONS
            if one.group == group
        ]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
