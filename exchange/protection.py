"""Carries out /v5/position/trading-stop: the stops that a linear position shall have."""

from __future__ import annotations

import uuid

from exchange.brackets import Brackets
from exchange.checks import Checks
from exchange.decimals import ZERO, parse
from exchange.errors import Refused
from exchange.instruments import Instrument
from exchange.intake import Body, check_mode, read_leg
from exchange.orders import Leg, Position, StopType
from exchange.records import Records

PARTIAL_MAX = 20  # partial take-profits and stop-losses of one position


class Protection:
    """Reads and checks the request; `Brackets` places the orders."""

    def __init__(self, records: Records, brackets: Brackets, checks: Checks) -> None:
        self._records = records
        self._brackets = brackets
        self._checks = checks

    def request(self, instrument: Instrument, body: Body) -> None:
        """Sets what the body names; "0" removes a full stop, what is absent stays."""
        if body.get("positionIdx") not in (None, "", 0, "0"):
            raise Refused(10001, "position idx not match position mode")
        position = self._records.account.position(instrument.symbol)
        if not position.size:
            raise Refused(10001, "can not set tp/sl/ts for zero position")
        legs: dict[StopType, Leg] = {}
        if body.get("takeProfit") not in (None, ""):
            legs["TakeProfit"] = read_leg(body, "tp")
        if body.get("stopLoss") not in (None, ""):
            legs["StopLoss"] = read_leg(body, "sl")
        check_mode(body.get("tpslMode") or "Full", *legs.values())
        self._check(position, legs, instrument)
        if body.get("tpslMode") == "Partial":
            self._partial(position, legs)
            self._trail(position, body, instrument)
        else:
            changed = self._full(position, legs)
            if not self._trail(position, body, instrument) and not changed:
                raise Refused(34040, "not modified")
        self._records.push_position(position)

    def _check(self, position: Position, legs: dict[StopType, Leg], instrument: Instrument) -> None:
        for kind, leg in legs.items():
            if leg.price and position.side:
                last = self._records.market.mark(instrument)
                self._checks.leg(kind, leg, position.side, last, instrument)

    def _full(self, position: Position, legs: dict[StopType, Leg]) -> bool:
        changed = False
        for kind, leg in legs.items():
            stop = self._brackets.full_stop(position.symbol, kind)
            now = (stop.trigger_price, stop.trigger_by) if stop else (ZERO, leg.trigger_by)
            if now != (leg.price, leg.trigger_by):
                self._brackets.put_stop(position, kind, leg)
                changed = True
        return changed

    def _partial(self, position: Position, legs: dict[StopType, Leg]) -> None:
        """Adds partial stops; a take-profit and a stop-loss set together end each other."""
        sizes = {leg.size for leg in legs.values()}
        if len(sizes) > 1 or (legs and not all(leg.price for leg in legs.values())):
            raise Refused(10001, "params error: tpSize and slSize must be equal")
        if any(size <= 0 or size > abs(position.size) for size in sizes):
            raise Refused(
                110058, "You can't set TP/SL due to insufficient size of remaining position size"
            )
        stops = self._records.position_stops(position.symbol)
        count = sum(stop.stop_order_type.startswith("Partial") for stop in stops)
        if count + len(legs) > PARTIAL_MAX:
            raise Refused(110061, "Not allowed to have more than 20 TP/SLs under Partial tpSlMode")
        names: dict[StopType, StopType] = {
            "TakeProfit": "PartialTakeProfit",
            "StopLoss": "PartialStopLoss",
        }
        pair = uuid.uuid4().hex if len(legs) > 1 else ""
        for kind, leg in legs.items():
            self._brackets.add_partial(position, names[kind], leg, leg.size, parent_id=pair)

    def _trail(self, position: Position, body: Body, instrument: Instrument) -> bool:
        """Sets or removes the trailing stop; says whether that changed anything."""
        if body.get("trailingStop") in (None, ""):
            return False
        distance = parse(body.get("trailingStop"), "trailingStop")
        active = parse(body.get("activePrice"), "activePrice")
        last = self._records.market.mark(instrument)
        if distance < 0 or distance % instrument.tick or distance >= last:
            raise Refused(10001, f"TrailingStop:{distance} is not a distance on the price grid")
        wrong = active < last if position.side == "Buy" else active > last
        if distance and active and (wrong or active % instrument.tick):
            raise Refused(10001, f"ActivePrice:{active} is on the wrong side of {last}")
        stop = self._brackets.full_stop(position.symbol, "TrailingStop")
        if (stop.trail, stop.active_price) == (distance, active) if stop else not distance:
            return False
        self._brackets.put_trailing(position, distance, active)
        return True
