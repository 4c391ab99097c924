"""Contract VC-26 to VC-31: what is read of the account is whole, true, and at the venue's time."""

from __future__ import annotations

import asyncio

import pytest

from bot.edge.venues.reading import read_account
from bot.edge.venues.rest import Busy
from bot.edge.venues.send import send_order
from tests.edge.worlds import entry
from tests.venues.world import CANDLES, ORDER, WALLET, Scripted, resting

FINE = {"category": "linear", "nextPageCursor": ""}


async def test_vc26_open_orders_of_all_pages_are_read(world):
    async with world.venue() as venue:
        many = [await resting(venue, "0.01") for _ in range(53)]
        listed = {row.order for row in await venue.open_orders()}
        assert {submit.order for submit in many} <= listed
        await venue.cancel_entries()
        assert await venue.open_orders() == ()


async def test_vc27_executions_are_read_once_each_in_order(world):
    async with world.venue() as venue:
        since = venue.clock.now()
        sent = [entry("0.01") for _ in range(110)]
        for submit in sent:
            await send_order(venue, submit)
        fills = await venue.fills(since)
        assert len({fill.fill for fill in fills}) == len(fills) >= len(sent)
        assert [fill.at for fill in fills] == sorted(fill.at for fill in fills)
        assert {submit.order for submit in sent} <= {fill.order for fill in fills}


async def test_vc28_a_wrong_clock_is_mended_by_the_refusal_that_it_causes(world):
    async with world.venue() as venue:
        world.exchange.control("jump", seconds=3600)
        first, second = (
            await send_order(venue, entry()),
            await send_order(venue, entry()),
        )
        assert (first.kind, first.code, second.kind) == ("NOT_SENT", 10002, "ACK")
        world.exchange.control("jump", seconds=3600)
        with pytest.raises(Busy, match="10002"):
            await venue.wallet()
        assert await venue.wallet() > 0


@pytest.mark.parametrize("how", ["nan", "inf", "zero", "negative", "json", "truncate"])
async def test_vc29_candles_that_cannot_be_true_are_refused(world, how):
    async with world.venue() as venue:
        world.garble(CANDLES, how)
        with pytest.raises(Busy, match="kline"):
            await venue.candles("BTCUSDT", 0, 10)


UNTRUE = {
    "wallet NaN": (WALLET, {"list": [{"coin": [{"coin": "USDT", "walletBalance": "NaN"}]}]}),
    "no account": (WALLET, {"list": []}),
    "list is null": (WALLET, {"list": None}),
    "result is null": (WALLET, None),
    "wallet 1e99": (WALLET, {"list": [{"coin": [{"coin": "USDT", "walletBalance": "1e99"}]}]}),
}


@pytest.mark.parametrize(("path", "result"), UNTRUE.values(), ids=UNTRUE)
async def test_vc29_a_wallet_that_cannot_be_true_is_refused(path, result):
    scripted = Scripted()
    async with scripted.venue() as venue:
        scripted.ok(path, **(result or {}))
        if result is None:
            scripted.answers[path] = b'{"retCode":0,"retMsg":"OK","result":null}'
        with pytest.raises(Busy, match="wallet"):
            await venue.wallet()


async def test_vc29_an_order_in_a_state_of_no_table_is_refused():
    row = {"orderId": "1", "orderLinkId": "a", "symbol": "BTCUSDT", "side": "Buy", "qty": "1"}
    row |= {"cumExecQty": "0", "orderStatus": "Dreaming"}
    scripted = Scripted()
    async with scripted.venue() as venue:
        scripted.ok("/v5/order/realtime", list=[row], **FINE)
        with pytest.raises(Busy, match="Dreaming"):
            await venue.open_orders()


async def test_vc30_a_page_that_leads_on_for_ever_is_left():
    scripted = Scripted()
    row = {"symbol": "BTCUSDT", "takerFeeRate": "0.001"}
    scripted.headers = "X-Bapi-Limit: 100000\r\nX-Bapi-Limit-Status: 99999\r\n"
    async with scripted.venue() as venue:
        scripted.ok("/v5/account/fee-rate", list=[row], nextPageCursor="again")
        with pytest.raises(Busy, match="more than 200 pages"):
            await venue.pages("/v5/account/fee-rate", {"category": "linear"}, dict)


async def test_vc31_a_reading_holds_together_while_orders_fill(world):
    async with world.venue() as venue:
        since = venue.clock.now() - 60_000
        before = await read_account(venue, (), since)
        submit = entry("0.02")
        world.late(ORDER, 50)
        _, during = await asyncio.gather(
            send_order(venue, submit), read_account(venue, [(submit.order, submit.symbol)], since)
        )
        known = {fill.fill for fill in before.fills}
        fees = sum(f.fee for f in during.fills if f.fill not in known)
        realised = during.wallet - before.wallet + fees
        assert realised == 0 or any(f.order != submit.order for f in during.fills)
        assert during.as_of <= during.at
