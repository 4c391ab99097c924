"""The market of the month: prices of two symbols by seed alone, in straight lines within each minute.

Trends begin and end, so that averages cross; what the bot does moves nothing. A clock that is set
back has the minutes since drawn anew, one that is set forward has those between drawn as well.
"""

from __future__ import annotations

import random
from decimal import Decimal

from bot.core.values import Candle, Instrument

MINUTE = 60_000
KNOTS = 4
VOLUME = 5_000.0
KEPT = 1_500
"""Minutes of history, more than a warm-up."""
WAVE = 0.0006
"""Standard deviation of a minute, as a fraction of the price."""
TREND = 0.0008
PULL = 0.0005
"""How strongly a price is drawn back to where it began, a third of a minute."""
INSTRUMENTS = tuple(
    Instrument(symbol, Decimal(tick), Decimal("0.001"), Decimal("0.001"), Decimal(5), Decimal(fee))
    for symbol, tick, fee in (("BTCUSDT", "0.1", "0.0001"), ("ETHUSDT", "0.01", "0.0001"))
)
FIRST = {"BTCUSDT": 30_000.0, "ETHUSDT": 2_000.0}
SYMBOLS = tuple(FIRST)


class Path:
    """The price of one symbol. A minute's knots are its price at 0, 20, 40, and 60 seconds."""

    def __init__(self, symbol: str, seed: int) -> None:
        self.chance = random.Random(f"market {seed} {symbol}")
        self.minutes: dict[int, tuple[float, ...]] = {}
        self.home = self.close = FIRST[symbol]
        self.newest = -1
        self._drift, self._left = 0.0, 0
        self._whipsaw_until = 0

    def begin(self, minute: int) -> None:
        """Draw a history that ends before a minute."""
        self.newest = minute - KEPT
        self.reach(minute - 1)

    def reach(self, minute: int) -> None:
        """Draw every minute up to this one."""
        while self.newest < minute:
            self.newest += 1
            self.minutes[self.newest] = self._drawn()
            self.minutes.pop(self.newest - KEPT, None)

    def cut(self, minute: int) -> None:
        """Forget this minute and all that follow: their time comes again."""
        for known in [known for known in self.minutes if known >= minute]:
            del self.minutes[known]
        self.newest = minute - 1

    def jump(self, factor: float) -> None:
        """Move what comes after the present minute."""
        self.close = round(self.close * factor, 2)

    def whipsaw(self, minutes: int) -> None:
        """Have trends end as soon as they can be followed, for so long."""
        self._whipsaw_until = self.newest + minutes

    def _drawn(self) -> tuple[float, ...]:
        if not self._left:
            whipsaw = self.newest < self._whipsaw_until
            self._drift = -self._drift if whipsaw else TREND * self.chance.choice((-1, 1))
            self._left = self.chance.randint(10, 14) if whipsaw else self.chance.randint(12, 40)
        self._left -= 1
        drift = self._drift / 3 + PULL * (self.home - self.close) / self.close
        moves = [drift + self.chance.gauss(0, WAVE / 2) for _ in range(KNOTS - 1)]
        knots = [self.close]
        for move in moves:
            knots.append(round(knots[-1] * (1 + move), 2))
        self.close = knots[-1]
        return tuple(knots)

    def price(self, at: int) -> float:
        """Return the price at a time (ms) that was reached."""
        knots = self.minutes[at // MINUTE]
        part, rest = divmod(at % MINUTE * (KNOTS - 1), MINUTE)
        share = rest / MINUTE
        return round(knots[part] * (1 - share) + knots[part + 1] * share, 2)

    def candle(self, minute: int) -> Candle:
        """Return the candle of a minute."""
        knots = self.minutes[minute]
        return Candle(minute * MINUTE, knots[0], max(knots), min(knots), knots[-1], VOLUME)


class Market:
    """The prices of all symbols, as far as time has come."""

    def __init__(self, seed: int, at: int) -> None:
        self.at = at
        self.paths = {symbol: Path(symbol, seed) for symbol in SYMBOLS}
        for path in self.paths.values():
            path.begin(at // MINUTE)
            path.reach(at // MINUTE)

    def reach(self, at: int) -> list[tuple[int, dict[str, float]]]:
        """Let time come to ``at``; return the prices at each knot on the way and at the end."""
        if at < self.at:
            for path in self.paths.values():
                path.cut(at // MINUTE)
        for path in self.paths.values():
            path.reach(at // MINUTE)
        knot = MINUTE // (KNOTS - 1)
        first = max(self.at, at - 10 * MINUTE) // knot + 1
        times = [n * knot for n in range(first, at // knot + 1)] if at > self.at else []
        self.at = at
        return [(time, self.prices(time)) for time in dict.fromkeys((*times, at))]

    def prices(self, at: int) -> dict[str, float]:
        """Return every price at a time that was reached."""
        return {symbol: path.price(at) for symbol, path in self.paths.items()}

    def candles(self, symbol: str, after: int, limit: int) -> tuple[Candle, ...]:
        """Return closed candles that open after a time, oldest first, as the venue would."""
        path, newest = self.paths[symbol], self.at // MINUTE - 1
        first = after // MINUTE + 1 if after else newest - limit + 1
        found = [path.candle(n) for n in range(first, newest + 1) if n in path.minutes]
        return tuple(found[:limit] if after else found[-limit:])
