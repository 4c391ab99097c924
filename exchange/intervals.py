"""Decides where candles begin: at whole minutes of a day, on Mondays, or with a calendar month."""

from __future__ import annotations

from datetime import UTC, datetime

from exchange.instruments import Instrument
from exchange.market import DAY_M, Candle, Market

_MONDAY_M = 4 * DAY_M  # 5 January 1970
_MINUTES = {**{str(n): n for n in (1, 3, 5, 15, 30, 60, 120, 240, 360, 720)}, "D": DAY_M}
INTERVALS = (*_MINUTES, "W", "M")  # Bybit's names


def step(name: str, minute: int, count: int) -> int:
    """Where a candle begins: `count` candles after the one that holds the epoch minute."""
    if name == "M":
        day = datetime.fromtimestamp(minute * 60, UTC)
        year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
        return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) // 60
    length, offset = (7 * DAY_M, _MONDAY_M) if name == "W" else (_MINUTES[name], 0)
    return ((minute - offset) // length + count) * length + offset


def candles(
    market: Market, instrument: Instrument, name: str, first_m: int, last_m: int
) -> list[Candle]:
    """The candles that begin in [first_m, last_m], oldest first; the last may be open.

    Weeks and months are put together from days; the first of a market may lack some.
    """
    stop = step(name, last_m, 1)
    if name in _MINUTES:
        return market.candles(instrument, _MINUTES[name], first_m, stop)
    found: dict[int, Candle] = {}
    for day in market.candles(instrument, DAY_M, first_m, stop):
        start = step(name, day.start_m, 0)
        if start >= first_m:
            found[start] = _joined(found[start], day) if start in found else day
    return [candle._replace(start_m=start) for start, candle in found.items()]


def _joined(so_far: Candle, day: Candle) -> Candle:
    return so_far._replace(
        high=max(so_far.high, day.high),
        low=min(so_far.low, day.low),
        close=day.close,
        volume=so_far.volume + day.volume,
        turnover=so_far.turnover + day.turnover,
    )
