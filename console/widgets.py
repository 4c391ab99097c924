"""Shows lines in the terminal: a bar, and a ledger whose cursor follows what its line is about.

Only lines that changed are drawn again. No text is ever read as markup: it goes out as segments.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from console.sheet import BAD, DIM, GOOD, HEAD, PLAIN, TITLE, TONES, WARN, Key, Line

# Okabe and Ito's colours, which every kind of eye tells apart; a word or a glyph says the same.
STYLES = {
    PLAIN: Style(),
    TITLE: Style(bold=True, color="#F0E442"),
    HEAD: Style(bold=True, dim=True),
    DIM: Style(dim=True),
    GOOD: Style(color="#56B4E9"),
    WARN: Style(color="#E69F00"),
    BAD: Style(color="#D55E00", bold=True),
}
assert set(STYLES) == set(TONES)


def strip(line: Line, width: int, base: Style, *, dead: bool = False) -> Strip:
    """Return a line as Textual draws it."""
    faint = Style(dim=True)
    segments = [
        Segment(text, base + STYLES[tone] + (faint if dead else Style()))
        for text, tone in line.spans
        if text
    ]
    return Strip(segments).adjust_cell_length(width, base)


class Bar(Widget):
    """A few lines that nobody moves in; as high as they are."""

    DEFAULT_CSS = "Bar { height: auto; }"

    def __init__(self, *, id: str) -> None:  # noqa: A002 Textual's own name
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()

    def show(self, *lines: Line) -> None:
        """Show these lines in place of the others."""
        if lines == self._lines:
            return
        higher = len(lines) != len(self._lines)
        self._lines = lines
        self.display = bool(lines)
        self.refresh(layout=higher)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return as many lines as there are."""
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        if y >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        return strip(self._lines[y], self.size.width, self.rich_style)


class Ledger(ScrollView, can_focus=True, inherit_bindings=False):
    """Lines to move in. The cursor stands on lines with a key, and stays with the key."""

    DEFAULT_CSS = (
        "Ledger { height: 1fr; scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; }"
    )

    class Opened(Message):
        """A person wants to see more of what a line is about."""

        def __init__(self, key: Key) -> None:
            super().__init__()
            self.key = key

    class Edge(Message):
        """The cursor was to go beyond the lines; ``down`` tells on which side."""

        def __init__(self, *, down: bool) -> None:
            super().__init__()
            self.down = down

    def __init__(self, *, id: str) -> None:  # noqa: A002 Textual's own name
        super().__init__(id=id)
        self.lines: tuple[Line, ...] = ()
        self.at = -1
        self.dead = False

    @property
    def key(self) -> Key | None:
        """What the cursor is on."""
        return self.lines[self.at].key if 0 <= self.at < len(self.lines) else None

    def show(self, lines: Sequence[Line], *, dead: bool = False, follow: bool = False) -> None:
        """Show these lines; the cursor stays with its key, or near where it was.

        ``follow``: a cursor on the first line stays there, whatever comes to stand in it.
        """
        key, before, old = self.key, self.at, self.lines
        first = next((y for y, one in enumerate(old) if one.key is not None), -1)
        self.lines = tuple(lines)
        self.at = self._place(None if follow and before == first else key, before)
        if len(old) != len(self.lines) or self.dead != dead:
            self.dead = dead
            self.virtual_size = Size(self.size.width, len(self.lines))
            self.refresh()
            return
        for y, (one, other) in enumerate(zip(self.lines, old, strict=True)):
            if one != other or (y in (before, self.at) and before != self.at):
                self.refresh_line(y)

    def _place(self, key: Key | None, before: int) -> int:
        keyed = [y for y, one in enumerate(self.lines) if one.key is not None]
        if not keyed:
            return -1
        same = [y for y in keyed if self.lines[y].key == key]
        return min(same or keyed, key=lambda y: abs(y - max(0, before)))

    def start(self, key: Key | None = None) -> None:
        """Put the cursor on the line about something, else on the first, and scroll there."""
        self.at = self._place(key, 0)
        self.scroll_to(y=0, animate=False, immediate=True)
        self._follow()
        self.refresh()

    def move(self, steps: int) -> None:
        """Move the cursor so many lines with a key; without any, scroll."""
        keyed = [y for y, one in enumerate(self.lines) if one.key is not None]
        if not keyed:
            self.scroll_to(y=self.scroll_offset.y + steps, animate=False, immediate=True)
            return
        place = keyed.index(self.at) if self.at in keyed else 0
        wanted = place + steps
        self._to(keyed[min(len(keyed) - 1, max(0, wanted))])
        if not 0 <= wanted < len(keyed):
            if wanted < 0:
                self.scroll_to(y=0, animate=False, immediate=True)
            self.post_message(self.Edge(down=wanted > 0))

    def _to(self, y: int) -> None:
        before, self.at = self.at, y
        self.refresh_line(before)
        self.refresh_line(y)
        self._follow()

    def _follow(self) -> None:
        """Scroll so far that the cursor is seen."""
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self.at < 0 or top <= self.at < top + height:
            return
        wanted = self.at if self.at < top else self.at - height + 1
        self.scroll_to(y=wanted, animate=False, immediate=True)

    def open(self) -> None:
        """Open what the cursor is on."""
        if self.key is not None:
            self.post_message(self.Opened(self.key))

    def on_click(self, event: Click) -> None:
        """Put the cursor on the line that was clicked; on the same one again, open it."""
        y = event.y + self.scroll_offset.y
        if 0 <= y < len(self.lines) and self.lines[y].key is not None:
            if y == self.at:
                self.open()
            else:
                self._to(y)

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor in sight."""
        self.virtual_size = Size(self.size.width, len(self.lines))
        self._follow()

    def render_line(self, y: int) -> Strip:
        """Draw one line of those in sight."""
        number = y + self.scroll_offset.y
        if number >= len(self.lines):
            return Strip.blank(self.size.width, self.rich_style)
        one, base, width = self.lines[number], self.rich_style, self.size.width
        if number != self.at or not self.has_focus:
            return strip(one, width, base, dead=self.dead)
        marked, reach = strip(one, width, base + Style(reverse=True)), one.reach or width
        rest = strip(one, width, base, dead=self.dead).crop(reach, width)
        return Strip.join([marked.crop(0, reach), rest])
