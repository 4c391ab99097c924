"""Answers the private paths about positions, the wallet, fees, and the account's settings.

What a spot and linear account in cross margin never changes has the venue's static answer: risk
limits, margin modes, collateral, and hedging are read but not switched.
"""

from __future__ import annotations

from typing import Any

from exchange import assets, quotes, shapes, transactions
from exchange.dcp import Dcp
from exchange.decimals import ZERO, parse, text
from exchange.errors import Refused
from exchange.instruments import QUOTE, Instrument
from exchange.orders import Position
from exchange.paging import LAST, between, page
from exchange.query import Answer, named, number, selected
from exchange.venue import Venue

Body = dict[str, Any]
_MARGIN_MODE = "REGULAR_MARGIN"


# Positions


def positions(venue: Venue, query: Body) -> Answer:
    """By symbol the row even if flat; by settleCoin only open positions; inverse has none."""
    if query.get("category") == "inverse":
        return {"list": [], "nextPageCursor": "", "category": "inverse"}
    _need_linear(query)
    limit, start = number(query, "limit", 20, 200), number(query, "cursor", 0)
    if query.get("symbol"):
        wanted = [venue.account.position(named(venue, query).symbol)]
    elif query.get("settleCoin") or query.get("baseCoin"):
        base = query.get("baseCoin")
        held = [row for row in venue.account.positions.values() if row.size]
        wanted = held if query.get("settleCoin") in (None, "", QUOTE) else []
        wanted = [row for row in wanted if not base or row.symbol == base + QUOTE]
    else:
        raise Refused(10001, "params error: symbol or settleCoin is required")
    rows = [_position_row(venue, row) for row in wanted[start : start + limit]]
    cursor = str(start + limit) if start + limit < len(wanted) else ""
    return {"list": rows, "nextPageCursor": cursor, "category": "linear"}


def closed_pnl(venue: Venue, query: Body) -> Answer:
    """What orders closed, net of opening and closing fees, newest first."""
    _need_linear(query)
    where, values = "1", []
    if query.get("symbol"):
        where, values = "symbol = ?", [query["symbol"]]
    where, values = between(query, "at_ms", (where, values))
    limit = number(query, "limit", 50, 100)
    found = venue.book.closed(where, values, limit + 1, number(query, "cursor", LAST))
    return page(query, found, limit)


def trading_stop(venue: Venue, body: Body) -> Answer:
    """Changes a position's take-profits, stop-losses, and trailing stop."""
    venue.engine.trading_stop(body)
    return {}


def set_leverage(venue: Venue, body: Body) -> Answer:
    """Changes a symbol's leverage; both sides must be equal."""
    instrument = _linear(venue, body)
    buy, sell = (
        parse(body.get("buyLeverage"), "buyLeverage"),
        parse(body.get("sellLeverage"), "sellLeverage"),
    )
    if buy != sell:
        raise Refused(10001, "buy leverage must equal sell leverage in one-way mode")
    venue.engine.set_leverage(instrument, buy)
    return {}


def switch_mode(venue: Venue, body: Body) -> Answer:
    """Refuses every mode: the account is one-way and stays so."""
    if not body.get("coin"):
        _linear(venue, body)
    venue.account.switch_mode(body.get("mode"))
    return {}


def cross_only(venue: Venue, body: Body) -> Answer:
    """Refuses what only isolated margin has: adding margin, and adding it by itself."""
    _linear(venue, body)
    raise Refused(110015, "The position is in cross margin.")


def confirm_risk(venue: Venue, body: Body) -> Answer:
    """Refuses: no position is ever reduce-only because of a risk limit."""
    _linear(venue, body)
    raise Refused(10001, "params error: nothing is pending")


def not_in_unified(venue: Venue, body: Body) -> Answer:
    """Refuses what unified accounts do not have any more."""
    raise Refused(100028, "The API cannot be accessed by unified account users.")


# The account


def wallet_balance(venue: Venue, query: Body) -> Answer:
    """The wallet, or some coins of it."""
    if query.get("accountType") != "UNIFIED":
        raise Refused(10001, "accountType only support UNIFIED.")
    row = shapes.wallet_row(venue.account, list(venue.engine.orders.values()))
    if query.get("coin"):
        wanted = set(query["coin"].split(","))
        row["coin"] = [coin for coin in row["coin"] if coin["coin"] in wanted]
    return {"list": [row]}


def account_info(venue: Venue, query: Body) -> Answer:
    """A unified account with cross margin."""
    windows = Dcp.info(venue)
    return {
        "marginMode": _MARGIN_MODE,
        "updatedTime": str(venue.started_ms),
        "unifiedMarginStatus": 6,
        "dcpStatus": "ON" if windows else "OFF",
        "timeWindow": int(windows[0]["timeWindow"]) if windows else 0,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def fee_rate(venue: Venue, query: Body) -> Answer:
    """Taker and maker fees."""
    rows = venue.account.fees.rows(selected(venue, query))
    return {"list": rows} | ({"category": "spot"} if query.get("category") == "spot" else {})


def transaction_log(venue: Venue, query: Body) -> Answer:
    """Every change of the wallet, newest first."""
    return transactions.page(venue.book, query, venue.clock.now_ms())


def dcp_info(venue: Venue, query: Body) -> Answer:
    """The configured windows of disconnect protection."""
    return {"dcpInfos": Dcp.info(venue)}


def coin_info(venue: Venue, query: Body) -> Answer:
    """The coins of this exchange; none can be moved out of it."""
    return {"rows": assets.coin_rows(venue.market.catalogue, query.get("coin"))}


def collateral_info(venue: Venue, query: Body) -> Answer:
    """What counts as collateral; nothing can be borrowed."""
    rows = assets.collateral_rows(venue.market.catalogue, query.get("currency"))
    return {"list": rows}


def withdrawal(venue: Venue, query: Body) -> Answer:
    """What could leave the wallet of some coins."""
    names = (query.get("coinName") or "").split(",")
    if not names[0]:
        raise Refused(10001, "params error: coinName invalid")
    orders = list(venue.engine.orders.values())
    free = {name: text(max(venue.account.available(name, orders), ZERO)) for name in names}
    return {"availableWithdrawal": free[names[0]], "availableWithdrawalMap": free}


def instruments(venue: Venue, query: Body) -> Answer:
    """The instruments that this account may trade: all of them."""
    rows = [quotes.instrument_row(venue.market, row) for row in selected(venue, query)]
    return {"category": query.get("category"), "list": rows, "nextPageCursor": ""}


def smp_group(venue: Venue, query: Body) -> Answer:
    """The account is in no group."""
    return {"smpGroup": 0}


def user_settings(venue: Venue, query: Body) -> Answer:
    """Orders beyond the price limit are refused, not moved."""
    return {"lpaSpot": False, "lpaPerp": False}


def set_margin_mode(venue: Venue, body: Body) -> Answer:
    """Accepts the mode that the account has, and refuses the others."""
    wanted = body.get("setMarginMode")
    if wanted == _MARGIN_MODE:
        return {"reasons": []}
    if wanted not in ("ISOLATED_MARGIN", "PORTFOLIO_MARGIN"):
        raise Refused(10001, "params error: setMarginMode invalid")
    raise Refused(3400045, "Set margin mode failed: only REGULAR_MARGIN is served here")


def set_hedging(venue: Venue, body: Body) -> Answer:
    """Accepts OFF, which is what it is; spot hedging belongs to portfolio margin."""
    if body.get("setHedgingMode") != "OFF":
        raise Refused(10001, "params error: spot hedging needs portfolio margin")
    return {}


def set_limit_price_action(venue: Venue, body: Body) -> Answer:
    """Accepts false, which is what it is."""
    if body.get("category") not in ("spot", "linear") or body.get("modifyEnable") is not False:
        raise Refused(10001, "params error: only modifyEnable=false is served here")
    return {}


def set_collateral(venue: Venue, body: Body) -> Answer:
    """Accepts what is: USDT is collateral, other coins are not."""
    rows = body.get("request") if "request" in body else [body]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refused(10001, "params error: request invalid")
    for row in rows:
        if row.get("collateralSwitch") != ("ON" if row.get("coin") == QUOTE else "OFF"):
            raise Refused(10001, "params error: only USDT is collateral here")
    if "request" not in body:
        return {}
    names = ("coin", "collateralSwitch")
    return {"list": [{name: str(row[name]) for name in names} for row in rows]}


def _position_row(venue: Venue, position: Position) -> Answer:
    stops = venue.engine.position_stops(position.symbol)
    return shapes.position_row(position, venue.account, stops)


def _need_linear(query: Body) -> None:
    if query.get("category") != "linear":
        raise Refused(10001, "params error: category invalid")


def _linear(venue: Venue, body: Body) -> Instrument:
    return named(venue, {"category": "linear", "symbol": str(body.get("symbol") or "")})
