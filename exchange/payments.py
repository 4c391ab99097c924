"""Moves the money of one fill: the fee, what came in, what went out, and the position."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from exchange.account import Account
from exchange.decimals import ZERO, cents
from exchange.fees import fee_in_received
from exchange.instruments import QUOTE, Instrument
from exchange.orders import Closed, Order, Trade, apply_fill
from exchange.transactions import Entry

_TYPES = {"Trade": "TRADE", "BustTrade": "LIQUIDATION", "AdlTrade": "ADL"}
_FORCED = {"CreateByTakeOver_PassThrough": "BustTrade", "CreateByAdl_PassThrough": "AdlTrade"}


class Payment(NamedTuple):
    """What a fill cost, and what it closed of a position."""

    coin: str
    fee: Decimal
    rate: Decimal
    closed: Closed | None = None


def exec_type(order: Order) -> str:
    """What made the fills of an order: a trade, a takeover, or auto-deleveraging."""
    return _FORCED.get(order.create_type, "Trade")


def pay_fill(
    account: Account, order: Order, instrument: Instrument, trade: Trade, exec_id: str
) -> Payment:
    """Books the money of one fill of an order and saves the account."""
    rate = account.fees.rate(instrument, trade.maker)
    account.fees.add_volume(order.category, trade.price * trade.qty)
    entry = Entry(
        _TYPES[exec_type(order)],
        QUOTE,
        trade.at_ms,
        category=order.category,
        symbol=order.symbol,
        side=order.side,
        price=trade.price,
        fee_rate=rate,
        trade_id=exec_id,
        order_id=order.order_id,
        link_id=order.link_id,
    )
    pay = _pay_spot if order.category == "spot" else _pay_linear
    payment = pay(account, entry, instrument, trade, rate)
    account.save()
    return payment


def _pay_linear(
    account: Account, entry: Entry, instrument: Instrument, trade: Trade, rate: Decimal
) -> Payment:
    """The profit of what closes, less the fee, moves in USDT."""
    position = account.position(instrument.symbol)
    fee = cents(trade.price * trade.qty * rate)
    closed = apply_fill(position, "Buy" if entry.side == "Buy" else "Sell", trade, fee)
    profit = closed.pnl if closed else ZERO
    account.post(entry._replace(cash_flow=profit, fee=fee, qty=trade.qty, size=position.size))
    return Payment(QUOTE, fee, rate, closed)


def _pay_spot(
    account: Account, entry: Entry, instrument: Instrument, trade: Trade, rate: Decimal
) -> Payment:
    """Both coins move; the fee is in the received one unless a rebate turns that round."""
    value = trade.price * trade.qty
    buys = entry.side == "Buy"
    flows = {instrument.base: trade.qty if buys else -trade.qty, QUOTE: -value if buys else value}
    coin = instrument.base if buys == fee_in_received(rate, trade.maker) else QUOTE
    fee = cents(abs(flows[coin]) * rate)
    for currency, flow in flows.items():
        paid = fee if currency == coin else ZERO
        account.post(entry._replace(currency=currency, cash_flow=flow, qty=flow, fee=paid))
    return Payment(coin, fee, rate)
