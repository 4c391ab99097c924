"""Serves the exchange: one port for REST, streams, and control, and one loop for market time."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from exchange import private, public
from exchange.control import Control
from exchange.errors import Refused
from exchange.faults import Fault
from exchange.mishaps import Mishaps
from exchange.query import Answer
from exchange.streams import PUSH_AFTER_ACK_S, STREAM_PATHS, Hub
from exchange.ticks import Ticks
from exchange.venue import Venue

_STEP_REAL_S = 0.02
_IDLE_CHECK_REAL_S = 1.0
Reply = tuple[bytes, dict[str, str], int]  # body, headers, status


class Server:
    """The HTTP face of a venue."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.hub = Hub(venue)
        self.ticks = Ticks(self.hub)
        self.stopping = asyncio.Event()
        self._mishaps = Mishaps(venue, self.hub)
        self._seen_at = self._checked_at = venue.clock.real()
        self._runner: web.AppRunner | None = None
        self._rate = f"{venue.clock.rate:g}"

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=1 << 20)
        control = Control(self.venue, self.hub, self.stopping)
        for path in STREAM_PATHS:
            app.router.add_get(path, self.hub.serve)
        app.router.add_route("*", "/control/{what}", control.serve)
        app.router.add_route("*", "/{path:.*}", self.rest)
        app.on_response_prepare.append(self._stamp)
        return app

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        self._seen_at = self.venue.clock.real()
        response.headers["X-Market-Rate"] = self._rate

    async def rest(self, request: web.Request) -> web.StreamResponse:
        """Answers one REST request, as the armed faults let it through."""
        payload = (await request.read()).decode("utf-8", "replace")
        if (answer := await self._suffer(request, "before")) is not None:
            return answer
        body, headers, status = self._answer(request, payload)
        asyncio.get_running_loop().call_later(PUSH_AFTER_ACK_S, self.hub.flush_private)
        if (answer := await self._suffer(request, "after")) is not None:
            return answer
        if fault := self.venue.faults.draw("rest", ("garble",), request.path):
            self.venue.book.commit()
            body, headers = self.venue.faults.garble(fault, body), _traced(headers, fault)
        return _json(body, headers, status)

    # Faults

    async def _suffer(self, request: web.Request, when: str) -> web.Response | None:
        """The answer that a fault gives instead of ours; None without one, or after a delay."""
        if when == "before" and self._in_maintenance(request):
            return _json(*self._refusal(Refused(10016, "Server error: maintenance."), {}))
        fault = self._draw(request.path, when)
        if fault is None:
            return None
        self.venue.book.commit()
        if fault.kind in ("delay", "latency"):
            late = fault.kind == "latency"
            await asyncio.sleep(self.venue.faults.latency_s(fault) if late else fault.real_s)
            return None
        if fault.kind == "half_open":
            await self.venue.faults.cleared()
        if fault.kind in ("drop", "half_open"):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if fault.kind == "http_status":
            headers = _traced({}, fault)
            return web.Response(
                status=fault.status or 503, text="<html>fault</html>", headers=headers
            )
        refused = Refused(fault.code, fault.message)
        if fault.kind == "exhaust":
            refused = self.venue.limits.exhausted(request.path, int(fault.real_s * 1000))
        return _json(*self._refusal(refused, _traced(refused.headers, fault)))

    def _draw(self, path: str, when: str) -> Fault | None:
        faults = self.venue.faults
        fault = faults.draw("rest", ("drop", "delay", "http_status"), path, when)
        if fault is None and when == "before":
            fault = faults.draw("rest", ("ret_code", "exhaust", "half_open"), path)
        if fault is None and when == "after":
            fault = faults.draw("rest", ("latency",), path)
        return fault

    def _in_maintenance(self, request: web.Request) -> bool:
        if self.venue.faults.lasting("maintenance") is None:
            return False
        return private.is_known(request.path, get=request.method == "GET")

    # Answers

    def _answer(self, request: web.Request, payload: str) -> Reply:
        headers: dict[str, str] = {}
        try:
            self.venue.limits.check_ip()
            result, extra = self.venue.carry_out(self._route(request, payload, headers))
            return self._envelope(0, "OK", result, extra), headers, 200
        except Refused as refusal:
            return self._refusal(refusal, headers | refusal.headers)
        except Exception:  # noqa: BLE001 - the client gets an ambiguous answer, stderr the cause
            traceback.print_exc(file=sys.stderr)
            return self._refusal(Refused(10000, "Server error.", 500), headers)

    def _route(
        self, request: web.Request, payload: str, headers: dict[str, str]
    ) -> Callable[[], tuple[Answer, Answer]]:
        """The action of a request, after its signature, rights, and rate were checked."""
        path, get = request.path, request.method == "GET"
        if get and path in public.PATHS:
            query = dict(request.query)
            return lambda: (public.PATHS[path](self.venue, query), {})
        if request.method not in ("GET", "POST") or not private.is_known(path, get=get):
            raise Refused(10017, "Route not found.", 404)
        signed = request.rel_url.raw_query_string if get else payload
        key = self.venue.keys.check_request(request.headers, signed, request.remote or "")
        body: Any = dict(request.query) if get else _json_object(payload)
        return private.admit(self.venue, path, body, key, headers)

    def _refusal(self, refusal: Refused, headers: dict[str, str]) -> Reply:
        return self._envelope(refusal.code, refusal.message, {}, {}), headers, refusal.status

    def _envelope(self, code: int, message: str, result: Any, extra: Any) -> bytes:
        return msgspec.json.encode(
            {
                "retCode": code,
                "retMsg": message,
                "result": result,
                "retExtInfo": extra,
                "time": self.venue.clock.shown_ms(),
            }
        )

    # Life

    async def listen(self, site: Callable[[web.AppRunner], web.BaseSite]) -> int | None:
        """Serves on the site that `site` makes; returns its port, None if it has none."""
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await site(self._runner).start()
        addresses = self._runner.addresses
        return int(addresses[0][1]) if isinstance(addresses[0], tuple) else None

    async def keep_time(self, idle_exit_s: float = 0.0) -> None:
        """Moves the venue and its streams on until `stopping`, or `idle_exit_s` real s unused."""
        while not self.stopping.is_set():
            self.venue.advance()
            self.hub.flush_private()
            self.hub.dcp.watch(self.hub.connections)
            self.ticks.pump()
            now = self.venue.clock.real()
            if now - self._checked_at > _IDLE_CHECK_REAL_S:
                self._checked_at = now
                await self.hub.drop_idle()
            if self.hub.connections:
                self._seen_at = now
            if idle_exit_s and now - self._seen_at > idle_exit_s:
                return
            try:
                await asyncio.wait_for(self.stopping.wait(), _STEP_REAL_S)
            except TimeoutError:
                continue

    async def close(self) -> None:
        """Closes every connection and stops listening."""
        await self.hub.close(1001, "exchange stops")
        if self._runner is not None:
            await self._runner.cleanup()


def _json(body: bytes, headers: dict[str, str], status: int) -> web.Response:
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def _traced(headers: dict[str, str], fault: Fault) -> dict[str, str]:
    return {**headers, "Traceid": fault.trace}


def _json_object(payload: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(payload or "{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        raise Refused(10001, "params error: expected a JSON object") from None
