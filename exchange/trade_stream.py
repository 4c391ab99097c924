"""Takes orders over the WebSocket /v5/trade: logins, requests with ids, and their answers."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from exchange import private
from exchange.connection import Connection
from exchange.errors import Refused
from exchange.faults import Fault
from exchange.venue import Venue

Body = dict[str, Any]
_PATHS = {
    f"order.{name}{batch}": f"/v5/order/{name}{batch}"
    for name in ("create", "amend", "cancel")
    for batch in ("", "-batch")
}
_ID_MAX = 36
_IDS_KEPT = 100_000


class TradeStream:
    """Answers every frame of /v5/trade; pushes come over /v5/private, after the answer."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def receive(self, connection: Connection, request: Body) -> None:
        """Carries out one request and queues its answer."""
        operation = str(request.get("op") or "")
        echo = {"reqId": request["reqId"]} if "reqId" in request else {}
        tail = {"op": operation, "connId": connection.id}
        if operation == "ping":
            now = str(self._venue.clock.shown_ms())
            pong = {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [now]}
            connection.reply({**echo, **pong, "connId": connection.id})
        elif operation == "auth":
            code, message = self._log_in(connection, request)
            connection.reply({**echo, "retCode": code, "retMsg": message, **tail})
        elif fault := self._venue.faults.draw(
            "rest", ("drop", "delay", "ret_code"), f"{connection.path}/{operation}"
        ):
            self._suffer(connection, request, fault)
        else:
            connection.reply(self._answer(connection, request))

    def _log_in(self, connection: Connection, request: Body) -> tuple[int, str]:
        if connection.key is not None:
            return 20001, "Repeat auth"
        args = request.get("args")
        try:
            connection.key = self._venue.keys.log_in(
                args if isinstance(args, list) else [], connection.remote
            )
        except Refused as refusal:
            return refusal.code, refusal.message
        return 0, "OK"

    def _suffer(self, connection: Connection, request: Body, fault: Fault) -> None:
        """A drop or a delay leaves the request processed if it is `when` after."""
        if fault.kind == "ret_code":
            refused = Refused(fault.code, fault.message)
            connection.reply(self._refusal(connection, request, refused, {"Traceid": fault.trace}))
            return
        if fault.kind == "delay":
            connection.reply(self._answer(connection, request), fault.real_s)
            return
        if fault.when == "after":
            self._answer(connection, request)
        connection.cut()

    def _answer(self, connection: Connection, request: Body) -> Body:
        headers: dict[str, str] = {}
        try:
            action = self._admitted(connection, request, headers)
            result, extra = self._venue.carry_out(action)
        except Refused as refusal:
            return self._refusal(connection, request, refusal, headers | refusal.headers)
        except Exception:  # noqa: BLE001 - the client gets an ambiguous answer, stderr the cause
            traceback.print_exc(file=sys.stderr)
            refused = Refused(10016, "Internal server error.")
            return self._refusal(connection, request, refused, headers)
        return self._shape(connection, request, (0, "OK"), headers) | {
            "data": result,
            "retExtInfo": extra,
        }

    def _admitted(self, connection: Connection, request: Body, headers: dict[str, str]) -> Any:
        path = _PATHS.get(str(request.get("op") or ""))
        args = request.get("args")
        if path is None:
            raise Refused(10404, "op type is not found")
        if connection.key is None:
            raise Refused(10007, "User authentication failed.")
        if self._venue.faults.lasting("maintenance"):
            raise Refused(10019, "ws trade service is restarting")
        self._check_id(connection, request)
        header = request.get("header")
        header = header if isinstance(header, dict) else {}
        window = str(header.get("X-BAPI-RECV-WINDOW") or "5000")
        self._venue.keys.check_time(str(header.get("X-BAPI-TIMESTAMP") or ""), window)
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            raise Refused(10001, "params error: args should hold one item")
        if args[0].get("category") not in ("spot", "linear"):
            raise Refused(10404, "category is not correct or not supported")
        return private.admit(self._venue, path, args[0], connection.key, headers)

    def _check_id(self, connection: Connection, request: Body) -> None:
        name = request.get("reqId")
        if name is None:
            return
        if len(str(name)) > _ID_MAX:
            raise Refused(10001, f"params error: reqId is longer than {_ID_MAX}")
        if str(name) in connection.used_ids:
            raise Refused(20006, "reqId is duplicated")
        if len(connection.used_ids) >= _IDS_KEPT:
            connection.used_ids.clear()
        connection.used_ids.add(str(name))

    def _refusal(
        self, connection: Connection, request: Body, refusal: Refused, headers: dict[str, str]
    ) -> Body:
        code = (refusal.code, refusal.message)
        return self._shape(connection, request, code, headers) | {"data": {}, "retExtInfo": {}}

    def _shape(
        self, connection: Connection, request: Body, code: tuple[int, str], headers: dict[str, str]
    ) -> Body:
        echo = {"reqId": request["reqId"]} if "reqId" in request else {}
        now = {"Timenow": str(self._venue.clock.shown_ms())}
        return {
            **echo,
            "retCode": code[0],
            "retMsg": code[1],
            "op": str(request.get("op") or ""),
            "header": now | headers,
            "connId": connection.id,
        }
