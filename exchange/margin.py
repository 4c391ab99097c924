"""Computes the margin of a cross-margin account: initial, maintenance, liquidation, bankruptcy.

All collateral is USDT. With W the USDT wallet, s the signed size, c the signed entry cost, p the
mark price, and r the maintenance rate (one tier for every symbol):

    margin balance      M = W + sum(s * p - c)
    maintenance margin  N = sum(|s| * p * r)
    liquidation         when M < N

These are Bybit's definitions for a unified account with cross margin (help centre, "Margin
Calculations Under Unified Trading Account"), without its fee-to-close and risk-limit tiers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from exchange.decimals import ZERO, ceil_to, floor_to
from exchange.orders import Position

MAINTENANCE = Decimal("0.005")  # of the position's value at the mark price


class Margin(NamedTuple):
    """The account's margin balance and maintenance margin, in USDT."""

    balance: Decimal
    maintenance: Decimal

    @property
    def is_short(self) -> bool:
        """True if the exchange takes the positions over."""
        return self.maintenance > 0 and self.balance < self.maintenance


def maintenance_of(position: Position, mark: Decimal) -> Decimal:
    """Maintenance margin of one position at a mark price, in USDT."""
    return abs(position.size) * mark * MAINTENANCE


def liquidation_price(position: Position, mark: Decimal, now: Margin, tick: Decimal) -> Decimal:
    """The mark price at which the account is liquidated if no other price moves; 0 is never.

    M(x) = M + s * (x - p) falls to N(x) = N + |s| * r * (x - p) at
    x = p + (N - M) / (s - |s| * r), here on the tick that is reached first.
    """
    if not position.size:
        return ZERO
    slope = position.size - abs(position.size) * MAINTENANCE
    price = mark + (now.maintenance - now.balance) / slope
    if price <= 0:
        return ZERO
    return ceil_to(price, tick) if position.size > 0 else floor_to(price, tick)


def bankruptcy_price(
    position: Position, mark: Decimal, share: Decimal, taker: Decimal, tick: Decimal
) -> Decimal:
    """The price at which closing costs `share` USDT of the margin balance, fee included.

    Long: s * (p - x) + s * x * f = share; short: |s| * (x - p) + |s| * x * f = share; rounded to
    the tick that costs less, so that an account taken over never ends below zero.
    """
    value, size = abs(position.size) * mark, abs(position.size)
    if position.size > 0:
        return max(ceil_to((value - share) / (size * (1 - taker)), tick), tick)
    return max(floor_to((value + share) / (size * (1 + taker)), tick), tick)
