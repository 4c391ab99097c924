"""Healing of what is known of orders and positions: a real bot, and a person who trades beside it."""

import signal

import pytest

from tests.exchange.exchange_process import Client
from tests.faults.healed import attempts, until_check, until_escalated, until_tried
from tests.faults.places import Place

CONFIG = {
    "exchange": {"speed": 60, "seed": 7},
    "market": {"symbols": ["ETHUSDT", "LTCUSDT"]},
    "delivery": {"backoff_real_seconds": 30.0, "backoff_max_real_seconds": 60.0},
    "strategy": {"ema_fast": 12, "ema_slow": 26},
    "orders": {"naked_real_seconds": 30.0, "reconcile_real_seconds": 120.0},
    "health": {
        "fast_real_seconds": 1.0,
        "confirm": 1,
        "naked_real_seconds": 1.0,
        "latency_ms": 9_000.0,
        "lag_ms": 9_000.0,
        "turn_ms": 9_000.0,
    },
}
PROTECT = "/v5/position/trading-stop"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A bot that opens nothing by itself, and whose stops the venue does not take."""
    made = Place(tmp_path_factory.mktemp("healing") / "p", CONFIG)
    try:
        made.start_exchange("--symbols", "ETHUSDT,LTCUSDT,XRPUSDT")
        made.bot = made.start_bot("--config", str(made.file))
        made.until_state("process", "RUNNING")
        made.do("hold")
        made.control("fault", kind="ret_code", match=PROTECT, code=10001, count=9_999)
        yield made
        made.control("clear")
        made.bot.send_signal(signal.SIGTERM)
        assert made.bot.wait(40) == 0, made.said()
    finally:
        made.close()


@pytest.fixture
def person(place):
    return Client(place.url())


def test_a_stop_that_the_venue_holds_and_the_stream_did_not_tell_of_is_read(place, person):
    """The stream lost its topic of positions, and a reading that failed waits for its next attempt."""
    place.control("fault", kind="ret_code", match="/v5/position/list", code=10001)
    place.control("fault", kind="forget", match="position")
    stop = f"{person.last('ETHUSDT') * 0.9:.1f}"
    assert person.order(symbol="ETHUSDT", qty="0.1", stopLoss=stop)["retCode"] == 0
    said = until_tried(place, "stops ETHUSDT", "resync-orders", "DONE")
    assert said.startswith(f"the venue holds the stop {stop}")
    until_check(place, "stops ETHUSDT", "WELL")


def test_a_stop_that_is_nowhere_reaches_people_at_once(place, person):
    assert person.order(symbol="LTCUSDT", qty="10")["retCode"] == 0
    alert, report = until_escalated(place, "stops LTCUSDT")
    assert attempts(place, "stops LTCUSDT")["resync-orders"][0] == "FAILED"
    assert alert.startswith("check stops LTCUSDT: nothing helped: the check did not get well")
    assert "resync-orders" in report
    severity = (
        "SELECT json_extract(body, '$.severity') FROM outbox WHERE kind = 'Notify'"
        " AND json_extract(body, '$.text') LIKE 'check stops LTCUSDT: %'"
    )
    assert {row[0] for row in place.rows(severity)} == {"critical"}
    person.order(symbol="LTCUSDT", side="Sell", qty="10", reduceOnly=True)
    until_check(place, "stops LTCUSDT", "WELL")
