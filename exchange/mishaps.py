"""Lets happen what strikes the market, the account, or all streams at once, and takes it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from exchange.decimals import parse, truncate_to
from exchange.errors import Refused
from exchange.faults import Fault
from exchange.instruments import Instrument
from exchange.streams import Hub
from exchange.venue import Venue

_CLOCK_ERROR_MS = 3000


class Mishaps:
    """Carries out the faults of surface "now"; the caller commits."""

    def __init__(self, venue: Venue, hub: Hub) -> None:
        self._venue = venue
        self._hub = hub
        self._grids: dict[int, tuple[Decimal, Decimal]] = {}  # by fault, what it replaced
        self._begun: dict[int, int] = {}  # by maintenance, when it began
        self._closing: set[asyncio.Task[None]] = set()
        self._acts: dict[str, Callable[[Fault], None]] = {
            "cut": self._cut,
            "forget": self._forget,
            "maintenance": self._maintain,
            "clock": self._set_clock,
            "stale_book": lambda fault: venue.market.freeze_book(self._instrument(fault).symbol),
            "crossed_book": lambda fault: venue.market.cross_book(self._instrument(fault).symbol),
            "delist": lambda fault: venue.engine.delist(self._instrument(fault)),
            "filters": self._change_filters,
            "balance": self._move_balance,
            "adl": self._deleverage,
        }
        self._undos: dict[str, Callable[[Fault], None]] = {
            "maintenance": self._end_maintenance,
            "clock": lambda _: self._show_clock(0),
            "stale_book": lambda fault: venue.market.heal_book(fault.symbol),
            "crossed_book": lambda fault: venue.market.heal_book(fault.symbol),
            "delist": lambda fault: venue.engine.relist(self._instrument(fault)),
            "filters": self._restore_filters,
        }
        venue.faults.act = lambda fault: self._acts[fault.kind](fault)
        venue.faults.undo = lambda fault: self._undos[fault.kind](fault)

    # Streams and clock

    def _cut(self, fault: Fault) -> None:
        for connection in list(self._hub.connections):
            if connection.path.startswith(fault.match):
                connection.cut()

    def _forget(self, fault: Fault) -> None:
        for connection in self._hub.connections:
            connection.topics = {t for t in connection.topics if not t.startswith(fault.match)}

    def _maintain(self, fault: Fault) -> None:
        self._begun[fault.number] = self._venue.clock.now_ms()
        self._announce(fault, "ongoing", 0)
        for connection in list(self._hub.connections):
            if connection.kind != "status":
                task = asyncio.get_running_loop().create_task(connection.close(1012, "maintenance"))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    def _end_maintenance(self, fault: Fault) -> None:
        self._announce(fault, "completed", self._venue.clock.now_ms())
        self._begun.pop(fault.number, None)

    def _announce(self, fault: Fault, state: str, end_ms: int) -> None:
        row: dict[str, Any] = {
            "id": f"maintenance-{fault.number}",
            "title": "Maintenance",
            "state": state,
            "begin": str(self._begun[fault.number]),
            "end": str(end_ms) if end_ms else "",
            "href": "",
            "serviceTypes": [2, 3, 4, 5],
            "product": [1, 2],
            "uidSuffix": [],
            "maintainType": 1,
            "env": 1,
        }
        now = self._venue.clock.now_ms()
        message = {"topic": "system.status", "ts": now, "data": [row]}
        self._hub.publish("status", "system.status", message)

    def _set_clock(self, fault: Fault) -> None:
        self._show_clock(_CLOCK_ERROR_MS if fault.ms is None else fault.ms)

    def _show_clock(self, error_ms: int) -> None:
        self._venue.clock.error_ms = error_ms

    # Instruments

    def _instrument(self, fault: Fault) -> Instrument:
        found = self._venue.market.catalogue.get(fault.category, fault.symbol)
        if found is None:
            raise Refused(10001, f"expected a symbol of this exchange, found {fault.symbol!r}")
        return found

    def _change_filters(self, fault: Fault) -> None:
        instrument = self._instrument(fault)
        tick, step = parse(fault.tick, "tick"), parse(fault.step, "step")
        if tick < 0 or step < 0 or not (tick or step):
            raise Refused(10001, f"expected tick or step above 0, found {tick} and {step}")
        self._grids[fault.number] = (instrument.tick, instrument.step)
        self._set_filters(instrument, tick or instrument.tick, step or instrument.step)

    def _restore_filters(self, fault: Fault) -> None:
        self._set_filters(self._instrument(fault), *self._grids.pop(fault.number))

    def _set_filters(self, instrument: Instrument, tick: Decimal, step: Decimal) -> None:
        catalogue = self._venue.market.catalogue
        catalogue.set_tick(instrument.category, instrument.symbol, tick)
        catalogue.set_step(instrument.category, instrument.symbol, step)

    # Money

    def _move_balance(self, fault: Fault) -> None:
        engine = self._venue.engine
        amount = parse(fault.amount, "amount")
        self._venue.account.move(fault.coin, amount, "transfer", engine.orders.values())
        engine.wallet_changed = True  # the next step pushes it

    def _deleverage(self, fault: Fault) -> None:
        instrument = self._instrument(fault)
        size = abs(self._venue.account.position(instrument.symbol).size)
        if not size:
            raise Refused(10001, f"expected a position in {instrument.symbol}, found none")
        part = truncate_to(size * Decimal(str(fault.share)), instrument.step)
        self._venue.engine.clearing.adl(instrument.symbol, max(part, instrument.step))
