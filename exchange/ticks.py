"""Makes the public streams' messages: candles at their close, tickers, books, and trades."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from exchange import quotes, shapes
from exchange.connection import Connection
from exchange.instruments import CATEGORIES, Category, Instrument
from exchange.intervals import candles, step
from exchange.streams import Hub

_TICKER_REAL_S = 0.25
_BOOK_REAL_S = 0.05
_OPEN_CANDLE_REAL_S = 1.0
_QUIET_REAL_S = 3.0  # after so long without a change the best prices are sent again
_CLOSES_MAX = 60  # after a jump of the clock only the last closes are pushed: the rest is a gap
_TRADES_MAX = 20

Message = dict[str, Any]


@dataclass(slots=True)
class _Topic:
    """What was last pushed on one topic."""

    instrument: Instrument
    parts: list[str]
    interval: str  # of a candle; empty for other topics
    next_m: int  # epoch minute at which the open candle began
    pushed_at: float  # real, monotonic
    pushed_s: int  # market second
    row: Message = field(default_factory=dict)  # the last ticker, or the last book


class Ticks:
    """The state of every public topic that someone listens to."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._venue = hub.venue
        self._market = hub.venue.market
        self._topics: dict[tuple[Category, str], _Topic] = {}

    def pump(self) -> None:
        """Pushes what is due now; called many times a real second."""
        now = self._venue.clock.real()
        for kind in CATEGORIES:
            wanted = self._hub.topics(kind)
            for gone in [t for k, t in self._topics if k == kind and t not in wanted]:
                del self._topics[kind, gone]
            for topic in wanted:
                self._pump(kind, topic, now)
        self._push_liquidations()
        joined, self._hub.joined = self._hub.joined, []
        for connection, topic in joined:
            if topic in connection.topics and connection.kind in CATEGORIES:
                self._greet(connection, topic)

    def _pump(self, kind: Category, topic: str, now: float) -> None:
        state = self._topics.get((kind, topic)) or self._open(kind, topic)
        name, quiet_s = state.parts[0], now - state.pushed_at
        if name == "kline":
            self._pump_candles(kind, topic, state, now)
        elif name == "orderbook":
            if quiet_s >= _BOOK_REAL_S and (message := self._book_change(topic, state, quiet_s)):
                self._hub.publish(kind, topic, message)
                state.pushed_at = now
        else:
            second = self._market.second(state.instrument.symbol)
            if second == state.pushed_s or quiet_s < _TICKER_REAL_S:
                return
            for message in self._messages(topic, state, second):
                self._hub.publish(kind, topic, message)
            state.pushed_at, state.pushed_s = now, second

    def _open(self, kind: Category, topic: str) -> _Topic:
        parts = topic.split(".")
        instrument = self._market.catalogue.get(kind, parts[-1])
        assert instrument is not None, "the hub lets only known symbols through"
        interval = parts[1] if parts[0] == "kline" else ""
        second = self._market.second(instrument.symbol)
        start = step(interval, second // 60, 0) if interval else 0
        state = _Topic(instrument, parts, interval, start, self._venue.clock.real(), second)
        if parts[0] == "orderbook":
            state.row = quotes.book_row(self._market, instrument, int(parts[1]))
        self._topics[kind, topic] = state
        return state

    def _greet(self, connection: Connection, topic: str) -> None:
        """Sends the present state to a connection that has just subscribed."""
        kind: Category = "spot" if connection.kind == "spot" else "linear"
        state = self._topics.get((kind, topic)) or self._open(kind, topic)
        now = self._venue.clock.now_ms()
        if state.interval:
            message = self._candle(topic, state, state.next_m, confirm=False)
        elif state.parts[0] == "tickers":
            state.row = state.row or self._ticker(state)  # what deltas will refer to
            message = {"topic": topic, "type": "snapshot", "cs": now, "ts": now, "data": state.row}
        elif state.parts[0] == "orderbook":
            message = self._book(topic, "snapshot", state.row)
        else:
            return
        if message:
            connection.push(topic, shapes.encode(message))

    # Candles

    def _pump_candles(self, kind: Category, topic: str, state: _Topic, now: float) -> None:
        symbol = state.instrument.symbol
        edge_m = self._market.edge(symbol) // 60
        state.next_m = max(state.next_m, step(state.interval, edge_m, -_CLOSES_MAX))
        while (following_m := step(state.interval, state.next_m, 1)) <= edge_m:
            message = self._candle(topic, state, state.next_m, confirm=True)
            state.next_m = following_m
            if message and not self._venue.faults.draw("stream", ("gap",), topic):
                self._hub.publish(kind, topic, message)
            state.pushed_at = now
        second = self._market.second(symbol)
        if now - state.pushed_at >= _OPEN_CANDLE_REAL_S and second != state.pushed_s:
            if message := self._candle(topic, state, state.next_m, confirm=False):
                self._hub.publish(kind, topic, message)
            state.pushed_at, state.pushed_s = now, second

    def _candle(self, topic: str, state: _Topic, start_m: int, *, confirm: bool) -> Message | None:
        rows = candles(self._market, state.instrument, state.interval, start_m, start_m)
        if not rows:
            return None
        now = self._venue.clock.now_ms()
        stop_m = step(state.interval, start_m, 1)
        data = quotes.kline_push(rows[-1], stop_m, state.interval, now, confirm)
        return {"topic": topic, "type": "snapshot", "ts": now, "data": [data]}

    # Tickers, trades, liquidations

    def _messages(self, topic: str, state: _Topic, second: int) -> list[Message]:
        now = self._venue.clock.now_ms()
        if state.parts[0] == "tickers":
            return self._ticker_messages(topic, state, now)
        if state.parts[0] != "publicTrade":
            return []
        count = min(second - state.pushed_s, _TRADES_MAX)
        rows = quotes.trade_rows(self._market, state.instrument, count)
        return [{"topic": topic, "type": "snapshot", "ts": now, "data": rows}] if rows else []

    def _ticker(self, state: _Topic) -> Message:
        day = self._venue.day(state.instrument)
        funding = self._venue.engine.clearing.funding.ticker(state.instrument)
        row = quotes.ticker_row(self._market, state.instrument, day, funding)
        return quotes.ticker_push(row)

    def _ticker_messages(self, topic: str, state: _Topic, now: int) -> list[Message]:
        """Spot always sends everything; linear only what changed."""
        before, row = state.row, self._ticker(state)
        state.row = row
        message: Message = {"topic": topic, "type": "snapshot", "cs": now, "ts": now, "data": row}
        if state.instrument.category == "linear" and before:
            changed = {key: value for key, value in row.items() if before.get(key) != value}
            if not changed:
                return []
            message.update(type="delta", data={"symbol": row["symbol"], **changed})
        return [message]

    def _push_liquidations(self) -> None:
        for row in self._venue.engine.clearing.drain_liquidations():
            topic = f"allLiquidation.{row['s']}"
            message = {"topic": topic, "type": "snapshot", "ts": row["T"], "data": [row]}
            self._hub.publish("linear", topic, message)

    # Books

    def _book_change(self, topic: str, state: _Topic, quiet_s: float) -> Message | None:
        """What changed since the last message, or None; the best prices come whole."""
        before = state.row
        row = quotes.book_row(self._market, state.instrument, int(state.parts[1]))
        bids, asks = _changed(before["b"], row["b"]), _changed(before["a"], row["a"])
        best_only = state.parts[1] == "1"
        if bids or asks:
            u, seq = before["u"] + 1, max(row["seq"], before["seq"] + 1)
            state.row = {**row, "u": u, "seq": seq}
        elif not best_only or quiet_s < _QUIET_REAL_S:
            return None
        if best_only:
            return self._book(topic, "snapshot", state.row)
        return self._book(topic, "delta", {**state.row, "b": bids, "a": asks})

    def _book(self, topic: str, kind: str, row: Message) -> Message:
        now = self._venue.clock.now_ms()
        return {"topic": topic, "type": kind, "ts": now, "data": row, "cts": now}


def _changed(before: list[list[str]], after: list[list[str]]) -> list[list[str]]:
    """Levels that are new or have another quantity, then those that are gone, with quantity 0."""
    old = {level[0]: level[1] for level in before}
    new = {price for price, _ in after}
    changed = [level for level in after if old.get(level[0]) != level[1]]
    return changed + [[price, "0"] for price in old if price not in new]
