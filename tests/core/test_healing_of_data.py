"""What remedies of market data ask of the core: candles taken in anew, a symbol held, streams begun anew."""

from bot.core import healing, holds
from bot.core.asking import pending
from bot.core.checks import CHECKS
from bot.core.effects import Backfill, Notify, Reconcile
from bot.core.events import StreamLost, StreamUp
from bot.core.feeds import why_streamed
from bot.core.health_events import Distrusted, Refetched, ResyncAsked
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.remedy import Remedy
from tests.given import (
    BTC,
    ETH,
    MINUTE,
    T,
    a_world,
    backfilled,
    but,
    candles,
    connected,
    go,
    reconciled,
    ticked,
)


def finding(world, symbol=BTC):
    (found,) = [f for f in CHECKS["candles"].judge(world) if f.subject == symbol]
    return found


def refetched(world, symbol=BTC):
    return Refetched(at=world.at, symbol=symbol, candles=candles(600), source="t")


def test_a_warm_up_that_was_fetched_anew_takes_the_place_of_what_was_known():
    world = a_world()
    told = go(world, refetched(world))
    (question,) = told.questions
    assert question.reset
    assert question.candles == candles(600)
    assert told.world.feeds[BTC].last == candles(600)[-1].open_time
    assert told.world.state("feed", BTC) == "LIVE"


def test_a_feed_that_misses_candles_is_live_again_once_they_were_fetched_anew():
    world = a_world()
    gapped = go(world, ticked(world, 150)).world
    assert gapped.state("feed", BTC) == "GAPPED"
    newest = gapped.at // MINUTE * MINUTE - MINUTE
    whole = candles(600, newest)
    told = go(gapped, Refetched(at=gapped.at, symbol=BTC, candles=whole, source="t"))
    assert told.world.state("feed", BTC) == "LIVE"


def test_candles_of_a_symbol_that_is_not_ours_change_nothing():
    world = a_world()
    assert go(world, refetched(world, ETH)).world.feeds == world.feeds


def test_candles_that_were_not_measured_are_found():
    world = a_world()
    feed = world.feeds[BTC]
    assert finding(world).well
    behind = but(world, feeds={BTC: but(feed, measured=feed.last - 3 * MINUTE)})
    assert finding(behind).said == "indicators were not derived from the newest 3 candles"
    assert not finding(behind).well


def test_a_lost_public_stream_is_the_check_of_streams_and_not_of_each_symbol():
    world = a_world((BTC, ETH))
    lost = go(world, StreamLost(at=world.at, stream="public", reason="reset")).world
    assert list(CHECKS["candles"].judge(lost)) == []
    assert "the public stream is down, not BTCUSDT alone" in why_streamed(lost, BTC)
    assert why_streamed(lost, "public") is None


def test_a_symbol_whose_prices_arrive_does_not_blame_the_stream():
    world = a_world()
    assert "the stream is not what is missing" in why_streamed(world, BTC)
    silent = go(world, but(ticked(world, 60), marks={})).world
    assert silent.state("feed", BTC) == "STALE"
    assert why_streamed(silent, BTC) is None


def test_a_market_that_is_silent_altogether_is_one_finding_and_not_one_a_symbol():
    world = a_world((BTC, ETH))
    silent = go(world, but(ticked(world, 60), marks={})).world
    assert {silent.state("feed", symbol) for symbol in (BTC, ETH)} == {"STALE"}
    assert list(CHECKS["candles"].judge(silent)) == []
    (public,) = [f for f in CHECKS["streams"].judge(silent) if f.subject == "public"]
    assert not public.well
    assert "all 2 feeds are STALE" in public.said


def test_a_quarantined_symbol_is_held_until_a_person_releases_it_and_is_not_judged():
    world = a_world((BTC, ETH))
    told = go(world, Distrusted(at=world.at, symbol=BTC, reason="feed is GAPPED: a hole"))
    (alert,) = told.effects(Notify)
    assert alert.severity == "critical"
    assert alert.text == "entries held in BTCUSDT: feed is GAPPED: a hole"
    assert entry_level(told.world, BTC) == Level.REDUCE_ONLY
    assert entry_level(told.world, ETH) == Level.FULL
    gapped = go(told.world, ticked(told.world, 600)).world
    assert finding(gapped).well
    assert finding(gapped).said == "quarantine: feed is GAPPED: a hole"
    assert not finding(gapped, ETH).well


def test_a_hold_of_a_person_is_no_quarantine():
    world = a_world()
    assert holds.quarantined(world, BTC) is None
    told = go(world, Distrusted(at=world.at, symbol=ETH, reason="not ours"))
    assert told.steps == ()


def test_a_last_resort_comes_last_however_often_it_cured():
    names = {"first": (0, 9), "resort": (9, 0)}
    remedies = tuple(
        Remedy(n, "m", ("loop",), "low", 3, 60.0, 30.0, "", "v", last=n == "resort") for n in names
    )
    record = {f"loop {name}": counts for name, counts in names.items()}
    world = a_world()
    world = but(world, remedies=remedies, healing=but(world.healing, record=record))
    assert [r.name for r in healing.for_check(world, "loop")] == ["first", "resort"]


def test_market_data_that_is_begun_anew_proves_itself_and_stops_nothing_else():
    """The venue connects a second time while the bot runs: no leverage, no process that moves."""
    world = a_world()
    told = go(
        world,
        StreamLost(at=world.at, stream="public", reason="begun anew"),
        StreamLost(at=world.at, stream="private", reason="begun anew"),
        connected(world.at),
    )
    assert told.world.state("process") == "RUNNING"
    assert told.world.state("feed", BTC) == "CONNECTING"
    assert told.world.positions == world.positions
    assert [effect.symbol for effect in told.effects(Backfill)] == [BTC]
    assert entry_level(told.world, BTC) == Level.REDUCE_ONLY
    told = go(
        told.world,
        StreamUp(at=world.at, stream="public"),
        StreamUp(at=world.at, stream="private"),
        backfilled(at=world.at),
    )
    assert told.world.state("feed", BTC) == "LIVE"
    assert told.world.private_lost, "not before the account was read"
    later = T + 5_000
    told = go(told.world, reconciled(later, as_of=later))
    assert told.world.private_lost == ""


def test_a_resync_reads_the_account_in_full_beside_a_question_that_is_not_answered():
    world = go(a_world(), StreamUp(at=T + 10_000, stream="private")).world
    assert [question.depth for question in pending(world, Reconcile)] == ["light"]
    told = go(world, ResyncAsked(at=world.at))
    assert [question.depth for question in told.effects(Reconcile)] == ["full"]
