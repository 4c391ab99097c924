"""Books each fill: its money, the position, the order, the rows, the log, and the pushes."""

from __future__ import annotations

import uuid
from decimal import Decimal

from exchange import shapes
from exchange.brackets import Brackets
from exchange.decimals import ZERO, cents, text
from exchange.orders import Closed, Order, Trade
from exchange.payments import exec_type, pay_fill
from exchange.records import Records


class Settlement:
    """Turns matches into executions."""

    def __init__(self, records: Records, brackets: Brackets) -> None:
        self._records = records
        self._brackets = brackets
        self._account = records.account
        self._market = records.market

    def fill(self, order: Order, price: Decimal, qty: Decimal, second: int, *, maker: bool) -> None:
        """Books one execution of `qty` base coin at `price`."""
        instrument = self._records.instrument((order.category, order.symbol))
        now = max(order.updated_ms, min(second * 1000 + 999, self._market.clock.now_ms()))
        trade = Trade(price, qty, maker, now)
        side = self._account.position(order.symbol).side if order.category == "linear" else ""
        exec_id = str(uuid.uuid4())
        coin, fee, rate, closed = pay_fill(self._account, order, instrument, trade, exec_id)
        self._records.wallet_changed = True
        order.filled += qty
        order.filled_value += price * qty
        order.fees[coin] = order.fees.get(coin, ZERO) + fee
        order.realised += closed.pnl if closed else ZERO
        order.updated_ms = now
        order.status = "Filled" if order.leaves <= 0 else "PartiallyFilled"
        row = shapes.execution_row(order, trade, self._market.mark(instrument, second))
        row.update(execId=exec_id, execType=exec_type(order))
        row.update(execFee=text(fee), feeRate=text(rate), feeCurrency=coin)
        if closed:
            row.update(closedSize=text(closed.qty), execPnl=text(closed.pnl))
            self._book_closed(order, closed, fee, now)
        self._records.book.save_execution(row)
        self._records.events.append(("execution", row))
        self._log_fill(order, trade, row)
        self._brackets.follow(order, qty, opened=side != order.side)
        self._records.changed(order)
        if order.category == "linear":
            self._records.push_position(self._account.position(order.symbol))

    def _log_fill(self, order: Order, trade: Trade, row: shapes.Row) -> None:
        self._records.log_order(
            "fill",
            order,
            qty=text(trade.qty),
            price=text(trade.price),
            execId=row["execId"],
            execType=row["execType"],
            fee=row["execFee"],
            feeCurrency=row["feeCurrency"],
            isMaker=trade.maker,
            pnl=row["execPnl"],
            stopOrderType=order.stop_order_type,
        )

    def _book_closed(self, order: Order, closed: Closed, fee: Decimal, now: int) -> None:
        """Adds a closing fill to the order's closed-pnl row, which is net of fees."""
        row = self._records.book.closed_of(order.order_id) or {
            "symbol": order.symbol,
            "orderId": order.order_id,
            "side": order.side,
            "orderType": order.order_type,
            "orderPrice": text(order.price),
            "execType": exec_type(order),
            "leverage": text(self._account.position(order.symbol).leverage),
            "createdTime": str(order.created_ms),
        }
        old = {k: Decimal(row.get(k, "0")) for k in _CLOSED_SUMS}
        closed_size = old["closedSize"] + closed.qty
        entry = old["cumEntryValue"] + closed.entry_value
        exit_value = old["cumExitValue"] + closed.exit_value
        row.update(
            qty=text(order.qty),
            closedSize=text(closed_size),
            cumEntryValue=text(entry),
            cumExitValue=text(exit_value),
            avgEntryPrice=text(cents(entry / closed_size)),
            avgExitPrice=text(cents(exit_value / closed_size)),
            openFee=text(old["openFee"] + closed.open_fee),
            closeFee=text(old["closeFee"] + fee),
            closedPnl=text(old["closedPnl"] + closed.pnl - closed.open_fee - fee),
            fillCount=str(int(row.get("fillCount", "0")) + 1),
            updatedTime=str(now),
        )
        self._records.book.save_closed(row)


_CLOSED_SUMS = (
    "closedSize",
    "cumEntryValue",
    "cumExitValue",
    "openFee",
    "closeFee",
    "closedPnl",
)
