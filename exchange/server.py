"""Serves the exchange: one port for REST, streams, and control, and one loop for market time."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from exchange import private, public
from exchange.auth import check_request
from exchange.control import Control
from exchange.errors import Refused
from exchange.faults import Fault
from exchange.streams import Hub
from exchange.ticks import Ticks
from exchange.venue import Venue

_STEP_REAL_S = 0.02
_PUSH_AFTER_ACK_S = 0.002


class Server:
    """The HTTP face of a venue."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.hub = Hub(venue)
        self.ticks = Ticks(self.hub)
        self.stopping = asyncio.Event()
        self._seen_at = time.monotonic()
        self._rate = f"{venue.clock.rate:g}"

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=1 << 20)
        control = Control(self.venue, self.stopping)
        for path in ("/v5/public/linear", "/v5/public/spot", "/v5/private"):
            app.router.add_get(path, self.hub.serve)
        app.router.add_route("*", "/control/{what}", control.serve)
        app.router.add_route("*", "/{path:.*}", self.rest)
        app.on_response_prepare.append(self._stamp)
        return app

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        self._seen_at = time.monotonic()
        response.headers["X-Market-Rate"] = self._rate

    async def rest(self, request: web.Request) -> web.StreamResponse:
        """Answers one REST request, as the armed faults let it through."""
        payload = (await request.read()).decode("utf-8", "replace")
        if (answer := await self._suffer(request, "before")) is not None:
            return answer
        body, headers, status = self._answer(request, payload)
        asyncio.get_running_loop().call_later(_PUSH_AFTER_ACK_S, self.hub.flush_private)
        if (answer := await self._suffer(request, "after")) is not None:
            return answer
        if fault := self.venue.faults.draw("rest", ("garble",), request.path):
            self.venue.book.commit()
            body = self.venue.faults.garble(fault, body)
        return web.Response(
            body=body, status=status, headers=headers, content_type="application/json"
        )

    def _fault(self, request: web.Request, when: str) -> Fault | None:
        kinds: tuple[Any, ...] = ("drop", "delay", "http_status")
        fault = self.venue.faults.draw("rest", kinds, request.path, when)
        if fault is None and when == "before":
            fault = self.venue.faults.draw("rest", ("ret_code",), request.path)
        if fault is not None:
            self.venue.book.commit()
        return fault

    async def _suffer(self, request: web.Request, when: str) -> web.Response | None:
        """The answer that a fault gives instead of ours; None without one, or after a delay."""
        fault = self._fault(request, when)
        if fault is None:
            return None
        if fault.kind == "delay":
            await asyncio.sleep(fault.ms / 1000)
            return None
        if fault.kind == "drop":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if fault.kind == "http_status":
            return web.Response(status=fault.status, text="<html>fault</html>")
        return web.Response(
            body=self._envelope({}, fault.code, fault.message),
            content_type="application/json",
        )

    def _envelope(self, result: Any, code: int = 0, message: str = "OK") -> bytes:
        return msgspec.json.encode(
            {
                "retCode": code,
                "retMsg": message,
                "result": result,
                "retExtInfo": {},
                "time": self.venue.clock.now_ms(),
            }
        )

    def _answer(self, request: web.Request, payload: str) -> tuple[bytes, dict[str, str], int]:
        headers: dict[str, str] = {}
        try:
            self.venue.limits.check_ip()
            action = self._route(request, payload, headers)
            return self._envelope(self.venue.carry_out(action)), headers, 200
        except Refused as refusal:
            body = self._envelope({}, refusal.code, refusal.message)
            return body, headers | refusal.headers, refusal.status
        except Exception:  # noqa: BLE001 - the client gets an ambiguous answer, stderr the cause
            traceback.print_exc(file=sys.stderr)
            return self._envelope({}, 10000, "Server error."), headers, 500

    def _route(
        self, request: web.Request, payload: str, headers: dict[str, str]
    ) -> Callable[[], Any]:
        """The action of a request, after its signature and rate were checked."""
        path, get = request.path, request.method == "GET"
        query = dict(request.query)
        if get and path in public.PATHS:
            return lambda: public.PATHS[path](self.venue, query)
        table = private.GETS if get else private.POSTS if request.method == "POST" else {}
        if path not in table:
            raise Refused(10017, "Route not found.", 404)
        signed = request.rel_url.raw_query_string if get else payload
        check_request(request.headers, signed, self.venue.keys, self.venue.clock)
        body: Any = query if get else _json_object(payload)
        headers.update(self.venue.limits.check(path, str(body.get("category", ""))))
        return lambda: table[path](self.venue, body)

    # Life

    async def run(self, host: str, port: int, ready: Callable[[int], None], idle_s: float) -> None:
        """Serves until SIGTERM, SIGINT, POST /control/stop, or `idle_s` real seconds unused."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stopping.set)
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, host, port)
        await site.start()
        ready(int(runner.addresses[0][1]))
        try:
            await self._keep_time(idle_s)
        finally:
            await self.hub.close()
            await runner.cleanup()

    async def _keep_time(self, idle_s: float) -> None:
        while not self.stopping.is_set():
            self.venue.advance()
            self.hub.flush_private()
            self.ticks.pump()
            if self.hub.connections:
                self._seen_at = time.monotonic()
            if idle_s and time.monotonic() - self._seen_at > idle_s:
                return
            try:
                await asyncio.wait_for(self.stopping.wait(), _STEP_REAL_S)
            except TimeoutError:
                continue


def _json_object(payload: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(payload or "{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        raise Refused(10001, "params error: expected a JSON object") from None
