"""Speaks to the running bot over its command socket: sends a command, follows the history."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from bot.core.runs import RUN
from bot.desk.clock import seconds
from bot.desk.files import Beside, open_state
from bot.desk.views import Move, run_named, run_state
from bot.errors import BotError, NotRunning, OutcomeUnknown, Refused

TTL_SECONDS = 30
LINE_BYTES_MAX = 65_536
Answer = TypeVar("Answer")

FINAL = frozenset(str(state) for state in RUN.final)
"""States in which a command is at its end."""


class Ask(Struct, frozen=True):
    """A command for the bot. ``ttl``: real seconds after which it is not begun any more."""

    verb: str
    args: dict[str, str]
    reason: str
    ttl: int = TTL_SECONDS
    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)


class Moved(Struct, frozen=True):
    """A command came to a state, for a reason."""

    run: str
    state: str
    reason: str

    @property
    def final(self) -> bool:
        """Whether it is at its end."""
        return self.state in FINAL


def command(state: Path, ask: Ask, timeout_seconds: float) -> Generator[Moved, None, None]:
    """Send a command and yield each state it comes to, until a final one or until it is closed.

    The command goes on whatever becomes of this connection. Raises NotRunning, Refused, and
    OutcomeUnknown if no final state was seen in time.
    """
    deadline = seconds() + timeout_seconds
    with connect(Beside(state).socket) as connection:
        _send(connection, {"op": "do", **msgspec.structs.asdict(ask)})
        for line in _lines(connection, deadline):
            moved = _decode(line, Moved)
            yield moved
            if moved.final:
                return
    yield _from_database(state, ask)


def became(state: Path, run: str) -> Iterator[Moved]:
    """Yield where the command stands now that was approved; ``run`` is how its id begins."""
    connection = open_state(state)
    found = run_named(connection, run)
    connection.close()
    if found is not None:
        yield Moved(*found)


def report(state: Path, event: dict[str, Any], timeout_seconds: float) -> Moved:
    """Tell the bot how a training goes; return what it took down.

    Raises NotRunning, Refused, and OutcomeUnknown if the bot did not answer in time.
    """
    deadline = seconds() + timeout_seconds
    with connect(Beside(state).socket) as connection:
        _send(connection, {"op": "report", "event": event})
        for line in _lines(connection, deadline):
            return _decode(line, Moved)
    raise NotRunning("the bot went away before it answered")


def watch(state: Path, after: int) -> Iterator[Move]:
    """Yield every transition after an id as the bot commits it; ends when the bot does."""
    with connect(Beside(state).socket) as connection:
        _send(connection, {"op": "watch", "after": after})
        for line in _lines(connection, None):
            yield _decode(line, Move)


def connect(path: Path) -> socket.socket:
    """Connect to a Unix socket, however long its path. Raises NotRunning, Refused."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    except PermissionError as error:
        connection.close()
        raise Refused(f"{path} may be used only by the bot's owner and group") from error
    except OSError as error:
        connection.close()
        raise NotRunning(f"no bot answers at {path}: {error.strerror}") from error
    return connection


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    try:
        connection.sendall(msgspec.json.encode(message) + b"\n")
    except OSError as error:
        raise NotRunning(f"the bot went away: {error.strerror}") from error


def _lines(connection: socket.socket, deadline: float | None) -> Iterator[bytes]:
    """Yield lines until the other side ends. Raises OutcomeUnknown at the deadline."""
    rest = b""
    while True:
        chunk = _receive(connection, deadline)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > LINE_BYTES_MAX:
            raise OutcomeUnknown(f"expected lines of at most {LINE_BYTES_MAX} bytes")


def _receive(connection: socket.socket, deadline: float | None) -> bytes:
    left = None if deadline is None else deadline - seconds()
    if left is not None and left <= 0:
        raise OutcomeUnknown("no final state in time; the command goes on: see `bot tail`")
    connection.settimeout(left)
    try:
        return connection.recv(LINE_BYTES_MAX)
    except TimeoutError:
        return _receive(connection, deadline)
    except ConnectionError:
        return b""


def _decode(line: bytes, kind: type[Answer]) -> Answer:
    try:
        found = msgspec.json.decode(line)
        if isinstance(found, dict) and "error" in found:
            raise Refused(str(found["error"]))
        return msgspec.convert(found, kind)
    except msgspec.MsgspecError as error:
        raise OutcomeUnknown(f"the bot's answer is not understood: {error}") from error


def _from_database(state: Path, ask: Ask) -> Moved:
    """The bot ended before it told the end: what it committed is the truth."""
    try:
        connection = open_state(state)
    except BotError:
        found = None
    else:
        found = run_state(connection, ask.id)
        connection.close()
    if found is None or found[0] not in FINAL:
        where = f"it was {found[0]}" if found else "it had not begun"
        raise OutcomeUnknown(f"the bot went away before the command was at its end: {where}")
    return Moved(ask.id, *found)
