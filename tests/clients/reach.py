"""Points unmodified clients at the simulated exchange: the base address changes, nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import inspect

import ccxt
import ccxt.async_support
import ccxt.pro
import pybit._websocket_trading as pybit_trading
import pybit.unified_trading as pybit

from tests.exchange.exchange_process import KEY, SECRET, until

SPOT, LINEAR = "BTC/USDT", "BTC/USDT:USDT"
SETTINGS = {
    "apiKey": KEY,
    "secret": SECRET,
    "timeout": 5_000,
    "enableRateLimit": False,
    "options": {"fetchMarkets": {"types": ["spot", "linear"]}},
}


def redirect(client, url: str):
    """Gives a ccxt client of any kind this address."""
    stream = url.replace("http", "ws", 1)
    addresses = client.urls["api"]
    for name, value in list(addresses.items()):
        if isinstance(value, str):
            addresses[name] = url
    if "ws" in addresses:
        private = {"unified": f"{stream}/v5/private", "nonUnified": f"{stream}/v5/private"}
        addresses["ws"] = {
            "public": {kind: f"{stream}/v5/public/{kind}" for kind in ("spot", "linear")},
            "private": {
                "spot": private,
                "contract": f"{stream}/v5/private",
                "usdc": f"{stream}/v5/private",
                "trade": f"{stream}/v5/trade",
            },
        }
    return client


class Blocking:
    """ccxt's async or pro client, called as its sync one: the same tests hold for all."""

    def __init__(self, client) -> None:
        self.client = client
        self._runner = asyncio.Runner()

    def __getattr__(self, name):
        found = getattr(self.client, name)
        if not callable(found):
            return found
        return lambda *args, **more: self._runner.run(self._call(found, args, more))

    @staticmethod
    async def _call(method, args, more):
        answer = method(*args, **more)
        return await answer if inspect.isawaitable(answer) else answer

    def provoked(self, action, method: str, *args):
        """What a watching method tells after `action`, which is repeated until it does."""

        async def watch():
            task = asyncio.create_task(getattr(self.client, method)(*args))
            while not task.done():
                await asyncio.to_thread(action)
                await asyncio.wait({task}, timeout=0.5)
            return task.result()

        return self._runner.run(watch())

    def close(self) -> None:
        self._runner.run(self.client.close())
        self._runner.close()


def move(exchange, factor: float) -> None:
    """Moves the price of BTCUSDT and waits until it is seen, as the market's next second begins."""
    wanted = exchange.client.last() * factor
    exchange.client.control("price", symbol="BTCUSDT", factor=factor)
    until(lambda: abs(exchange.client.last() / wanted - 1) < 0.02, "the moved price")


CLASSES = {"sync": ccxt.bybit, "async": ccxt.async_support.bybit, "pro": ccxt.pro.bybit}


@contextlib.contextmanager
def ccxt_client(kind: str, url: str, **settings):
    """A ccxt client of a kind (sync, async, pro) with its markets loaded."""
    client = redirect(CLASSES[kind]({**SETTINGS, **settings}), url)
    if kind == "sync":
        client.load_markets()
        yield client
        client.session.close()
        return
    client = Blocking(client)
    try:
        client.load_markets()
        yield client
    finally:
        client.close()


def pybit_http(url: str, **settings):
    """A pybit REST client."""
    session = pybit.HTTP(api_key=KEY, api_secret=SECRET, **settings)
    session.endpoint = url
    return session


def point_pybit_streams(monkeypatch, url: str) -> None:
    """Gives pybit's WebSocket classes this address: module constants, as it has no parameter."""
    stream = url.replace("http", "ws", 1)
    monkeypatch.setattr(pybit, "PUBLIC_WSS", stream + "/v5/public/{CHANNEL_TYPE}")
    monkeypatch.setattr(pybit, "PRIVATE_WSS", stream + "/v5/private")
    monkeypatch.setattr(pybit_trading, "TRADE_WSS", stream + "/v5/trade")
