"""Turns the frames of Bybit's streams into events, and counts those that cannot be true."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import msgspec
from msgspec import Struct

from bot.core.events import (
    CandleClosed,
    Event,
    Filled,
    FramesRefused,
    OrderReported,
    PositionReported,
)
from bot.core.text import safe_text
from bot.edge.clock import MarketClock
from bot.edge.venues import wire

Post = Callable[[Event], None]

SOURCE = "bybit"
FRAME_BYTES_MAX = 256 << 10
REASONS_MAX = 20  # a symbol, between two flushes
_FALSE = (ValueError, ArithmeticError, RecursionError)  # what parsing nonsense raises
_TOPIC = re.compile(rb'"topic"\s*:\s*"[a-z.0-9]{1,40}\.([A-Z0-9-]{2,30})"')


class Head(Struct):
    """What every frame may say of itself; data is parsed once its topic is known."""

    topic: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class Marks:
    """The newest price of each symbol; older ones are overwritten, never queued."""

    def __init__(self) -> None:
        self._fresh: dict[str, float] = {}

    def put(self, symbol: str, price: float) -> None:
        """Remember a symbol's newest price."""
        self._fresh[symbol] = price

    def take(self) -> dict[str, float]:
        """Return the symbols quoted since the last call, with their newest prices."""
        fresh, self._fresh = self._fresh, {}
        return fresh


class Refusals:
    """Counts refused frames, so that a flood of them becomes one event a second and symbol."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, symbol: str, reason: str) -> None:
        """Count one frame; an empty symbol means that it cannot be attributed."""
        reasons = self._counts.setdefault(symbol, Counter())
        reason = safe_text(reason)
        reasons[reason if reason in reasons or len(reasons) < REASONS_MAX else "other reasons"] += 1

    def take(self, at: int) -> Iterator[FramesRefused]:
        """Yield what was counted since the last call, with each symbol's most frequent reason."""
        counts, self._counts = self._counts, {}
        for symbol, reasons in counts.items():
            reason = reasons.most_common(1)[0][0]
            yield FramesRefused(at=at, symbol=symbol, count=reasons.total(), reason=reason)


_HEAD = msgspec.json.Decoder(Head)


def head_of(raw: bytes, refusals: Refusals, symbols: frozenset[str]) -> Head | None:
    """Return a frame's head, or None for one that was counted as refused."""
    if len(raw) > FRAME_BYTES_MAX:
        refusals.add(_attributed(raw, symbols), f"a frame of more than {FRAME_BYTES_MAX} bytes")
        return None
    try:
        return _HEAD.decode(raw)
    except _FALSE as error:
        refusals.add(_attributed(raw, symbols), f"not a frame: {error}")
        return None


def _attributed(raw: bytes, symbols: frozenset[str]) -> str:
    """Return the symbol that a damaged frame still names, or ""."""
    found = _TOPIC.search(raw[:300])
    symbol = found.group(1).decode() if found else ""
    return symbol if symbol in symbols else ""


# -- public ----------------------------------------------------------------------------------------


class _Ticker(Struct, rename="camel"):
    symbol: str
    mark_price: str = ""
    last_price: str = ""


_TICKER = msgspec.json.Decoder(_Ticker)
_KLINES = msgspec.json.Decoder(list[wire.KlineRow])


class PublicReader:
    """Prices into ``marks``, closed candles into events."""

    def __init__(
        self, symbols: Iterable[str], category: str, clock: MarketClock, marks: Marks, post: Post
    ) -> None:
        self.symbols = frozenset(symbols)
        self.refusals = Refusals()
        self._by_last = category == "spot"  # spot has no mark price
        self._clock = clock
        self._marks = marks
        self._post = post
        self._known: dict[str, float] = {}

    def read(self, head: Head) -> None:
        """Take in one frame of ``tickers.SYM`` or ``kline.1.SYM``."""
        kind, _, _ = head.topic.partition(".")
        symbol = head.topic.rpartition(".")[2]
        if symbol not in self.symbols:
            self.refusals.add("", f"unknown symbol in topic {safe_text(head.topic, 60)!r}")
            return
        try:
            if kind == "tickers":
                self._ticker(symbol, _TICKER.decode(head.data))
            elif kind == "kline":
                self._klines(symbol, _KLINES.decode(head.data))
            else:
                raise ValueError(f"unknown topic {head.topic!r}")
        except _FALSE as error:
            self.refusals.add(symbol, str(error))

    def _ticker(self, symbol: str, row: _Ticker) -> None:
        """A frame without a price says that the last one still holds: changes only are sent."""
        if row.symbol != symbol:
            raise ValueError(f"a ticker of {row.symbol!r} under the topic of {symbol}")
        text = row.last_price if self._by_last else row.mark_price
        price = wire.price(text, "price") if text else self._known.get(symbol)
        if price is not None:
            self._known[symbol] = price
            self._marks.put(symbol, price)

    def _klines(self, symbol: str, rows: list[wire.KlineRow]) -> None:
        for row in rows:
            candle = row.value()  # an open one is checked too: nonsense is nonsense
            if row.confirm:
                event = CandleClosed(
                    at=self._clock.now(), symbol=symbol, candle=candle, source=SOURCE
                )
                self._post(event)


# -- private ---------------------------------------------------------------------------------------

_Row = wire.OrderRow | wire.FillRow | wire.PositionRow
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_PRIVATE: dict[str, type[_Row]] = {
    "order": wire.OrderRow,
    "execution": wire.FillRow,
    "position": wire.PositionRow,
}


class PrivateReader:
    """Orders, executions, and positions into events, row by row.

    A row of a symbol that is not traded here is true, and a person's: it is left out.
    """

    def __init__(
        self, symbols: Iterable[str], category: str, clock: MarketClock, post: Post
    ) -> None:
        self.symbols = frozenset(symbols)
        self.refusals = Refusals()
        self._category = category
        self._clock = clock
        self._post = post

    def read(self, head: Head) -> None:
        """Take in one frame of ``order``, ``execution``, or ``position``."""
        kind = _PRIVATE.get(head.topic.partition(".")[0])
        if kind is None:
            self.refusals.add("", f"unknown topic {safe_text(head.topic, 60)!r}")
            return
        try:
            rows = _ROWS.decode(head.data)
        except _FALSE as error:
            self.refusals.add("", f"{safe_text(head.topic, 60)}: {error}")
            return
        for raw in rows:  # one row that cannot be true must not hide the others
            self._row(raw, kind)

    def _row(
        self,
        raw: msgspec.Raw,
        kind: type[_Row],
    ) -> None:
        symbol = ""
        try:
            row = msgspec.json.decode(raw, type=kind)
            if row.category not in ("", self._category):
                return
            if wire.symbol(row.symbol) not in self.symbols:
                return
            symbol = row.symbol
            event = self._event(row)
        except _FALSE as error:
            self.refusals.add(symbol, str(error))
            return
        if event is not None:
            self._post(event)

    def _event(self, row: _Row) -> Event | None:
        """Return a row's event; None for orders that protect a position and for funding."""
        at = self._clock.now()
        if isinstance(row, wire.OrderRow):
            return None if row.protects else OrderReported(at=at, row=row.value())
        if isinstance(row, wire.FillRow):
            return Filled(at=at, fill=row.value()) if row.exec_type in wire.TRADES else None
        return PositionReported(at=at, position=row.value())
