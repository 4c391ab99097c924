"""Holds one client's socket: its topics, its login, and the order in which its frames leave."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any, Literal

import msgspec
from aiohttp import web

from exchange.auth import Key
from exchange.clock import MarketClock
from exchange.faults import Faults

StreamKind = Literal["linear", "spot", "private", "trade", "status"]
PATHS: dict[str, StreamKind] = {
    "/v5/public/linear": "linear",
    "/v5/public/spot": "spot",
    "/v5/private": "private",
    "/v5/trade": "trade",
    "/v5/public/misc/status": "status",
}
_FRAMES_MAX = 5000  # a client this far behind is cut
_IDLE_S = (30.0, 600.0)  # the least and the most of max_active_time; the most is the default
_IDLE = re.compile(r"([0-9]+)([sm])")


class Connection:
    """One client's socket; frames leave in order through one task."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.Request,
        faults: Faults,
        clock: MarketClock,
    ) -> None:
        self.path = request.path
        self.kind = PATHS[request.path]
        self.socket = socket
        self.remote = request.remote or ""
        self.id = uuid.uuid4().hex[:20]
        self.topics: set[str] = set()
        self.key: Key | None = None  # who logged in
        self.used_ids: set[str] = set()  # reqId of /v5/trade
        self.arrived_at = 0.0  # when the last frame was received, in the loop's time
        self._request = request
        self._faults = faults
        self._clock = clock
        self._idle_s = idle_seconds(request.query.get("max_active_time", ""))
        self._active_at = clock.real()
        self._frames: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_FRAMES_MAX)
        self._held: bytes | None = None  # a frame that waits to be sent after the next one

    def push(self, topic: str, frame: bytes) -> None:
        """Queues a frame of a topic, as the armed faults let it through."""
        faults = self._faults
        if faults.draw("stream", ("mute",), topic) or faults.draw("stream", ("lose",), topic):
            return
        if faults.draw("stream", ("drop",), topic):
            self.cut()
            return
        if fault := faults.draw("stream", ("garble",), topic):
            frame = faults.garble(fault, frame)
        late = faults.draw("stream", ("delay",), topic)
        if self._held is None and faults.draw("stream", ("reorder",), topic):
            self._held = frame
            return
        self._queue(late.real_s if late else 0.0, frame)
        if faults.draw("stream", ("duplicate",), topic):
            self._queue(0.0, frame)
        if self._held is not None:
            held, self._held = self._held, None
            self._queue(0.0, held)

    def reply(self, message: dict[str, Any], delay_s: float = 0.0) -> None:
        """Queues an answer to a request; faults of streams leave answers and pongs alone."""
        self._queue(delay_s, msgspec.json.encode(message))

    def touch(self) -> None:
        """Notes that the connection is used."""
        self._active_at = self._clock.real()

    @property
    def is_idle(self) -> bool:
        """True if neither a ping nor data went over it for as long as it may be idle."""
        return self._clock.real() - self._active_at > self._idle_s

    @property
    def is_half_open(self) -> bool:
        """True while a fault keeps the connection open and dead."""
        fault = self._faults.lasting("half_open")
        return fault is not None and self.path.startswith(fault.match)

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
        while True:
            delay_s, frame = await self._frames.get()
            if delay_s:
                await asyncio.sleep(delay_s)
            if self.is_half_open:
                continue
            try:
                await self.socket.send_str(frame.decode())
            except (ConnectionError, RuntimeError):
                return
            self.touch()

    async def close(self, code: int, reason: str) -> None:
        """Says goodbye, giving up after two seconds."""
        try:
            async with asyncio.timeout(2):
                await self.socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self.cut()


def idle_seconds(text: str) -> float:
    """What `max_active_time` means, e.g. 30s or 2m: at least 30 s, at most and by default 600 s."""
    found = _IDLE.fullmatch(text)
    if found is None:
        return _IDLE_S[1]
    return min(max(float(found[1]) * (60 if found[2] == "m" else 1), _IDLE_S[0]), _IDLE_S[1])
