"""Feeds: whether a symbol's market data may be believed. CONNECTING LIVE STALE GAPPED QUARANTINED.

Invariants: a symbol trades only while LIVE; every way back to LIVE leads through a backfill that
leaves no hole; a candle is taken in once, in order; what could not be true was counted, not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bot.core.asking import pending
from bot.core.effects import Backfill, Effect, Notify
from bot.core.events import (
    Backfilled,
    CandleClosed,
    ClockJumped,
    FramesRefused,
    Limited,
    Listed,
    Measured,
    StreamLost,
    Ticked,
    VenueConnected,
)
from bot.core.facts import CandleStored
from bot.core.holds import HOLD
from bot.core.machine import BORN, Level, Row, Table, always
from bot.core.turn import Question, Turn
from bot.core.values import Candle
from bot.core.world import FeedData

if TYPE_CHECKING:
    from bot.core.world import World

ASK_AGAIN_REAL_SECONDS = 1.0
VOLUME_SHARE = 1 / 720
"""Weight of one candle in the running mean of a minute's volume: half a day of memory."""
INTERVAL_MS = 60_000
"""Candles are one-minute candles; longer horizons are made of them."""


class FeedState(StrEnum):
    """Whether a symbol's data may be believed."""

    CONNECTING = "CONNECTING"
    LIVE = "LIVE"
    STALE = "STALE"
    GAPPED = "GAPPED"
    QUARANTINED = "QUARANTINED"


CONNECTING, LIVE, STALE, GAPPED, QUARANTINED = FeedState


def stale_after_ms(world: World) -> int:
    """Return how long a symbol may be silent, market ms."""
    limits = world.settings.feed
    return max(limits.stale_seconds * 1000, world.real_ms(limits.stale_real_seconds))


def newest_closed(at: int) -> int:
    """Return the open time of the newest candle that is closed at ``at``."""
    return at // INTERVAL_MS * INTERVAL_MS - INTERVAL_MS


def silent(world: World, event: Ticked, key: str) -> str | None:
    """No quote for too long."""
    age = world.at - world.feeds[key].seen_at
    limit = stale_after_ms(world)
    return f"no quote for {age / 1000:.0f} s, limit {limit / 1000:.0f} s" if age > limit else None


def late(world: World, event: Ticked, key: str) -> str | None:
    """A closed candle is missing."""
    missing = (newest_closed(world.at) - world.feeds[key].last) // INTERVAL_MS
    overdue = world.at - (world.feeds[key].last + 2 * INTERVAL_MS)
    if missing >= 1 and overdue > stale_after_ms(world):
        return f"{missing} closed candles did not arrive"
    return None


def quoted(world: World, event: Ticked, key: str) -> str | None:
    """Quotes are back."""
    if world.public_lost or key not in event.marks:  # quotes of before the loss prove nothing
        return None
    return "quotes are back; asking for what was missed"


def hole(world: World, event: CandleClosed, key: str) -> str | None:
    """A candle came whose predecessor did not."""
    last = world.feeds[key].last
    missing = (event.candle.open_time - last) // INTERVAL_MS - 1
    return f"{missing} candles missing before {event.candle.open_time}" if missing > 0 else None


def whole(world: World, event: Backfilled, key: str) -> str | None:
    """Enough candles, without a hole, up to the newest."""
    feed = world.feeds[key]
    age = newest_closed(world.at) - feed.last
    lag = max(INTERVAL_MS, stale_after_ms(world))
    closed = (world.at - feed.last - INTERVAL_MS) / 1000
    return (
        f"whole; the newest candle closed {closed:.0f} s ago" if feed.last and age <= lag else None
    )


def short(world: World, event: Backfilled, key: str) -> str:
    """The venue has not given all candles yet."""
    return f"newest candle is {world.feeds[key].last}, expected {newest_closed(world.at)}"


def lost(world: World, event: StreamLost, key: str) -> str | None:
    """The public stream ended."""
    return f"the public stream is down: {event.reason}" if event.stream == "public" else None


def jumped(world: World, event: ClockJumped, key: str) -> str:
    """The venue's clock jumped."""
    return f"the venue's clock jumped by {event.by_ms / 1000:.1f} s"


def told_of_jump(event: ClockJumped) -> Notify:
    """Return what people are told of a jump: once, however many feeds it moves."""
    text = (
        f"the venue's clock jumped by {event.by_ms / 1000:.1f} s: no entries until feeds are whole"
    )
    return Notify(severity="warning", text=text, key="clock jump", runbook="clock")


def garbage(world: World, event: FramesRefused, key: str) -> str | None:
    """Too many frames that could not be true."""
    refused, limit = world.feeds[key].refused, world.settings.feed.refused_max
    return f"{refused} frames refused within a minute: {event.reason}" if refused >= limit else None


def quiet(world: World, event: Ticked, key: str) -> str | None:
    """Nothing was refused for long enough."""
    wait = world.real_ms(world.settings.feed.quarantine_real_seconds)
    calm = world.at - world.feeds[key].refused_at
    return f"no refused frame for {calm / 1000:.0f} s" if calm >= wait else None


def ask(world: World, event: object, key: str) -> Iterator[Effect]:
    """Ask for the candles that are missing."""
    yield backfill(world, key)


def backfill(world: World, symbol: str) -> Backfill:
    """Return the question for the candles after the newest known, or for a whole warm-up."""
    warmup = world.settings.market.warmup_candles
    last = world.feeds[symbol].last
    oldest = newest_closed(world.at) - (warmup - 1) * INTERVAL_MS
    return Backfill(symbol=symbol, after=max(last, oldest - INTERVAL_MS), limit=warmup)


# fmt: off
FEED = Table("feed", FeedState, (
    #   from                       on              when      to           then
    Row(BORN,                      VenueConnected, always("a symbol to trade"), CONNECTING, (ask,)),
    Row((LIVE, STALE, GAPPED),     VenueConnected, always("connected anew"),    CONNECTING, (ask,)),
    Row((CONNECTING, GAPPED),      Backfilled,     whole,    LIVE),
    Row((LIVE, CONNECTING, STALE), CandleClosed,   hole,     GAPPED,      (ask,)),
    Row(LIVE,                      Ticked,         silent,   STALE),
    Row(LIVE,                      Ticked,         late,     GAPPED,      (ask,)),
    Row(STALE,                     Ticked,         quoted,   GAPPED,      (ask,)),
    Row((LIVE, STALE, GAPPED),     StreamLost,     lost,     STALE),
    Row((LIVE, STALE),             ClockJumped,    jumped,   GAPPED,      (ask,)),
    Row((CONNECTING, LIVE, STALE, GAPPED), FramesRefused, garbage, QUARANTINED),
    Row(QUARANTINED,               Ticked,         quiet,    GAPPED,      (ask,)),
), key="symbol", lowers={s: Level.REDUCE_ONLY for s in FeedState if s is not LIVE})
# fmt: on


def connect(turn: Turn, event: VenueConnected) -> None:
    """Learn the instruments, and begin or resume each symbol's feed."""
    listed = {i.symbol: i for i in event.instruments}
    turn.set(instruments={**turn.world.instruments, **listed}, rate=event.rate)
    for instrument in event.instruments:
        feed = turn.world.feeds.get(instrument.symbol, FeedData())
        last = feed.last if feed.source in ("", event.source) else 0
        feed = replace(feed, seen_at=turn.world.at, last=last, source=event.source)
        turn.put("feeds", instrument.symbol, feed)
        turn.fire(FEED, event, instrument.symbol)


def listed(turn: Turn, event: Listed) -> None:
    """Learn new sizes and ticks; hold the entries of a symbol that is no longer traded."""
    found = {i.symbol: i for i in event.instruments}
    turn.set(instruments={**turn.world.instruments, **found})
    for symbol in event.symbols:
        if symbol not in found and turn.world.state("hold", symbol) != "HELD":
            gone = Limited(at=turn.world.at, control="instrument", reason="no longer listed")
            turn.fire(HOLD, gone, symbol)


def tick(turn: Turn, event: Ticked) -> None:
    """Take the quotes in, and see which feeds are silent, late, or well again."""
    known = {
        s: price for s, price in event.marks.items() if s in turn.world.feeds and 0 < price < inf
    }
    if known:
        now = turn.world.at
        feeds = dict(turn.world.feeds)
        for symbol in known:
            feeds[symbol] = replace(feeds[symbol], seen_at=now)
        turn.set(marks={**turn.world.marks, **known}, feeds=feeds)
    for symbol, feed in turn.world.feeds.items():
        if _may_move(turn.world, symbol, feed):
            turn.fire(FEED, event, symbol)
            _ask_again(turn, symbol)


def _ask_again(turn: Turn, symbol: str) -> None:
    """Ask again, with a pause, for candles that the venue did not have yet."""
    feed, world = turn.world.feeds[symbol], turn.world
    waiting = world.state("feed", symbol) in (CONNECTING, GAPPED)
    if not waiting or world.at < feed.asked_at + world.real_ms(ASK_AGAIN_REAL_SECONDS):
        return
    if not any(effect.symbol == symbol for effect in pending(world, Backfill)):
        turn.put("feeds", symbol, replace(feed, asked_at=world.at))
        turn.emit(backfill(turn.world, symbol))


def _may_move(world: World, symbol: str, feed: FeedData) -> bool:
    """Tell cheaply whether a tick can matter to a feed: a live one with fresh data is the rule."""
    if world.state("feed", symbol) != LIVE:
        return True
    limit = stale_after_ms(world)
    return world.at - feed.seen_at > limit or world.at - feed.last - 2 * INTERVAL_MS > limit


def candle(turn: Turn, event: CandleClosed) -> None:
    """Take a streamed candle in if it is the next one; ask for what is missing before it."""
    feed = turn.world.feeds.get(event.symbol)
    if feed is None or event.candle.open_time <= feed.last:
        return  # a symbol that is not ours, a duplicate, or a late candle: already known
    if (
        event.candle.open_time + INTERVAL_MS
        > turn.world.at + turn.world.settings.feed.clock_jump_ms
    ):
        return  # not closed yet by the market's own clock
    if hole(turn.world, event, event.symbol) or not feed.last:
        turn.fire(FEED, event, event.symbol)
        return
    if turn.world.state("feed", event.symbol) == QUARANTINED:
        return
    _take(turn, event.symbol, (event.candle,), event.source, "stream")


def backfilled(turn: Turn, event: Backfilled) -> None:
    """Take fetched candles in up to the first hole; ask again for what is still missing."""
    feed = turn.world.feeds.get(event.symbol)
    if feed is None:
        return
    fresh: list[Candle] = []
    last = feed.last
    for candle in event.candles:
        if candle.open_time <= last:
            continue
        hole = last and candle.open_time != last + INTERVAL_MS
        if hole and (fresh or not _restart(turn.world, event)):
            break
        fresh.append(candle)
        last = candle.open_time
    if fresh:
        reset = fresh[0].open_time != feed.last + INTERVAL_MS
        _take(turn, event.symbol, tuple(fresh), event.source, "backfill", reset=reset)
    turn.fire(FEED, event, event.symbol)
    if fresh and turn.world.state("feed", event.symbol) in (CONNECTING, GAPPED):
        turn.emit(backfill(turn.world, event.symbol))


def _restart(world: World, event: Backfilled) -> bool:
    """Tell whether the venue gave a whole new warm-up, so that older candles no longer matter."""
    return len(event.candles) >= world.settings.market.warmup_candles


def _take(
    turn: Turn,
    symbol: str,
    candles: tuple[Candle, ...],
    source: str,
    how: str,
    *,
    reset: bool = False,
) -> None:
    feed = turn.world.feeds[symbol]
    volume = candles[0].volume if reset or not feed.last else feed.volume
    for candle in candles:
        volume += (candle.volume - volume) * VOLUME_SHARE
    feed = replace(feed, last=candles[-1].open_time, close=candles[-1].close, volume=volume)
    turn.put("feeds", symbol, feed)
    for candle in candles:
        turn.note(CandleStored(symbol, candle, source, how))
    turn.ask(Question(symbol, candles, reset))


def measured(turn: Turn, event: Measured) -> None:
    """Remember how far a minute moves: prices are judged by it."""
    feed = turn.world.feeds.get(event.symbol)
    if feed is not None:
        turn.put("feeds", event.symbol, replace(feed, atr=event.atr))


def refused(turn: Turn, event: FramesRefused) -> None:
    """Count refused frames; too many within a minute put a symbol into quarantine."""
    feed = turn.world.feeds.get(event.symbol)
    if feed is None:
        return
    fresh = turn.world.at - feed.refused_at > 60_000
    count = event.count if fresh else feed.refused + event.count
    turn.put("feeds", event.symbol, replace(feed, refused=count, refused_at=turn.world.at))
    turn.fire(FEED, event, event.symbol)


def all_feeds(turn: Turn, event: StreamLost | ClockJumped) -> None:
    """Let every symbol's feed answer an event of the stream or the clock."""
    for symbol in turn.world.feeds:
        turn.fire(FEED, event, symbol)
