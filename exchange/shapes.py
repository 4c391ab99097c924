"""Writes Bybit V5's rows: orders, executions, positions, the wallet, instruments, and tickers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from exchange.account import MAINTENANCE, Account
from exchange.decimals import ZERO, cents, optional, text
from exchange.instruments import QUOTE, Instrument
from exchange.market import Candle, DayStatistics, Market
from exchange.orders import Order, Position

Row = dict[str, Any]
FUNDING_MS = 8 * 3600 * 1000


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
        "takeProfit": optional(order.take_profit),
        "stopLoss": optional(order.stop_loss),
        "tpTriggerBy": "LastPrice" if order.take_profit else "",
        "slTriggerBy": "LastPrice" if order.stop_loss else "",
        "triggerDirection": order.trigger_direction,
        "triggerBy": "LastPrice" if order.trigger_price else "",
        "lastPriceOnCreated": "",
        "reduceOnly": order.reduce_only,
        "closeOnTrigger": order.is_stop and not spot,
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "placeType": "",
        "slippageToleranceType": "UNKNOWN",
        "slippageTolerance": "",
        "createdTime": str(order.created_ms),
        "updatedTime": str(order.updated_ms),
        "extraFees": "",
        "cumFeeDetail": {coin: text(fee) for coin, fee in order.fees.items()},
    }
    if spot:
        row.update(marketUnit=order.market_unit, basePrice="", ocoTriggerBy="")
    else:
        has_stops = order.take_profit or order.stop_loss or order.is_stop
        row.update(tpslMode="Full" if has_stops else "", createType=order.create_type)
    return row


def order_push(order: Order) -> Row:
    """An order as in the private `order` topic."""
    row = order_row(order)
    row.update(category=order.category, feeCurrency="", closedPnl=text(order.realised))
    return row


def position_row(position: Position, account: Account, stops: list[Order]) -> Row:
    """A linear position as in /v5/position/list; `stops` are its open stop orders."""
    mark = account.mark(position.symbol)
    size = abs(position.size)
    margin = cents(account.position_margin(position))
    keep = cents(size * mark * MAINTENANCE)
    triggers = {order.stop_order_type: order.trigger_price for order in stops}
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
        "liqPrice": "",
        "bustPrice": "",
        "positionIM": text(margin),
        "positionIMByMp": text(margin),
        "positionMM": text(keep),
        "positionMMByMp": text(keep),
        "takeProfit": optional(triggers.get("TakeProfit", ZERO)),
        "stopLoss": optional(triggers.get("StopLoss", ZERO)),
        "trailingStop": "0",
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
    """The unified account as in /v5/account/wallet-balance."""
    unrealised = account.unrealised()
    position_margin = sum(map(account.position_margin, account.positions.values()), ZERO)
    order_margin = account.order_margin(orders)
    coins: list[Row] = []
    wallet = equity = ZERO
    for coin, balance in account.coins.items():
        own = unrealised if coin == QUOTE else ZERO
        price = account.usd(coin)
        wallet += balance * price
        equity += (balance + own) * price
        coins.append(
            {
                "coin": coin,
                "equity": text(balance + own),
                "usdValue": text(cents((balance + own) * price)),
                "walletBalance": text(balance),
                "locked": text(account.locked(coin, orders)),
                "totalOrderIM": text(cents(order_margin)) if coin == QUOTE else "0",
                "totalPositionIM": text(cents(position_margin)) if coin == QUOTE else "0",
                "totalPositionMM": "0",
                "unrealisedPnl": text(own),
                "cumRealisedPnl": text(_realised(account)) if coin == QUOTE else "0",
                "bonus": "0",
                "borrowAmount": "0",
                "accruedInterest": "0",
                "spotBorrow": "0",
                "spotHedgingQty": "0",
                "marginCollateral": True,
                "collateralSwitch": True,
                "availableToWithdraw": "",
                "availableToBorrow": "",
                "free": "",
            }
        )
    used = cents(position_margin + order_margin)
    return {
        "accountType": "UNIFIED",
        "accountIMRate": _rate(used, equity),
        "accountMMRate": "0",
        "accountLTV": "0",
        "totalEquity": text(cents(equity)),
        "totalWalletBalance": text(cents(wallet)),
        "totalMarginBalance": text(cents(equity)),
        "totalAvailableBalance": text(cents(account.available(QUOTE, orders))),
        "totalPerpUPL": text(unrealised),
        "totalInitialMargin": text(used),
        "totalMaintenanceMargin": "0",
        "coin": coins,
    }


def _realised(account: Account) -> Decimal:
    return sum((row.realised_total for row in account.positions.values()), ZERO)


def _rate(used: Decimal, equity: Decimal) -> str:
    return text((used / equity).quantize(Decimal("0.0001"))) if equity > 0 else "0"


def instrument_row(instrument: Instrument) -> Row:
    """An instrument as in /v5/market/instruments-info."""
    row: Row = {
        "symbol": instrument.symbol,
        "symbolId": 1,
        "baseCoin": instrument.base,
        "quoteCoin": QUOTE,
        "status": "Trading",
        "symbolType": "",
    }
    if instrument.category == "spot":
        return row | _spot_limits(instrument)
    return row | _linear_limits(instrument)


def _spot_limits(instrument: Instrument) -> Row:
    """What only a spot row says."""
    largest = text(instrument.max_qty)
    return {
        "innovation": "0",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": text(instrument.step),
            "quotePrecision": "0.00000001",
            "minOrderQty": text(instrument.step),
            "maxOrderQty": largest,
            "minOrderAmt": text(instrument.min_notional),
            "maxOrderAmt": "20000000",
            "maxLimitOrderQty": largest,
            "maxMarketOrderQty": largest,
            "postOnlyMaxLimitOrderSize": largest,
        },
        "priceFilter": {"tickSize": text(instrument.tick)},
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
    }


def _linear_limits(instrument: Instrument) -> Row:
    """What only a linear row says."""
    largest = text(instrument.max_qty)
    return {
        "contractType": "LinearPerpetual",
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(instrument.price_decimals),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": text(instrument.max_leverage),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": text(instrument.tick),
            "maxPrice": text(instrument.tick * 20_000_000),
            "tickSize": text(instrument.tick),
        },
        "lotSizeFilter": {
            "minOrderQty": text(instrument.step),
            "qtyStep": text(instrument.step),
            "maxOrderQty": largest,
            "maxMktOrderQty": largest,
            "postOnlyMaxOrderQty": largest,
            "minNotionalValue": text(instrument.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": QUOTE,
        "copyTrading": "none",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"},
    }


def ticker_row(market: Market, instrument: Instrument, day: DayStatistics) -> Row:
    """A ticker as in /v5/market/tickers."""
    second = market.second(instrument.symbol)
    last = market.last(instrument, second)
    bid = market.best(instrument, "Sell", second)
    ask = market.best(instrument, "Buy", second)
    change = (last / day.first - 1).quantize(Decimal("0.000001"))
    row = {
        "symbol": instrument.symbol,
        "bid1Price": text(bid.price),
        "bid1Size": text(bid.qty),
        "ask1Price": text(ask.price),
        "ask1Size": text(ask.qty),
        "lastPrice": text(last),
        "prevPrice24h": text(day.first),
        "price24hPcnt": text(change),
        "highPrice24h": text(max(day.high, last)),
        "lowPrice24h": text(min(day.low, last)),
        "turnover24h": f"{day.volume * float(last):.4f}",
        "volume24h": f"{day.volume:.4f}",
    }
    if instrument.category == "spot":
        row["usdIndexPrice"] = text(last)
        return row
    row.update(
        indexPrice=text(last),
        markPrice=text(last),
        prevPrice1h=text(day.hour_ago),
        openInterest="0",
        openInterestValue="0",
        fundingRate="0",
        nextFundingTime=str((market.clock.now_ms() // FUNDING_MS + 1) * FUNDING_MS),
        deliveryTime="0",
    )
    return row


def ticker_push(row: Row) -> Row:
    """A ticker as in the `tickers` topic, where spot has no bid and ask."""
    if "usdIndexPrice" not in row:
        return row
    return {key: value for key, value in row.items() if key[:4] not in ("bid1", "ask1")}


def kline_row(candle: Candle) -> list[str]:
    """A candle as in /v5/market/kline."""
    return [
        str(candle.start_m * 60_000),
        text(candle.open),
        text(candle.high),
        text(candle.low),
        text(candle.close),
        f"{candle.volume:.4f}",
        f"{candle.turnover:.4f}",
    ]


def kline_push(candle: Candle, minutes: int, name: str, now_ms: int, confirm: bool) -> Row:
    """A candle as in the `kline` topic."""
    start, opened, high, low, close, volume, turnover = kline_row(candle)
    return {
        "start": int(start),
        "end": (candle.start_m + minutes) * 60_000 - 1,
        "interval": name,
        "open": opened,
        "close": close,
        "high": high,
        "low": low,
        "volume": volume,
        "turnover": turnover,
        "confirm": confirm,
        "timestamp": now_ms,
    }


def book_row(market: Market, instrument: Instrument, depth: int) -> Row:
    """The visible book as in /v5/market/orderbook."""
    second = market.second(instrument.symbol)
    bids = market.levels(instrument, "Sell", second)[:depth]
    asks = market.levels(instrument, "Buy", second)[:depth]
    return {
        "s": instrument.symbol,
        "b": [[text(level.price), text(level.qty)] for level in bids],
        "a": [[text(level.price), text(level.qty)] for level in asks],
        "u": second,
        "seq": second,
    }


def trade_rows(market: Market, instrument: Instrument, count: int) -> list[Row]:
    """The last `count` trades, one a market second, oldest first, as in `publicTrade`."""
    now = market.second(instrument.symbol)
    first_s, _ = market.path.span(instrument.symbol)
    start = max(now - count, first_s)
    prices = [instrument.price(float(p)) for p in market.prices(instrument.symbol, start, now + 1)]
    volume = market.path.volumes(instrument.symbol, now // 60, now // 60 + 1)[0] / 60
    rows = []
    for n in range(1, len(prices)):
        rises = prices[n] >= prices[n - 1]
        rows.append(
            {
                "T": (start + n) * 1000,
                "s": instrument.symbol,
                "S": "Buy" if rises else "Sell",
                "v": f"{volume:.4f}",
                "p": text(prices[n]),
                "L": "PlusTick" if rises else "MinusTick",
                "i": f"{instrument.symbol}-{start + n}",
                "BT": False,
                "RPI": False,
                "seq": start + n,
            }
        )
    return rows


def encode(message: Row) -> bytes:
    """The JSON text of a message."""
    return msgspec.json.encode(message)
