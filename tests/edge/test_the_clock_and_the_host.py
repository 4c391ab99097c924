"""Market time follows the venue; text from outside is clean; systemd is told."""

from __future__ import annotations

import socket

import pytest

from bot.config import sections
from bot.core.effects import Exit, Protect, Reconcile
from bot.core.events import ClockJumped, Filled, Recovered, StopAsked, Ticked
from bot.core.text import safe_text
from bot.core.values import VenuePosition
from bot.edge.clock import MarketClock, Sample, monotonic_ns, wall_ms
from bot.edge.host import free_mb, sd_notify
from bot.edge.venues.bybit import Bybit
from bot.engine.boot import Paths
from bot.engine.watch import Watch
from tests.given import (
    BTC,
    D,
    a_fill,
    a_world,
    answered,
    connected,
    go,
    read_through,
    reconciled,
    started,
    ticked,
)


def sample(market_ms, rate=60.0, trip_ms=2.0):
    now = monotonic_ns()
    return Sample(now - int(trip_ms * 1e6), now, market_ms, rate)


def test_market_time_runs_at_the_markets_rate():
    clock = MarketClock()
    assert clock.sync([sample(1_000_000)]) == 0, "the first word of the venue is no jump"
    began, first = monotonic_ns(), clock.now()
    while monotonic_ns() - began < 20_000_000:
        assert clock.now() >= first
    real_ms = (monotonic_ns() - began) / 1e6
    assert clock.now() - first == pytest.approx(60 * real_ms, rel=0.05, abs=60)
    assert clock.real_ms(5) == 300_000


def test_drift_is_followed_and_never_steps_back():
    clock = MarketClock()
    clock.sync([sample(1_000_000, rate=1.0)])
    before = clock.now()
    assert clock.sync([sample(before - 900, rate=1.0)]) == 0
    assert clock.now() == before
    assert clock.venue_ms() < before


def test_a_jump_is_told_in_both_directions():
    clock = MarketClock()
    clock.sync([sample(1_000_000, rate=1.0)])
    assert clock.sync([sample(1_060_000, rate=1.0)]) == pytest.approx(60_000, abs=500)
    assert clock.sync([sample(1_000_000, rate=1.0)]) == pytest.approx(-60_000, abs=500)
    assert clock.now() < 1_010_000


def test_the_first_word_of_the_venue_is_a_jump_if_it_leads_back_from_stored_time():
    stored = 1_000_000 + 86_400_000
    clock = MarketClock(start_ms=stored)
    assert clock.sync([sample(1_000_000, rate=1.0)]) == pytest.approx(-86_400_000, abs=500)
    assert clock.now() < 1_010_000, "time goes on from the venue's"
    assert clock.sync([sample(clock.now(), rate=1.0)]) == 0, "it is told once"


def test_the_first_word_of_the_venue_is_no_jump_if_time_went_on_while_the_bot_was_down():
    clock = MarketClock(start_ms=1_000_000)
    assert clock.sync([sample(1_000_000 + 86_400_000, rate=1.0)]) == 0
    assert clock.now() >= 1_000_000 + 86_400_000


def test_the_first_word_of_the_venue_is_no_jump_if_it_leads_back_by_a_little():
    clock = MarketClock(start_ms=1_002_000)
    assert clock.sync([sample(1_000_000, rate=1.0)]) == 0


def test_the_first_word_of_the_venue_is_a_jump_if_it_leads_back_from_time_that_was_shown():
    clock = MarketClock()
    assert abs(clock.now() - wall_ms()) < 1_000
    back = wall_ms() - 3_600_000
    assert clock.sync([sample(back, rate=1.0)]) == pytest.approx(-3_600_000, abs=500)
    assert clock.now() < back + 10_000


@pytest.mark.parametrize("by_ms", [-1_000, 3_600_000])
def test_after_time_was_shown_a_little_back_or_anything_ahead_is_no_jump(by_ms):
    clock = MarketClock()
    clock.now()
    assert clock.sync([sample(wall_ms() + by_ms, rate=1.0)]) == 0


async def test_a_start_ahead_of_the_venues_clock_posts_a_jump_before_anything_else(
    exchange, tmp_path
):
    ahead = wall_ms() * 10
    venue = Bybit(exchange.url, exchange.ws_url, "k", "s", clock=MarketClock(start_ms=ahead))
    posted = []
    watch = Watch(
        venue,
        None,
        None,
        Paths(tmp_path / "state.db"),
        pace=sections.Watch(),
        post=posted.append,
        world=None,
        lost=None,
    )
    await venue.open()
    try:
        await watch.follow_clock()
        await watch.follow_clock()
    finally:
        await venue.close()
    (jump,) = posted
    assert isinstance(jump, ClockJumped)
    assert jump.by_ms < 0
    assert jump.at < ahead
    assert venue.clock.now() - jump.at < 60_000, "what is posted next goes on from there"


def test_a_slow_answer_is_no_jump():
    clock = MarketClock()
    clock.sync([sample(1_000_000)])
    assert clock.sync([sample(clock.now() + 2_000, trip_ms=1_000)]) == 0
    quick, slow = sample(clock.now()), sample(clock.now() + 10_000_000, trip_ms=500)
    assert clock.sync([slow, quick]) == 0


async def test_the_venues_rate_is_found(exchange):
    async with exchange.venue() as venue:
        assert venue.clock.rate == 60
        there = exchange.control("state")["market_ms"]
        assert abs(venue.clock.now() - there) < 60_000


def test_text_from_outside_is_clean():
    mark = "\N{REPLACEMENT CHARACTER}"
    assert safe_text("a\x1b[31mb\x00\x7f\x9b") == f"a{mark}[31mb{mark * 3}"
    assert safe_text("x\u202ey\u200bz\ud800\ufeff\u2066\u2028") == f"x{mark}y{mark}z{mark * 4}"
    assert safe_text("Zürich ≤ 3 €") == "Zürich ≤ 3 €"
    assert safe_text("y" * 500, 10) == "y" * 9 + "…"
    safe_text("".join(map(chr, range(0x110000))), 0x110000).encode()


def test_systemd_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not sd_notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert sd_notify("WATCHDOG=1")
        assert systemd.recv(100) == b"WATCHDOG=1"
    assert not sd_notify("WATCHDOG=1"), "a socket that is gone is no error"
    assert free_mb(tmp_path) > 0


# -- a start whose stored time is ahead of the venue's ---------------------------------------------

DAY_MS = 86_400_000


def started_ahead():
    """A running bot whose stored time is a day ahead; all that the venue says is of today."""
    at, row = a_world().at, VenuePosition(BTC, D(5), D(100))
    world = go(a_world(), ticked(a_world(), DAY_MS / 1000)).world
    world = go(world, Filled(at=world.at, fill=a_fill(BTC, qty=5, at=world.at))).world
    clock = MarketClock(start_ms=world.at)
    jump = clock.sync([sample(at, rate=1.0)])
    told = [ClockJumped(at=at, by_ms=jump)] if jump else []
    start = [started(at), Recovered(at=at, snapshot_seq=0, tail=world.seq), connected(at)]
    world = go(world, *told, *start, reconciled(at + 1, positions=(row,))).world
    return answered(world), at


def seconds_of(world, at, number, first=1):
    """Let so many seconds of the venue's time pass, and carry out all that is asked for."""
    effects = []
    for second in range(first, first + number):
        told = go(world, Ticked(at=at + second * 1_000, marks={BTC: 100.0}))
        effects += [dispatch.effect for dispatch in told.dispatches]
        world = answered(told.world)
    return world, effects


def test_stored_time_ahead_of_the_venues_freezes_no_request_and_no_review():
    world, at = started_ahead()
    assert world.state("process") == "RUNNING"
    world, effects = seconds_of(world, at, 90)
    assert len([e for e in effects if isinstance(e, Protect)]) > 30, "the venue holds no stop"
    assert [e for e in effects if isinstance(e, Reconcile)]
    assert world.at == at + 90_000
    assert world.at - world.account.reviewed_at < 20_000, "the kill switch is not blind"


def test_stored_time_ahead_of_the_venues_tears_no_reading():
    world, at = started_ahead()
    assert world.account.cash == D(100_000)
    world = go(world, reconciled(at + 10, 98_000)).world
    assert world.state("reconciliation") == "DRIFT", "it was compared, and is read anew deeper"
    assert read_through(world, 98_000).world.account.cash == D(98_000)


def test_stored_time_ahead_of_the_venues_does_not_keep_the_process_from_stopping():
    world, at = started_ahead()
    world = go(world, StopAsked(at=at + 1, cause="SIGTERM")).world
    world, effects = seconds_of(world, at, 30)
    assert world.state("process") == "STOPPED"
    assert [e for e in effects if isinstance(e, Exit)]
