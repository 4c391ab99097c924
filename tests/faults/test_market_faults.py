"""Nonsense from the market is refused at the border, told of, and healed; other symbols trade on."""

import json
import signal

import pytest

from tests.faults.places import Place, until
from tests.faults.seen import Since

CONFIG = {
    "healing": {"enabled": False},  # that one finds it is asked here, not what was tried
    "exchange": {"speed": 60, "seed": 7},
    "feed": {
        "refused_max": 3,
        "quarantine_real_seconds": 1.0,
        "stale_seconds": 60,
        "stale_real_seconds": 1.5,
    },
    "alerts": {"storm_max": 1000, "window_real_seconds": 1.0},
    "health": {"fast_real_seconds": 1.0, "confirm": 1},
    "watch": {"clock_real_seconds": 2.0},
}
SYMBOLS = [
    "BTCUSDT",
    "ETHUSDT",
    "SOLUSDT",
    "XRPUSDT",
    "DOGEUSDT",
    "ADAUSDT",
    "LTCUSDT",
    "LINKUSDT",
    "AVAXUSDT",
]
GARBLED = {
    "BTCUSDT": ("kline.1", "nan", "GAPPED"),
    "ETHUSDT": ("tickers", "zero", "QUARANTINED"),
    "SOLUSDT": ("tickers", "negative", "QUARANTINED"),
    "XRPUSDT": ("tickers", "inf", "QUARANTINED"),
    "DOGEUSDT": ("tickers", "json", "QUARANTINED"),
    "ADAUSDT": ("kline.1", "truncate", "GAPPED"),
}
MUTE, HOLED, WELL = "LTCUSDT", "LINKUSDT", "AVAXUSDT"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A bot on a market that is well; each test breaks one symbol of it."""
    made = Place(tmp_path_factory.mktemp("market") / "p", CONFIG)
    try:
        made.start_exchange("--symbols", ",".join(SYMBOLS))
        made.bot = made.start_bot("--config", str(made.file))
        made.until_state("process", "RUNNING")
        for symbol in SYMBOLS:
            made.until_state("feed", "LIVE", key=symbol)
        made.well_from = made.rows("SELECT max(id) FROM transition")[0][0]
        yield made
        made.bot.send_signal(signal.SIGTERM)
        assert made.bot.wait(40) == 0, made.said()
    finally:
        made.close()


def moves(place, symbol: str) -> list[tuple]:
    """Return the moves of a feed since the market was well: source, trigger, dest, reason."""
    return place.rows(
        "SELECT source, trigger, dest, reason FROM transition"
        " WHERE machine = 'feed' AND key = ? AND id > ? ORDER BY id",
        symbol,
        place.well_from,
    )


def until_moved(place, symbol: str, dest: str) -> tuple:
    """Wait until a feed moved to a state since the market was well; return that move."""
    return until(
        lambda: next((move for move in moves(place, symbol) if move[2] == dest), None),
        lambda: f"{symbol} moves to {dest}; it did {moves(place, symbol)}",
        20,
    )


def refusals(place, symbol: str) -> list[dict]:
    rows = place.rows("SELECT body FROM journal WHERE kind = 'FramesRefused'")
    return [body for (text,) in rows if (body := json.loads(text))["symbol"] == symbol]


def whole(place, symbol: str) -> bool:
    """Tell whether the stored candles of a symbol have no hole."""
    sql = "SELECT count(*), min(open_time), max(open_time) FROM candle WHERE symbol = ?"
    count, first, last = place.rows(sql, symbol)[0]
    return bool(count) and (last - first) // 60_000 + 1 == count


@pytest.fixture(scope="module")
def broken(place):
    """Nonsense and silence, then holes that the venue does not fill: each until people are told."""
    since = Since(place)
    nonsense = [symbol for symbol in GARBLED if GARBLED[symbol][2] == "QUARANTINED"]
    garble(place, nonsense)
    place.control("fault", kind="mute", match=f"tickers.{MUTE}")
    until_told(since, {**dict.fromkeys(nonsense, "QUARANTINED"), MUTE: "STALE"})
    place.control("clear")
    holed = [symbol for symbol in GARBLED if GARBLED[symbol][2] == "GAPPED"]
    fills = {"match": "/v5/market/kline", "code": 10001, "probability": 1.0, "seed": 12}
    place.control("fault", kind="ret_code", **fills)
    garble(place, holed)
    place.control("skip_candle", symbol=HOLED)
    until_told(since, dict.fromkeys([*holed, HOLED], "GAPPED"))
    place.control("clear")
    return since


def garble(place, symbols: list[str]) -> None:
    for symbol in symbols:
        match, how = f"{GARBLED[symbol][0]}.{symbol}", GARBLED[symbol][1]
        place.control("fault", kind="garble", match=match, how=how, probability=1.0, seed=11)


def until_told(since, states: dict[str, str]) -> None:
    for symbol, state in states.items():
        since.told("warning", "check", f"check candles {symbol}: feed is {state}: ")


def until_healed(place, symbol: str) -> None:
    until(
        lambda: place.state_of("feed", symbol) == "LIVE",
        lambda: f"{symbol} heals: {moves(place, symbol)}",
        20,
    )
    assert [move[1] for move in moves(place, symbol)][-1] == "Backfilled"
    assert whole(place, symbol)


@pytest.mark.parametrize("symbol", GARBLED)
def test_frames_that_cannot_be_true_are_counted_and_move_the_feed_of_their_symbol(
    place, broken, symbol
):
    dest = GARBLED[symbol][2]
    move = until_moved(place, symbol, dest)
    assert dest == "GAPPED" or move[1] == "FramesRefused"
    assert dest == "GAPPED" or "frames refused within a minute: " in move[3]
    assert refusals(place, symbol)
    assert all(r["count"] >= 1 and r["reason"] for r in refusals(place, symbol))
    broken.told("warning", "check", f"check candles {symbol}: feed is {dest}: ")
    until_healed(place, symbol)
    sql = "SELECT count(*) FROM candle WHERE symbol = ? AND NOT (low > 0 AND high < 1e9)"
    assert place.rows(sql, symbol) == [(0,)]


def test_a_mute_symbol_goes_stale_and_returns_through_a_backfill(place, broken):
    assert "no quote" in until_moved(place, MUTE, "STALE")[3]
    broken.told("warning", "check", f"check candles {MUTE}: feed is STALE: no quote for ")
    until_healed(place, MUTE)


def test_a_missing_candle_is_fetched_before_the_symbol_trades_again(place, broken):
    until_moved(place, HOLED, "GAPPED")
    broken.told("warning", "check", f"check candles {HOLED}: feed is GAPPED: ")
    until_healed(place, HOLED)
    assert entries_while_not_live(place) == []


def test_duplicates_and_reordered_frames_change_nothing(place):
    before = len(refusals(place, WELL))
    for kind in ("duplicate", "reorder"):
        place.control("fault", kind=kind, match=f"kline.1.{WELL}", count=6, seed=5)
    hits = "SELECT count(*) FROM candle WHERE symbol = ?"
    count = place.rows(hits, WELL)[0][0]
    until(lambda: place.rows(hits, WELL)[0][0] >= count + 4, "candles go on", 20)
    place.control("clear")
    until(lambda: place.state_of("feed", WELL) == "LIVE", f"{WELL} is LIVE", 20)
    assert whole(place, WELL)
    assert len(refusals(place, WELL)) == before


def test_other_symbols_stayed_live_all_the_while(place):
    assert not [move for move in moves(place, WELL) if move[2] in ("QUARANTINED", "STALE")]


def test_a_clock_that_jumps_makes_every_feed_prove_itself_again(place):
    since, before = Since(place), place.rows("SELECT max(id) FROM transition")[0][0]
    place.control("jump", seconds=1200)
    sql = "SELECT count(DISTINCT key) FROM transition WHERE machine = 'feed' AND id > ? AND dest = 'GAPPED'"
    until(lambda: place.rows(sql, before)[0][0] == len(SYMBOLS), "every feed asks again", 25)
    since.told(
        "warning", "clock", "the venue's clock jumped by 1", "no entries until feeds are whole"
    )
    for symbol in SYMBOLS:
        place.until_state("feed", "LIVE", key=symbol)
        assert whole(place, symbol)


def entries_while_not_live(place) -> list[tuple]:
    """Return entries that were decided on while their symbol's feed was not LIVE."""
    return place.rows(
        "SELECT o.key FROM transition o JOIN outbox b ON b.seq = o.seq AND b.kind = 'Submit'"
        " WHERE o.machine = 'order' AND o.version = 1 AND NOT json_extract(b.body, '$.reduce_only')"
        " AND json_extract(b.body, '$.order') = o.key AND 'LIVE' <> (SELECT f.dest FROM transition f"
        "   WHERE f.machine = 'feed' AND f.key = json_extract(b.body, '$.symbol') AND f.id < o.id"
        "   ORDER BY f.id DESC LIMIT 1)"
    )
