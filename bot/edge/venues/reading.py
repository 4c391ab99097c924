"""Reads the whole account so that what is returned fits together.

Wallet, positions, orders, executions, and the cash that moved without one.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from bot.core.events import Reconciled
from bot.core.text import safe_text
from bot.core.values import CashMove, VenueOrder
from bot.edge.venues import wire
from bot.edge.venues.asking import Doubt
from bot.edge.venues.bybit import Bybit, weeks
from bot.edge.venues.wire import QUOTE

READINGS_MAX = 3
EXECUTIONS = frozenset({"TRADE", "LIQUIDATION", "ADL", "DELIVERY"})
"""Types of the transaction log that come of an execution, and are read there."""


class _LogRow(Struct, rename="camel"):
    id: str
    type: str
    transaction_time: str
    change: str
    currency: str = ""
    symbol: str = ""

    def value(self) -> CashMove:
        """Return the row in the bot's words. Raises ValueError."""
        return CashMove(
            move=safe_text(self.id, 80),
            kind=safe_text(self.type, 40),
            symbol=wire.symbol(self.symbol) if self.symbol else "",
            change=wire.number(self.change, "change"),
            at=int(wire.number(self.transaction_time, "transactionTime")),
        )


async def read_account(
    venue: Bybit, orders: Iterable[tuple[str, str]], since: int, depth: str = "light"
) -> Reconciled:
    """Return the account; the orders are the named ones ``(id, symbol)`` and the other open ones.

    Executions of before and after the reading are compared, so that what is returned fits
    together; after three readings that an execution fell into, the newest is returned. ``as_of``
    is when the reading of what is returned began. Raises Busy, Declined.
    """
    named = tuple(orders)
    fills, moves = await venue.fills(since), await cash_moves(venue, since)
    for _ in range(READINGS_MAX):
        as_of = venue.clock.venue_ms()  # never ahead of the venue, as now() may be
        wallet, positions = await venue.wallet(), await venue.positions()
        rows, foreign = await _orders(venue, named)
        before, fills = (len(fills), len(moves)), await venue.fills(since)
        moves = await cash_moves(venue, since)
        if before == (len(fills), len(moves)):
            break
    return Reconciled(
        at=venue.clock.now(),
        as_of=as_of,
        wallet=wallet,
        positions=positions,
        orders=rows,
        fills=fills,
        foreign=foreign,
        moves=moves,
        depth=depth,
    )


async def cash_moves(venue: Bybit, since: int) -> tuple[CashMove, ...]:
    """Return what moved the wallet without an execution at or after ``since`` (ms), in order."""
    found: dict[str, CashMove] = {}
    query = {"accountType": "UNIFIED", "currency": QUOTE, "limit": 50}
    for week in weeks(since, venue.clock.venue_ms()):
        rows = await venue.pages("/v5/account/transaction-log", query | week, _LogRow)
        with Doubt("transaction-log"):
            for row in reversed(rows):  # the venue answers newest first
                if row.currency == QUOTE and row.type not in EXECUTIONS:
                    move = row.value()
                    if move.change != Decimal(0):
                        found[move.move] = move
    return tuple(sorted(found.values(), key=lambda move: move.at))


async def _orders(
    venue: Bybit, named: tuple[tuple[str, str], ...]
) -> tuple[tuple[VenueOrder, ...], tuple[VenueOrder, ...]]:
    """Return the named orders, wherever the venue keeps them, and the others that are open."""
    is_open = {row.order or row.venue_id: row for row in await venue.open_orders()}
    mine = [is_open.pop(order, None) or await venue.find(order, symbol) for order, symbol in named]
    return tuple(row for row in mine if row is not None), tuple(is_open.values())
