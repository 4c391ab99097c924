"""Gives the clients one exchange for each module, at the wall clock, and a flat account."""

from __future__ import annotations

import pytest

from tests.clients.methods import report
from tests.clients.reach import ccxt_client, pybit_http
from tests.exchange.exchange_process import Exchange


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """An exchange at real time, so that clients may sign with the computer's clock."""
    running = Exchange(tmp_path_factory.mktemp("exchange"), ("--no-rate-limit", "--dcp"))
    yield running
    running.close()


@pytest.fixture(scope="module", params=["sync", "async"])
def ex(request, exchange):
    """ccxt, sync and async: what one shows the other has to show, too."""
    with ccxt_client(request.param, exchange.client.url) as client:
        yield client


@pytest.fixture(scope="module")
def http(exchange):
    """pybit's REST client."""
    session = pybit_http(exchange.client.url)
    yield session
    session.client.close()


@pytest.fixture
def flat(exchange):
    """No open order and no linear position before and after the test."""
    flatten(exchange.client)
    yield
    flatten(exchange.client)


def flatten(client) -> None:
    client.control("clear")
    client.post("/v5/order/cancel-all", {"category": "linear", "settleCoin": "USDT"})
    client.post("/v5/order/cancel-all", {"category": "spot"})
    for row in client.rows("/v5/position/list", "category=linear&settleCoin=USDT"):
        side = "Sell" if row["side"] == "Buy" else "Buy"
        answer = client.order(symbol=row["symbol"], side=side, qty=row["size"], reduceOnly=True)
        assert answer["retCode"] == 0, answer


def pytest_terminal_summary(terminalreporter) -> None:
    """Prints which client method is tested where, and why the others are not needed."""
    terminalreporter.write_sep("-", "ccxt and pybit methods")
    for line in report():
        terminalreporter.write_line(line)
