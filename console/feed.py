"""Reads what the console shows: one thread, its own connection, one immutable snapshot at a time.

An unchanged database costs a look at its version and at three small files. What goes wrong is a
state of the snapshot: the last figures are kept and the sentence stands beside them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bot.desk import asking, clock, distance, files, orders, status, views
from bot.desk.asking import Asking, Possible
from bot.desk.distance import Distance
from bot.desk.reading import Connection, Reader, Version
from bot.desk.status import SILENT_SECONDS, Status
from bot.desk.text import age, moment
from bot.errors import BotError
from console.sheet import Key

POLL_SECONDS = 0.5
POLL_SECONDS_MAX = 1.0
SHARE_MAX = 0.05  # reading takes about this share of the time, however large the database
DEAR_SECONDS = 0.1  # what one screen reads for longer than this is read less often than the rest
STALE_SECONDS = 3.0

LIVE, STALE, DEAD, NONE = "LIVE", "STALE", "DEAD", "NONE"


class Want(Struct, frozen=True):
    """What the open screen asks for: itself, what was opened in it, a text to find, a place."""

    screen: str = "overview"
    opened: tuple[Key, ...] = ()
    find: str = ""
    at: int | None = None
    steps: int = 100


class Snapshot(Struct, frozen=True):
    """One moment. ``part`` is what the screen of ``want`` read; ``error`` why nothing is newer.

    ``commit_ms``: when the newest event was written, ms UTC of the computer's clock.
    """

    want: Want
    status: Status | None = None
    possible: dict[Asking, Possible] = {}
    marks: dict[str, float] = {}
    distances: tuple[Distance, ...] = ()
    commit_ms: int = 0
    market_ms: int = 0
    wal_bytes: int = 0
    part: Any = None
    error: str = ""

    @property
    def said(self) -> dict[str, Any]:
        """What the bot said of itself in its last sign of life."""
        beat = self.status.bot.heartbeat if self.status else None
        return beat.fields if beat else {}

    @property
    def account(self) -> str:
        """The account's name as the operator types it; paper has the name of its venue."""
        return str(self.said.get("account") or self.said.get("venue") or "account")


class Freshness(Struct, frozen=True):
    """How far the figures can be believed, with the sentence for people; ages in seconds."""

    level: str
    sentence: str
    beat_seconds: float | None = None
    data_seconds: float | None = None


def freshness(shot: Snapshot, now_ms: int) -> Freshness:
    """Tell how far a snapshot can be believed now, by the console's own clock."""
    if shot.status is None:
        return Freshness(NONE, shot.error or "nothing was read yet")
    bot = shot.status.bot
    beat = bot.heartbeat.age_seconds(now_ms) if bot.heartbeat else None
    data = max(0, now_ms - shot.commit_ms) / 1000 if shot.commit_ms else None
    if bot.state != "running" or beat is None or beat > SILENT_SECONDS:
        since = age(max(0, now_ms - shot.commit_ms) / 1000) if shot.commit_ms else "ever"
        figures = f"figures are from {moment(shot.commit_ms)}" if shot.commit_ms else "no figures"
        why = bot.state if bot.state != "running" else "silent"
        told = (
            f"BOT {why.upper()}, nothing written for {since}: positions are NOT managed; {figures}"
        )
        return Freshness(DEAD, told, beat, data)
    late = [
        f"{name} {age(seconds)} ago"
        for name, seconds in (("heartbeat", beat), ("last commit", data))
        if seconds is not None and seconds > STALE_SECONDS
    ]
    if shot.error:
        late.append(shot.error)
    if late:
        return Freshness(STALE, f"STALE: {'; '.join(late)}", beat, data)
    return Freshness(LIVE, "", beat, data)


Read = Callable[[Connection, Want], Any]


class Feed:
    """Takes snapshots of one database. ``read`` fetches what only the open screen needs."""

    def __init__(self, state: Path, read: Read) -> None:
        self.state, self._read = state, read
        self._reader = Reader(state)
        self._seen: tuple[Any, ...] = ()
        self._last = Snapshot(Want())
        self._part_due = 0.0

    def poll(self, want: Want) -> Snapshot:
        """Return the newest snapshot; it never raises."""
        try:
            self._last = replace(self._poll(want), wal_bytes=files.wal_bytes(self.state))
        except (BotError, OSError) as error:
            self._seen = ()
            self._last = replace(self._last, want=want, error=_sentence(error), part=None)
        except Exception as error:  # noqa: BLE001 - a screen that cannot read is no reason to die
            self._seen = ()
            said = f"{type(error).__name__}: {error}"
            self._last = replace(self._last, want=want, error=said, part=None)
        return self._last

    def close(self) -> None:
        """Let the database go."""
        self._reader.close()

    def _poll(self, want: Want) -> Snapshot:
        version = self._reader.version()
        if self._last.status is not None and self._seen == (want, *self._around(version)):
            return replace(self._last, status=self._alive(self._last.status))
        with self._reader.moment() as connection:
            found = self._take(connection, want)
        self._last = found
        self._seen = (want, *self._around(version))
        return found

    def _around(self, version: Version) -> tuple[Any, ...]:
        """Return all that the figures depend on: a commit, the bot's life, HALT, its last words."""
        beat = files.heartbeat(self.state)
        said = beat.fields if beat else {}
        told = tuple(said.get(name) for name in ("level", "latch", "why", "process"))
        alive = self._alive(self._last.status).bot.state if self._last.status else ""
        return (version, files.halt(self.state), told, alive)

    def _alive(self, found: Status) -> Status:
        """Return a status with the life of now: heartbeat and lease are files, not rows."""
        ended = replace(found.bot, heartbeat=files.heartbeat(self.state))
        return replace(found, bot=status.life_now(self.state) or ended)

    def _take(self, connection: Connection, want: Want) -> Snapshot:
        found = status.document(connection, self.state)
        held = tuple(position.symbol for position in found.positions)
        limits = distance.settings(connection)
        return Snapshot(
            want,
            found,
            possible=asking.possible(connection, found, limits),
            marks=orders.marks(connection, held),
            distances=tuple(distance.distances(connection, limits, found.equity)),
            commit_ms=views.written(connection),
            market_ms=views.market_now(connection),
            part=self._part(connection, want),
        )

    def _part(self, connection: Connection, want: Want) -> Any:
        """Read what only this screen needs; what was dear stays for a while if still wanted."""
        began = clock.seconds()
        last = self._last
        if last.part is not None and last.want == want and began < self._part_due:
            return last.part
        part = self._read(connection, want)
        cost = clock.seconds() - began
        self._part_due = began + cost / SHARE_MAX if cost > DEAR_SECONDS else 0.0
        return part


def _sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__).replace("\n", "; ")


class Pump(threading.Thread):
    """Polls twice a second and hands each snapshot on; ``wake`` has it poll at once."""

    def __init__(
        self, feed: Feed, want: Callable[[], Want], give: Callable[[Snapshot], None]
    ) -> None:
        super().__init__(name="feed", daemon=True)
        self._feed, self._want, self._give = feed, want, give
        self._awake, self._ending = threading.Event(), False
        self.taken = threading.Event()
        self.taken.set()

    def wake(self) -> None:
        """Poll now."""
        self._awake.set()

    def finish(self) -> None:
        """End."""
        self._ending = True
        self._awake.set()
        self.taken.set()
        self.join(2)

    def run(self) -> None:
        """Poll until the end; a snapshot is only made when the one before was taken."""
        while not self._ending:
            self.taken.wait()
            self.taken.clear()
            began = clock.seconds()
            shot = self._feed.poll(self._want())
            if not self._ending:
                self._give(shot)
            cost = clock.seconds() - began
            self._awake.wait(min(POLL_SECONDS_MAX, max(POLL_SECONDS, cost / SHARE_MAX)))
            self._awake.clear()
        self._feed.close()
