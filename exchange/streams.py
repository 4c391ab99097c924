"""Keeps the WebSocket connections: logins, subscriptions, pings, and every frame sent."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from aiohttp import WSMsgType, web

from exchange.auth import stream_login
from exchange.faults import Faults
from exchange.venue import Venue

StreamKind = Literal["linear", "spot", "private"]
KINDS: tuple[StreamKind, ...] = ("linear", "spot", "private")
PRIVATE_TOPICS = ("order", "execution", "position", "wallet")
_FRAMES_MAX = 5000  # a client this far behind is cut
_SPOT_ARGS_MAX = 10


class Connection:
    """One client's socket with its topics; frames leave in order through one task."""

    def __init__(
        self, kind: StreamKind, socket: web.WebSocketResponse, request: web.Request, faults: Faults
    ) -> None:
        self.kind = kind
        self.socket = socket
        self._request = request
        self.id = uuid.uuid4().hex[:20]
        self.topics: set[str] = set()
        self.logged_in = False
        self._faults = faults
        self._frames: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue(_FRAMES_MAX)
        self._held: bytes | None = None  # a frame that waits to be sent after the next one

    def push(self, topic: str, frame: bytes) -> None:
        """Queues a frame of a topic, as the armed faults let it through."""
        if self._faults.draw("stream", ("mute",), topic):
            return
        if self._faults.draw("stream", ("drop",), topic):
            self.cut()
            return
        if fault := self._faults.draw("stream", ("garble",), topic):
            frame = self._faults.garble(fault, frame)
        late = self._faults.draw("stream", ("delay",), topic)
        delay_s = late.ms / 1000 if late else 0.0
        if self._held is None and self._faults.draw("stream", ("reorder",), topic):
            self._held = frame
            return
        self._queue(delay_s, frame)
        if self._faults.draw("stream", ("duplicate",), topic):
            self._queue(0.0, frame)
        if self._held is not None:
            held, self._held = self._held, None
            self._queue(0.0, held)

    def reply(self, message: dict[str, Any]) -> None:
        """Queues an answer to a request; faults leave answers and pongs alone."""
        self._queue(0.0, msgspec.json.encode(message))

    def cut(self) -> None:
        """Drops the TCP connection without a closing handshake."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def _queue(self, delay_s: float, frame: bytes) -> None:
        try:
            self._frames.put_nowait((delay_s, frame))
        except asyncio.QueueFull:
            self.cut()

    async def run_sender(self) -> None:
        """Sends queued frames until the socket is gone."""
        while (item := await self._frames.get()) is not None:
            delay_s, frame = item
            if delay_s:
                await asyncio.sleep(delay_s)
            try:
                await self.socket.send_str(frame.decode())
            except (ConnectionError, RuntimeError):
                return

    async def close(self) -> None:
        """Says goodbye; used when the exchange stops."""
        await self.socket.close(code=1001, message=b"exchange stops")


class Hub:
    """All connections, and who wants which topic."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.connections: set[Connection] = set()
        self.joined: list[tuple[Connection, str]] = []  # public subscriptions to be greeted

    def listeners(self, kind: StreamKind, topic: str) -> list[Connection]:
        """The connections of a kind that want the topic."""
        return [c for c in self.connections if c.kind == kind and topic in c.topics]

    def topics(self, kind: StreamKind) -> set[str]:
        """Every topic that some connection of the kind wants."""
        wanted: Iterable[set[str]] = (c.topics for c in self.connections if c.kind == kind)
        return set().union(*wanted)

    def publish(self, kind: StreamKind, topic: str, message: dict[str, Any]) -> None:
        """Sends one message of a topic to everyone who wants it."""
        listeners = self.listeners(kind, topic)
        if listeners:
            frame = msgspec.json.encode(message)
            for connection in listeners:
                connection.push(topic, frame)

    def flush_private(self) -> None:
        """Sends the engine's events to the private streams, neighbours of a topic in one frame."""
        events, self.venue.engine.events = self.venue.engine.events, []
        groups: list[tuple[str, list[dict[str, Any]]]] = []
        for topic, row in events:
            if groups and groups[-1][0] == topic and topic in ("order", "execution"):
                groups[-1][1].append(row)
            else:
                groups.append((topic, [row]))
        for topic, rows in groups:
            for name in (topic, f"{topic}.{rows[0].get('category', '')}"):
                message = {
                    "id": uuid.uuid4().hex,
                    "topic": name,
                    "creationTime": self.venue.clock.now_ms(),
                    "data": rows,
                }
                self.publish("private", name, message)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Holds one WebSocket connection for its life."""
        if fault := self.venue.faults.draw("rest", ("http_status",), request.path):
            return web.Response(status=fault.status)
        kind = KINDS[[k in request.path for k in KINDS].index(True)]
        socket = web.WebSocketResponse(autoping=True, compress=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        connection = Connection(kind, socket, request, self.venue.faults)
        sender = asyncio.create_task(connection.run_sender())
        self.connections.add(connection)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._receive(connection, message.data)
        finally:
            self.connections.discard(connection)
            sender.cancel()
        return socket

    def _receive(self, connection: Connection, data: str) -> None:
        try:
            request = json.loads(data)
            operation = request.get("op")
        except (ValueError, AttributeError):
            connection.reply(_refused(connection, "", {}, "expected a JSON object"))
            return
        echo = {"req_id": request["req_id"]} if "req_id" in request else {}
        args = request.get("args")
        args = args if isinstance(args, list) else []
        if operation == "ping":
            connection.reply(self._pong(connection, echo))
        elif operation == "auth" and connection.kind == "private":
            self._login(connection, args, echo)
        elif operation in ("subscribe", "unsubscribe"):
            connection.reply(self._subscribe(connection, operation, args, echo))
        else:
            connection.reply(_refused(connection, str(operation), echo, "error:invalid op"))

    def _pong(self, connection: Connection, echo: dict[str, Any]) -> dict[str, Any]:
        if connection.kind == "private":
            now = str(self.venue.clock.now_ms())
            return {**echo, "op": "pong", "args": [now], "conn_id": connection.id}
        pong = {
            "success": True,
            "ret_msg": "pong",
            "conn_id": connection.id,
            "op": "ping",
        }
        return {**pong, **echo}

    def _login(self, connection: Connection, args: list[Any], echo: dict[str, Any]) -> None:
        good = stream_login(args, self.venue.keys, self.venue.clock)
        connection.logged_in = good
        message = "" if good else "Params Error"
        answer = {
            "success": good,
            "ret_msg": message,
            "op": "auth",
            "conn_id": connection.id,
        }
        connection.reply({**answer, **echo})

    def _subscribe(
        self,
        connection: Connection,
        operation: str,
        args: list[Any],
        echo: dict[str, Any],
    ) -> dict[str, Any]:
        if connection.kind == "private" and not connection.logged_in:
            return _refused(connection, operation, echo, "Request not authorized")
        if connection.kind == "spot" and len(args) > _SPOT_ARGS_MAX:
            return _refused(connection, operation, echo, "args size >10")
        for topic in args:
            if not self._known(connection.kind, str(topic)):
                return _refused(
                    connection,
                    operation,
                    echo,
                    f"error:handler not found,topic:{topic}",
                )
        if operation == "unsubscribe":
            connection.topics.difference_update(args)
        else:
            fresh = [topic for topic in args if topic not in connection.topics]
            connection.topics.update(args)
            if connection.kind != "private":
                self.joined += [(connection, topic) for topic in fresh]
        message = "subscribe" if connection.kind == "spot" and operation == "subscribe" else ""
        answer = {
            "success": True,
            "ret_msg": message,
            "conn_id": connection.id,
            "op": operation,
        }
        return {**answer, **echo}

    def _known(self, kind: StreamKind, topic: str) -> bool:
        parts = topic.split(".")
        if kind == "private":
            name_fits = parts[0] in PRIVATE_TOPICS
            return name_fits and (len(parts) == 1 or parts[1:] in (["linear"], ["spot"]))
        if self.venue.market.catalogue.get(kind, parts[-1]) is None:
            return False
        if parts[0] in ("kline", "orderbook"):
            return len(parts) == 3 and parts[1] in _PARAMETERS[parts[0]]
        return parts[0] in ("tickers", "publicTrade") and len(parts) == 2

    async def close(self) -> None:
        """Closes every connection, giving up after two real seconds."""
        deadline = time.monotonic() + 2
        for connection in list(self.connections):
            try:
                async with asyncio.timeout_at(
                    asyncio.get_running_loop().time() + max(0.0, deadline - time.monotonic())
                ):
                    await connection.close()
            except TimeoutError:
                connection.cut()


_PARAMETERS = {
    "kline": ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W"),
    "orderbook": ("1", "50", "200"),
}


def _refused(
    connection: Connection, operation: str, echo: dict[str, Any], message: str
) -> dict[str, Any]:
    answer = {
        "success": False,
        "ret_msg": message,
        "conn_id": connection.id,
        "op": operation,
    }
    return {**answer, **echo}
