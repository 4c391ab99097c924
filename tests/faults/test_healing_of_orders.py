"""Healing of what is known of orders and positions: a real bot, and a person who trades beside it."""

import sys

import pytest

from tests.exchange.exchange_process import Client
from tests.faults.healed import attempts, until_check, until_escalated, until_tried
from tests.faults.places import Place, until

CONFIG = {
    "exchange": {"speed": 60, "seed": 7},
    "market": {"symbols": ["SOLUSDT", "ETHUSDT", "LTCUSDT", "ADAUSDT"]},
    "delivery": {"backoff_real_seconds": 8.0, "backoff_max_real_seconds": 60.0},
    "strategy": {"ema_fast": 50, "ema_slow": 200},
    "orders": {"naked_real_seconds": 30.0, "reconcile_real_seconds": 120.0},
    "health": {
        "fast_real_seconds": 1.0,
        "confirm": 2,
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
        made.start_exchange("--symbols", "SOLUSDT,ETHUSDT,LTCUSDT,ADAUSDT")
        host = [sys.executable, "-m", "tests.faults.amnesiac", str(made.state), str(made.file)]
        made.bot = made._spawn(host, "bot.out")
        made.until_state("process", "RUNNING")
        made.do("hold")
        made.control("fault", kind="ret_code", match=PROTECT, code=10001, count=9_999)
        yield made
    finally:
        made.close()


@pytest.fixture
def person(place):
    return Client(place.url())


def bought(place, person, symbol: str, qty: str) -> None:
    """Let a person open a position under a stop, and the bot take it over."""
    stop = f"{person.last(symbol) * 0.9:.1f}" if person.last(symbol) > 10 else ""
    stop = stop or f"{person.last(symbol) * 0.9:.3f}"
    assert person.order(symbol=symbol, qty=qty, stopLoss=stop)["retCode"] == 0
    place.until_state("position", "OPEN", key=symbol)


def spoil(place, symbol: str) -> None:
    """Take half of a position out of the bot's memory."""
    fresh = place.folder / "amnesia"
    fresh.write_text(symbol)
    fresh.rename(f"{place.state}.amnesia")


def test_a_position_that_memory_lost_half_of_is_rebuilt_from_its_executions(place, person):
    bought(place, person, "SOLUSDT", "2")
    bought(place, person, "SOLUSDT", "4")
    ledger = "SELECT qty FROM open_positions WHERE symbol = 'SOLUSDT'"
    until(lambda: [float(q) for (q,) in place.rows(ledger)] == [6.0], "both are booked")
    spoil(place, "SOLUSDT")
    said = until_tried(place, "ledger SOLUSDT", "rebuild-position", "DONE")
    assert said == "the venue has 6, the ledger 6, after rebuild-position"
    assert [float(q) for (q,) in place.rows(ledger)] == [6.0]
    was = "SELECT json_extract(json_extract(body, '$.was'), '$.qty') FROM journal WHERE kind = ?"
    assert place.rows(was, "PositionRead") == [("3",)]
    told = "SELECT text FROM alert WHERE text LIKE 'SOLUSDT was rebuilt from 2 executions: 6 at %'"
    assert place.rows(told)[0][0].rpartition("; ")[2].startswith("the ledger had 3 at ")
    place.until_state("reconciliation", "CLEAN")
    mismatch = "SELECT 1 FROM transition WHERE machine = 'reconciliation' AND dest = 'MISMATCH'"
    assert place.rows(mismatch) == []


def test_a_stop_that_the_venue_holds_and_the_stream_did_not_tell_of_is_read(place, person):
    """The stream lost its topic of positions, and a reading that failed waits for its next attempt."""
    place.control("fault", kind="ret_code", match="/v5/position/list", code=10001)
    place.control("fault", kind="forget", match="position")
    stop = f"{person.last('ETHUSDT') * 0.9:.0f}"
    assert person.order(symbol="ETHUSDT", qty="0.1", stopLoss=stop)["retCode"] == 0
    said = until_tried(place, "stops ETHUSDT", "resync-orders", "DONE")
    assert said.startswith(f"the venue holds the stop {stop}")
    until_check(place, "stops ETHUSDT", "WELL")


def test_a_stop_that_is_nowhere_and_a_position_that_cannot_be_rebuilt_reach_people(place, person):
    """The venue takes no stop, and does not list executions."""
    subscribe_anew(place)
    assert person.order(symbol="LTCUSDT", qty="10")["retCode"] == 0
    place.until_state("position", "OPEN", key="LTCUSDT")
    bought(place, person, "ADAUSDT", "100")
    place.control("fault", kind="ret_code", match="/v5/execution/list", code=10001, count=9_999)
    spoil(place, "ADAUSDT")

    alert, report = until_escalated(place, "stops LTCUSDT")
    assert attempts(place, "stops LTCUSDT")["resync-orders"][0] == "FAILED"
    assert alert.startswith("check stops LTCUSDT: the venue confirmed no stop for ")
    assert "; nothing helped (resync-orders: failed: the check did not get well" in alert
    assert "resync-orders" in report

    alert, report = until_escalated(place, "ledger ADAUSDT")
    tried = attempts(place, "ledger ADAUSDT")
    assert {name: state for name, (state, _) in tried.items()} == {
        "rebuild-position": "FAILED",
        "resync-orders": "FAILED",
    }
    assert "10001" in tried["rebuild-position"][1]
    assert alert.startswith(
        "check ledger ADAUSDT: the venue has 100, the ledger 50; nothing helped ("
    )
    assert tried["rebuild-position"][1] in report
    found = place.rows("SELECT said FROM checks WHERE name = 'ledger ADAUSDT'")
    assert found == [("the venue has 100, the ledger 50",)]

    grave = (
        "SELECT DISTINCT json_extract(body, '$.severity') FROM outbox WHERE kind = 'Notify'"
        " AND json_extract(body, '$.text') LIKE 'check %; nothing helped%'"
    )
    assert place.rows(grave) == [("critical",)]


def subscribe_anew(place) -> None:
    """Have the private stream dialed, and wait until what came meanwhile was read."""
    ups = "SELECT max(at) FROM journal WHERE kind = 'StreamUp'"
    before = place.rows(ups)[0][0]
    place.control("fault", kind="cut", match="/v5/private")
    until(lambda: place.rows(ups)[0][0] > before, "the stream has its topics again")
    read = "SELECT 1 FROM journal WHERE kind = 'Reconciled' AND json_extract(body, '$.as_of') >= ?"
    until(lambda: place.rows(read, place.rows(ups)[0][0]), "what came meanwhile was read")
