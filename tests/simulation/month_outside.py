"""Faults of what the bot trades with: market data, the venue, its clock, and the account there."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from bot.core.events import FramesRefused, StreamLost, StreamUp
from bot.core.values import Side
from tests.simulation.month_kinds import FAST_SECONDS, ails, brisk, fault, some
from tests.simulation.month_market import SYMBOLS

if TYPE_CHECKING:
    from tests.simulation.month_stage import Month

LOTS = {"BTCUSDT": Decimal("0.01"), "ETHUSDT": Decimal("0.15")}


# -- market data -----------------------------------------------------------------------------------


@fault
async def feed_stalls(month: Month) -> None:
    """No quote and no candle comes."""
    with brisk(month):
        month.stalled = True
        await some(month, 40, 150)
        month.stalled = False


@fault
async def candles_are_left_out(month: Month) -> None:
    """The stream skips some candles of a symbol."""
    month.withheld[month.chance.choice(SYMBOLS)] += month.chance.randint(1, 3)
    await asyncio.sleep(250)


@fault
async def frames_are_nonsense(month: Month) -> None:
    """Frames that cannot be true come by the dozen."""
    symbol = month.chance.choice(SYMBOLS)
    at = month.life.clock.now()
    month.life.post(FramesRefused(at=at, symbol=symbol, count=25, reason="price NaN"))
    await some(month, 40, 80)


async def _lost(month: Month, stream: str, why: str, seconds: float) -> None:
    month.outside.streams[stream] = False
    month.life.post(StreamLost(at=month.life.clock.now(), stream=stream, reason=why))
    await asyncio.sleep(seconds)
    month.outside.streams[stream] = True
    if month.life.connected:
        month.life.post(StreamUp(at=month.life.clock.now(), stream=stream))


@fault
async def public_stream_is_lost(month: Month) -> None:
    """The public stream ends and comes back."""
    await _lost(month, "public", "connection reset", month.chance.uniform(2, 90))


@fault
async def private_stream_is_lost(month: Month) -> None:
    """The private stream ends and comes back."""
    await _lost(month, "private", "connection reset", month.chance.uniform(2, 90))


async def _half_open(month: Month, stream: str) -> None:
    with brisk(month):
        month.outside.streams[stream] = False
        await asyncio.sleep(20)
        await _lost(month, stream, "silent for 20 s", 2)


@fault
async def public_stream_is_half_open(month: Month) -> None:
    """Nothing comes of the public stream, and nobody says so."""
    await _half_open(month, "public")


@fault
async def private_stream_is_half_open(month: Month) -> None:
    """Nothing comes of the private stream, and nobody says so."""
    await _half_open(month, "private")


@fault
async def price_jumps(month: Month) -> None:
    """The market leaps."""
    path = month.market.paths[month.chance.choice(SYMBOLS)]
    path.jump(1 + month.chance.choice((-1, 1)) * month.chance.uniform(0.005, 0.02))
    await asyncio.sleep(120)


@fault
async def market_whipsaws(month: Month) -> None:
    """Trends end before they are followed: trades are lost, and the guard has something to do."""
    for path in month.market.paths.values():
        path.whipsaw(150)
    await asyncio.sleep(60)


# -- the venue -------------------------------------------------------------------------------------


async def _weather(month: Month, mode: str, least: float, most: float) -> None:
    with brisk(month):
        month.outside.weather.mode = mode
        await some(month, least, most)
        month.outside.weather.mode = ""


@fault
async def venue_refuses(month: Month) -> None:
    """Connections are refused."""
    await _weather(month, "refused", 15, 120)


@fault
async def venue_swallows(month: Month) -> None:
    """Requests leave, and nothing answers."""
    await _weather(month, "swallowed", 10, 60)


@fault
async def venue_throttles(month: Month) -> None:
    """The venue says that it was asked too often."""
    await _weather(month, "throttled", 5, 30)


@fault
async def venue_is_shut(month: Month) -> None:
    """Maintenance."""
    await _weather(month, "maintenance", 60, 180)


@fault
async def venue_is_slow(month: Month) -> None:
    """Every answer takes seconds."""
    month.outside.weather.seconds = month.chance.uniform(1.2, 2.5)
    with ails(month, "latency_ms", 2_500.0):
        await asyncio.sleep(FAST_SECONDS)
    month.outside.weather.seconds = 0.05


# -- clocks ----------------------------------------------------------------------------------------


@fault
async def venue_clock_goes_ahead(month: Month) -> None:
    """The venue's clock is set forward."""
    month.offset_ms += round(month.chance.uniform(6_000, 1_800_000))
    await some(month, 60, 120)


@fault
async def venue_clock_goes_back(month: Month) -> None:
    """The venue's clock is set back."""
    month.offset_ms -= round(month.chance.uniform(6_000, 1_800_000))
    await some(month, 60, 120)


@fault
async def own_clock_steps(month: Month) -> None:
    """The computer's clock is set, either way; nothing may depend on it."""
    month.watcher.wall_offset_ms += round(month.chance.uniform(-7_200_000, 7_200_000))
    await asyncio.sleep(60)


# -- the account -----------------------------------------------------------------------------------


@fault
async def stop_is_lost(month: Month) -> bool:
    """The venue loses a stop and says nothing."""
    symbol = await month.position()
    if symbol:
        with brisk(month):
            month.books.protect(symbol, None, None)
            await asyncio.sleep(100)
    return bool(symbol)


@fault
async def venue_takes_from_a_position(month: Month) -> bool:
    """Auto-deleveraging: an execution without an order."""
    symbol = await month.position()
    held = month.books.positions.get(symbol)
    if held is None:
        return False
    part = max(abs(held.qty) / 3 // Decimal("0.001") * Decimal("0.001"), Decimal("0.001"))
    price = month.books.price(symbol)
    month.books.execute(symbol, Side.of(-held.qty), part, price, by="AutoDeleverage")
    await asyncio.sleep(90)
    return True


@fault
async def position_differs(month: Month) -> None:
    """A position changes at the venue, and no execution says why."""
    symbol = month.chance.choice(SYMBOLS)
    with brisk(month):
        month.books.shift(symbol, LOTS[symbol] * month.chance.choice((-1, 1)))
        await asyncio.sleep(110)


@fault
async def wallet_differs(month: Month) -> None:
    """Cash is missing, and no row says why."""
    month.books.wallet -= Decimal(month.chance.randint(5, 40))
    await asyncio.sleep(150)


@fault
async def cash_is_moved(month: Month) -> None:
    """People bring or take cash; the venue pays funding."""
    month.books.pay("TRANSFER_IN", Decimal(month.chance.randint(-500, 500)) or Decimal(1))
    month.books.pay("SETTLEMENT", Decimal(month.chance.randint(-300, 300)) / 100 or Decimal(1))
    await asyncio.sleep(120)


@fault
async def somebody_rests_an_order(month: Month) -> None:
    """An order that is not ours is on the book for a while."""
    symbol, link = month.chance.choice(SYMBOLS), month.books.next_id("web-")
    far = (month.books.price(symbol) * Decimal("0.9")).quantize(Decimal("0.1"))
    month.books.rest(link, symbol, Side.BUY, LOTS[symbol], far)
    await some(month, 90, 200)
    month.books.cancel(link)
    await asyncio.sleep(70)


@fault
async def somebody_trades(month: Month) -> None:
    """Somebody else trades on the account."""
    symbol, link = month.chance.choice(SYMBOLS), month.books.next_id("web-")
    side = month.chance.choice((Side.BUY, Side.SELL))
    with brisk(month):
        month.books.execute(symbol, side, LOTS[symbol], month.books.price(symbol), order=link)
        await asyncio.sleep(60)
