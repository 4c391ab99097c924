"""Keys have rights, and every private answer says how much of the rate is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from exchange.clock import MarketClock
from exchange.errors import Refused
from exchange.limits import RateLimits
from tests.exchange.exchange_process import KEY, SECRET, Client, Exchange

Start = Callable[..., Exchange]


def described(client: Client) -> dict[str, Any]:
    return client.get("/v5/user/query-api")["result"]


def test_the_first_key_may_trade_and_never_withdraw(start: Start) -> None:
    row = described(start().client)
    assert row["permissions"]["ContractTrade"] == ["Order", "Position"]
    assert row["permissions"]["Wallet"] == []
    assert (row["readOnly"], row["uta"], row["ips"]) == (0, 1, ["*"])


def test_more_keys_have_the_rights_that_flags_or_control_give_them(start: Start) -> None:
    dead = {"key": "deadkey", "secret": "deadsecret"}
    exchange = start("--no-rate-limit", "--api-key", json.dumps(dead))
    url = exchange.client.url
    other = Client(url, "deadkey", "deadsecret")
    assert other.order(orderLinkId="mine")["retCode"] == 0
    assert exchange.client.rows("/v5/order/realtime", "category=linear&orderLinkId=mine")
    exchange.client.control("key", **dead, withdraw=True)
    assert "Withdraw" in described(other)["permissions"]["Wallet"]
    exchange.client.control("key", **dead, read_only=True)
    assert described(other)["readOnly"] == 1
    assert other.order()["retCode"] == 10005
    assert other.get("/v5/account/info")["retCode"] == 0
    exchange.client.control("key", **dead, expires_ms=exchange.client.now() + 3 * 86_400_000)
    assert described(other)["deadlineDay"] == 2
    exchange.client.control("key", **dead, expires_ms=exchange.client.now() - 1)
    assert other.get("/v5/account/info")["retCode"] == 33004
    exchange.client.control("key", **dead, ips=["192.0.2.1"])
    assert other.get("/v5/account/info")["retCode"] == 10010


def test_the_first_key_can_be_given_the_right_that_a_bot_must_refuse(start: Start) -> None:
    flag = json.dumps({"key": KEY, "secret": SECRET, "withdraw": True})
    row = described(start("--api-key", flag).client)
    assert "Withdraw" in row["permissions"]["Wallet"]


def test_rates_are_counted_per_path_and_category_and_told_in_headers(start: Start) -> None:
    client = start().client
    body = json.dumps({"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "none"})

    def cancel(category: str) -> tuple[int, dict[str, str]]:
        text = body.replace("linear", category)
        _, headers, answer = client.raw("POST", path, text.encode(), client.headers(text, stamp))
        return json.loads(answer)["retCode"], headers

    path, stamp = "/v5/order/cancel", client.now()
    answers = [cancel("linear") for _ in range(11)]
    limits = {headers["X-Bapi-Limit"] for _, headers in answers}
    left = [int(headers["X-Bapi-Limit-Status"]) for _, headers in answers]
    assert limits == {"10"}
    assert left[:3] == [9, 8, 7]
    for code, headers in answers:
        assert code in (110001, 10006)
        assert int(headers["X-Bapi-Limit-Reset-Timestamp"]) > int(headers["Timenow"])
        assert headers["Traceid"]
    code, headers = cancel("spot")
    assert (code, headers["X-Bapi-Limit"]) == (170213, "20"), "spot has a rate of its own"


def test_an_address_may_ask_600_times_in_five_seconds_and_dial_500_times_in_five_minutes() -> None:
    now = [0.0]
    limits = RateLimits(MarketClock(0, 1.0, real=lambda: now[0]), enabled=True)
    for _ in range(600):
        limits.check_ip()
    with pytest.raises(Refused) as refused:
        limits.check_ip()
    assert (refused.value.status, refused.value.message) == (403, "access too frequent")
    now[0] = 5.0
    limits.check_ip()
    assert [limits.may_dial() for _ in range(501)] == [True] * 500 + [False]
    now[0] = 305.0
    assert limits.may_dial()
