"""Makes the public streams' messages: candles at their close, tickers, books, and trades."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from exchange import shapes
from exchange.instruments import CATEGORIES, Category, Instrument
from exchange.public import INTERVALS
from exchange.streams import Connection, Hub

_TICKER_REAL_S = 0.25
_OPEN_CANDLE_REAL_S = 1.0
_CLOSES_MAX = 60  # after a jump of the clock only the last closes are pushed: the rest is a gap
_TRADES_MAX = 20

Message = dict[str, Any]


@dataclass(slots=True)
class _Topic:
    """What was last pushed on one topic."""

    instrument: Instrument
    parts: list[str]
    minutes: int  # of a candle; 0 for other topics
    next_m: int  # epoch minute at which the open candle began
    pushed_at: float  # real, monotonic
    pushed_s: int  # market second
    row: Message = field(default_factory=dict)  # the last ticker


class Ticks:
    """The state of every public topic that someone listens to."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._venue = hub.venue
        self._market = hub.venue.market
        self._topics: dict[tuple[Category, str], _Topic] = {}

    def pump(self) -> None:
        """Pushes what is due now; called many times a real second."""
        now = time.monotonic()
        skipping = set(self._venue.skipped)
        for kind in CATEGORIES:
            wanted = self._hub.topics(kind)
            for gone in [t for k, t in self._topics if k == kind and t not in wanted]:
                del self._topics[kind, gone]
            for topic in wanted:
                self._pump(kind, topic, now, skipping)
        joined, self._hub.joined = self._hub.joined, []
        for connection, topic in joined:
            if topic in connection.topics:
                self._greet(connection, topic)

    def _pump(self, kind: Category, topic: str, now: float, skipping: set[str]) -> None:
        state = self._topics.get((kind, topic)) or self._open(kind, topic)
        if state.minutes:
            self._pump_candles(kind, topic, state, now, skipping)
            return
        second = self._market.second(state.instrument.symbol)
        if second == state.pushed_s or now - state.pushed_at < _TICKER_REAL_S:
            return
        for message in self._messages(topic, state, second):
            self._hub.publish(kind, topic, message)
        state.pushed_at, state.pushed_s = now, second

    def _open(self, kind: Category, topic: str) -> _Topic:
        parts = topic.split(".")
        instrument = self._market.catalogue.get(kind, parts[-1])
        assert instrument is not None, "the hub lets only known symbols through"
        minutes = INTERVALS[parts[1]] if parts[0] == "kline" else 0
        second = self._market.second(instrument.symbol)
        start = second // 60 // minutes * minutes if minutes else 0
        state = _Topic(instrument, parts, minutes, start, time.monotonic(), second)
        self._topics[kind, topic] = state
        return state

    def _greet(self, connection: Connection, topic: str) -> None:
        """Sends the present state to a connection that has just subscribed."""
        assert connection.kind != "private"
        state = self._topics.get((connection.kind, topic)) or self._open(connection.kind, topic)
        now = self._venue.clock.now_ms()
        if state.minutes:
            message = self._candle(topic, state, state.next_m, confirm=False)
        elif state.parts[0] == "tickers":
            row = state.row = state.row or self._ticker(state)  # what deltas will refer to
            message = {
                "topic": topic,
                "type": "snapshot",
                "cs": now,
                "ts": now,
                "data": row,
            }
        elif state.parts[0] == "orderbook":
            message = self._book(topic, state, now)
        else:
            return
        if message:
            connection.push(topic, shapes.encode(message))

    # Candles

    def _pump_candles(
        self, kind: Category, topic: str, state: _Topic, now: float, skipping: set[str]
    ) -> None:
        symbol = state.instrument.symbol
        edge_m = self._market.edge(symbol) // 60
        closes = (edge_m - state.next_m) // state.minutes
        if closes > _CLOSES_MAX:
            state.next_m += (closes - _CLOSES_MAX) * state.minutes
        while state.next_m + state.minutes <= edge_m:
            message = self._candle(topic, state, state.next_m, confirm=True)
            state.next_m += state.minutes
            if symbol in skipping:
                self._venue.skipped.discard(symbol)
                skipping.discard(symbol)
            elif message:
                self._hub.publish(kind, topic, message)
            state.pushed_at = now
        second = self._market.second(symbol)
        if now - state.pushed_at >= _OPEN_CANDLE_REAL_S and second != state.pushed_s:
            if message := self._candle(topic, state, state.next_m, confirm=False):
                self._hub.publish(kind, topic, message)
            state.pushed_at, state.pushed_s = now, second

    def _candle(self, topic: str, state: _Topic, start_m: int, *, confirm: bool) -> Message | None:
        rows = self._market.candles(
            state.instrument, state.minutes, start_m, start_m + state.minutes
        )
        if not rows:
            return None
        now = self._venue.clock.now_ms()
        data = shapes.kline_push(rows[-1], state.minutes, state.parts[1], now, confirm)
        return {"topic": topic, "type": "snapshot", "ts": now, "data": [data]}

    # Tickers, books, trades

    def _messages(self, topic: str, state: _Topic, second: int) -> list[Message]:
        now = self._venue.clock.now_ms()
        if state.parts[0] == "tickers":
            return self._ticker_messages(topic, state, now)
        if state.parts[0] == "orderbook":
            return [self._book(topic, state, now)]
        count = min(second - state.pushed_s, _TRADES_MAX)
        rows = shapes.trade_rows(self._market, state.instrument, count)
        return [{"topic": topic, "type": "snapshot", "ts": now, "data": rows}] if rows else []

    def _ticker(self, state: _Topic) -> Message:
        day = self._venue.day(state.instrument)
        row = shapes.ticker_row(self._market, state.instrument, day)
        return shapes.ticker_push(row)

    def _ticker_messages(self, topic: str, state: _Topic, now: int) -> list[Message]:
        """Spot always sends everything; linear only what changed."""
        before, row = state.row, self._ticker(state)
        state.row = row
        message: Message = {
            "topic": topic,
            "type": "snapshot",
            "cs": now,
            "ts": now,
            "data": row,
        }
        if state.instrument.category == "linear" and before:
            changed = {key: value for key, value in row.items() if before.get(key) != value}
            if not changed:
                return []
            message.update(type="delta", data={"symbol": row["symbol"], **changed})
        return [message]

    def _book(self, topic: str, state: _Topic, now: int) -> Message:
        row = shapes.book_row(self._market, state.instrument, int(state.parts[1]))
        return {"topic": topic, "type": "snapshot", "ts": now, "data": row, "cts": now}
