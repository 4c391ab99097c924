"""The link: reaches the venue, however long that takes, and keeps its streams up.

Before that it sees that the key may trade there, and on the account that was meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.config.sections import Config
from bot.core.events import Event, Listed, VenueAnswered, VenueConnected, VenueTroubled
from bot.core.values import Instrument
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.dcp import Dcp
from bot.edge.venues.keys import warnings_of, why_not_trade
from bot.edge.venues.rest import Declined
from bot.edge.venues.stream import private_stream, public_stream
from bot.edge.venues.trouble import VenueAnswer, VenueTrouble
from bot.engine.venue import Venue
from bot.engine.watch import Watch
from bot.errors import BotError, Refused

AGAIN_SECONDS = 1.0
RELIST_SECONDS = 4 * 3600.0


async def keep(
    venue: Bybit,
    where: Venue,
    config: Config,
    watch: Watch,
    *,
    say: Callable[[str], None],
    refused: Callable[[str], None],
    tried: Callable[[], None],
) -> None:
    """Connect, then run the streams until cancelled. ``refused`` is told why it may not trade.

    ``tried`` is called at each attempt to reach the venue or its public stream.
    """
    instruments = await _reach(venue, config, watch, say=say, refused=refused, tried=tried)
    if instruments is None:
        return
    symbols = [i.symbol for i in instruments]
    missing = sorted(set(config.settings.market.symbols) - set(symbols))
    if missing:
        say(f"the venue does not trade {', '.join(missing)}: left out")
    connected = VenueConnected(
        at=venue.clock.now(),
        rate=venue.clock.rate,
        source=where.source,
        instruments=instruments,
    )
    watch.post(connected)
    public = venue
    if where.ws_public_url != where.ws_url:
        public = Bybit(
            where.rest_url,
            where.ws_public_url,
            where.key,
            where.secret,
            clock=venue.clock,
            heard=lambda told: watch.post(heard(told, venue.clock.now())),
        )
    seconds = config.venue.dcp_seconds
    dcp = Dcp(venue, seconds, say) if seconds else None
    async with asyncio.TaskGroup() as streams:
        prices = public_stream(public, symbols, watch.marks, watch.post, tried=tried)
        streams.create_task(prices.run())
        streams.create_task(private_stream(venue, symbols, watch.post, dcp=dcp).run())
        streams.create_task(_relist(venue, symbols, watch.post))


async def _relist(venue: Bybit, symbols: list[str], post: Callable[[Event], None]) -> None:
    """Read what is listed anew from time to time: sizes change, and symbols go."""
    while True:
        await asyncio.sleep(RELIST_SECONDS)
        venue.forget()
        try:
            found = await venue.instruments(symbols)
        except Declined:
            continue  # of this request only
        except Refused:
            found = ()  # none of them is listed any more
        except BotError:
            continue  # the venue's trouble is told where it was met; the next time tries again
        post(Listed(at=venue.clock.now(), symbols=tuple(symbols), instruments=found))


async def _reach(
    venue: Bybit,
    config: Config,
    watch: Watch,
    *,
    say: Callable[[str], None],
    refused: Callable[[str], None],
    tried: Callable[[], None],
) -> tuple[Instrument, ...] | None:
    """Return what may be traded once the venue answers; None if this key may not trade."""
    while True:
        tried()
        try:
            await watch.follow_clock()
            why_not = await why_not_trade(venue, config.venue)
            if why_not:
                refused("; ".join(why_not))
                return None
            found = await venue.instruments(config.settings.market.symbols)
            warnings = await warnings_of(venue, config.venue)
        except BotError as error:
            say(f"the venue does not answer: {error}")
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            for warning in warnings:
                say(warning)
            return found[: config.settings.market.symbols_max]


def heard(told: VenueTrouble | VenueAnswer, at: int) -> Event:
    """Return what the venue's trouble, or its end, is as an event."""
    if isinstance(told, VenueAnswer):
        return VenueAnswered(at=at, after=", ".join(told.after))
    return VenueTroubled(at=at, kind=told.kind, reason=told.reason[:300], retry_at=told.retry_at)
