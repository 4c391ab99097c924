"""Contract VC-01 to VC-15: the outcome of an order's request, under each fault."""

from __future__ import annotations

import socket
from decimal import Decimal

import aiohttp
import msgspec
import pytest

from bot.core.values import OrderStatus
from bot.edge.venues import rest
from bot.edge.venues.send import send_order
from tests.edge.worlds import entry, raw_server, venue_at
from tests.venues.world import ORDER, SYMBOL, Ear, Scripted, flat, prices, resting


async def test_vc01_an_accepted_order_is_ack_and_has_the_venues_id(world):
    async with world.venue() as venue:
        submit = entry()
        outcome = await send_order(venue, submit)
        assert (outcome.kind, bool(outcome.venue_id)) == ("ACK", True)
        assert (await venue.find(submit.order, submit.symbol)).venue_id == outcome.venue_id


async def test_vc02_an_acknowledgement_that_is_lost_leaves_unknown_and_one_order(world):
    async with world.venue() as venue:
        submit = entry()
        world.cut(ORDER, processed=True)
        assert (await send_order(venue, submit)).kind == "UNKNOWN"
        assert (await venue.find(submit.order, submit.symbol)).filled == submit.qty


async def test_vc03_a_connection_cut_before_processing_leaves_unknown_and_no_order(world):
    async with world.venue() as venue:
        submit = entry()
        world.cut(ORDER, processed=False)
        assert (await send_order(venue, submit)).kind == "UNKNOWN"
        assert await venue.find(submit.order, submit.symbol) is None


async def test_vc04_an_answer_that_is_too_late_leaves_unknown(world, monkeypatch):
    monkeypatch.setattr(rest, "TIMEOUT", aiohttp.ClientTimeout(total=0.3))
    async with world.venue() as venue:
        world.late(ORDER, 800)
        assert (await send_order(venue, entry())).kind == "UNKNOWN"


@pytest.mark.parametrize("how", ["truncate", "json"])
async def test_vc05_an_answer_that_cannot_be_read_leaves_unknown(world, how):
    async with world.venue() as venue:
        submit = entry()
        world.garble(ORDER, how)
        assert (await send_order(venue, submit)).kind == "UNKNOWN"
        assert await venue.find(submit.order, submit.symbol) is not None


@pytest.mark.parametrize("processed", [True, False])
async def test_vc06_a_gateway_that_fails_leaves_unknown(world, processed):
    async with world.venue() as venue:
        submit = entry()
        world.status(ORDER, 502, processed=processed)
        assert (await send_order(venue, submit)).kind == "UNKNOWN"
        assert (await venue.find(submit.order, submit.symbol) is not None) == processed


async def test_vc07_an_id_used_twice_exists_and_trades_once(world):
    async with world.venue() as venue:
        submit, since = entry(), venue.clock.now() - 60_000
        assert (await send_order(venue, submit)).kind == "ACK"
        assert (await send_order(venue, submit)).kind == "EXISTS"
        mine = [fill for fill in await venue.fills(since) if fill.order == submit.order]
        assert sum(fill.qty for fill in mine) == submit.qty


async def test_vc08_a_refusal_has_the_venues_code_and_words(world):
    async with world.venue() as venue:
        outcome = await send_order(venue, entry(qty="0.0001"))
        assert outcome.kind == "REJECTED"
        assert outcome.code
        assert str(outcome.code) in outcome.reason
        assert len(outcome.reason) > 8


async def test_vc09_where_nobody_listens_the_order_was_not_sent():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with venue_at(url) as venue:
        assert (await send_order(venue, entry())).kind == "NOT_SENT"
        assert venue.last_request_sent_ns == 0, "no byte left"


@pytest.mark.parametrize("code", [10002, 10006, 10018, 10429])
async def test_vc10_an_order_turned_away_before_processing_was_not_sent(world, code):
    async with world.venue() as venue:
        submit = entry()
        world.code(ORDER, code)
        assert (await send_order(venue, submit)).kind == "NOT_SENT"
        assert await venue.find(submit.order, submit.symbol) is None


async def test_vc11_a_code_of_no_table_leaves_unknown_and_is_told_once(world):
    ear = Ear()
    async with world.venue(ear.append) as venue:
        for _ in range(2):
            world.code(ORDER, 990_123)
            assert (await send_order(venue, entry())).kind == "UNKNOWN"
    assert ear.kinds == ["unseen code"]
    assert "990123" in ear[0].reason


@pytest.mark.parametrize("status", ["200 OK", "307 X", "404 X", "429 X", "500 X", "503 X"])
async def test_vc12_an_orders_request_is_never_repeated(status):
    scripted = Scripted()
    scripted.status, scripted.headers = status, f"Location: {ORDER}\r\n"
    scripted.answers[ORDER] = b"<html>"
    async with scripted.venue() as venue:
        await send_order(venue, entry())
    assert scripted.asked == [ORDER]


async def test_vc12_nor_is_it_where_the_connection_is_cut():
    asked = []

    async def cut(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    async with raw_server(cut) as url, venue_at(url) as venue:
        assert (await send_order(venue, entry())).kind == "UNKNOWN"
        assert len(asked) == 1


async def test_vc13_what_forbids_an_order_is_asked_right_before_its_first_byte(world):
    async with world.venue() as venue:
        submit = entry()
        outcome = await send_order(venue, submit, lambda: "HALT set by ana: look at this")
        assert (outcome.kind, outcome.reason) == ("NOT_SENT", "HALT set by ana: look at this")
        assert await venue.find(submit.order, submit.symbol) is None


async def test_vc14_a_limit_order_rests_at_its_price_and_is_listed_with_it(world):
    async with world.venue() as venue:
        submit = await resting(venue)
        row = await venue.find(submit.order, submit.symbol)
        assert (row.status, row.price, row.filled) == (OrderStatus.OPEN, submit.price, 0)
        (listed,) = [o for o in await venue.open_orders() if o.order == submit.order]
        assert listed == row
        await venue.cancel(submit.order, submit.symbol)


async def test_vc15_an_order_at_market_is_filled_and_has_no_price(world):
    async with world.venue() as venue:
        submit = entry()
        await send_order(venue, submit)
        row = await venue.find(submit.order, submit.symbol)
        assert (row.status, row.price) == (OrderStatus.FILLED, None)


REQUESTS = {
    "entry at a limit": (
        {"price": Decimal("3000.10"), "stop": Decimal(2900), "take": Decimal("3300.5")},
        {"orderType": "Limit", "price": "3000.10", "timeInForce": "GTC", "tpslMode": "Full"}
        | {"stopLoss": "2900", "slTriggerBy": "MarkPrice", "reduceOnly": False}
        | {"takeProfit": "3300.5", "tpTriggerBy": "MarkPrice"},
    ),
    "exit at market": (
        {"reduce_only": True},
        {"orderType": "Market", "reduceOnly": True},
    ),
}


@pytest.mark.parametrize(("fields", "wanted"), REQUESTS.values(), ids=REQUESTS)
async def test_vc15_a_request_says_what_the_order_says_and_nothing_else(fields, wanted):
    scripted, submit = Scripted(), entry("0.010", SYMBOL, **fields)
    async with scripted.venue() as venue:
        await send_order(venue, submit)
    always = {"category": "linear", "symbol": SYMBOL, "side": "Buy", "qty": "0.010"}
    always |= {"orderLinkId": submit.order, "positionIdx": 0}
    assert msgspec.json.decode(scripted.bodies[0]) == always | wanted


async def test_vc15_a_limit_beyond_the_market_fills_at_the_market(world):
    async with world.venue() as venue:
        _, mark, high = await prices(venue)
        (instrument,) = await venue.instruments([SYMBOL])
        limit = instrument.round_price(float(mark) * 1.01)
        submit = entry("0.1", SYMBOL, price=min(limit, high))
        since = venue.clock.now() - 60_000
        assert (await send_order(venue, submit)).kind == "ACK"
        fills = [f for f in await venue.fills(since) if f.order == submit.order]
        assert fills
        assert all(fill.price <= limit for fill in fills)
        await flat(venue)
