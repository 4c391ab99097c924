"""Contract VC-64 to VC-70: what people and the venue do beside the bot misleads it in nothing."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from http import HTTPStatus
from types import SimpleNamespace

import msgspec
import pytest
import websockets

from bot.config import load
from bot.core.effects import Inquire
from bot.core.events import (
    Absent,
    Delivered,
    FramesRefused,
    OrderReported,
    PositionReported,
    StreamUp,
    Undelivered,
    VenueConnected,
    VenueTroubled,
)
from bot.core.values import Side
from bot.edge.venues.frames import Marks
from bot.edge.venues.keys import why_not_mode
from bot.edge.venues.reading import read_account
from bot.edge.venues.rest import Declined
from bot.edge.venues.send import send_order
from bot.edge.venues.stream import private_stream
from bot.engine import link
from bot.engine.venue import Venue
from tests.edge.worlds import Recorder, carried_out, entry, order_id, running
from tests.venues.world import POSITIONS, SYMBOL, Ear, Scripted, flat, prices, resting

LEVERAGE, EXECUTIONS = "/v5/position/set-leverage", "/v5/execution/list"
ORDERS = ("/v5/order/realtime", "/v5/order/history")
FILL = {"execId": "1", "orderLinkId": "a-1", "symbol": SYMBOL, "side": "Buy", "execQty": "1"}
FILL |= {"execPrice": "3000", "execTime": "1700000000000", "execFee": "0.05"}
HELD = {"symbol": SYMBOL, "side": "Buy", "size": "1", "avgPrice": "3000"}


async def leverage_of(venue, symbol: str) -> str:
    query = {"category": "linear", "symbol": symbol}
    reply = await venue.rest.get(POSITIONS, query)
    return msgspec.json.decode(reply.result)["list"][0]["leverage"]


async def test_vc64_a_symbol_that_declines_its_leverage_stops_no_other(world):
    symbols = ("BTCUSDT", SYMBOL, "SOLUSDT")
    async with world.venue() as venue:
        await venue.leverage(symbols, 7)
        world.code(LEVERAGE, 110013)
        with pytest.raises(Declined, match=r"^BTCUSDT: .*110013") as declined:
            await venue.leverage(symbols, 4)
        assert SYMBOL not in str(declined.value)
        assert [await leverage_of(venue, symbol) for symbol in symbols] == ["7", "4", "4"]
        await venue.leverage(symbols, 4)
        assert await leverage_of(venue, "BTCUSDT") == "4"


async def test_vc65_an_execution_is_found_by_the_id_of_its_order(world):
    async with world.venue() as venue:
        filled, rests = entry("0.1", SYMBOL), await resting(venue)
        await send_order(venue, filled)
        assert await venue.is_executed(filled.order, SYMBOL)
        for other in (rests.order, order_id()):
            assert not await venue.is_executed(other, SYMBOL)
        await venue.cancel(rests.order, SYMBOL)
        await flat(venue)


async def inquired(venue, order: str) -> list:
    """Return what a runner posts of a question about an order whose request is long too late."""
    return await carried_out(Inquire(order=order, symbol=SYMBOL, sent_at=0), venue)


async def test_vc65_an_order_that_was_executed_is_not_absent_though_no_list_has_its_row():
    scripted = Scripted()
    for path in ORDERS:
        scripted.ok(path, list=[])
    async with scripted.venue() as venue:
        scripted.ok(EXECUTIONS, list=[FILL])
        (told,) = await inquired(venue, "a-1")
        assert (type(told), told.final) == (Undelivered, False), "it is asked again"
        assert told.reason == "it was executed: its row lags behind"
        scripted.ok(EXECUTIONS, list=[])
        assert [type(event) for event in await inquired(venue, "a-1")] == [Absent, Delivered]
        assert scripted.asked == [*ORDERS, EXECUTIONS] * 2


@pytest.mark.parametrize("size", ["1", "0"])
async def test_vc66_an_account_in_hedge_mode_is_refused(size):
    scripted = Scripted()
    rows = [HELD | {"size": size, "positionIdx": n} for n in (1, 2)]
    async with scripted.venue() as venue:
        scripted.ok(POSITIONS, list=rows)
        expected = f"venue account: expected one-way mode, found hedge mode ({SYMBOL})"
        assert await why_not_mode(venue) == [expected]
        scripted.ok(POSITIONS, list=[HELD | {"size": size, "positionIdx": 0}])
        assert await why_not_mode(venue) == []


async def test_vc66_hedge_mode_is_seen_without_a_position():
    """The venue lists flat positions by symbol only."""
    scripted = Scripted()
    fine = {"symbol": SYMBOL, "status": "Trading", "settleCoin": "USDT"}
    fine |= {"lotSizeFilter": {"qtyStep": "0.01"}, "priceFilter": {"tickSize": "0.1"}}
    scripted.ok("/v5/market/instruments-info", list=[fine])
    scripted.ok("/v5/account/fee-rate", list=[])
    flat_rows = [{"symbol": SYMBOL, "side": "", "size": "0", "positionIdx": n} for n in (1, 2)]
    answers = iter(([], flat_rows))

    def answer() -> None:
        if scripted.asked[-1] == POSITIONS:
            scripted.ok(POSITIONS, list=next(answers))

    scripted.seen = answer
    async with scripted.venue() as venue:
        assert await venue.hedged() == SYMBOL


async def test_vc66_an_account_of_one_way_mode_is_not(world):
    async with world.venue() as venue:
        await send_order(venue, entry("0.1", SYMBOL))
        assert await why_not_mode(venue) == []
        for symbol in [row.symbol for row in await venue.positions()]:
            await flat(venue, symbol)
        assert await why_not_mode(venue) == []


async def test_vc67_a_fee_in_another_coin_is_not_booked_and_told_once():
    scripted, ear = Scripted(), Ear()
    rows = [FILL | {"execId": str(n), "feeCurrency": c} for n, c in enumerate(("", "USDT", "MNT"))]
    scripted.ok(EXECUTIONS, list=rows)
    async with scripted.venue(ear.append) as venue:
        for _ in range(2):
            fills = await venue.fills(venue.clock.venue_ms() - 1)
            fees = {fill.fill: fill.fee for fill in fills}
            assert fees == {"0": Decimal("0.05"), "1": Decimal("0.05"), "2": 0}
    (told,) = ear
    assert (told.kind, "found one in MNT" in told.reason) == ("unseen code", True)


async def test_vc67_the_fees_of_the_venue_are_in_its_own_coin(world):
    ear = Ear()
    async with world.venue(ear.append) as venue:
        since = venue.clock.venue_ms()
        submit = entry("0.1", SYMBOL)
        await send_order(venue, submit)
        (fee,) = [fill.fee for fill in await venue.fills(since) if fill.order == submit.order]
        assert fee > 0
        await flat(venue)
    assert not ear


async def test_vc68_a_limit_that_can_only_reduce_is_no_entry_and_is_still_shown(world):
    async with world.venue() as venue:
        await venue.cancel_entries()
        _, _, high = await prices(venue)
        await send_order(venue, entry("0.5", SYMBOL))
        target = entry("0.5", SYMBOL, Side.SELL, price=high, reduce_only=True)
        await send_order(venue, target)
        assert await venue.open_entries() == ((), False)
        rests = await resting(venue)
        entries, are_all = await venue.open_entries()
        assert ([row.order for row in entries], are_all) == ([rests.order], False)
        found = await read_account(venue, (), venue.clock.now())
        assert {row.order for row in found.foreign} == {target.order, rests.order}
        await venue.cancel(target.order, SYMBOL)
        entries, are_all = await venue.open_entries()
        assert ([row.order for row in entries], are_all) == ([rests.order], True)
        await venue.cancel(rests.order, SYMBOL)
        await flat(venue)


async def test_vc69_what_people_trade_elsewhere_on_the_account_is_no_nonsense(world):
    post = Recorder()
    async with world.venue() as venue:
        stream = private_stream(venue, ["BTCUSDT"], post)
        async with running(stream):
            await post.count(StreamUp, 1)
            await send_order(venue, entry("0.1", SYMBOL))
            await flat(venue)
            await send_order(venue, entry("0.01"))
            await flat(venue, "BTCUSDT")
            await post.until(lambda: post.of(PositionReported) and post.of(OrderReported))
            assert list(stream._reader.refusals.take(0)) == []
    assert not post.of(FramesRefused)
    assert {event.row.symbol for event in post.of(OrderReported)} == {"BTCUSDT"}


async def test_vc70_a_public_address_that_turns_the_bot_away_is_trouble(world, tmp_path):
    post, marks = Recorder(), Marks()
    (tmp_path / "bot.toml").write_text('[market]\nsymbols = ["BTCUSDT"]\n')
    config = load(tmp_path / "bot.toml", {}).config

    def refuse(connection, _request):
        return connection.respond(HTTPStatus.FORBIDDEN, "no\n")

    async def nobody(_socket):
        raise AssertionError

    async with (
        world.venue() as venue,
        websockets.serve(nobody, "127.0.0.1", 0, process_request=refuse) as server,
    ):
        port = server.sockets[0].getsockname()[1]
        there = world.exchange.url, world.exchange.ws_url
        where = Venue(*there, f"ws://127.0.0.1:{port}", "paperkey", "papersecret")
        watch = SimpleNamespace(post=post, marks=marks, follow_clock=venue.sync_clock)
        way = link.Link(venue, where, config, watch, say=print, refused=pytest.fail, tried=bool)
        task = asyncio.create_task(way.run())
        try:
            (told,) = await post.count(VenueTroubled, 1)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    assert (told.kind, told.reason) == ("banned", "public stream: HTTP 403")
    assert post.of(VenueConnected)
