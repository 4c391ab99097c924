"""Starts real exchange processes on free ports and gives tests a small signed client."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests import nursery

ROOT = Path(__file__).parents[2]
KEY, SECRET = "paperkey", "papersecret"
Json = dict[str, Any]


def until(condition: Callable[[], Any], what: str, seconds: float = 8.0) -> Any:
    """The first true value of `condition`; fails with `what` after `seconds` real seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.03)
    pytest.fail(f"expected within {seconds} s: {what}")


def sign(message: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


class Client:
    """Signs with market time taken from the exchange before each private request."""

    def __init__(self, url: str, key: str = KEY, secret: str = SECRET) -> None:
        self.url, self.key, self.secret = url, key, secret

    def raw(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def now(self) -> int:
        return int(self.public("/v5/market/time")["timeNano"]) // 1_000_000

    def public(self, path: str) -> Any:
        answer = json.loads(self.raw("GET", path)[2])
        assert answer["retCode"] == 0, answer
        return answer["result"]

    def headers(
        self, payload: str, stamp: int | None = None, window: int = 600_000
    ) -> dict[str, str]:
        at = self.now() if stamp is None else stamp
        return {
            "X-BAPI-API-KEY": self.key,
            "X-BAPI-TIMESTAMP": str(at),
            "X-BAPI-RECV-WINDOW": str(window),
            "X-BAPI-SIGN": sign(f"{at}{self.key}{window}{payload}", self.secret),
        }

    def get(self, path: str, query: str = "") -> Json:
        text = self.raw("GET", f"{path}?{query}", None, self.headers(query))[2]
        return json.loads(text)

    def rows(self, path: str, query: str = "") -> list[Json]:
        answer = self.get(path, query)
        assert answer["retCode"] == 0, answer
        return answer["result"]["list"]

    def post(self, path: str, body: Json) -> Json:
        text = json.dumps(body)
        return json.loads(self.raw("POST", path, text.encode(), self.headers(text))[2])

    def control(self, what: str, **body: Any) -> Json:
        answer = json.loads(self.raw("POST", f"/control/{what}", json.dumps(body).encode())[2])
        assert answer["ok"], answer
        return answer

    def streams(self, path: str = "/v5/private") -> int:
        """How many streams the exchange sees open."""
        return int(json.loads(self.raw("GET", "/control/state")[2])["streams"].get(path, 0))

    def order(self, **more: Any) -> Json:
        body = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market"}
        return self.post("/v5/order/create", {**body, "qty": "0.01", **more})

    def last(self, symbol: str = "BTCUSDT", category: str = "linear") -> float:
        row = self.public(f"/v5/market/tickers?category={category}&symbol={symbol}")["list"][0]
        return float(row["lastPrice"])

    def position(self, symbol: str = "BTCUSDT") -> Json:
        return self.rows("/v5/position/list", f"category=linear&symbol={symbol}")[0]

    def usdt(self) -> str:
        wallet = self.rows("/v5/account/wallet-balance", "accountType=UNIFIED&coin=USDT")[0]
        return wallet["coin"][0]["walletBalance"]

    def stream(self, kind: str, *topics: str) -> Stream:
        return Stream(self, kind, topics)


class Stream:
    """A subscribed WebSocket that remembers nothing: read it with `next` or `collect`."""

    def __init__(self, client: Client, kind: str, topics: tuple[str, ...]) -> None:
        path = "/v5/private" if kind == "private" else f"/v5/public/{kind}"
        url = client.url.replace("http", "ws") + path
        self._stack = ExitStack()
        dial = connect(url, proxy=None, compression=None, close_timeout=1)
        self.socket: ClientConnection = self._stack.enter_context(dial)
        if kind == "private":
            expires = client.now() + 600_000
            self.send({"op": "auth", "args": [KEY, expires, sign(f"GET/realtime{expires}")]})
            assert self.frame()["success"]
        self.send({"op": "subscribe", "args": list(topics)})
        assert self.frame()["success"]

    def send(self, message: Json) -> None:
        self.socket.send(json.dumps(message))

    def text(self, seconds: float = 8.0) -> str:
        return str(self.socket.recv(timeout=seconds))

    def frame(self, seconds: float = 8.0) -> Json:
        return json.loads(self.text(seconds))

    def next(self, fits: Callable[[Json], bool], what: str, seconds: float = 8.0) -> Json:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.frame(left)
            except TimeoutError:
                break
            if fits(message):
                return message
        pytest.fail(f"expected within {seconds} s: {what}")

    def row(self, topic: str, what: str, **fields: Any) -> Json:
        """The first row of a topic whose fields are as given."""

        def find(message: Json) -> list[Json]:
            rows = message.get("data", []) if message.get("topic") == topic else []
            return [r for r in rows if all(r.get(k) == v for k, v in fields.items())]

        return find(self.next(lambda m: bool(find(m)), what))[0]

    def close(self) -> None:
        self._stack.close()


class Exchange:
    """One exchange process and its book."""

    def __init__(self, folder: Path, flags: tuple[str, ...]) -> None:
        self.book = folder / "exchange.db"
        self.log_path = folder / "exchange.db.log"
        self.flags = flags
        self.process: nursery.Child | None = None
        self.start()

    def start(self, *more: str) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        flags = ("--book", str(self.book), *self.flags, *more)
        folder = self.book.parent
        self.process = nursery.start("exchange", *flags, cwd=folder, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"expected a start line, found exit {self.process.wait(5)}"
        self.hello: Json = json.loads(line)
        self.client = Client(self.hello["url"])

    def log(self) -> list[Json]:
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(10)

    def close(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()
