"""Questions to the venue and the changes that protect positions."""

from decimal import Decimal

import pytest

from bot.core.values import OrderStatus, Side
from bot.edge.venues import rest
from bot.edge.venues.reading import read_account
from bot.edge.venues.rest import Busy, Declined
from bot.edge.venues.send import send_order
from bot.errors import OutcomeUnknown, Refused
from tests.edge.worlds import entry

SYMBOL = "ETHUSDT"


async def flat(venue, symbol=SYMBOL):
    for position in await venue.positions():
        if position.symbol == symbol:
            side = Side.SELL if position.qty > 0 else Side.BUY
            await send_order(venue, entry(abs(position.qty), symbol, side, reduce_only=True))


async def test_what_an_order_did_is_in_the_account(exchange):
    async with exchange.venue() as venue:
        await flat(venue)
        wallet = await venue.wallet()
        mark = Decimal(str(await venue.mark(SYMBOL)))
        (instrument,) = await venue.instruments([SYMBOL])
        stop = instrument.round_price(float(mark) * 1.03)
        take = instrument.round_price(float(mark) * 0.95)
        since = venue.clock.now()
        submit = entry("0.5", SYMBOL, Side.SELL, stop=stop, take=take)
        assert (await send_order(venue, submit)).kind == "ACK"
        named = [(submit.order, SYMBOL), ("never-sent", SYMBOL)]
        account = await read_account(venue, named, since)
        (position,) = [p for p in account.positions if p.symbol == SYMBOL]
        assert (position.qty, position.stop, position.take) == (Decimal("-0.5"), stop, take)
        assert [(o.order, o.status) for o in account.orders] == [(submit.order, OrderStatus.FILLED)]
        mine = [fill for fill in account.fills if fill.order == submit.order]
        assert sum(fill.qty for fill in mine) == Decimal("0.5")
        assert account.wallet == wallet - sum(fill.fee for fill in mine)
        assert since <= account.as_of <= account.at


async def test_protection_is_changed_and_repeated(exchange):
    async with exchange.venue() as venue:
        await flat(venue)
        await send_order(venue, entry("0.5", SYMBOL))
        (instrument,) = await venue.instruments([SYMBOL])
        stop = instrument.round_price(await venue.mark(SYMBOL) * 0.97)
        for _ in range(2):  # the second is "not modified": fine
            await venue.protect(SYMBOL, stop, None)
        (position,) = [p for p in await venue.positions() if p.symbol == SYMBOL]
        assert (position.stop, position.take) == (stop, None)
        await flat(venue)
        with pytest.raises(Refused, match="no position to protect"):
            await venue.protect(SYMBOL, stop, None)


async def test_what_is_done_already_is_done(exchange):
    async with exchange.venue() as venue:
        await venue.cancel("was-never-there", SYMBOL)
        for _ in range(2):
            await venue.leverage(["BTCUSDT", SYMBOL], 3)


async def test_instruments_have_grids_and_fees(exchange):
    async with exchange.venue() as venue:
        every = await venue.instruments()
        assert len(every) == 5
        (btc,) = await venue.instruments(["BTCUSDT"])
        assert (btc.tick, btc.lot, btc.taker_fee) == (
            Decimal("0.1"),
            Decimal("0.001"),
            Decimal("0.00055"),
        )
        with pytest.raises(Refused, match="trades none of NOPEUSDT"):
            await venue.instruments(["NOPEUSDT"])


async def test_candles_are_closed_whole_and_paged(exchange):
    async with exchange.venue() as venue:
        newest = await venue.candles("BTCUSDT", 0, 1500)
        assert len(newest) == 1500
        times = [candle.open_time for candle in newest]
        assert times == list(range(times[0], times[-1] + 1, 60_000))
        assert times[-1] + 60_000 <= venue.clock.now() < times[-1] + 240_000
        after = await venue.candles("BTCUSDT", times[10], 3)
        assert [candle.open_time for candle in after] == times[11:14]
        assert after == newest[11:14]


@pytest.mark.parametrize("how", ["nan", "inf", "zero", "negative", "json", "truncate"])
async def test_candles_that_cannot_be_true_are_asked_for_again(exchange, how):
    async with exchange.venue() as venue:
        exchange.fault("garble", match="/v5/market/kline", how=how)
        with pytest.raises(Busy, match="kline"):
            await venue.candles("BTCUSDT", 0, 10)
        assert len(await venue.candles("BTCUSDT", 0, 10)) == 10


async def test_errors_say_what_to_do(exchange):
    async with exchange.venue() as venue:
        exchange.fault("ret_code", match="/v5/account", code=10006)
        with pytest.raises(Busy, match="10006"):
            await venue.wallet()
        exchange.fault("http_status", match="/v5/position/list", status=502)
        with pytest.raises(Busy, match="502"):
            await venue.positions()
        exchange.fault("drop", match="/v5/order/cancel-all", when="after")
        with pytest.raises(OutcomeUnknown):
            await venue.cancel_entries()
    async with exchange.venue(secret="wrong") as venue:
        with pytest.raises(Declined, match="10004") as refusal:
            await venue.wallet()
        assert refusal.value.code == 10004


async def test_a_limit_says_when_to_come_back(exchange, monkeypatch):
    monkeypatch.setattr(rest, "PATIENCE_REAL_SECONDS", 0.1)
    async with exchange.venue() as venue:
        exchange.fault("ret_code", match="/v5/position/set-leverage", code=10006)
        with pytest.raises(Busy, match="10006") as busy:
            await venue.leverage(["BTCUSDT"], 7)
        now = venue.clock.now()
        assert now < busy.value.retry_at <= now + 60 * 10_500
