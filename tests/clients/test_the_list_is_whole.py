"""The list of methods is what the installed clients claim, and names tests that call them."""

import ast
import functools
from pathlib import Path

import ccxt.pro
import pybit.unified_trading as pybit
import pytest
from pybit._v5_account import AccountHTTP
from pybit._v5_market import MarketHTTP
from pybit._v5_position import PositionHTTP
from pybit._v5_trade import TradeHTTP

from tests.clients import methods


def public_methods(*classes: type) -> set[str]:
    """The methods that these classes themselves define."""
    return {
        name
        for one in classes
        for name, value in vars(one).items()
        if callable(value) and not name.startswith("_")
    }


@functools.cache
def sources() -> dict[str, str]:
    """Every test of this folder with its source."""
    found = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        text = path.read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[node.name] = ast.get_source_segment(text, node)
    return found


def test_every_method_that_ccxt_claims_is_tested_or_has_a_reason():
    claimed = {name for name, has in ccxt.pro.bybit().has.items() if has} - methods.FLAGS
    listed = methods.named({**methods.CCXT_TESTED, **methods.CCXT_NOT_NEEDED})
    assert claimed - set(listed) == set(), "claimed, but neither tested nor given a reason"
    assert set(listed) - claimed == set(), "listed, but no longer claimed"
    sync = {name for name, has in ccxt.bybit().has.items() if has} - methods.FLAGS
    assert sync <= claimed


def test_every_method_of_pybit_is_tested_or_has_a_reason():
    claimed = public_methods(MarketHTTP, TradeHTTP, PositionHTTP, AccountHTTP, pybit.WebSocket)
    listed = methods.named({**methods.PYBIT_TESTED, **methods.PYBIT_NOT_NEEDED})
    assert claimed - set(listed) == set(), "claimed, but neither tested nor given a reason"
    assert set(listed) - claimed == set(), "listed, but no longer claimed"
    socket = methods.named(methods.PYBIT_SOCKET_TESTED)
    assert set(socket) == public_methods(pybit.WebSocketTrading)


def test_what_is_said_to_be_missing_is_missing():
    own = {plain(name) for name in dir(ccxt.pro.bybit())}
    for name in methods.CCXT_NOT_NEEDED[methods.NOTHING].split():
        assert plain(name) not in own


@pytest.mark.parametrize("table", ["CCXT_TESTED", "PYBIT_TESTED", "PYBIT_SOCKET_TESTED"])
def test_every_named_test_exists_and_calls_the_method(table):
    for method, test in methods.named(getattr(methods, table)).items():
        assert test in sources(), f"{method}: expected a test of that name"
        assert plain(method) in plain(sources()[test]), f"expected {test} to call {method}"


def plain(name: str) -> str:
    """A name without its spelling: ccxt claims fetchOHLCV and has fetch_ohlcv."""
    return name.replace("_", "").lower()
