"""Decides what a fill costs: the account's fee tier, from its traded volume, and its rates.

The tiers are Bybit's VIP program for regions without fees of their own (help centre, "Trading Fee
Structure"): a tier asks for a spot or a derivatives volume of 30 days, whichever is reached, and is
refreshed at 07:00 UTC. The program's second way into a tier, the asset balance, is not served.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from exchange.book import Book
from exchange.clock import MarketClock
from exchange.decimals import ZERO, text
from exchange.errors import Refused
from exchange.instruments import Category, Instrument

_DAY_MS = 86_400_000
_REFRESH_MS = 7 * 3_600_000
_WINDOW_DAYS = 30
_RATE_MAX = Decimal("0.01")


class Rates(NamedTuple):
    """Shares of a fill's value; a negative maker rate is a rebate."""

    maker: Decimal
    taker: Decimal


class Tier(NamedTuple):
    """One tier: its rates, and the 30-day volumes in USDT of which one opens it."""

    name: str
    spot_volume: Decimal
    linear_volume: Decimal
    rates: dict[str, Rates]


def _tier(name: str, volumes: tuple[int, int], spot: str, linear: str) -> Tier:
    """Volumes in million USDT for spot and linear; rates "maker/taker" in percent."""
    pairs = {"spot": spot, "linear": linear}
    rates = {
        category: Rates(*(Decimal(part) / 100 for part in pair.split("/")))
        for category, pair in pairs.items()
    }
    return Tier(name, Decimal(volumes[0] * 1_000_000), Decimal(volumes[1] * 1_000_000), rates)


TIERS = (
    _tier("VIP 0", (0, 0), "0.1/0.1", "0.02/0.055"),
    _tier("VIP 1", (1, 10), "0.0675/0.08", "0.018/0.04"),
    _tier("VIP 2", (5, 25), "0.065/0.0775", "0.016/0.0375"),
    _tier("VIP 3", (10, 50), "0.0625/0.075", "0.014/0.035"),
    _tier("VIP 4", (25, 100), "0.05/0.06", "0.012/0.032"),
    _tier("VIP 5", (50, 250), "0.04/0.05", "0.01/0.032"),
    _tier("Supreme VIP", (100, 500), "0.03/0.045", "0/0.03"),
)


class Fees:
    """The account's volume of the last 30 days, and what was pinned instead of a tier's rates."""

    def __init__(self, book: Book, clock: MarketClock) -> None:
        self._book = book
        self._clock = clock
        self.restore()

    def restore(self) -> None:
        """Reads volumes and pins from the book, at start and after it was rolled back."""
        kept: dict[str, Any] = self._book.get("fees") or {"volumes": {}, "tier": None, "rates": {}}
        self._volumes: dict[str, dict[int, Decimal]] = {
            category: {int(day): Decimal(value) for day, value in days.items()}
            for category, days in kept["volumes"].items()
        }
        self._pinned: str | None = kept["tier"]
        self._rates = {c: Rates(*map(Decimal, pair)) for c, pair in kept["rates"].items()}

    def _save(self) -> None:
        kept = {"volumes": self._volumes, "tier": self._pinned, "rates": self._rates}
        self._book.put("fees", kept)

    def add_volume(self, category: Category, value: Decimal) -> None:
        """Counts a fill of `value` USDT to the present day; forgets days that count no more."""
        today = self._today()
        days = self._volumes.setdefault(category, {})
        days[today] = days.get(today, ZERO) + value
        for day in [day for day in days if day < today - _WINDOW_DAYS]:
            del days[day]
        self._save()

    def _today(self) -> int:
        return (self._clock.now_ms() - _REFRESH_MS) // _DAY_MS

    def volume(self, category: Category) -> Decimal:
        """USDT traded in the 30 days before the last refresh."""
        today = self._today()
        days = self._volumes.get(category, {})
        counted = (value for day, value in days.items() if today - _WINDOW_DAYS <= day < today)
        return sum(counted, ZERO)

    @property
    def tier(self) -> Tier:
        """The tier whose rates hold now."""
        if self._pinned is not None:
            return _named(self._pinned)
        spot, linear = self.volume("spot"), self.volume("linear")
        return [t for t in TIERS if spot >= t.spot_volume or linear >= t.linear_volume][-1]

    def rate(self, instrument: Instrument, maker: bool) -> Decimal:
        """The share of a fill's value that it costs; negative is a rebate."""
        category = instrument.category
        rates = self._rates.get(category) or self.tier.rates[category]
        return rates.maker if maker else rates.taker

    def rows(self, instruments: Iterable[Instrument]) -> list[dict[str, str]]:
        """Rows of /v5/account/fee-rate."""
        return [
            {
                "symbol": row.symbol,
                "takerFeeRate": text(self.rate(row, maker=False)),
                "makerFeeRate": text(self.rate(row, maker=True)),
            }
            for row in instruments
        ]

    def pin(self, tier: str | None) -> None:
        """Fixes the tier by its name, e.g. "VIP 3"; None lets the volume decide again."""
        self._pinned = None if tier is None else _named(tier).name
        self._rates = {}
        self._save()

    def pin_rates(self, category: Category, maker: Decimal, taker: Decimal) -> None:
        """Fixes a category's rates until a tier is pinned; a maker rate may be negative."""
        if not (-_RATE_MAX <= maker <= _RATE_MAX and 0 <= taker <= _RATE_MAX):
            raise Refused(10001, f"expected rates up to {_RATE_MAX}, found {maker} and {taker}")
        self._rates[category] = Rates(maker, taker)
        self._save()


def _named(name: str) -> Tier:
    for tier in TIERS:
        if tier.name == name:
            return tier
    known = ", ".join(tier.name for tier in TIERS)
    raise Refused(10001, f"expected one of {known} as fee tier, found {name!r}")


def fee_in_received(rate: Decimal, maker: bool) -> bool:
    """True if a spot fill's fee is booked in the coin that the fill brings in.

    Bybit (V5, "Spot Fee Currency Instruction"): with a maker rate above zero a Buy pays in base
    coin and a Sell in quote coin, which is what each receives; a maker fill at a negative rate
    gets its rebate in the other coin (Buy in quote, Sell in base).
    """
    return not (maker and rate < 0)
