"""Keeps the WebSocket connections: dials, logins, subscriptions, pings, and who gets what."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from exchange.connection import PATHS, Connection, StreamKind
from exchange.dcp import TOPICS, Dcp
from exchange.errors import Refused
from exchange.instruments import CATEGORIES
from exchange.intervals import INTERVALS
from exchange.trade_stream import TradeStream
from exchange.venue import Venue

Row = dict[str, Any]
_SPOT_ARGS_MAX = 10
_ARGS_CHARACTERS_MAX = 21_000
_ALL_IN_ONE = ("order", "execution", "position", "execution.fast")
_CATEGORISED = {f"{topic}.{kind}" for topic in _ALL_IN_ONE for kind in (*CATEGORIES, "inverse")}
_ALONE = {"wallet", "greeks", "dcp", *TOPICS}
_DEPTHS = ("1", "50", "200", "1000")
_NETWORK_S = 0.005  # clients rely on an answer that is not there before they wait for it
_FAST = ("category", "symbol", "orderId", "execId", "execPrice", "execQty", "side", "execTime")


class Hub:
    """All connections, and who wants which topic."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.connections: set[Connection] = set()
        self.joined: list[tuple[Connection, str]] = []  # public subscriptions to be greeted
        self.dcp = Dcp(venue)
        self._trade = TradeStream(venue)

    def listeners(self, kind: StreamKind, topic: str) -> list[Connection]:
        """The connections of a kind that want the topic."""
        return [c for c in self.connections if c.kind == kind and topic in c.topics]

    def topics(self, kind: StreamKind) -> set[str]:
        """Every topic that some connection of the kind wants."""
        wanted: Iterable[set[str]] = (c.topics for c in self.connections if c.kind == kind)
        return set().union(*wanted)

    def publish(self, kind: StreamKind, topic: str, message: Row) -> None:
        """Sends one message of a topic to everyone who wants it."""
        listeners = self.listeners(kind, topic)
        if listeners:
            frame = msgspec.json.encode(message)
            for connection in listeners:
                connection.push(topic, frame)

    def flush_private(self) -> None:
        """Sends the engine's events to the private streams, neighbours of a topic in one frame."""
        if not self.venue.engine.events:
            return
        events, self.venue.engine.events = self.venue.engine.events, []
        if not self.topics("private"):
            return
        groups: list[tuple[str, str, list[Row]]] = []
        for topic, row in events:
            category = str(row.get("category", ""))
            joins = topic in ("order", "execution")
            if groups and joins and groups[-1][:2] == (topic, category):
                groups[-1][2].append(row)
            else:
                groups.append((topic, category, [row]))
        for topic, category, rows in groups:
            self._push_private(topic, category, rows)

    def _push_private(self, topic: str, category: str, rows: list[Row]) -> None:
        if topic == "execution" and category == "linear":
            fast = [fast_row(row) for row in rows if row["execType"] == "Trade"]
            if fast:
                self._push_rows("execution.fast", category, fast)
        self._push_rows(topic, category, rows)

    def _push_rows(self, topic: str, category: str, rows: list[Row]) -> None:
        now = self.venue.clock.now_ms()
        for name in (topic, f"{topic}.{category}"):
            message = {"topic": name, "creationTime": now, "data": rows}
            if topic != "execution.fast":
                message = {"id": uuid.uuid4().hex, **message}
            self.publish("private", name, message)

    # Connections

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Holds one WebSocket connection for its life."""
        faults = self.venue.faults
        if not self.venue.limits.may_dial():
            return web.Response(status=403)
        if fault := faults.draw("dial", ("http_status",), request.path):
            self.venue.book.commit()
            return web.Response(status=fault.status or 503)
        if faults.draw("dial", ("half_open",), request.path):
            self.venue.book.commit()
            await faults.cleared()
        socket = web.WebSocketResponse(autoping=False, compress=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        connection = Connection(socket, request, faults, self.venue.clock)
        sender = asyncio.create_task(connection.run_sender())
        self.connections.add(connection)
        try:
            await self._converse(connection)
        finally:
            self.connections.discard(connection)
            sender.cancel()
        return socket

    async def _converse(self, connection: Connection) -> None:
        if self.venue.faults.lasting("maintenance"):
            await connection.close(1012, "maintenance")
        elif fault := self.venue.faults.draw("dial", ("hang_up",), connection.path):
            self.venue.book.commit()
            await connection.close(fault.status or 1000, "bye")
        async for message in connection.socket:
            if connection.is_half_open:
                continue
            connection.touch()
            if message.type is WSMsgType.TEXT:
                self._arrive(connection, message.data)
            elif message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)

    def _arrive(self, connection: Connection, data: str) -> None:
        """Receives a frame as late as a network would bring it, in order."""
        loop = asyncio.get_running_loop()
        fault = self.venue.faults.draw("dial", ("latency",), connection.path)
        late_s = self.venue.faults.latency_s(fault) if fault else 0.0
        at = max(connection.arrived_at, loop.time() + _NETWORK_S + late_s)
        connection.arrived_at = at
        loop.call_at(at, self._receive, connection, data)

    def _receive(self, connection: Connection, data: str) -> None:
        try:
            request = json.loads(data)
            operation = request.get("op")
        except (ValueError, AttributeError):
            connection.reply(_refused(connection, "", {}, "expected a JSON object"))
            return
        if connection.kind == "trade":
            self._trade.receive(connection, request)
            loop = asyncio.get_running_loop()
            loop.call_later(PUSH_AFTER_ACK_S, self.flush_private)
            return
        echo = {"req_id": request["req_id"]} if "req_id" in request else {}
        args = request.get("args")
        args = [str(topic) for topic in args] if isinstance(args, list) else []
        if operation == "ping":
            connection.reply(self._pong(connection, echo))
        elif operation == "auth" and connection.kind == "private":
            self._log_in(connection, request.get("args"), echo)
        elif operation in ("subscribe", "unsubscribe"):
            connection.reply(self._subscribe(connection, operation, args, echo))
        else:
            connection.reply(_refused(connection, str(operation), echo, "error:invalid op"))

    def _pong(self, connection: Connection, echo: Row) -> Row:
        if connection.kind == "private":
            now = str(self.venue.clock.shown_ms())
            return {**echo, "op": "pong", "args": [now], "conn_id": connection.id}
        empty = {"req_id": ""} if connection.kind == "linear" else {}
        pong = {"success": True, "ret_msg": "pong", "conn_id": connection.id}
        return {**pong, **empty, **echo, "op": "ping"}

    def _log_in(self, connection: Connection, args: Any, echo: Row) -> None:
        try:
            arguments = args if isinstance(args, list) else []
            connection.key = self.venue.keys.log_in(arguments, connection.remote)
            message = ""
        except Refused as refusal:
            message = refusal.message
        answer = {"success": not message, "ret_msg": message, "op": "auth"}
        connection.reply({**answer, "conn_id": connection.id, **echo})

    def _subscribe(self, connection: Connection, operation: str, args: list[str], echo: Row) -> Row:
        if problem := self._problem(connection, operation, args):
            return _refused(connection, operation, echo, problem)
        if operation == "unsubscribe":
            connection.topics.difference_update(args)
        else:
            fresh = [topic for topic in args if topic not in connection.topics]
            connection.topics.update(args)
            if connection.kind == "private":
                self.dcp.watch(self.connections)  # even if it is gone before the next look
            else:
                self.joined += [(connection, topic) for topic in fresh]
        is_spot = connection.kind == "spot" and operation == "subscribe"
        empty = {"req_id": ""} if connection.kind == "linear" else {}
        answer = {"success": True, "ret_msg": "subscribe" if is_spot else ""}
        return {**answer, "conn_id": connection.id, **empty, **echo, "op": operation}

    def _problem(self, connection: Connection, operation: str, args: list[str]) -> str:
        """Why a subscription is refused; empty if it is good."""
        kind = connection.kind
        if kind == "private" and connection.key is None:
            return "Request not authorized"
        if kind == "spot" and len(args) > _SPOT_ARGS_MAX:
            return "args size >10"
        wanted = connection.topics | set(args) if operation == "subscribe" else set(args)
        if kind != "private" and sum(map(len, wanted)) > _ARGS_CHARACTERS_MAX:
            return f"args length >{_ARGS_CHARACTERS_MAX}"
        for topic in args:
            if not self._known(kind, topic):
                return f"error:handler not found,topic:{topic}"
        if _CATEGORISED.intersection(args) and set(_ALL_IN_ONE).intersection(args):
            return "error:all-in-one topics and categorised topics in one request"
        return ""

    def _known(self, kind: StreamKind, topic: str) -> bool:
        if kind == "private":
            return topic in _ALONE or topic in _ALL_IN_ONE or topic in _CATEGORISED
        if kind == "status":
            return topic == "system.status"
        parts = topic.split(".")
        market = self.venue.market
        if market.catalogue.get(kind, parts[-1]) is None or (kind, parts[-1]) in market.closed:
            return False
        if parts[0] == "kline":
            return len(parts) == 3 and parts[1] in INTERVALS
        if parts[0] == "orderbook":
            return len(parts) == 3 and parts[1] in _DEPTHS
        names = ("tickers", "publicTrade", *(("allLiquidation",) if kind == "linear" else ()))
        return parts[0] in names and len(parts) == 2

    async def drop_idle(self) -> None:
        """Closes private connections that were silent for as long as they may be."""
        for connection in list(self.connections):
            if connection.kind in ("private", "trade") and connection.is_idle:
                await connection.close(1000, "idle")

    async def close(self, code: int, reason: str) -> None:
        """Closes every connection."""
        await asyncio.gather(*(c.close(code, reason) for c in list(self.connections)))


PUSH_AFTER_ACK_S = 0.002
STREAM_PATHS = tuple(PATHS)


def fast_row(row: Row) -> Row:
    """An execution as in `execution.fast`, which tells the orderLinkId of takers only."""
    fast = {name: row[name] for name in _FAST}
    fast["orderLinkId"] = "" if row["isMaker"] else row["orderLinkId"]
    return {**fast, "isMaker": row["isMaker"], "seq": row["seq"]}


def _refused(connection: Connection, operation: str, echo: Row, message: str) -> Row:
    answer = {"success": False, "ret_msg": message, "conn_id": connection.id}
    return {**answer, **echo, "op": operation}
