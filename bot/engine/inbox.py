"""The waiting events: bounded, in order; ticks coalesce, fills and commands are never dropped."""

from __future__ import annotations

import threading
from collections import deque

from msgspec.structs import replace

from bot.core.events import CandleClosed, ClockJumped, Event, FramesRefused, Ticked
from bot.errors import Broken

RECOVERABLE = (CandleClosed, FramesRefused)
"""What may be left out when the queue is full: a missing candle is seen as a gap and fetched."""


class Inbox:
    """Filled by the senses, emptied by the reactor's thread. ``limit`` events at most wait."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.dropped = 0
        self._events: deque[Event] = deque()
        self._tick: Ticked | None = None
        self._hurried = False
        self._ready = threading.Condition()

    def put(self, event: Event) -> None:
        """Add an event. Raises Broken if twice the limit waits: the reactor has stopped turning."""
        with self._ready:
            if isinstance(event, Ticked):
                marks = {**self._tick.marks, **event.marks} if self._tick else event.marks
                self._tick = replace(event, marks=marks)
            elif isinstance(event, ClockJumped):
                if self._tick is not None:  # its time was a mistake, its quotes were not
                    self._tick = replace(self._tick, at=event.at)
                self._events.append(event)
            elif len(self._events) >= self.limit and isinstance(event, RECOVERABLE):
                self.dropped += 1
                return
            elif len(self._events) >= 2 * self.limit:
                raise Broken(f"expected at most {2 * self.limit} waiting events, found more")
            else:
                self._events.append(event)
            self._ready.notify()

    def hurry(self) -> None:
        """Let nobody wait for events any more: the reactor is about to end."""
        with self._ready:
            self._hurried = True
            self._ready.notify()

    def put_back(self, events: list[Event]) -> None:
        """Give events back that were taken and not written, in their order."""
        with self._ready:
            self._events.extendleft(reversed(events))

    def take(self, most: int, timeout: float) -> list[Event]:
        """Wait for events and return them in order, at most ``most``; the tick comes last."""
        with self._ready:
            if not self._events and self._tick is None and not self._hurried:
                self._ready.wait(timeout)
            taken = [self._events.popleft() for _ in range(min(most, len(self._events)))]
            if self._tick is not None and not self._events:
                taken.append(self._tick)
                self._tick = None
            return taken

    def __len__(self) -> int:
        return len(self._events) + (self._tick is not None)
