"""The console: a frame of header, page, and footer around screens that are functions of a snapshot.

Invariants: it reads the database and never writes it; every key goes through ``perform``; a screen
that cannot be drawn says so and the console goes on; what was typed while the line was frozen is
not carried out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import Input

from bot.desk import clock, query
from bot.desk.query import Result
from bot.errors import BotError
from console import doing, frame, screens
from console.actions import ACTIONS, BY_NAME, Action, Here, phrase, why_not
from console.dialogs import Chosen, Confirm, Help, Palette, Target
from console.feed import DEAD, Feed, Pump, Snapshot, Want, freshness
from console.screens import sql
from console.screens.space import Space
from console.sheet import BAD, DIM, GOOD, PLAIN, Key, Line, paragraph
from console.widgets import Bar, Ledger

FROZEN_SECONDS = 1.5
"""A key that waited longer than this was typed while the line was frozen."""

SAID_LINES_MAX = 3


class Fresh(Message):
    """The feed took a snapshot."""

    def __init__(self, shot: Snapshot) -> None:
        super().__init__()
        self.shot = shot


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


class Console(App[None]):
    """The operator's console of one database."""

    CSS_PATH = "console.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [  # noqa: RUF012 Textual's way
        Binding(",".join(action.keys), f"perform('{action.name}')", action.label, show=False)
        for action in ACTIONS
    ]

    def __init__(
        self,
        state: Path,
        *,
        read_only: bool = False,
        now_ms: Callable[[], int] = clock.wall_ms,
        threaded: bool = True,
    ) -> None:
        super().__init__()
        self.state, self.read_only, self.now_ms = state, read_only, now_ms
        self.want = Want()
        self.newest = self.shown = Snapshot(self.want)
        self.frozen_at: float | None = None
        self.result: tuple[str, Result] | None = None
        self.feed = Feed(state, screens.read)
        self.pump = Pump(self.feed, lambda: self.want, self._given) if threaded else None
        self._start: tuple[Key | None] | None = (None,)
        self._step = 0

    # -- the frame ---------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Lay out: header, banner, field, page, what was said, filter, footer."""
        yield Bar(id="head")
        yield Bar(id="banner")
        yield Input(id="sql", compact=True, placeholder="SELECT …, or the name of a view")
        yield Ledger(id="page")
        yield Bar(id="said")
        yield Input(
            id="find", compact=True, placeholder="filter: a text, or !text for lines without"
        )
        yield Bar(id="foot")

    def on_mount(self) -> None:
        """Begin to read, and to count the age of what was read."""
        self._base = self.screen
        for field in self.query(Input):
            field.cursor_blink = False
            field.display = False
        self.page.focus()
        self.set_interval(1, self.tick)
        if self.pump is not None:
            self.pump.start()
        else:
            self.look()
        self.tick()

    def on_unmount(self) -> None:
        """End the feed."""
        if self.pump is not None:
            self.pump.finish()

    @property
    def page(self) -> Ledger:
        """Where the open screen is."""
        return self._base.query_one("#page", Ledger)

    def _bar(self, name: str) -> Bar:
        return self._base.query_one(f"#{name}", Bar)

    def _field(self, name: str) -> Input:
        return self._base.query_one(f"#{name}", Input)

    @property
    def here(self) -> Here:
        """What an action may depend on, now."""
        key = self.page.key
        alert = key[1] if key and key[0] == "alert" else ""
        opened = self.want.opened[-1] if self.want.opened else ("", "")
        alert = alert or (opened[1] if opened[0] == "alert" else "")
        rows = self.result is not None and self.want.screen == "sql"
        return Here(self.newest, self.now_ms(), alert, self.read_only, rows)

    def tick(self) -> None:
        """Draw the frame anew: ages are counted by this console's own clock."""
        try:
            fresh = freshness(self.newest, self.now_ms())
            frozen = None if self.frozen_at is None else clock.seconds() - self.frozen_at
            width = self.size.width
            self._bar("head").show(*frame.head(self.newest, fresh, self.here, self.want, width))
            self._bar("banner").show(*frame.banner(self.newest, fresh, frozen, width))
            self._bar("foot").show(frame.foot(self.here, width))
            self._base.set_class(frame.venue(self.newest)[1] == BAD, "-real-money")
            self.page.show(self.page.lines, dead=fresh.level == DEAD)
        except NoMatches:
            pass  # the console is ending

    # -- what was read -----------------------------------------------------------------------------

    def _given(self, shot: Snapshot) -> None:
        """Hand a snapshot over; on the feed's thread."""
        if not self.post_message(Fresh(shot)) and self.pump is not None:
            self.pump.taken.set()

    @on(Fresh)
    def _fresh(self, message: Fresh) -> None:
        try:
            self._take(message.shot)
        finally:
            if self.pump is not None:
                self.pump.taken.set()

    def look(self) -> None:
        """Have the newest read: at once by the feed's thread, or here if there is none."""
        if self.pump is not None:
            self.pump.wake()
        else:
            self._take(self.feed.poll(self.want))

    def _take(self, shot: Snapshot) -> None:
        self.newest = shot
        if self.frozen_at is None or shot.want != self.shown.want:
            self.shown = shot
            self.redraw()
        self.tick()

    def redraw(self) -> None:
        """Draw the open screen; one that cannot be drawn says so."""
        page = self.page
        space = Space(max(20, page.size.width - 1), max(1, page.size.height), self.now_ms())
        try:
            lines = self._lines(space)
        except Exception as error:  # noqa: BLE001 - a screen that fails must not end the console
            said = f"this screen cannot be drawn: {type(error).__name__}: {error}"
            lines = paragraph(said, space.width, tone=BAD)
        dead = freshness(self.newest, self.now_ms()).level == DEAD
        page.show(lines, dead=dead, follow=self.want.screen == "audit" and self.want.at is None)
        if self.shown.want.opened == self.want.opened and self._start is not None:
            (key,), self._start = self._start, None
            page.start(key)
        if self._step and self.shown.want == self.want:
            step, self._step = self._step, 0
            page.move(step)

    def _lines(self, space: Space) -> list[Line]:
        if self.want.screen == "sql" and self.result is not None:
            text, found = self.result
            if self.want.opened:
                return sql.record(found, int(self.want.opened[-1][1]), space)
            return sql.answer(found, space, text)
        return screens.draw(self.shown, self.want, space)

    def on_resize(self) -> None:
        """Draw anew for the new size, once the page has it."""
        self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        steps = max(10, self.size.width - 14) * 2
        self._wanted(steps=steps)
        self.redraw()
        self.tick()

    def _wanted(self, **changed: Any) -> None:
        """Ask the feed for something else."""
        before = self.want
        self.want = Want(**{**{n: getattr(before, n) for n in Want.__struct_fields__}, **changed})
        if self.want != before:
            self.look()

    # -- keys --------------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Drop what was typed while the line was frozen, and close what was to be confirmed."""
        typed = isinstance(event, events.Key | events.Paste) and not event.is_forwarded
        if typed and clock.seconds() - event.time > FROZEN_SECONDS:
            while len(self.screen_stack) > 1:
                await self.pop_screen()
            self.say("the console was frozen: what was typed meanwhile was not carried out", BAD)
            return
        await super().on_event(event)

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

    def say(self, text: str, tone: str = PLAIN) -> None:
        """Tell the person something; it stands until Escape or until something else is said."""
        self._bar("said").show(*paragraph(text, self.size.width, tone=tone)[:SAID_LINES_MAX])

    @on(Said)
    def _told(self, message: Said) -> None:
        self.say(message.text, message.tone)
        self.look()

    def _ask(self, action: Action, args: dict[str, str]) -> None:
        """Have an action confirmed; what it is about is fixed from here on."""
        if action.verb == "ack":
            args = {"alert": self.here.alert}
        shot = self.newest
        account, symbol = shot.account, args.get("symbol", "")
        typed = phrase(action, account, symbol)
        where = frame.venue(shot)[0]
        target = Target(action, shot.possible[action.verb, symbol], account, args, typed, where)

        def confirmed(reason: str | None) -> None:
            if reason is None:
                self.say(f"{action.label}: not confirmed, nothing was done", DIM)
            elif (why := why_not(action, self.here, symbol)) and action.verb != "ack":
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
