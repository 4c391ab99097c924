"""Has the bot do something, over its socket, and tells each state that the command comes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bot.desk.asking import OF_A_SYMBOL
from bot.desk.client import Ask, Moved, became, command
from bot.desk.text import shown
from bot.errors import BotError
from console.actions import Action
from console.dialogs import Target
from console.sheet import BAD, GOOD, PLAIN, WARN

TTL_SECONDS = 15
PATIENCE_SECONDS = 5.0
_TONES = {"DONE": GOOD, "REFUSED": BAD, "FAILED": BAD, "ESCALATED": BAD, "EXPIRED": WARN}


def arguments(action: Action, words: str) -> tuple[dict[str, str], str | None]:
    """Return the arguments in the words behind an action's name, or why they are none.

    One word is a symbol; ``key=value`` is what it says.
    """
    args: dict[str, str] = {}
    for word in words.split():
        key, equals, value = word.partition("=")
        name, given = (key, value) if equals else ("symbol", word)
        if name in args or not given:
            return {}, f"expected one symbol, found {words!r}"
        args[name] = given if name != "symbol" else given.upper()
    if args and not action.verb:
        return {}, f"expected nothing behind it, found {words!r}"
    if "symbol" in args and action.verb not in OF_A_SYMBOL:
        return {}, f"it is for the whole account, found {args['symbol']!r}"
    return args, None


def carried_out(state: Path, target: Target, reason: str) -> Iterator[tuple[str, str]]:
    """Yield what became of a command, as (sentence, tone), until it is at its end."""
    head = f"{target.action.label} {target.named}"
    ask = Ask(target.action.verb, target.args, reason, TTL_SECONDS)
    try:
        seen = []
        patience = target.possible.patience_seconds + PATIENCE_SECONDS
        with closing(command(state, ask, patience)) as moves:
            for moved in moves:
                yield _told(head, moved)
                seen.append(moved.state)
                if seen == ["PROPOSED", "PROPOSED"]:
                    return  # it waits for a second person, however long that takes
        if ask.verb == "approve" and seen[-1:] == ["DONE"]:
            for moved in became(state, ask.args["run"]):  # what matters is what came of it
                yield _told(f"{head}: it", moved)
    except (BotError, OSError) as error:
        yield f"{head}: {shown(str(error) or type(error).__name__)}", BAD


def _told(head: str, moved: Moved) -> tuple[str, str]:
    return f"{head}: {moved.state}, {shown(moved.reason)}", _TONES.get(moved.state, PLAIN)
