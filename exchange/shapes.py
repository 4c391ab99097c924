"""Writes Bybit V5's rows of the account: orders, positions, and the wallet."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import msgspec

from exchange.account import Account
from exchange.decimals import ZERO, cents, optional, text
from exchange.instruments import QUOTE
from exchange.margin import maintenance_of
from exchange.orders import Order, Position, Trade

Row = dict[str, Any]


def order_row(order: Order) -> Row:
    """An order as in /v5/order/realtime."""
    spot = order.category == "spot"
    average = cents(order.filled_value / order.filled) if order.filled else ZERO
    row: Row = {
        "orderId": order.order_id,
        "orderLinkId": order.link_id,
        "blockTradeId": "",
        "symbol": order.symbol,
        "price": text(order.price),
        "qty": text(order.qty),
        "side": order.side,
        "isLeverage": "0" if spot else "",
        "positionIdx": 0,
        "orderStatus": order.status,
        "cancelType": order.cancel_type,
        "rejectReason": order.reject_reason,
        "avgPrice": optional(average),
        "leavesQty": text(order.leaves),
        "leavesValue": text(order.leaves * order.price),
        "cumExecQty": text(order.filled),
        "cumExecValue": text(order.filled_value),
        "cumExecFee": text(sum(order.fees.values(), ZERO)),
        "timeInForce": order.time_in_force,
        "orderType": order.order_type,
        "stopOrderType": order.stop_order_type or ("" if spot else "UNKNOWN"),
        "orderIv": "",
        "triggerPrice": optional(order.trigger_price),
        "triggerDirection": order.trigger_direction,
        "triggerBy": order.trigger_by if order.trigger_price else "",
        "lastPriceOnCreated": optional(order.last_on_created),
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": order.close_on_trigger,
        "smpType": order.smp_type,
        "smpGroup": 0,
        "smpOrderId": order.smp_order_id,
        "placeType": "",
        "slippageToleranceType": order.slippage_type or "UNKNOWN",
        "slippageTolerance": optional(order.slippage),
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
        "extraFees": "",
        "cumFeeDetail": {coin: text(fee) for coin, fee in order.fees.items()},
    }
    row |= _legs(order)
    if spot:
        row.update(marketUnit=order.market_unit, basePrice="", ocoTriggerBy="")
    else:
        partial = order.tpsl_mode == "Partial" or order.stop_order_type.startswith("Partial")
        has_stops = order.take_profit or order.stop_loss or order.protects
        mode = "Partial" if partial else "Full"
        row.update(tpslMode=mode if has_stops else "", createType=order.create_type)
    return row


def _legs(order: Order) -> Row:
    """What an order says about the bracket that it carries."""
    return {
        "takeProfit": optional(order.tp.price),
        "stopLoss": optional(order.sl.price),
        "tpTriggerBy": order.tp.trigger_by if order.tp.price else "",
        "slTriggerBy": order.sl.trigger_by if order.sl.price else "",
        "tpLimitPrice": optional(order.tp.limit_price),
        "slLimitPrice": optional(order.sl.limit_price),
    }


def order_push(order: Order) -> Row:
    """An order as in the private `order` topic."""
    row = order_row(order)
    row.update(category=order.category, feeCurrency="", closedPnl=text(order.realised))
    return row


def execution_row(order: Order, trade: Trade, mark: Decimal) -> Row:
    """A fill as in the private `execution` topic; the caller adds its fee and what it closed."""
    spot = order.category == "spot"
    return {
        "category": order.category,
        "symbol": order.symbol,
        "isLeverage": "0",
        "orderId": order.order_id,
        "orderLinkId": order.link_id,
        "side": order.side,
        "orderPrice": text(order.price),
        "orderQty": text(order.qty),
        "leavesQty": text(order.leaves),
        "createType": "" if spot else order.create_type,
        "orderType": order.order_type,
        "stopOrderType": order.stop_order_type or "UNKNOWN",
        "execId": str(uuid.uuid4()),
        "execPrice": text(trade.price),
        "execQty": text(trade.qty),
        "execValue": text(trade.price * trade.qty),
        "execPnl": "0",
        "execType": "Trade",
        "execTime": str(trade.at_ms),
        "isMaker": trade.maker,
        "tradeIv": "",
        "markIv": "",
        "markPrice": text(mark),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": "0",
        "extraFees": "",
        "marketUnit": order.market_unit,
        "seq": trade.at_ms,
    }


def position_row(position: Position, account: Account, stops: list[Order]) -> Row:
    """A linear position as in /v5/position/list; `stops` are its open stop orders."""
    mark = account.mark(position.symbol)
    size = abs(position.size)
    margin = cents(account.position_margin(position))
    keep = cents(maintenance_of(position, mark))
    triggers = {order.stop_order_type: order.trigger_price for order in stops if order.waits}
    trail = next((order.trail for order in stops if order.trail and order.waits), ZERO)
    return {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": position.symbol,
        "side": position.side,
        "size": text(size),
        "avgPrice": text(position.entry_price),
        "positionValue": text(cents(position.cost)),
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": text(position.leverage),
        "breakEvenPrice": text(position.entry_price),
        "markPrice": text(mark),
        "liqPrice": optional(account.liquidation_price(position)),
        "bustPrice": "",
        "positionIM": text(margin),
        "positionIMByMp": text(margin),
        "positionMM": text(keep),
        "positionMMByMp": text(keep),
        "takeProfit": optional(triggers.get("TakeProfit", ZERO)),
        "stopLoss": optional(triggers.get("StopLoss", ZERO)),
        "trailingStop": text(trail),
        "tpslMode": "Full",
        "sessionAvgPrice": "",
        "unrealisedPnl": text(position.unrealised(mark)) if size else "0",
        "curRealisedPnl": text(position.realised),
        "cumRealisedPnl": text(position.realised_total),
        "adlRankIndicator": 0,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "createdTime": str(position.created_ms),
        "updatedTime": str(position.updated_ms),
        "seq": position.updated_ms,
        "tradeMode": 0,
        "positionBalance": "0",
    }


def position_push(position: Position, account: Account, stops: list[Order]) -> Row:
    """A position as in the private `position` topic, where the entry price has another name."""
    row = position_row(position, account, stops)
    row["entryPrice"] = row.pop("avgPrice")
    row["category"] = "linear"
    return row


def wallet_row(account: Account, orders: list[Order]) -> Row:
    """The unified account as in /v5/account/wallet-balance; USD is taken as USDT."""
    now = account.margin()
    reserved, position_margin = account.reserved(orders), account.positions_margin()
    used = cents(position_margin + reserved.margin)
    coins = [
        _coin_row(coin, balance, account.usd(coin), reserved.locked.get(coin, ZERO))
        for coin, balance in account.coins.items()
    ]
    wallet = sum((balance * account.usd(coin) for coin, balance in account.coins.items()), ZERO)
    unrealised = now.balance - account.coin(QUOTE)
    for row in coins:
        if row["coin"] == QUOTE:
            row.update(
                equity=text(now.balance),
                usdValue=text(cents(now.balance)),
                totalOrderIM=text(cents(reserved.margin)),
                totalPositionIM=text(cents(position_margin)),
                totalPositionMM=text(cents(now.maintenance)),
                unrealisedPnl=text(unrealised),
                cumRealisedPnl=text(_realised(account)),
            )
    return {
        "accountType": "UNIFIED",
        "accountLTV": "0",
        "accountIMRate": _rate(used, now.balance),
        "accountIMRateByMp": _rate(used, now.balance),
        "accountMMRate": _rate(now.maintenance, now.balance),
        "accountMMRateByMp": _rate(now.maintenance, now.balance),
        "totalEquity": text(cents(wallet + unrealised)),
        "totalWalletBalance": text(cents(wallet)),
        "totalMarginBalance": text(cents(now.balance)),
        "totalAvailableBalance": text(cents(account.free(QUOTE, reserved))),
        "totalPerpUPL": text(unrealised),
        "totalInitialMargin": text(used),
        "totalInitialMarginByMp": text(used),
        "totalMaintenanceMargin": text(cents(now.maintenance)),
        "totalMaintenanceMarginByMp": text(cents(now.maintenance)),
        "coin": coins,
    }


def _coin_row(coin: str, balance: Decimal, price: Decimal, locked: Decimal) -> Row:
    """A coin of the wallet; only USDT, the one collateral, has margin and profit besides."""
    return {
        "coin": coin,
        "equity": text(balance),
        "usdValue": text(cents(balance * price)),
        "walletBalance": text(balance),
        "locked": text(locked),
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "bonus": "0",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "spotBorrow": "0",
        "spotHedgingQty": "0",
        "marginCollateral": True,
        "collateralSwitch": coin == QUOTE,
        "availableToWithdraw": "",
        "availableToBorrow": "",
        "free": "",
    }


def _realised(account: Account) -> Decimal:
    return sum((row.realised_total for row in account.positions.values()), ZERO)


def _rate(used: Decimal, balance: Decimal) -> str:
    return text((used / balance).quantize(Decimal("0.0001"))) if balance > 0 else "0"


def encode(message: Row) -> bytes:
    """The JSON text of a message."""
    return msgspec.json.encode(message)
