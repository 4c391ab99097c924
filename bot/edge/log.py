"""Writes the log: one JSON object a line on stderr, without secrets, never faster than it is read.

Lines that say the same are written once in a while, with their count. A thread of its own writes,
so that a reader who does not read (a full pipe, a stopped terminal) costs lines, never time.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import unquote

import msgspec

from bot.edge.clock import monotonic_ns, wall_ms

REMEMBERED_MAX = 512
CLOSE_SECONDS = 2.0
HIDDEN = "(hidden)"
SECRET_LENGTH_MIN, TOKEN_LENGTH_MIN = 4, 12
_BETWEEN = re.compile(r"[/:?&=#,]")
DIFFERS = frozenset({"seq", "id", "at", "version", "head"})
"""What tells one line from another that says the same."""

Said = tuple[tuple[str, Any], ...]


class Log:
    """Takes lines from any thread. ``every_real_seconds``: how often the same is said again;
    ``queue_max``: lines that wait for a reader at most. ``secrets`` never get into a line.
    """

    def __init__(
        self,
        every_real_seconds: float,
        queue_max: int,
        secrets: Iterable[str] = (),
        stream: TextIO | None = None,
    ) -> None:
        self.dropped = 0
        self._every_ns, self._queue_max = int(every_real_seconds * 1e9), queue_max
        self._secrets = tuple(_spellings(secrets))
        self._stream = stream or sys.stderr
        self._said: OrderedDict[Said, _Repeated] = OrderedDict()
        self._waiting: deque[str] = deque()
        self._news = threading.Condition()
        self._ending = False
        self._writer: threading.Thread | None = None

    def start(self) -> None:
        """Write from a thread of its own from now on; until then lines are written at once."""
        self._writer = threading.Thread(target=self._drain, name="log", daemon=True)
        self._writer.start()

    def line(self, level: str, fields: Mapping[str, Any]) -> None:
        """Write a line, unless the same was written a moment ago: then it is counted.

        The values of ``fields`` are texts, numbers, or tuples of them.
        """
        said: Said = tuple((k, v) for k, v in fields.items() if k not in DIFFERS)
        now_ns = monotonic_ns()
        with self._news:
            known = self._said.get(said)
            if known is not None and now_ns - known.written_ns < self._every_ns:
                known.fields, known.count = fields, known.count + 1
                return
            count = self._said.pop(said).count if known is not None else 0
            self._tell_older(now_ns)
            self._said[said] = _Repeated(level, fields, now_ns)
            self._put(level, fields, count)

    def close(self) -> None:
        """Write what was counted and what waits, as long as somebody reads."""
        with self._news:
            for known in self._said.values():
                known.tell_last(self._put)
            self._said.clear()
            self._ending = True
            self._news.notify()
        if self._writer is not None:
            self._writer.join(CLOSE_SECONDS)
            if not self._writer.is_alive():
                self._writer = None  # what is said later is written at once

    # -- all below: with the condition held --------------------------------------------------------

    def _tell_older(self, now_ns: int) -> None:
        """Forget what was not said again; what was counted meanwhile is told."""
        while self._said:
            known = next(iter(self._said.values()))
            if now_ns - known.written_ns < self._every_ns and len(self._said) < REMEMBERED_MAX:
                return
            self._said.popitem(last=False)
            known.tell_last(self._put)

    def _put(self, level: str, fields: Mapping[str, Any], count: int) -> None:
        wall = datetime.fromtimestamp(wall_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        repeated = {"repeated": count} if count else {}
        line = self._clean({"wall": wall, "level": level, **fields, **repeated})
        if self._writer is None:
            self._write(line)
        elif len(self._waiting) >= self._queue_max:
            self.dropped += 1
        else:
            self._waiting.append(line)
            self._news.notify()

    def _clean(self, document: dict[str, Any]) -> str:
        line = msgspec.json.encode(document).decode()
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return f"{line}\n"

    # -- the writer --------------------------------------------------------------------------------

    def _drain(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._ending)
                lines = list(self._waiting)
                self._waiting.clear()
            if not lines:
                return
            self._write("".join(lines))

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody is there to read, or to be told
            self.dropped += text.count("\n")


class _Repeated:
    """What was said, when it was written last, and how often it was said since."""

    __slots__ = ("count", "fields", "level", "written_ns")

    def __init__(self, level: str, fields: Mapping[str, Any], written_ns: int) -> None:
        self.level, self.fields, self.written_ns, self.count = level, fields, written_ns, 0

    def tell_last(self, put: Callable[[str, Mapping[str, Any], int], None]) -> None:
        """Have the last that was only counted written; it stands for the others, too."""
        if self.count:
            put(self.level, self.fields, self.count - 1)


def url_secrets(urls: Iterable[str]) -> Iterator[str]:
    """Yield every part of an Apprise address that may be a secret: name, password, and tokens,
    which may stand in place of a host, in the path, or in the query.
    """
    for url in urls:
        yield url
        place, _, rest = url.partition("://")[2].partition("/")
        user, _, host = place.rpartition("@")
        yield from user.split(":")
        pieces = _BETWEEN.split(f"{host}/{rest}")
        yield from (one for one in pieces if len(one) >= TOKEN_LENGTH_MIN and "." not in one)


def _spellings(secrets: Iterable[str]) -> list[str]:
    """Return each secret as it may stand in a line, longest first; what is too short is a word."""
    found = set()
    for secret in secrets:
        for one in (secret, unquote(secret)):
            if len(one) >= SECRET_LENGTH_MIN:
                found |= {one, msgspec.json.encode(one).decode()[1:-1]}
    return sorted(found, key=len, reverse=True)
