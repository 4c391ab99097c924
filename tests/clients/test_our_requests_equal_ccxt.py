"""Our adapter asks what ccxt asks for the same intent: in method, path, and fields.

A venue that is never reached from here is believed to understand ccxt; where our request differs,
the field is named with the reason. A difference that is gone fails, too.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from bot.core.effects import Submit
from bot.core.values import Side
from bot.edge.clock import MarketClock
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.send import send_order
from bot.errors import Refused
from tests.clients.reach import LINEAR, ccxt_client
from tests.clients.recorder import Asked, Recorder
from tests.exchange.exchange_process import KEY, SECRET

CREATE, CANCEL, AMEND = "/v5/order/create", "/v5/order/cancel", "/v5/order/amend"
OPEN, MINUTE_MS = "/v5/order/realtime", 60_000

ONE_WAY = "said outright: a hedge-mode account then refuses instead of opening the other side"
SAID = "said outright; it is the venue's default"
MARK = "one trade far off the market must not close a position: the mark price triggers"
FULL = "stop and target hold for the whole position, which partial fills change"
WHOLE = "ccxt protects an amount; ours is the whole position, which has neither size nor order type"
FORCED = "all kinds are read: a liquidation moves the position, too"
COIN = "only the coin that the bot trades in"


@dataclass(frozen=True)
class Intent:
    """What is wanted, how each client asks for it, and the differences with their reasons."""

    path: str
    ours: Callable[[Any, Any], Any]
    theirs: Callable[[Any, Any], Any]
    differ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Terms:
    """Prices and ids that both sides of one intent share."""

    link: str
    price: Decimal
    now: int

    def submit(self, **more: Any) -> Submit:
        fields = {"order": self.link, "symbol": "BTCUSDT", "side": Side.BUY, "qty": Decimal("0.01")}
        return Submit(**{**fields, "reduce_only": False, **more})

    @property
    def stop(self) -> Decimal:
        return self.price - 2_000

    @property
    def take(self) -> Decimal:
        return self.price + 9_000

    @property
    def limits(self) -> dict:
        return {
            "clientOrderId": self.link,
            "stopLoss": float(self.stop),
            "takeProfit": float(self.take),
        }

    @property
    def window(self) -> int:
        return self.now // MINUTE_MS * MINUTE_MS - 10 * MINUTE_MS


BRACKET = {
    "positionIdx": ONE_WAY,
    "reduceOnly": SAID,
    "tpslMode": FULL,
    "slTriggerBy": MARK,
    "tpTriggerBy": MARK,
}

INTENTS = {
    "market buy with stop and target": Intent(
        CREATE,
        lambda venue, t: send_order(venue, t.submit(stop=t.stop, take=t.take)),
        lambda ex, t: ex.create_order(LINEAR, "market", "buy", 0.01, None, t.limits),
        BRACKET,
    ),
    "limit buy with stop and target": Intent(
        CREATE,
        lambda venue, t: send_order(venue, t.submit(price=t.price, stop=t.stop, take=t.take)),
        lambda ex, t: ex.create_order(LINEAR, "limit", "buy", 0.01, float(t.price), t.limits),
        BRACKET | {"timeInForce": SAID},
    ),
    "reduce-only close": Intent(
        CREATE,
        lambda venue, t: send_order(venue, t.submit(side=Side.SELL, reduce_only=True)),
        lambda ex, t: ex.create_order(
            LINEAR, "market", "sell", 0.01, None, {"clientOrderId": t.link, "reduceOnly": True}
        ),
        {"positionIdx": ONE_WAY},
    ),
    "amend the price by client id": Intent(
        AMEND,
        lambda venue, t: venue.amend(t.link, "BTCUSDT", t.price),
        lambda ex, t: ex.edit_order(
            None, LINEAR, "limit", "buy", None, float(t.price), {"orderLinkId": t.link}
        ),
    ),
    "cancel by client id": Intent(
        CANCEL,
        lambda venue, t: venue.cancel(t.link, "BTCUSDT"),
        lambda ex, t: ex.cancel_order(None, LINEAR, {"orderLinkId": t.link}),
    ),
    "cancel all but the stops": Intent(
        "/v5/order/cancel-all",
        lambda venue, t: venue.cancel_entries(),
        lambda ex, t: ex.cancel_all_orders(
            None, {"type": "swap", "settleCoin": "USDT", "orderFilter": "Order"}
        ),
    ),
    "set leverage": Intent(
        "/v5/position/set-leverage",
        lambda venue, t: venue.leverage(["BTCUSDT"], 7),
        lambda ex, t: ex.set_leverage(7, LINEAR),
    ),
    "protect the position": Intent(
        "/v5/position/trading-stop",
        lambda venue, t: venue.protect("BTCUSDT", t.stop, t.take),
        lambda ex, t: ex.create_order(
            LINEAR,
            "market",
            "sell",
            0.01,
            None,
            {
                "tradingStopEndpoint": True,
                "stopLossPrice": float(t.stop),
                "takeProfitPrice": float(t.take),
            },
        ),
        {"positionIdx": ONE_WAY, "slTriggerBy": MARK, "tpTriggerBy": MARK}
        | dict.fromkeys(("slSize", "tpSize", "slOrderType", "tpOrderType", "tpslMode"), WHOLE),
    ),
    "wallet": Intent(
        "/v5/account/wallet-balance",
        lambda venue, t: venue.wallet(),
        lambda ex, t: ex.fetch_balance(),
        {"coin": COIN},
    ),
    "positions": Intent(
        "/v5/position/list",
        lambda venue, t: venue.positions(),
        lambda ex, t: ex.fetch_positions(),
    ),
    "open orders": Intent(
        OPEN,
        lambda venue, t: venue.open_orders(),
        lambda ex, t: ex.fetch_open_orders(None, None, 50, {"type": "swap", "settleCoin": "USDT"}),
        {"openOnly": SAID},
    ),
    "an order by its client id": Intent(
        OPEN,
        lambda venue, t: venue.find(t.link, "BTCUSDT"),
        lambda ex, t: ex.fetch_open_orders(LINEAR, None, None, {"orderLinkId": t.link}),
    ),
    "an ended order by its client id": Intent(
        "/v5/order/history",
        lambda venue, t: venue.find(t.link + "x", "BTCUSDT"),
        lambda ex, t: ex.fetch_canceled_and_closed_orders(
            LINEAR, None, None, {"orderLinkId": t.link + "x"}
        ),
    ),
    "executions": Intent(
        "/v5/execution/list",
        lambda venue, t: venue.fills(t.window),
        lambda ex, t: ex.fetch_my_trades(
            None, t.window, 100, {"type": "swap", "until": t.window + 7 * 86_400_000 - 1}
        ),
        {"execType": FORCED},
    ),
    "candles": Intent(
        "/v5/market/kline",
        lambda venue, t: venue.candles("BTCUSDT", t.window - MINUTE_MS, 5),
        lambda ex, t: ex.fetch_ohlcv(
            LINEAR, "1m", t.window, 6, {"until": t.window + 5 * MINUTE_MS}
        ),
    ),
    "instruments": Intent(
        "/v5/market/instruments-info",
        lambda venue, t: venue.instruments(["BTCUSDT"]),
        lambda ex, t: ex.fetch_markets(),
    ),
    "ticker": Intent(
        "/v5/market/tickers",
        lambda venue, t: venue.mark("BTCUSDT"),
        lambda ex, t: ex.fetch_ticker(LINEAR),
    ),
    "fees": Intent(
        "/v5/account/fee-rate",
        lambda venue, t: venue.instruments(["BTCUSDT"]),
        lambda ex, t: ex.fetch_trading_fees({"category": "linear"}),
    ),
    "what the key may do": Intent(
        "/v5/user/query-api",
        lambda venue, t: venue.key_info(),
        lambda ex, t: ex.private_get_v5_user_query_api(),
    ),
}

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def recorder(exchange):
    running = Recorder(exchange.client.url)
    yield running
    running.close()


@pytest.fixture(scope="module")
def ex(recorder):
    with ccxt_client("sync", recorder.url) as client:
        yield client


def ask(recorder: Recorder, intent: Intent, terms: Terms) -> None:
    """Lets a fresh adapter carry out an intent; what the venue answers is not the question."""

    async def run():
        venue = Bybit(recorder.url, "ws://127.0.0.1:1", KEY, SECRET, clock=MarketClock())
        await venue.open()
        try:
            await venue.sync_clock()
            await intent.ours(venue, terms)
        finally:
            await venue.close()

    asyncio.run(run())


@pytest.mark.parametrize("name", INTENTS)
def test_the_same_intent_is_the_same_request(recorder, ex, exchange, name):
    intent = INTENTS[name]
    price = Decimal(str(round(exchange.client.last() * 0.97, 1)))
    terms = Terms(f"same-{next(_numbers)}", price, int(time.time() * 1000))
    with contextlib.suppress(Refused):
        ask(recorder, intent, terms)
    ours = recorder.take(intent.path)[-1]
    with contextlib.suppress(ccxt.ExchangeError):
        intent.theirs(ex, terms)
    theirs = min(recorder.take(intent.path), key=lambda asked: len(differences(ours, asked)))
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    found = differences(ours, theirs)
    assert set(found) == set(intent.differ), f"ours and theirs differ in {found}"


def differences(ours: Asked, theirs: Asked) -> dict:
    """The fields whose values differ, with both."""
    names = ours.fields.keys() | theirs.fields.keys()
    pairs = {name: (ours.fields.get(name), theirs.fields.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
