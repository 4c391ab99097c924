"""The command socket: operators ask over a Unix socket, and the kernel says who they are.

One JSON object a line. ``{"op":"do","id","verb","args","reason","ttl"}`` is answered by a line each
time the command's run moves; ``{"op":"watch","after"}`` streams every committed transition;
``{"op":"report","event"}`` is what a trainer tells, answered once it is committed.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bot.core.roles import VIEWER
from bot.core.text import safe_text
from bot.edge.clock import monotonic_ns
from bot.edge.roles import Caller, Ranks

LINE_BYTES_MAX = 16_384
CLIENTS_MAX, VIEWERS_MAX = 32, 24
WAITING_MAX = 10_000
VIEWERS_ASKS_MAX = 20
"""What viewers ask for is refused as a row of the audit: so many of them a minute, real time."""
FINAL = frozenset({"DONE", "REFUSED", "FAILED", "ESCALATED", "EXPIRED"})


class Request(Struct, forbid_unknown_fields=True):
    """A line from a client. ``ttl``: seconds it is good for, 0 for ever."""

    op: str
    id: str = ""
    verb: str = ""
    args: dict[str, str] = {}
    reason: str = ""
    ttl: float = 30
    after: int = 0
    event: dict[str, Any] = {}


class Commands:
    """Listens at ``path``. ``accept(request, caller)`` posts a command, or returns why not.

    ``past(after)`` returns the committed transitions after an id, as the lines to stream.
    ``ranks`` tells who may connect, and as what: viewers watch, and leave room for operators.
    """

    def __init__(
        self,
        path: Path,
        accept: Callable[[Request, Caller], str | None],
        past: Callable[[int], list[dict[str, Any]]],
        ranks: Ranks,
    ) -> None:
        self.ranks = ranks
        self.path, self.accept, self.past = path, accept, past
        self._server: asyncio.Server | None = None
        self._watchers: set[asyncio.Queue[dict[str, Any]]] = set()
        self._clients = 0
        self._viewers_asks: deque[int] = deque(maxlen=VIEWERS_ASKS_MAX)

    async def open(self) -> None:
        """Listen; the group that may connect may, others may not. Raises OSError."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:  # a socket's path has 107 bytes at most: the folder's descriptor makes any path short
            listener.bind(f"/proc/self/fd/{folder}/{self.path.name}")
        finally:
            os.close(folder)
        if self.ranks.connects >= 0:
            os.chown(self.path, -1, self.ranks.connects)
        self.path.chmod(0o660)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listener, limit=LINE_BYTES_MAX
        )

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)

    def publish(self, lines: list[dict[str, Any]]) -> None:
        """Stream committed transitions to everyone who watches."""
        for watcher in list(self._watchers):
            for line in lines:
                if watcher.qsize() >= WAITING_MAX:
                    self._watchers.discard(watcher)  # too slow: it reconnects and asks for the past
                    break
                watcher.put_nowait(line)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            caller = self.ranks.met(writer.get_extra_info("socket"))
            why = self._why_not(caller)
            if why:
                await _send(writer, {"error": why})
                return
            line = await reader.readline()
            request = msgspec.json.decode(line, type=Request)
            await self._answer(request, caller, writer)
        except (msgspec.DecodeError, ValueError) as error:
            await _send(
                writer, {"error": f"expected one JSON request a line: {safe_text(str(error))}"}
            )
        except (ConnectionError, TimeoutError):
            pass  # the client left; what it asked for goes on
        finally:
            self._clients -= 1
            writer.close()

    def _why_not(self, caller: Caller) -> str | None:
        """Tell why a caller is not heard, or None."""
        if not caller.role:
            return (
                f"expected a member of a group of [roles], found {caller.name} (uid {caller.uid})"
            )
        most = VIEWERS_MAX if caller.role == VIEWER else CLIENTS_MAX
        return f"expected at most {most} clients, found more" if self._clients > most else None

    def _too_often(self, caller: Caller) -> str | None:
        """Tell why not even a refusal is written down, or None: viewers cannot fill the disk."""
        if caller.role != VIEWER:
            return None
        now, asks = monotonic_ns(), self._viewers_asks
        if len(asks) == VIEWERS_ASKS_MAX and now - asks[0] < 60_000_000_000:
            return f"expected at most {VIEWERS_ASKS_MAX} commands of viewers a minute, found more"
        asks.append(now)
        return None

    async def _answer(self, request: Request, caller: Caller, writer: asyncio.StreamWriter) -> None:
        watcher: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._watchers.add(watcher)
        try:
            if request.op == "watch":
                await self._watch(request.after, watcher, writer)
            elif request.op in ("do", "report"):
                await self._do(request, caller, watcher, writer)
            else:
                wanted = "expected do, watch, or report"
                await _send(writer, {"error": f"op: {wanted}; found {safe_text(request.op)!r}"})
        finally:
            self._watchers.discard(watcher)

    async def _watch(
        self, after: int, watcher: asyncio.Queue[dict[str, Any]], writer: asyncio.StreamWriter
    ) -> None:
        sent = after
        for line in await asyncio.to_thread(self.past, after):
            await _send(writer, line)
            sent = line["id"]
        while watcher in self._watchers or not watcher.empty():
            line = await watcher.get()
            if line["id"] > sent:
                await _send(writer, line)

    async def _do(
        self,
        request: Request,
        caller: Caller,
        watcher: asyncio.Queue[dict[str, Any]],
        writer: asyncio.StreamWriter,
    ) -> None:
        why = self._too_often(caller) or self.accept(request, caller)
        if why:
            await _send(writer, {"error": why})
            return
        told = request.op == "report"
        machine, key = ("training", request.event["run"]) if told else ("run", request.id)
        while True:
            line = await watcher.get()
            if line["machine"] == machine and line["key"] == key:
                await _send(writer, {"run": key, "state": line["dest"], "reason": line["reason"]})
                if told or line["dest"] in FINAL:
                    return


async def _send(writer: asyncio.StreamWriter, line: dict[str, Any]) -> None:
    writer.write(msgspec.json.encode(line) + b"\n")
    await asyncio.wait_for(writer.drain(), 10)
