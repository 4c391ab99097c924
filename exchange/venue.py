"""Holds the parts of the exchange together and moves them through market time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from exchange.account import Account
from exchange.auth import Key, Keys
from exchange.book import Book
from exchange.clock import MarketClock
from exchange.depth import Depth
from exchange.engine import Engine
from exchange.errors import Refused
from exchange.faults import Faults
from exchange.instruments import Catalogue, Instrument
from exchange.limits import RateLimits
from exchange.market import DayStatistics, Market, day_statistics
from exchange.paths import Path

_LEASE_REAL_S = 0.5  # the stored clock is this far ahead, so that a restart never steps back
_DAY_FRESH_REAL_S = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the flags say about the account and the market."""

    keys: tuple[Key, ...]
    deposit: Decimal
    depth: Depth
    rate_limit: bool
    dcp: bool = False  # disconnect protection, which the venue gives to institutions only


class Venue:
    """The exchange without its sockets."""

    def __init__(
        self,
        clock: MarketClock,
        path: Path,
        catalogue: Catalogue,
        book: Book,
        settings: Settings,
    ) -> None:
        self.clock = clock
        self.book = book
        self.keys = Keys(clock, settings.keys)
        self.dcp_enabled = settings.dcp
        self.market = Market(clock, path, catalogue, settings.depth)
        self.market.shocks = {
            symbol: [(int(since), float(factor)) for since, factor in rows]
            for symbol, rows in (book.get("shocks") or {}).items()
        }
        self.account = Account(book, self.market, settings.deposit)
        self.engine = Engine(self.market, self.account, book)
        self.limits = RateLimits(clock, settings.rate_limit)
        self.faults = Faults(lambda **fields: book.log("fault", clock.now_ms(), **fields))
        self.started_ms = clock.now_ms()
        self._stored_at = 0.0
        self._days: dict[tuple[str, str], tuple[float, DayStatistics]] = {}
        self.settle()

    def advance(self) -> None:
        """Processes market time up to now; commits what happened."""
        self.engine.step()
        stale = self.clock.real() - self._stored_at > _LEASE_REAL_S / 2
        if self.engine.events or stale:
            self.settle()

    def settle(self, clean: bool = False) -> None:
        """Commits; the stored clock is ahead of now unless this is a clean stop."""
        self._stored_at = self.clock.real()
        lease = 0 if clean else int(_LEASE_REAL_S * 1000 * self.clock.rate)
        self.book.put("market_ms", self.clock.now_ms() + lease)
        self.book.put("stepped_s", self.engine.stepped_s)
        self.book.commit()

    def carry_out(self, action: Callable[[], Any]) -> Any:
        """Runs a request at the present market time and commits before it is answered."""
        self.advance()
        try:
            result = action()
        except Refused:
            self.settle()
            raise
        except Exception:
            self._undo()
            raise
        self.settle()
        return result

    def _undo(self) -> None:
        self.book.rollback()
        self.account.restore()
        self.engine.load_orders()
        self.engine.clearing.funding.restore()
        self.engine.events.clear()

    def day(self, instrument: Instrument) -> DayStatistics:
        """24-hour statistics, at most ten real seconds old."""
        key = (instrument.category, instrument.symbol)
        found = self._days.get(key)
        if found is None or self.clock.real() - found[0] > _DAY_FRESH_REAL_S:
            found = self._days[key] = (
                self.clock.real(),
                day_statistics(self.market, instrument),
            )
        return found[1]
