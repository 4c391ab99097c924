"""The link: reaches the venue, however long that takes, and keeps its streams up.

Before that it sees that the key may trade there, and on the account that was meant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.config.sections import Config
from bot.core.events import Event, Listed, StreamLost, VenueAnswered, VenueConnected, VenueTroubled
from bot.core.values import Instrument
from bot.edge.venues.bybit import Bybit
from bot.edge.venues.dcp import Dcp
from bot.edge.venues.keys import warnings_of, why_not_trade
from bot.edge.venues.rest import Declined
from bot.edge.venues.stream import Stream, private_stream, public_stream
from bot.edge.venues.trouble import VenueAnswer, VenueTrouble
from bot.engine.venue import Venue
from bot.engine.watch import Watch
from bot.errors import BotError, Refused, Retryable

AGAIN_SECONDS = 1.0


class Link:
    """The way to the venue. ``refused`` is told why it may not trade.

    ``tried`` is called at each attempt to reach the venue or its public stream.
    """

    def __init__(
        self,
        venue: Bybit,
        where: Venue,
        config: Config,
        watch: Watch,
        *,
        say: Callable[[str], None],
        refused: Callable[[str], None],
        tried: Callable[[], None],
    ) -> None:
        self.venue, self.where, self.config, self.watch = venue, where, config, watch
        self.say, self.refused, self.tried = say, refused, tried
        self.streams: dict[str, Stream] = {}
        self._patience: asyncio.Timeout | None = None
        self._made = asyncio.Event()
        self._again = ""

    async def run(self) -> None:
        """Connect, then run the streams until cancelled, or anew after each ``restart``."""
        while await self._until_restarted():
            self._lost(self._again)

    async def _until_restarted(self) -> bool:
        """Do the work; tell whether it was ended to be begun anew."""
        self._again = ""
        try:
            async with asyncio.timeout(None) as self._patience:
                await self._keep()
        except TimeoutError:
            if not self._again:
                raise
        return bool(self._again)

    # -- what healing may ask for ------------------------------------------------------------------

    async def reconnect(self, name: str, reason: str) -> None:
        """Drop a stream's session, and wait until the next one is up. Raises Retryable."""
        stream = self.streams.get(name)
        if stream is None:
            raise Retryable(f"the {name} stream was not begun yet: the venue was not reached")
        await stream.anew(reason)

    async def restart(self, reason: str) -> None:
        """Begin anew, from what is listed to the streams, and wait until these are up.

        Raises Retryable.
        """
        if self._patience is None or self._patience.expired():
            raise Retryable("the market data is being begun anew already")
        self._again = reason
        self._made.clear()
        self.venue.forget()
        self._patience.reschedule(asyncio.get_running_loop().time())
        await self._made.wait()
        for stream in self.streams.values():
            await stream.up(1)

    def _lost(self, reason: str) -> None:
        """Tell that nothing is heard of the streams until they are up anew."""
        for name in self.streams:
            self.watch.post(StreamLost(at=self.venue.clock.now(), stream=name, reason=reason))

    # -- the work ----------------------------------------------------------------------------------

    async def _keep(self) -> None:
        instruments = await self._reach()
        if instruments is None:
            return
        symbols = [i.symbol for i in instruments]
        missing = sorted(set(self.config.settings.market.symbols) - set(symbols))
        if missing:
            self.say(f"the venue does not trade {', '.join(missing)}: left out")
        connected = VenueConnected(
            at=self.venue.clock.now(),
            rate=self.venue.clock.rate,
            source=self.where.source,
            instruments=instruments,
        )
        self.watch.post(connected)
        self.streams = self._streams(symbols)
        self._made.set()
        async with asyncio.TaskGroup() as tasks:
            for stream in self.streams.values():
                tasks.create_task(stream.run())
            every = self.config.watch.listing_real_seconds
            tasks.create_task(_relist(self.venue, symbols, every, self.watch.post))

    def _streams(self, symbols: list[str]) -> dict[str, Stream]:
        venue, where, post = self.venue, self.where, self.watch.post
        public = venue
        if where.ws_public_url != where.ws_url:
            public = Bybit(
                where.rest_url,
                where.ws_public_url,
                where.key,
                where.secret,
                clock=venue.clock,
                heard=lambda told: post(heard(told, venue.clock.now())),
            )
        seconds = self.config.venue.dcp_seconds
        dcp = Dcp(venue, seconds, self.say) if seconds else None
        return {
            "public": public_stream(public, symbols, self.watch.marks, post, tried=self.tried),
            "private": private_stream(venue, symbols, post, dcp=dcp),
        }

    async def _reach(self) -> tuple[Instrument, ...] | None:
        """Return what may be traded once the venue answers; None if this key may not trade."""
        wanted = self.config.settings.market
        while True:
            self.tried()
            try:
                await self.watch.follow_clock()
                why_not = await why_not_trade(self.venue, self.config.venue)
                if why_not:
                    self.refused("; ".join(why_not))
                    return None
                found = await self.venue.instruments(wanted.symbols)
                warnings = await warnings_of(self.venue, self.config.venue)
            except BotError as error:
                self.say(f"the venue does not answer: {error}")
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                for warning in warnings:
                    self.say(warning)
                return found[: wanted.symbols_max]


async def _relist(
    venue: Bybit, symbols: list[str], every: float, post: Callable[[Event], None]
) -> None:
    """Read what is listed anew every so many real seconds: sizes change, and symbols go."""
    while True:
        await asyncio.sleep(every)
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


def heard(told: VenueTrouble | VenueAnswer, at: int) -> Event:
    """Return what the venue's trouble, or its end, is as an event."""
    if isinstance(told, VenueAnswer):
        return VenueAnswered(at=at, after=", ".join(told.after))
    return VenueTroubled(at=at, kind=told.kind, reason=told.reason[:300], retry_at=told.retry_at)
