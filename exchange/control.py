"""Carries out what a test asks of the exchange: faults, jumps, shocks, skipped candles, a stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from exchange.auth import Key
from exchange.decimals import parse
from exchange.errors import Refused
from exchange.faults import sentences
from exchange.instruments import CATEGORIES
from exchange.streams import Hub
from exchange.venue import Venue

Body = dict[str, Any]
_JUMP_MAX_S = 7 * 86_400


class Control:
    """The endpoints below /control; every request that is carried out is logged."""

    def __init__(self, venue: Venue, hub: Hub, stop: asyncio.Event) -> None:
        self._venue = venue
        self._hub = hub
        self._stop = stop
        self._actions: dict[str, Callable[[Body], Body]] = {
            "fault": self.fault,
            "clear": self.clear,
            "jump": self.jump,
            "price": self.price,
            "skip_candle": self.skip_candle,
            "key": self.key,
            "fees": self.fees,
            "funding": self.funding,
            "stop": self.stop,
        }

    async def serve(self, request: web.Request) -> web.Response:
        """Answers one control request: {"ok": true, ...} or HTTP 400 with a sentence."""
        what = request.match_info["what"]
        if request.method == "GET" and what == "state":
            return web.json_response(self.state(), dumps=_dumps)
        if request.method == "GET" and what == "faults":
            return web.json_response(sentences(), dumps=_dumps)
        action = self._actions.get(what)
        if request.method != "POST" or action is None:
            names = ", ".join(f"POST {name}" for name in self._actions)
            return _refusal(
                f"expected GET state, GET faults, {names}, found {request.method} {what}", 404
            )
        try:
            body = msgspec.json.decode(await request.read() or b"{}", type=Body)
            answer = self._venue.carry_out(lambda: self._act(what, action, body))
        except msgspec.MsgspecError as error:
            return _refusal(f"expected a JSON object, found: {error}", 400)
        except Refused as refusal:
            return _refusal(refusal.message, 400)
        return web.json_response({"ok": True, **answer}, dumps=_dumps)

    def _act(self, what: str, action: Callable[[Body], Body], body: Body) -> Body:
        answer = action(body)
        told = {name: value for name, value in body.items() if name != "secret"}
        self._venue.book.log("control", self._venue.clock.now_ms(), what=what, request=told)
        return answer

    def state(self) -> Body:
        """What the exchange holds now."""
        venue = self._venue
        return {
            "market_ms": venue.clock.now_ms(),
            "speed": venue.clock.rate,
            "symbols": venue.market.catalogue.symbols,
            "coins": {coin: str(amount) for coin, amount in venue.account.coins.items()},
            "positions": {s: str(p.size) for s, p in venue.account.positions.items() if p.size},
            "open_orders": list(venue.engine.orders),
            "streams": Counter(connection.path for connection in self._hub.connections),
            "faults": venue.faults.state(),
            "skipped": [row.symbol for row in venue.faults.state() if row.kind == "gap"],
        }

    def fault(self, body: Body) -> Body:
        """Arms a fault (see `faults.Fault` for its fields)."""
        return {"fault": self._venue.faults.arm(body)}

    def clear(self, body: Body) -> Body:
        """Disarms every fault and takes back what lasts."""
        self._venue.faults.clear()
        return {}

    def jump(self, body: Body) -> Body:
        """Moves market time forward by `seconds`; stops on the way fire at their own second."""
        seconds = _number(body, "seconds")
        if not 0 < seconds <= _JUMP_MAX_S:
            raise Refused(10001, f"expected 0 < seconds <= {_JUMP_MAX_S}, found {seconds}")
        self._venue.clock.jump(seconds)
        self._venue.advance()
        return {"market_ms": self._venue.clock.now_ms()}

    def price(self, body: Body) -> Body:
        """Multiplies all later prices of `symbol` by `factor`."""
        symbol, factor = self._symbol(body), _number(body, "factor")
        if not 0.001 <= factor <= 1000:
            raise Refused(10001, f"expected 0.001 <= factor <= 1000, found {factor}")
        self._venue.market.shock(symbol, factor)
        self._venue.book.put("shocks", self._venue.market.shocks)
        return {}

    def skip_candle(self, body: Body) -> Body:
        """Keeps the next closed candle of `symbol` from the streams; REST still has it."""
        self._venue.faults.arm({"kind": "gap", "symbol": self._symbol(body)})
        return {}

    def key(self, body: Body) -> Body:
        """Accepts an API key, or changes the rights of one (see `auth.Key` for its fields)."""
        try:
            self._venue.keys.put(msgspec.convert(body, Key))
        except msgspec.ValidationError as error:
            raise Refused(10001, f"expected a key, found: {error}") from None
        return {}

    def fees(self, body: Body) -> Body:
        """Pins a fee `tier` ("VIP 3"; null: by volume), or `maker` and `taker` of a `category`."""
        fees = self._venue.account.fees
        if category := body.get("category"):
            if category not in CATEGORIES:
                raise Refused(10001, f"expected a category of this exchange, found {category!r}")
            rates = parse(body.get("maker"), "maker"), parse(body.get("taker"), "taker")
            fees.pin_rates(category, *rates)
        else:
            fees.pin(body.get("tier"))
        return {"tier": fees.tier.name}

    def funding(self, body: Body) -> Body:
        """Pins the funding `rate` of `symbol` from now on; null draws it again."""
        rate = None if body.get("rate") is None else parse(body["rate"], "rate")
        self._venue.engine.clearing.funding.pin(self._symbol(body), rate)
        return {}

    def stop(self, body: Body) -> Body:
        """Stops the exchange cleanly."""
        asyncio.get_running_loop().call_later(0.05, self._stop.set)
        return {}

    def _symbol(self, body: Body) -> str:
        symbol = str(body.get("symbol") or "")
        if symbol not in self._venue.market.catalogue.symbols:
            raise Refused(10001, f"expected a symbol of this exchange, found {symbol!r}")
        return symbol


def _number(body: Body, name: str) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(10001, f"expected a number as {name}, found {value!r}")
    return float(value)


def _refusal(message: str, status: int) -> web.Response:
    return web.json_response({"ok": False, "error": message}, status=status)


def _dumps(value: Any) -> str:
    return msgspec.json.encode(value).decode()
