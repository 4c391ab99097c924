"""Keeps a stream of Bybit V5 up: connects, logs in, subscribes, and notices silence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from bot.core.events import StreamLost, StreamUp
from bot.core.text import safe_text
from bot.edge.backoff import backoff
from bot.edge.clock import monotonic_ns
from bot.edge.venues import address
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.dcp import TOPIC, Dcp
from bot.edge.venues.frames import Marks, Post, PrivateReader, PublicReader, head_of
from bot.edge.venues.trouble import Trouble
from bot.errors import Retryable

ARGS_MAX = 10
FRAME_BYTES_CUT = 4 << 20  # a frame this large ends the connection
LOGIN_REAL_SECONDS = 10.0
LOOK_SECONDS = 0.05
PING = '{"op":"ping"}'
PRIVATE_TOPICS = ("order", "execution", "position")


class Timing(Struct, frozen=True):
    """Real seconds. ``stale``: longest silence; it counts data frames only if ``data_only``."""

    stale: float
    data_only: bool
    backoff_min: float = 0.25
    backoff_max: float = 30.0
    ping: float = 20.0
    answer: float = 5.0
    steady: float = 60.0  # a session that lasted this long starts the backoff anew
    flush: float = 1.0


PUBLIC_TIMING = Timing(stale=15.0, data_only=True)
PRIVATE_TIMING = Timing(stale=45.0, data_only=False)  # quiet is normal here: pongs are life


class _Ended(Exception):
    """The session ended for a reason that the protocol does not name."""


class Stream:
    """One connection that is made anew whenever it ends; ``run`` it in a task of its own.

    ``post`` gets ``StreamUp`` once subscribed, ``StreamLost`` once for each outage, and the
    reader's events. Whatever the venue sends, nothing but cancellation ends ``run``. Sessions are
    counted from one: ``tries`` were begun, ``connects`` were up, ``ends`` are over, the newest of
    them because of ``ended``.
    """

    def __init__(
        self,
        name: str,
        path: str,
        topics: Iterable[str],
        reader: PublicReader | PrivateReader,
        venue: Bybit,
        post: Post,
        timing: Timing,
        *,
        dcp: Dcp | None = None,
        tried: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.connects = self.tries = self.ends = 0
        self.is_up = False
        self.ended = ""
        self._path = path
        self._topics = tuple(topics)
        self._reader = reader
        self._venue = venue
        self._post = post
        self._timing = timing
        self._dcp = dcp
        self._tried = tried
        self._outage_told = False
        self._patience: asyncio.Timeout | None = None
        self._dropped = ""

    async def anew(self, reason: str) -> None:
        """End the session, or the pause before the next, and wait until that one is up.

        One that is being dialed is left to it. Raises Retryable if it ended instead.
        """
        if self.tries > self.ends and not self.is_up:
            await self.up(self.tries)
            return
        following, self._dropped = self.tries + 1, reason
        if self._patience is not None and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time())
        await self.up(following)

    async def up(self, session: int) -> None:
        """Wait until this session, or a later one, is up. Raises Retryable if it ended instead."""
        while not self.is_up or self.tries < session:
            if self.ends >= session:
                raise Retryable(f"the {self.name} stream did not come up: {self.ended}")
            await asyncio.sleep(LOOK_SECONDS)

    async def run(self) -> None:
        """Keep the stream up until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._flushing())
            tasks.create_task(self._reconnecting())

    async def _flushing(self) -> None:
        while True:
            await asyncio.sleep(self._timing.flush)
            for event in self._reader.refusals.take(self._venue.clock.now()):
                self._post(event)

    async def _reconnecting(self) -> None:
        failures = 0
        while True:
            began = monotonic_ns()
            self._tried()
            self.tries += 1
            reason = await self._why_ended()
            self.is_up, self.ends, self.ended = False, self.tries, reason
            if not self._outage_told:
                self._outage_told = True
                now = self._venue.clock.now()
                self._post(StreamLost(at=now, stream=self.name, reason=safe_text(reason)))
            steady = monotonic_ns() - began > self._timing.steady * 1e9
            failures = 0 if steady else min(failures + 1, 10)
            least, most = self._timing.backoff_min, self._timing.backoff_max
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None) as self._patience:
                    await asyncio.sleep(backoff(failures, least, most))

    async def _why_ended(self) -> str:
        """Run one session to its end and return why it ended."""
        self._dropped = ""
        try:
            async with asyncio.timeout(None) as self._patience:
                await self._session()
        except TimeoutError as error:
            silence = f"nothing heard for too long (limit {self._timing.stale:g} s)"
            return self._dropped or str(error) or silence
        except InvalidStatus as error:
            self._hear_status(error.response.status_code)
            return f"InvalidStatus: {error}"
        except (WebSocketException, OSError, EOFError, _Ended) as error:
            return f"{type(error).__name__.lstrip('_')}: {error}"
        return "the session ended"

    def _hear_status(self, status: int) -> None:
        """A dial that is turned away for its rate is trouble that the whole bot should know of."""
        kinds = {403: Trouble.BANNED, 429: Trouble.THROTTLED, 503: Trouble.MAINTENANCE}
        if status in kinds:
            self._venue.rest.ear.trouble(kinds[status], f"{self.name} stream: HTTP {status}")

    async def _session(self) -> None:
        async with address.dial(
            self._venue.ws_url,
            self._path,
            compression=None,
            open_timeout=self._timing.answer,
            ping_interval=5,
            ping_timeout=5,
            close_timeout=1,
            max_size=FRAME_BYTES_CUT,
            max_queue=1024,
        ) as socket:
            await self._log_in(socket)
            await self._subscribe(socket)
            self.connects += 1
            self._outage_told = False
            self.is_up = True
            self._post(StreamUp(at=self._venue.clock.now(), stream=self.name))
            beside = [asyncio.create_task(self._pinging(socket))]
            if self._dcp is not None:  # asked for by itself: one bad topic refuses a whole request
                await socket.send(_request("subscribe", [TOPIC]), text=True)
                beside.append(asyncio.create_task(self._dcp.arm()))
            try:
                await self._listen(socket)
            finally:
                for task in beside:
                    task.cancel()

    async def _log_in(self, socket: ClientConnection) -> None:
        if isinstance(self._reader, PublicReader):
            return
        clock, rest = self._venue.clock, self._venue.rest
        expires = clock.venue_ms() + clock.real_ms(LOGIN_REAL_SECONDS)
        args = [self._venue.key, expires, rest.sign(f"GET/realtime{expires}")]
        await socket.send(_request("auth", args), text=True)
        await self._acknowledged(socket, "auth", 1)

    async def _subscribe(self, socket: ClientConnection) -> None:
        parts = [self._topics[n : n + ARGS_MAX] for n in range(0, len(self._topics), ARGS_MAX)]
        for part in parts:
            await socket.send(_request("subscribe", list(part)), text=True)
        await self._acknowledged(socket, "subscribe", len(parts))

    async def _acknowledged(self, socket: ClientConnection, operation: str, count: int) -> None:
        """Wait for the answers to requests; data that comes in between is read."""
        async with _answered(operation, self._timing.answer):
            while count:
                raw = await socket.recv(decode=False)
                head = head_of(raw, self._reader.refusals, self._reader.symbols)
                if head is None:
                    continue
                if head.topic:
                    self._reader.read(head)
                elif head.op == operation:
                    if head.success is not True:
                        raise _Ended(f"{operation} refused: {self._venue.rest.clean(head.ret_msg)}")
                    count -= 1

    async def _listen(self, socket: ClientConnection) -> None:
        """Read frames for as long as they come. Raises TimeoutError after a silence."""
        now, stale = asyncio.get_running_loop().time, self._timing.stale
        refusals, symbols, data_only = (
            self._reader.refusals,
            self._reader.symbols,
            self._timing.data_only,
        )
        async with asyncio.timeout(stale) as silence:
            while True:
                head = head_of(await socket.recv(decode=False), refusals, symbols)
                is_data = head is not None and bool(head.topic)
                if is_data or not data_only:
                    silence.reschedule(now() + stale)
                if head is not None and is_data:
                    self._reader.read(head)
                elif head is not None and head.success is False and self._dcp is not None:
                    self._dcp.refused(self._venue.rest.clean(head.ret_msg))

    async def _pinging(self, socket: ClientConnection) -> None:
        """Send the venue's own ping; a connection that is gone is the listener's to notice."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(self._timing.ping)
                await socket.send(PING, text=True)


@contextlib.asynccontextmanager
async def _answered(operation: str, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise _Ended(f"{operation} not acknowledged within {seconds:g} s") from error


def _request(operation: str, args: list[Any]) -> bytes:
    return msgspec.json.encode({"op": operation, "req_id": operation, "args": args})


def public_stream(
    venue: Bybit,
    symbols: Iterable[str],
    marks: Marks,
    post: Post,
    timing: Timing = PUBLIC_TIMING,
    *,
    tried: Callable[[], None] = lambda: None,
) -> Stream:
    """Return the stream of prices (into ``marks``) and closed 1-minute candles.

    ``tried`` is called at each attempt to connect.
    """
    symbols = tuple(symbols)
    reader = PublicReader(symbols, venue.category, venue.clock, marks, post)
    topics = [f"{topic}.{symbol}" for symbol in symbols for topic in ("tickers", "kline.1")]
    path = f"/v5/public/{venue.category}"
    return Stream("public", path, topics, reader, venue, post, timing, tried=tried)


def private_stream(
    venue: Bybit,
    symbols: Iterable[str],
    post: Post,
    timing: Timing = PRIVATE_TIMING,
    *,
    dcp: Dcp | None = None,
) -> Stream:
    """Return the stream of the account's orders, executions, and positions.

    While it is up it keeps ``dcp`` armed, if there is one.
    """
    reader = PrivateReader(symbols, venue.category, venue.clock, post)
    path = "/v5/private"
    return Stream("private", path, PRIVATE_TOPICS, reader, venue, post, timing, dcp=dcp)
