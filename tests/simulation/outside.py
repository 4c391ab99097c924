"""What stands outside of the bot: a plain client that disturbs the exchange, trades, and takes notes."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from bot.store.database import open_reader

KEY, SECRET = "paperkey", "papersecret"
DEPOSIT = "100000"
CALM_SECONDS = 6.0
NEEDS_SOMETHING = ("adl", "balance")
"""Faults that are refused where there is no position, or not so much money."""
SETTLED = (
    "SELECT (SELECT count(*) FROM instance WHERE machine = 'order'"
    " AND state IN ('INTENDED', 'SENT', 'UNKNOWN', 'OPEN', 'PARTIAL')),"
    " (SELECT state FROM instance WHERE machine = 'process'),"
    " (SELECT state FROM instance WHERE machine = 'hold' AND key = 'account'),"
    " (SELECT max(at) FROM journal WHERE kind = 'Reconciled')"
)

Json = dict[str, Any]


class Outside:
    """Speaks to the exchange at ``base`` with an HTTP session of its own; files are in ``folder``."""

    def __init__(self, folder: Path, http: aiohttp.ClientSession, base: str) -> None:
        self.folder, self.http, self.base = folder, http, base
        self._orders = 0

    async def control(self, what: str, **body: Any) -> Json:
        """Ask the exchange for a fault, a price, or its state."""
        url = f"{self.base}/control/{what}"
        if what == "state":
            async with self.http.get(url) as answer:
                return dict(await answer.json())
        async with self.http.post(url, json=body) as answer:
            found: Json = await answer.json()
        if not found["ok"] and body.get("kind") not in NEEDS_SOMETHING:
            raise ValueError(f"expected {what} {body} to be carried out, found {found}")
        return found

    async def order(self, **body: Any) -> None:
        """Send an order under an id that is not the bot's; the exchange may refuse it."""
        self._orders += 1
        link = {"category": "linear", "orderLinkId": f"manual-{self._orders}"}
        try:
            if body.get("price") == "far":
                body["price"] = await self._far(body["symbol"], body["side"])
            payload = json.dumps({**link, **body})
            headers = await self._signed(payload)
            async with self.http.post(
                f"{self.base}/v5/order/create", data=payload, headers=headers
            ) as answer:
                await answer.read()
        except (aiohttp.ClientError, KeyError, ValueError):
            return  # a fault that was meant for the bot: what was accepted is in the log

    async def _far(self, symbol: str, side: str) -> str:
        away = Decimal("0.97") if side == "Buy" else Decimal("1.03")
        rows = await self._get("/v5/market/tickers", symbol=symbol)
        return f"{(Decimal(rows[0]['lastPrice']) * away).quantize(Decimal('0.1')):f}"

    async def settled(self, since: float) -> bool:
        """Tell whether nothing of the bot's is under way, and nothing was executed for some time.

        ``since``: market ms; the bot must have read the account after it. Stops fire in the
        quietest market, and the bot hears of one at its next reading at the latest.
        """
        state = await self.control("state")
        log = (self.folder / "exchange.db.log").read_bytes().split(b"\n")[:-1]
        fills = [json.loads(line)["market_ms"] for line in log if b'"kind":"fill"' in line]
        if state["market_ms"] - max(fills, default=0) < CALM_SECONDS * 1000 * state["speed"]:
            return False
        db = open_reader(self.folder / "state.db", alive=True)
        try:
            live, process, hold, read_at = db.execute(SETTLED).fetchone()
        finally:
            db.close()
        held = (process, hold) == ("RUNNING", "HELD")
        return held and not live and (read_at or 0) > since

    async def statement(self) -> None:
        """Write down what the account holds at the end."""
        state = await self.control("state")
        rows = await self._get("/v5/account/wallet-balance", accountType="UNIFIED")
        coins = {coin["coin"]: coin["walletBalance"] for coin in rows[0]["coin"]}
        held = await self._get("/v5/position/list", settleCoin="USDT")
        found = {
            "market_ms": state["market_ms"],
            "wallet": coins["USDT"],
            "deposit": DEPOSIT,
            "positions": [
                {
                    "symbol": row["symbol"],
                    "qty": f"{'-' if row['side'] == 'Sell' else ''}{row['size']}",
                    "entry": row["avgPrice"],
                    "stop": row["stopLoss"],
                }
                for row in held
                if Decimal(row["size"])
            ],
        }
        (self.folder / "statement.json").write_text(json.dumps(found))

    async def _get(self, path: str, **query: str) -> list[Json]:
        query = {"category": "linear", **query}
        payload = "&".join(f"{name}={value}" for name, value in query.items())
        headers = await self._signed(payload)
        async with self.http.get(f"{self.base}{path}?{payload}", headers=headers) as answer:
            rows: list[Json] = (await answer.json())["result"]["list"]
            return rows

    async def _signed(self, payload: str) -> dict[str, str]:
        stamp = str((await self.control("state"))["market_ms"])
        message = f"{stamp}{KEY}60000{payload}".encode()
        return {
            "X-BAPI-API-KEY": KEY,
            "X-BAPI-TIMESTAMP": stamp,
            "X-BAPI-RECV-WINDOW": "60000",
            "X-BAPI-SIGN": hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest(),
            "Content-Type": "application/json",
        }
