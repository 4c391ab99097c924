"""Knows the API keys and their rights, and decides whether a request is signed and fresh."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from exchange.clock import MarketClock
from exchange.errors import Refused

RECV_WINDOW_MAX_MS = 600_000
_AHEAD_MS = 1000  # a timestamp may lie this far in the future (times the market's rate)
_DAY_MS = 86_400_000
_NEVER = "2099-01-01T00:00:00Z"


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One API key of the account with its rights; `expires_ms` is market time."""

    key: str
    secret: str
    trade: bool = True
    withdraw: bool = False
    read_only: bool = False
    expires_ms: int | None = None
    ips: tuple[str, ...] = ("*",)

    def sign(self, message: str) -> str:
        """Hex HMAC-SHA256 of `message`."""
        return hmac.digest(self.secret.encode(), message.encode(), "sha256").hex()

    def describe(self, now_ms: int) -> dict[str, Any]:
        """The key as in /v5/user/query-api."""
        may = self.trade
        expires = _NEVER if self.expires_ms is None else _iso(self.expires_ms)
        return {
            "id": "1",
            "note": "exchange",
            "apiKey": self.key,
            "readOnly": int(self.read_only),
            "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"] if may else [],
                "Spot": ["SpotTrade"] if may else [],
                "Wallet": ["AccountTransfer", "Withdraw"] if self.withdraw else [],
                "Options": [],
                "Derivatives": ["DerivativesTrade"] if may else [],
                "CopyTrading": [],
                "BlockTrade": [],
                "Exchange": [],
                "NFT": [],
                "Affiliate": [],
            },
            "ips": list(self.ips),
            "type": 1,
            "deadlineDay": 90
            if self.expires_ms is None
            else max(0, (self.expires_ms - now_ms) // _DAY_MS),
            "expiredAt": expires,
            "createdAt": "2025-01-01T00:00:00Z",
            "unified": 0,
            "uta": 1,
            "userID": 1,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
        }


class Keys:
    """The API keys that this exchange accepts, and the checks that they let a request pass."""

    def __init__(self, clock: MarketClock, keys: tuple[Key, ...]) -> None:
        self._clock = clock
        self._keys = {key.key: key for key in keys}

    def put(self, key: Key) -> None:
        """Accepts a key from now on, in place of one with the same name."""
        self._keys[key.key] = key

    def check_request(self, headers: Mapping[str, str], payload: str, remote: str) -> Key:
        """The key that signed a private request at the present time; else raises `Refused`."""
        name = headers.get("X-BAPI-API-KEY", "")
        stamp = headers.get("X-BAPI-TIMESTAMP", "")
        signature = headers.get("X-BAPI-SIGN", "")
        window = headers.get("X-BAPI-RECV-WINDOW", "5000")
        if not name or not stamp or not signature:
            raise Refused(10001, "empty value: apiTimestamp[] apiKey[] apiSignature[]", 401)
        key = self._named(name, remote)
        self.check_time(stamp, window)
        start = f"{stamp}{name}{window}"
        if not _signed(key, start + payload, signature):
            # some clients sign the query before they escape it
            plain = unquote(payload)
            if plain == payload or not _signed(key, start + plain, signature):
                raise Refused(10004, f"error sign! origin_string[{start}{payload}]")
        return key

    def check_time(self, stamp: str, window: str) -> None:
        """Refuses a timestamp outside of the receive window."""
        if not stamp.isdigit() or not window.isdigit() or int(window) > RECV_WINDOW_MAX_MS:
            raise Refused(10001, "params error: timestamp or recv_window invalid")
        now = self._clock.shown_ms()
        ahead = _AHEAD_MS * max(1.0, self._clock.rate)
        if not now - int(window) <= int(stamp) < now + ahead:
            raise Refused(
                10002,
                "invalid request, please check your server timestamp or recv_window param. "
                f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]",
            )

    def log_in(self, args: list[object], remote: str) -> Key:
        """The key of a stream's `auth`; any `expires` in the future is good."""
        if len(args) != 3 or not str(args[1]).isdigit():
            raise Refused(10001, "Params Error")
        name, expires, signature = map(str, args)
        key = self._named(name, remote)
        if int(expires) <= self._clock.shown_ms():
            raise Refused(10004, "Params Error: expires is in the past")
        if not _signed(key, f"GET/realtime{expires}", signature):
            raise Refused(10004, "Params Error: invalid sign")
        return key

    def check_right(self, key: Key) -> None:
        """Refuses a request that changes something with a key that may only read."""
        if key.read_only or not key.trade:
            raise Refused(10005, "Permission denied, please check your API key permissions.")

    def _named(self, name: str, remote: str) -> Key:
        key = self._keys.get(name)
        if key is None:
            raise Refused(10003, "API key is invalid.")
        if key.expires_ms is not None and key.expires_ms <= self._clock.now_ms():
            raise Refused(33004, "Your api key has expired.")
        if "*" not in key.ips and remote not in key.ips:
            raise Refused(10010, f"Unmatched IP, please check your API key's bound IPs: {remote}")
        return key


def _signed(key: Key, message: str, signature: str) -> bool:
    return hmac.compare_digest(key.sign(message), signature)


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
