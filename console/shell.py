"""The frame of the console: it takes snapshots from the feed and draws header, page, and footer.

Invariants: it reads the database and never writes it; a screen that cannot be drawn says so and the
console goes on; what was typed while the line was frozen is not carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual import events, on
from textual.app import App, ComposeResult
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import Input

from bot.desk import clock
from bot.desk.query import Result
from console import frame, screens
from console.actions import Here
from console.feed import DEAD, Feed, Pump, Snapshot, Want, freshness
from console.screens import sql
from console.screens.space import Space
from console.sheet import BAD, PLAIN, Key, Line, paragraph
from console.widgets import Bar, Ledger

FROZEN_SECONDS = 1.5
"""A key that waited longer than this was typed while the line was frozen."""

SAID_LINES_MAX = 3


class Fresh(Message):
    """The feed took a snapshot."""

    def __init__(self, shot: Snapshot) -> None:
        super().__init__()
        self.shot = shot


class Shell(App[None]):
    """A console without keys: one database, seen through one screen at a time."""

    CSS_PATH = "console.tcss"
    ENABLE_COMMAND_PALETTE = False

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
        opened = self.want.opened[-1] if self.want.opened else ("", "")
        about = opened if opened[0] in ("alert", "machine") else self.page.key or ("", "")
        rows = self.result is not None and self.want.screen == "sql"
        return Here(self.newest, self.now_ms(), about, self.read_only, rows)

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

    def say(self, text: str, tone: str = PLAIN) -> None:
        """Tell the person something; it stands until Escape or until something else is said."""
        self._bar("said").show(*paragraph(text, self.size.width, tone=tone)[:SAID_LINES_MAX])

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

    def _wanted(self, **changed: Any) -> None:
        """Ask the feed for something else."""
        before = self.want
        self.want = Want(**{**{n: getattr(before, n) for n in Want.__struct_fields__}, **changed})
        if self.want != before:
            self.look()

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

    # -- the line ----------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Drop what was typed while the line was frozen, and close what was to be confirmed."""
        typed = isinstance(event, events.Key | events.Paste) and not event.is_forwarded
        if typed and clock.seconds() - event.time > FROZEN_SECONDS:
            while len(self.screen_stack) > 1:
                await self.pop_screen()
            self.say("the console was frozen: what was typed meanwhile was not carried out", BAD)
            return
        await super().on_event(event)
