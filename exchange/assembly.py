"""Puts an exchange together from its flags, starts it in the running loop, and stops it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal

import msgspec
from aiohttp import web

from exchange.auth import Key
from exchange.book import Book
from exchange.depth import Depth
from exchange.errors import BadStart, Refused
from exchange.options import Options
from exchange.server import Server
from exchange.sources import Real, Source, open_source
from exchange.venue import Settings, Venue


class Exchange:
    """One exchange with its book, its source of prices, and its server."""

    def __init__(self, book: Book, source: Source, venue: Venue) -> None:
        self.book = book
        self.source = source
        self.venue = venue
        self.server = Server(venue)
        self._time: asyncio.Task[None] | None = None

    async def start(
        self, site: Callable[[web.AppRunner], web.BaseSite], idle_exit_s: float = 0.0
    ) -> int | None:
        """Serves on a site, e.g. `lambda runner: web.UnixSite(runner, path)`, and lets time run.

        Returns the port, if the site has one. `finished` ends after POST /control/stop or after
        `idle_exit_s` real seconds without a client.
        """
        await self.source.begin()
        port = await self.server.listen(site)
        self._time = asyncio.create_task(self.server.keep_time(idle_exit_s))
        return port

    async def finished(self) -> None:
        """Waits for the end of time; raises what ended it, if it was a fault."""
        if self._time is not None:
            await self._time

    async def stop(self) -> None:
        """Ends time, connections, and the source; the book is settled and closed."""
        self.server.stopping.set()
        try:
            await self.finished()
        finally:
            await self.server.close()
            await self.source.end()
            self.venue.settle(clean=True)
            self.book.close()


async def open_exchange(options: Options, real: Real = time.monotonic) -> Exchange:
    """An exchange as the flags say, not yet started; raises `BadStart` if they contradict.

    `real` is all real time that it reads, in seconds; a virtual loop gives its `time`.
    """
    book = Book(options.book)
    source = await open_source(options, book, real)
    venue = Venue(source.clock, source.path, source.catalogue, book, _settings(options))
    exchange = Exchange(book, source, venue)
    if options.fee_tier:
        venue.account.fees.pin(options.fee_tier)
    for text in options.fault:
        _arm(venue, text)
    return exchange


def _settings(options: Options) -> Settings:
    try:
        deposit = Decimal(options.wallet)
    except ArithmeticError:
        deposit = Decimal("NaN")
    if not (deposit.is_finite() and deposit >= 0):
        raise BadStart(f"--wallet: expected an amount of USDT, found {options.wallet!r}")
    return Settings(
        keys=(Key(options.key, options.secret), *map(_key, options.api_key)),
        deposit=deposit,
        depth=Depth(options.spread_bps, options.impact_bps, options.liquidity, options.seed),
        rate_limit=not options.no_rate_limit,
        dcp=options.dcp,
    )


def _key(text: str) -> Key:
    try:
        return msgspec.json.decode(text, type=Key)
    except msgspec.MsgspecError as error:
        raise BadStart(f"--api-key {text}: expected a key, found: {error}") from None


def _arm(venue: Venue, text: str) -> None:
    try:
        venue.carry_out(lambda: venue.faults.arm(msgspec.json.decode(text)))
    except (Refused, msgspec.MsgspecError) as error:
        raise BadStart(f"--fault {text}: {error}") from None
