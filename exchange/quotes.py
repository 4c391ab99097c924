"""Writes Bybit V5's rows of the market: instruments, tickers, candles, books, and trades."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from exchange.decimals import cents, floor_to, text
from exchange.instruments import QUOTE, Instrument
from exchange.market import DAY_M, Candle, DayStatistics, Market
from exchange.matching import PRICE_LIMIT

Row = dict[str, Any]


def status(market: Market, instrument: Instrument) -> str:
    """The word for whether an instrument is traded."""
    return "Trading" if market.is_live(instrument) else "Closed"


def instrument_row(market: Market, instrument: Instrument) -> Row:
    """An instrument as in /v5/market/instruments-info."""
    row: Row = {
        "symbol": instrument.symbol,
        "symbolId": market.catalogue.symbols.index(instrument.symbol) + 1,
        "baseCoin": instrument.base,
        "quoteCoin": QUOTE,
        "status": status(market, instrument),
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
        "riskParameters": {
            "priceLimitRatioX": text(PRICE_LIMIT),
            "priceLimitRatioY": text(PRICE_LIMIT),
        },
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
        "fundingInterval": instrument.funding_minutes,
        "settleCoin": QUOTE,
        "copyTrading": "none",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {
            "priceLimitRatioX": text(PRICE_LIMIT),
            "priceLimitRatioY": text(PRICE_LIMIT),
        },
    }


def open_interest(market: Market, instrument: Instrument, second: int) -> Decimal:
    """Base coin in open positions: a usual day's volume, growing and shrinking with the price."""
    rise = float(market.last(instrument, second)) / instrument.start_price
    return floor_to(Decimal(instrument.volume_minute * DAY_M * rise), instrument.step)


def ticker_row(market: Market, instrument: Instrument, day: DayStatistics, funding: Row) -> Row:
    """A ticker as in /v5/market/tickers; `funding` is what a linear one tells of funding."""
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
    interest = open_interest(market, instrument, second)
    row.update(
        indexPrice=text(market.mark(instrument, second)),
        markPrice=text(market.mark(instrument, second)),
        prevPrice1h=text(day.hour_ago),
        openInterest=text(interest),
        openInterestValue=text(cents(interest * last)),
        predictedDeliveryPrice="",
        basisRate="",
        deliveryFeeRate="",
        deliveryTime="0",
    )
    return row | funding


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


def kline_push(candle: Candle, stop_m: int, name: str, now_ms: int, confirm: bool) -> Row:
    """A candle as in the `kline` topic."""
    start, opened, high, low, close, volume, turnover = kline_row(candle)
    return {
        "start": int(start),
        "end": stop_m * 60_000 - 1,
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
    bids = market.shown(instrument, "Sell")[:depth]
    asks = market.shown(instrument, "Buy")[:depth]
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
    rows = []
    for n in range(1, len(prices)):
        rises = prices[n] >= prices[n - 1]
        rows.append(
            {
                "T": (start + n) * 1000,
                "s": instrument.symbol,
                "S": "Buy" if rises else "Sell",
                "v": f"{market.traded(instrument.symbol, start + n):.4f}",
                "p": text(prices[n]),
                "L": "PlusTick" if rises else "MinusTick",
                "i": f"{instrument.symbol}-{start + n}",
                "BT": False,
                "RPI": False,
                "seq": start + n,
            }
        )
    return rows
