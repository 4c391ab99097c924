"""Healing of market data: a real bot, faults of the exchange and of its own file, and what it does by itself."""

import signal

import pytest

from bot.store.database import sqlite3
from tests.faults.healed import attempts, until_check, until_escalated, until_tried
from tests.faults.places import Place, until

SYMBOLS = "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,ADAUSDT,LTCUSDT"
CONFIG = {
    "exchange": {"speed": 60, "seed": 7},
    "health": {
        "fast_real_seconds": 1.0,
        "confirm": 2,
        "latency_ms": 9_000.0,
        "lag_ms": 9_000.0,
        "turn_ms": 9_000.0,
    },
    "risk": {"base_size": 0.001},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A bot that is well; each test ails a symbol or a stream of its own."""
    made = Place(tmp_path_factory.mktemp("healing") / "p", CONFIG)
    try:
        made.start_exchange("--symbols", SYMBOLS)
        begin(made)
        yield made
        made.bot.send_signal(signal.SIGTERM)
        assert made.bot.wait(40) == 0, made.said()
    finally:
        made.close()


def begin(place) -> None:
    place.bot = place.start_bot("--config", str(place.file))
    place.until_state("process", "RUNNING")
    for symbol in SYMBOLS.split(","):
        place.until_state("feed", "LIVE", key=symbol)


# -- streams ---------------------------------------------------------------------------------------


def test_a_symbol_that_the_stream_forgot_is_dialed_anew(place):
    """Other symbols keep the stream alive: its own watch over silence does not see it."""
    place.control("fault", kind="forget", match="tickers.ETHUSDT")
    said = until_tried(place, "candles ETHUSDT", "reconnect-stream", "DONE")
    assert "after reconnect-stream" in said
    until_check(place, "candles ETHUSDT", "WELL")
    assert "candles are not what is missing" in attempts(place, "candles ETHUSDT")["backfill"][1]


def test_a_stream_that_no_remedy_brings_back_reaches_people(place):
    place.control("fault", kind="http_status", match="/v5/private", status=500, count=9_999)
    place.control("fault", kind="cut", match="/v5/private")
    alert, report = until_escalated(place, "streams private")
    assert alert.startswith("check streams private: the private stream is down: ")
    assert "; nothing helped (" in alert
    for remedy in ("reconnect-stream", "restart-market-data"):
        state, said = attempts(place, "streams private")[remedy]
        assert state == "FAILED"
        assert "the private stream did not come up: InvalidStatus" in said
        assert remedy in alert
        assert said in report
    place.control("clear")
    until_check(place, "streams private", "WELL")


# -- candles ---------------------------------------------------------------------------------------


def test_what_nothing_mends_is_quarantined_and_if_it_is_held_already_people_decide(place):
    """A candle is missing and the venue does not give it: no remedy but the last is of use."""
    place.do("hold", symbol="LTCUSDT")
    place.control("fault", kind="ret_code", match="/v5/market/kline", code=10001, count=9_999)
    for symbol in ("ADAUSDT", "LTCUSDT"):
        place.control("fault", kind="gap", symbol=symbol)
    said = until_tried(place, "candles ADAUSDT", "quarantine-symbol", "DONE")
    assert said.startswith("quarantine: feed is GAPPED")
    assert place.state_of("hold", "ADAUSDT") == "HELD"
    assert "quarantine: feed is GAPPED" in until_check(place, "candles ADAUSDT", "WELL")
    assert attempts(place, "candles ADAUSDT")["backfill"][0] == "FAILED"

    alert, report = until_escalated(place, "candles LTCUSDT")
    tried = attempts(place, "candles LTCUSDT")
    assert {state for state, _ in tried.values()} == {"FAILED"}
    assert set(tried) == {
        "backfill",
        "reconnect-stream",
        "restart-market-data",
        "quarantine-symbol",
    }
    assert "LTCUSDT is held already: " in alert
    assert "10001" in tried["backfill"][1]
    assert tried["backfill"][1] in report
    place.control("clear")
    until_check(place, "candles LTCUSDT", "WELL")
    assert place.do("release", symbol="ADAUSDT")["state"] == "DONE"
    place.until_state("hold", "FREE", key="ADAUSDT")


def test_indicators_that_were_lost_are_derived_from_candles_fetched_anew(place):
    """The file lost candles while the bot was dead: without them nothing would be measured for hours."""
    place.bot.kill()
    place.bot.wait(10)
    db = sqlite3.connect(place.state)
    db.execute("DELETE FROM candle WHERE symbol = 'XRPUSDT'")
    db.commit()
    db.close()
    begin(place)
    said = until_tried(place, "candles XRPUSDT", "backfill", "DONE")
    assert "after backfill" in said
    sql = "SELECT count(*) FROM candle WHERE symbol = 'XRPUSDT'"
    assert place.rows(sql)[0][0] >= 600
    since = place.rows("SELECT max(seq) FROM journal WHERE kind = 'Refetched'")[0][0]
    measured = (
        "SELECT 1 FROM journal WHERE kind = 'Measured' AND seq > ?"
        " AND json_extract(body, '$.symbol') = 'XRPUSDT'"
    )
    until(lambda: place.rows(measured, since), "it is measured again")


def test_a_stream_that_one_symbol_spoils_is_begun_anew_without_it(place):
    """A symbol that is traded no more has the whole subscription refused, at every dial."""
    place.control("fault", kind="delist", symbol="SOLUSDT")
    place.control("fault", kind="cut", match="/v5/public")
    said = until_tried(place, "streams public", "restart-market-data", "DONE")
    assert "after restart-market-data" in said
    dialed = attempts(place, "streams public")["reconnect-stream"]
    assert dialed[0] == "FAILED"
    assert "handler not found" in dialed[1]
    until_check(place, "streams public", "WELL")
    until_check(place, "candles BTCUSDT", "WELL")
    place.until_state("feed", "LIVE", key="BTCUSDT")
    assert place.state_of("process") == "RUNNING"
    place.control("clear")
