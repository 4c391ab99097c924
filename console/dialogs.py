"""Asks before anything is done, and lists what can be done: confirmation, palette, help.

Invariants of a confirmation: its target and its sentences are those of the moment at which it was
opened; Cancel has the focus; it closes by itself; Escape never does anything but close.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.events import Key as KeyPress
from textual.events import Paste
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from bot.desk import clock
from bot.desk.asking import Possible
from console.actions import ACTIONS, DO, LOOK, MOVE, PHRASE, QUICK, REASON, Action, matches
from console.sheet import (
    BAD,
    DIM,
    TITLE,
    WARN,
    Column,
    Line,
    Row,
    Span,
    blank,
    line,
    paragraph,
    table,
    title,
)
from console.widgets import Bar, Ledger

QUICK_SECONDS, SLOW_SECONDS = 30.0, 60.0
REASON_CHARACTERS_MIN = 8


class Target(NamedTuple):
    """What a confirmation is about, as it was when it was opened."""

    action: Action
    possible: Possible
    account: str
    args: dict[str, str]
    phrase: str
    where: str

    @property
    def named(self) -> str:
        """The thing that is acted on."""
        return next((name for name in self.args.values() if name), self.account)


class Typed(Input):
    """A field that takes what is typed, not what is pasted."""

    def _on_paste(self, event: Paste) -> None:
        event.prevent_default()
        event.stop()


class Confirm(ModalScreen[str | None]):
    """Asks for what the action wants; gives the reason, or None if it was not confirmed."""

    BINDINGS = [Binding("escape", "cancel"), Binding("y", "yes")]  # noqa: RUF012 Textual's way

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target
        slow = target.action.confirm != QUICK
        self.closes = clock.seconds() + (SLOW_SECONDS if slow else QUICK_SECONDS)

    def compose(self) -> ComposeResult:
        """Lay out: what will happen, what is asked for, Cancel first."""
        with VerticalScroll(id="dialog", can_focus=False):
            yield Bar(id="what")
            if self.target.action.confirm == PHRASE:
                yield Typed(id="phrase", compact=True, placeholder=f"type {self.target.phrase}")
            if self.target.action.confirm != QUICK:
                yield Input(self._given(), id="reason", compact=True, placeholder="reason")
            with Horizontal(id="buttons"):
                yield Button("Cancel", id="no", compact=True)
                yield Button(
                    self._execute(), id="go", compact=True, disabled=self._why_not() is not None
                )
            yield Bar(id="left")

    def on_mount(self) -> None:
        """Focus Cancel, and begin to count down."""
        for field in self.query(Input):
            field.cursor_blink = False
        self.set_focus(self.query_one("#no", Button))  # now, before any key that follows
        width = min(76, self.app.size.width) - 4
        self.query_one("#what", Bar).show(*self._what(max(20, width)))
        self.set_interval(1, self._tick)
        self._tick()

    def _given(self) -> str:
        """A loosening needs words of one's own; what tightens may be quick."""
        return "" if self.target.action.confirm == REASON else "asked in the console"

    def _execute(self) -> str:
        return "Yes (y)" if self.target.action.confirm == QUICK else "Execute"

    def _what(self, width: int) -> list[Line]:
        target = self.target
        tone = BAD if target.action.confirm == PHRASE else WARN
        lines = [
            line(Span(f"{target.action.label.upper()} {target.named}", tone), f"  {target.where}")
        ]
        lines += paragraph(target.possible.meaning, width)
        for effect in target.possible.effects:
            lines += paragraph(effect, width, mark="→ ")
        if target.action.confirm == PHRASE:
            lines += paragraph(f"Tab, then type {target.phrase}", width, tone=TITLE)
        if target.action.confirm == REASON:
            asked = f"Tab, then a reason of at least {REASON_CHARACTERS_MIN} characters"
            lines += paragraph(asked, width, tone=TITLE)
        return lines

    def _tick(self) -> None:
        left = self.closes - clock.seconds()
        if left <= 0:
            self.dismiss(None)
            return
        why = self._why_not()
        told = f"{why}; closes in {left:.0f} s" if why else f"closes in {left:.0f} s"
        self.query_one("#left", Bar).show(line(Span(told, DIM)))

    def _why_not(self) -> str | None:
        """Tell what is still missing, or None."""
        if not self.is_mounted:
            return "not typed yet" if self.target.action.confirm != QUICK else None
        if self.target.action.confirm == PHRASE:
            typed = self.query_one("#phrase", Input).value
            if typed != self.target.phrase:
                return f"expected {self.target.phrase}"
        if self.target.action.confirm == REASON:
            missing = REASON_CHARACTERS_MIN - len(self._reason())
            if missing > 0:
                return f"the reason needs {missing} more characters"
        return None

    def _reason(self) -> str:
        fields = self.query("#reason").results(Input)
        return next((field.value.strip() for field in fields), "") or "asked in the console"

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#go", Button).disabled = self._why_not() is not None
        self._tick()

    @on(Input.Submitted)
    def _entered(self) -> None:
        """Enter in a field goes on; only a whole phrase executes."""
        if self.target.action.confirm == PHRASE:
            self._go()
        elif self._why_not() is None:
            self.set_focus(self.query_one("#go", Button))

    @on(Button.Pressed, "#go")
    def _go(self) -> None:
        if self._why_not() is None and clock.seconds() < self.closes:
            self.dismiss(self._reason())

    @on(Button.Pressed, "#no")
    def action_cancel(self) -> None:
        """Close; nothing is done."""
        self.dismiss(None)

    def action_yes(self) -> None:
        """Confirm, where one confirmation is enough."""
        if self.target.action.confirm == QUICK:
            self._go()


class Chosen(NamedTuple):
    """An action by name, and the words typed behind it."""

    action: Action
    words: str


class Palette(ModalScreen[Chosen | None]):
    """Finds any action by name; words behind the name are its arguments."""

    BINDINGS = [Binding("escape", "cancel")]  # noqa: RUF012 Textual's way

    def __init__(self, reasons: Callable[[Action], str | None]) -> None:
        super().__init__()
        self._reasons = reasons

    def compose(self) -> ComposeResult:
        """Lay out: the field, and what it finds."""
        with VerticalScroll(id="dialog", can_focus=False):
            yield Input(id="go-to", compact=True, placeholder="go to, or do: pause BTCUSDT")
            yield Ledger(id="found")

    def on_mount(self) -> None:
        """Show all there is."""
        self.query_one(Input).cursor_blink = False
        self.query_one(Input).focus()
        self._show("")

    def _show(self, text: str) -> None:
        lines = []
        for action in matches(text):
            why = self._reasons(action)
            key = ("action", action.name)
            lines.append(
                line(Span(f"{action.shown:<5}{action.label:<10}", DIM if why else TITLE),
                     Span(f" {why or action.meaning}", DIM if why else "plain"), key=key)
            )  # fmt: skip
        found = self.query_one("#found", Ledger)
        found.show(lines)
        found.start()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._show(event.value)

    def on_key(self, event: KeyPress) -> None:
        """Move in what was found while one types."""
        steps = {"down": 1, "up": -1}.get(event.key)
        if steps:
            event.stop()
            self.query_one("#found", Ledger).move(steps)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        key = self.query_one("#found", Ledger).key
        words = event.value.strip().partition(" ")[2].strip()
        self.dismiss(next((Chosen(a, words) for a in ACTIONS if key and a.name == key[1]), None))

    @on(Ledger.Opened)
    def _opened(self, event: Ledger.Opened) -> None:
        event.stop()
        self.dismiss(next((Chosen(a, "") for a in ACTIONS if a.name == event.key[1]), None))

    def action_cancel(self) -> None:
        """Close; nothing is done."""
        self.dismiss(None)


class Help(ModalScreen[None]):
    """Every key, what it does, and why it cannot now."""

    BINDINGS = [Binding("escape,question_mark,q", "close")]  # noqa: RUF012 Textual's way

    def __init__(self, reasons: Callable[[Action], str | None]) -> None:
        super().__init__()
        self._reasons = reasons

    def compose(self) -> ComposeResult:
        """Lay out: one list."""
        yield Ledger(id="help")

    def on_mount(self) -> None:
        """Show the registry."""
        width = max(20, self.app.size.width - 6)
        lines: list[Line] = [title("Keys", "Esc closes; docs/console.md says more")]
        for group in (LOOK, MOVE, DO):
            rows = []
            for action in ACTIONS:
                if action.group == group:
                    why = self._reasons(action)
                    cells = (
                        action.shown,
                        action.label,
                        f"not now: {why}" if why else action.meaning,
                    )
                    rows.append(Row(cells, ("action", action.name), DIM if why else "plain"))
            columns = [Column("key", 5), Column(group, 10), Column("")]
            lines += [blank(), *table(columns, rows, width)]
        self.query_one("#help", Ledger).show(lines)
        self.query_one("#help", Ledger).focus()

    def on_key(self, event: KeyPress) -> None:
        """Move in the list."""
        steps = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": 10, "pageup": -10}
        if event.key in steps:
            event.stop()
            self.query_one("#help", Ledger).move(steps[event.key])

    def action_close(self) -> None:
        """Close."""
        self.dismiss(None)
