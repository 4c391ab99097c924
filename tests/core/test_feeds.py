"""Feeds: a symbol trades only on data that may be believed; gaps are fetched before it trades again."""

import math

import pytest

from bot.core.effects import Backfill, Submit
from bot.core.events import (
    CandleClosed,
    ClockJumped,
    Delivered,
    FramesRefused,
    Listed,
    StreamLost,
    StreamUp,
)
from bot.core.facts import CandleStored
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.values import Candle
from tests.given import (
    BTC,
    ETH,
    MINUTE,
    T,
    a_candle,
    a_world,
    an_instrument,
    backfilled,
    but,
    candles,
    connected,
    go,
    measured,
    ticked,
)


def closed(world, candle, symbol=BTC):
    at = max(world.at, candle.open_time + MINUTE)
    return CandleClosed(at=at, symbol=symbol, candle=candle, source="t")


def state(told, symbol=BTC):
    return told.world.state("feed", symbol)


def test_the_next_candle_is_taken_in_once_and_measured():
    world = a_world()
    event = closed(world, a_candle(T))
    told = go(world, event, event)
    assert [f.candle.open_time for f in told.noted(CandleStored)] == [T]
    assert (told.noted(CandleStored)[0].source, told.noted(CandleStored)[0].how) == ("t", "stream")
    assert [q.candles for q in told.questions] == [(event.candle,)]
    assert state(told) == "LIVE"


def test_an_older_candle_is_known_already_and_changes_nothing():
    world = a_world()
    told = go(world, closed(world, a_candle(T - 5 * MINUTE)))
    assert not (told.facts)
    assert not (told.questions)
    assert not (told.steps)


def test_a_candle_that_comes_before_its_close_is_not_taken_in():
    world = a_world()
    early = CandleClosed(at=T + 10_000, symbol=BTC, candle=a_candle(T), source="t")
    assert not go(world, early).questions


def test_a_hole_is_fetched_before_the_symbol_trades_again():
    world = a_world()
    told = go(world, closed(world, a_candle(T + 2 * MINUTE)))
    assert state(told) == "GAPPED"
    assert told.reason("feed") == f"2 candles missing before {T + 2 * MINUTE}"
    assert told.effects(Backfill)[0].after == T - MINUTE
    assert entry_level(told.world, BTC) == Level.REDUCE_ONLY
    told = go(told.world, backfilled(at=told.world.at, found=candles(3, T + 2 * MINUTE)))
    assert state(told) == "LIVE"
    assert [f.how for f in told.noted(CandleStored)] == ["backfill"] * 3
    assert entry_level(told.world, BTC) == Level.FULL


def test_a_backfill_is_taken_in_up_to_its_first_hole():
    world = go(a_world(), closed(a_world(), a_candle(T + 5 * MINUTE))).world
    found = (*candles(2, T + MINUTE), a_candle(T + 4 * MINUTE))
    told = go(world, backfilled(at=world.at, found=found))
    assert told.world.feeds[BTC].last == T + MINUTE
    assert state(told) == "GAPPED"


def test_a_whole_new_warm_up_replaces_what_is_too_old_to_join():
    world = a_world()
    number = world.settings.market.warmup_candles
    later = T + 5_000 * MINUTE
    world = go(world, closed(world, a_candle(later))).world
    told = go(world, backfilled(at=world.at, found=candles(number, later)))
    assert state(told) == "LIVE"
    assert told.questions[0].reset
    assert len(told.questions[0].candles) == number


def test_silence_makes_it_stale_and_quotes_lead_back_through_a_backfill():
    world = a_world((BTC, ETH))
    quiet = go(world, ticked(but(world, marks={ETH: 100.0}), 31))
    assert state(quiet) == "STALE"
    assert quiet.reason("feed") == "no quote for 31 s, limit 30 s"
    assert state(quiet, ETH) == "LIVE"
    back = go(quiet.world, ticked(quiet.world, 1))
    assert state(back) == "GAPPED"
    assert back.effects(Backfill)
    last = go(back.world, backfilled(at=back.world.at, found=candles(1)))
    assert state(last) == "LIVE"


def test_a_candle_that_does_not_arrive_is_asked_for():
    world = a_world()
    told = go(world, ticked(world, 20))
    while state(told) == "LIVE":
        told = go(told.world, ticked(told.world, 20))
    assert told.world.at == T + 3 + 100_000, "30 s after it was due"
    assert state(told) == "GAPPED"
    assert told.reason("feed") == "1 closed candles did not arrive"
    assert told.effects(Backfill)


def test_a_lost_public_stream_makes_every_symbol_stale_and_the_private_none():
    world = a_world((BTC, ETH))
    told = go(world, StreamLost(at=world.at, stream="private", reason="reset"))
    assert not told.steps
    told = go(world, StreamLost(at=world.at, stream="public", reason="reset"))
    assert (state(told), state(told, ETH)) == ("STALE", "STALE")


def test_a_lost_stream_without_words_is_lost_all_the_same():
    world = a_world()
    assert state(go(world, StreamLost(at=world.at, stream="public", reason=""))) == "STALE"


def test_a_backfill_asked_before_the_stream_was_lost_does_not_make_it_live():
    world = a_world()
    world = go(world, StreamLost(at=world.at, stream="public", reason="reset")).world
    assert state(go(world, backfilled(at=world.at, found=()))) != "LIVE"


def test_a_venue_that_has_nothing_new_is_not_asked_again_at_once():
    world = go(a_world(), closed(a_world(), a_candle(T + 2 * MINUTE))).world
    asked = []
    for _ in range(10):
        answers = [
            Delivered(at=world.at, effect=key)
            for key, delivery in world.deliveries.items()
            if isinstance(delivery.effect, Backfill)
        ]
        assert not go(world, backfilled(at=world.at, found=()), *answers).effects(Backfill)
        told = go(world, backfilled(at=world.at, found=()), *answers, ticked(world, 0.5))
        world, asked = told.world, asked + told.effects(Backfill)
    assert 2 <= len(asked) <= 5, "it is asked again, once a second"


def test_a_clock_that_jumps_makes_every_feed_prove_itself_again():
    world = a_world()
    told = go(world, ClockJumped(at=world.at + 3_600_000, by_ms=3_600_000))
    assert state(told) == "GAPPED"
    assert told.reason("feed") == "the venue's clock jumped by 3600.0 s"
    assert told.effects(Backfill)


def test_after_a_clock_that_jumps_back_a_feed_can_be_live_again():
    world = a_world()
    back = world.at - 10 * MINUTE
    world = go(world, ClockJumped(at=back, by_ms=-10 * MINUTE)).world
    newest = back // MINUTE * MINUTE - MINUTE
    told = go(world, backfilled(at=back, found=candles(3, newest)), ticked(world, 1))
    assert state(told) == "LIVE"
    told = go(told.world, closed(told.world, a_candle(newest + MINUTE)))
    assert told.questions, "the candles of the new time are taken in"


def test_garbage_is_counted_and_too_much_of_it_quarantines():
    world = a_world()
    refused = FramesRefused(at=world.at, symbol=BTC, count=19, reason="price NaN")
    told = go(world, refused)
    assert (state(told), told.world.feeds[BTC].refused) == ("LIVE", 19)
    told = go(told.world, but(refused, count=1))
    assert state(told) == "QUARANTINED"
    assert told.reason("feed") == "20 frames refused within a minute: price NaN"
    event = closed(told.world, a_candle(T))
    assert not go(told.world, event).questions, "nothing of it is used"


def test_garbage_of_last_minute_is_forgotten():
    world = a_world()
    world = go(world, FramesRefused(at=world.at, symbol=BTC, count=19, reason="x")).world
    told = go(world, FramesRefused(at=world.at + 61_000, symbol=BTC, count=19, reason="x"))
    assert state(told) == "LIVE"


def test_quarantine_ends_when_it_was_quiet_for_long_enough():
    world = a_world()
    world = go(world, FramesRefused(at=world.at, symbol=BTC, count=50, reason="x")).world
    assert state(go(world, ticked(world, 29))) == "QUARANTINED"
    told = go(world, ticked(world, 30))
    assert state(told) == "GAPPED"
    assert told.effects(Backfill)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_a_mark_that_cannot_be_true_is_not_used(bad):
    world = a_world()
    assert go(world, ticked(world, 1, BTCUSDT=bad)).world.marks == {BTC: 100.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"open": math.nan},
        {"high": math.inf},
        {"low": 0.0},
        {"close": -1.0},
        {"volume": -1.0},
        {"volume": math.nan},
        {"low": 100.05},
        {"high": 99.95},
    ],
)
def test_a_candle_that_cannot_be_true_cannot_be_built(changes):
    fields = {
        "open_time": T,
        "open": 100.0,
        "high": 100.1,
        "low": 99.9,
        "close": 100.0,
        "volume": 1.0,
    }
    Candle(**fields)
    with pytest.raises(ValueError, match="expected"):
        Candle(**{**fields, **changes})


def test_news_of_a_symbol_that_is_not_ours_changes_nothing():
    world = a_world()
    told = go(
        world,
        closed(world, a_candle(T), "XXX"),
        backfilled("XXX"),
        FramesRefused(at=world.at, symbol="XXX", count=99, reason="x"),
        ticked(world, 1, XXX=5.0),
        measured(world, "XXX"),
        StreamUp(at=world.at, stream="public"),
    )
    assert not (told.steps)
    assert not (told.questions)
    assert not (told.effects(Submit))
    assert "XXX" not in told.world.marks


def test_connecting_anew_asks_anew_and_knows_every_symbol():
    world = a_world()
    told = go(world, connected(world.at, (BTC, ETH)))
    assert (state(told), state(told, ETH)) == ("CONNECTING", "CONNECTING")
    assert {b.symbol for b in told.effects(Backfill)} == {BTC, ETH}


def test_a_market_at_60_times_real_time_is_not_stale_sooner_than_people_can_see():
    world = go(a_world(rate=60.0), ticked(a_world(rate=60.0), 179, BTCUSDT=0.0)).world
    assert world.state("feed", BTC) != "STALE"
    assert state(go(world, ticked(world, 2, BTCUSDT=0.0))) == "STALE"


def listed(world, *asked, found=()):
    """Return what follows when the venue lists, of the symbols asked for, only those found."""
    instruments = tuple(map(an_instrument, found))
    return go(world, Listed(at=world.at, symbols=asked, instruments=instruments))


def test_a_symbol_that_is_no_longer_listed_is_held():
    told = listed(a_world((BTC, ETH)), BTC, ETH, found=(BTC,))
    assert [state for state in told.moves if state.startswith("hold")] == ["hold ETHUSDT:  → HELD"]
    assert "no longer listed" in told.reason("hold")


def test_a_symbol_that_was_not_asked_for_is_not_missed():
    told = listed(a_world((BTC, ETH)), BTC, found=(BTC,))
    assert not told.steps + told.emitted
