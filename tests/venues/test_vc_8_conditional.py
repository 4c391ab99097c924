"""Contract VC-60 to VC-62: an order that waits to open something is open; one that protects is not."""

from __future__ import annotations

import pytest

from bot.core.events import OrderReported, StreamUp
from bot.core.values import OrderStatus, Side
from bot.edge.venues.reading import read_account
from bot.edge.venues.send import send_order
from bot.edge.venues.stream import private_stream
from bot.edge.venues.wire import OrderRow
from tests.edge.worlds import FALLS, RISES, Recorder, conditional, entry, order_id, running
from tests.venues.world import SYMBOL, flat, position_of, prices

ROW = {"order_id": "1", "order_link_id": "", "symbol": SYMBOL, "side": Side.BUY, "qty": "1"}
ROW |= {"cum_exec_qty": "0", "order_status": "Untriggered"}


@pytest.mark.parametrize(
    ("kind", "flags", "protects"),
    [
        ("", {}, False),
        ("UNKNOWN", {"reduce_only": True}, False),
        ("Stop", {}, False),
        ("Stop", {"reduce_only": True}, True),
        ("Stop", {"close_on_trigger": True}, True),
        *((kind, {}, True) for kind in ("TakeProfit", "StopLoss", "TrailingStop")),
        *((kind, {}, True) for kind in ("PartialTakeProfit", "PartialStopLoss", "tpslOrder")),
    ],
)
def test_vc60_only_what_closes_protects(kind, flags, protects):
    assert OrderRow(**ROW, stop_order_type=kind, **flags).protects is protects


async def test_vc61_a_conditional_entry_is_read_as_an_open_order_of_others(world):
    async with world.venue() as venue:
        await venue.cancel_entries()
        low, _, high = await prices(venue)
        await send_order(venue, entry("0.5", SYMBOL, stop=low, take=high))
        ours = order_id()
        waiting = {
            await conditional(venue, SYMBOL, high, RISES),
            await conditional(venue, SYMBOL, low, FALLS, orderLinkId=ours),
        }
        guard = await conditional(venue, SYMBOL, low, FALLS, side="Sell", reduceOnly=True)
        found = await read_account(venue, (), venue.clock.now())
        assert {row.venue_id for row in found.foreign} == waiting
        assert {row.status for row in found.foreign} == {OrderStatus.OPEN}
        assert {row.order for row in found.foreign} == {"", ours}
        for row in found.foreign:
            await venue.cancel(row.order, SYMBOL, row.venue_id)
            await venue.cancel(row.order, SYMBOL, row.venue_id)  # gone already: fine
        assert await venue.open_orders() == ()
        assert (await position_of(venue)).stop == low
        await venue.cancel("", SYMBOL, guard)
        await flat(venue)


async def test_vc62_cancelling_all_entries_does_not_reach_what_waits_and_the_stream_tells_of_it(
    world,
):
    post = Recorder()
    async with world.venue() as venue, running(private_stream(venue, [SYMBOL], post)):
        await post.count(StreamUp, 1)
        _, _, high = await prices(venue)
        waiting = await conditional(venue, SYMBOL, high, RISES)
        await venue.cancel_entries()
        assert [row.venue_id for row in await venue.open_orders()] == [waiting]
        await venue.cancel("", SYMBOL, waiting)
        await post.count(OrderReported, 2)
        told = [(event.row.venue_id, event.row.status) for event in post.of(OrderReported)]
        assert told == [(waiting, OrderStatus.OPEN), (waiting, OrderStatus.CANCELED)]
