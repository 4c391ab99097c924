"""What the keys of the console do; every one of them, and the palette, goes through ``perform``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace
from textual import on
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input

from bot.desk import clock, query
from bot.desk.query import Result
from bot.errors import BotError
from console import doing, frame
from console.actions import ACTIONS, BY_NAME, Action, about, phrase, why_not
from console.dialogs import Chosen, Confirm, Help, Palette, Target
from console.screens import sql
from console.sheet import BAD, DIM, GOOD, PLAIN
from console.shell import Shell
from console.widgets import Ledger


class Said(Message):
    """Something is to be told to the person."""

    def __init__(self, text: str, tone: str = PLAIN) -> None:
        super().__init__()
        self.text, self.tone = text, tone


class Answered(Message):
    """A question to the database came back: with rows, or with a sentence."""

    def __init__(self, text: str, found: Result | str) -> None:
        super().__init__()
        self.text, self.found = text, found


class Console(Shell):
    """The operator's console of one database."""

    BINDINGS = [  # noqa: RUF012 Textual's way
        Binding(",".join(action.keys), f"perform('{action.name}')", action.label, show=False)
        for action in ACTIONS
    ]

    # -- keys --------------------------------------------------------------------------------------

    def action_perform(self, name: str) -> None:
        """Do what a key stands for."""
        self.perform(BY_NAME[name])

    def perform(self, action: Action, words: str = "") -> None:
        """Do an action, or say why it cannot be done; the one way in for keys and palette."""
        args, wrong = doing.arguments(action, words)
        why = wrong or why_not(action, self.here, args.get("symbol", ""))
        if why is not None:
            self.say(f"{action.label}: {why}", BAD)
        elif action.verb:
            self._ask(action, args)
        elif action.name.startswith("screen-"):
            self.go(action.name.removeprefix("screen-"))
        else:
            _KEYS[action.name](self)

    def go(self, screen: str) -> None:
        """Open a screen from its beginning."""
        self._start, self.frozen_at = (None,), None
        self._field("sql").display = screen == "sql"
        self._field("find").display = False
        self.page.focus()
        self._wanted(screen=screen, opened=(), find="", at=None)
        self.redraw()
        self.tick()

    def open(self) -> None:
        """Open what the cursor is on; in the field of SQL, ask."""
        self.page.open()

    @on(Ledger.Opened)
    def _opened(self, event: Ledger.Opened) -> None:
        kind, name = event.key
        if kind == "ask":
            self._field("sql").value = sql.sql_of(name)
            self.ask_database(self._field("sql").value)
            return
        self._start = (None,)
        self._wanted(opened=(*self.want.opened, event.key))
        self.redraw()

    def back(self) -> None:
        """Go one level up: out of a field, out of what was opened, out of a filter or an answer."""
        self._bar("said").show()
        if isinstance(self.focused, Input):
            self.page.focus()
            if not self.want.find:
                self._field("find").display = False
            return
        if self.want.opened:
            *rest, last = self.want.opened
            self._start = (last,)
            self._wanted(opened=tuple(rest))
        elif self.want.find:
            self._field("find").value = ""
            self._field("find").display = False
        elif self.result is not None and self.want.screen == "sql":
            self.result = None
        self.redraw()

    def move(self, steps: int) -> None:
        """Move the cursor."""
        self.page.move(steps)

    def turn(self, pages: int) -> None:
        """Move the cursor by as much as is seen."""
        self.page.move(pages * max(1, self.page.size.height - 2))

    def end(self, *, last: bool) -> None:
        """Go to the first or the last line; of the audit, to the newest or the oldest of all."""
        self.page.move(1_000_000 if last else -1_000_000)
        if self.want.screen == "audit" and not self.want.opened:
            self._step = 1_000_000 if last else -1_000_000
            self._wanted(at=1 if last else None)

    @on(Ledger.Edge)
    def _edge(self, event: Ledger.Edge) -> None:
        """The cursor came to the end of a page of the audit: turn it."""
        page = self.shown.part
        if self.want.screen != "audit" or self.want.opened or self._step or not page.moves:
            return
        if event.down and page.older:
            self._step = 1
            self._wanted(at=page.moves[-1].id)
        elif not event.down and page.newer:
            self._step = -1
            self._wanted(at=page.moves[0].id)
        elif not event.down:
            self._wanted(at=None)

    def find(self) -> None:
        """Open the filter."""
        self._field("find").display = True
        self._field("find").focus()

    @on(Input.Changed, "#find")
    def _found(self, event: Input.Changed) -> None:
        self._wanted(find=event.value, at=None)
        self.redraw()

    @on(Input.Submitted, "#find")
    def _found_enough(self) -> None:
        self.page.focus()

    def freeze(self) -> None:
        """Stop the figures, or let them go on."""
        self.frozen_at = clock.seconds() if self.frozen_at is None else None
        if self.frozen_at is None:
            self.shown = self.newest
            self.redraw()
        self.tick()

    def help(self) -> None:
        """Show every key."""
        self.push_screen(Help(self._why_not))

    def palette(self) -> None:
        """Ask for an action by name."""

        def chosen(found: Chosen | None) -> None:
            if found is not None:
                self.perform(found.action, found.words)

        self.push_screen(Palette(self._why_not), chosen)

    def _why_not(self, action: Action) -> str | None:
        return why_not(action, self.here)

    # -- doing -------------------------------------------------------------------------------------

    @on(Said)
    def _told(self, message: Said) -> None:
        self.say(message.text, message.tone)
        self.look()

    def _ask(self, action: Action, args: dict[str, str]) -> None:
        """Have an action confirmed; what it is about is fixed from here on."""
        shot, args = self.newest, args or about(action, self.here)
        account, symbol = shot.account, args.get("symbol", "")
        typed = phrase(action, account, symbol)
        where = frame.venue(shot)[0]
        target = Target(action, shot.possible[action.verb, symbol], account, args, typed, where)

        looked_at = self.here.about

        def confirmed(reason: str | None) -> None:
            here = replace(self.here, about=looked_at)
            if reason is None:
                self.say(f"{action.label}: not confirmed, nothing was done", DIM)
            elif (why := why_not(action, here, symbol)) is not None:
                self.say(f"{action.label}: {why}", BAD)
            else:
                self._send(target, reason)

        self.push_screen(Confirm(target), confirmed)

    def _send(self, target: Target, reason: str) -> None:
        self.say(f"{target.action.label} {target.named}: sent to the bot …")

        def run() -> None:
            for text, tone in doing.carried_out(self.state, target, reason):
                self.post_message(Said(text, tone))

        threading.Thread(target=run, name="command", daemon=True).start()

    # -- questions ---------------------------------------------------------------------------------

    @on(Input.Submitted, "#sql")
    def _asked(self, event: Input.Submitted) -> None:
        self.ask_database(event.value)

    def ask_database(self, text: str) -> None:
        """Ask the database on a thread of its own; it has a deadline."""
        if not text.strip():
            return
        self.say("asking …", DIM)

        def run() -> None:
            try:
                found: Result | str = query.run(self.state, text)
            except (BotError, OSError) as error:
                found = str(error) or type(error).__name__
            self.post_message(Answered(text, found))

        threading.Thread(target=run, name="query", daemon=True).start()

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        if isinstance(message.found, str):
            self.say(message.found, BAD)
            return
        self._bar("said").show()
        self.result, self._start = (message.text, message.found), (None,)
        self.page.focus()
        self._wanted(opened=())
        self.redraw()
        self.tick()

    def export(self) -> None:
        """Write the answer as CSV into the folder in which the console was started."""
        assert self.result is not None
        stamp = datetime.fromtimestamp(self.now_ms() / 1000, UTC).strftime("%Y%m%d-%H%M%S")
        try:
            path = sql.export(self.result[1], Path.cwd(), stamp)
        except OSError as error:
            self.say(f"Export: {error}", BAD)
        else:
            self.say(f"written: {path}", GOOD)


_KEYS: dict[str, Callable[[Console], object]] = {
    "open": Console.open,
    "back": Console.back,
    "down": lambda app: app.move(1),
    "up": lambda app: app.move(-1),
    "page-down": lambda app: app.turn(1),
    "page-up": lambda app: app.turn(-1),
    "first": lambda app: app.end(last=False),
    "last": lambda app: app.end(last=True),
    "find": Console.find,
    "palette": Console.palette,
    "freeze": Console.freeze,
    "export": Console.export,
    "help": Console.help,
    "quit": lambda app: app.exit(),
}
