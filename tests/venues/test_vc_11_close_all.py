"""Contract VC-71: what is open can be closed whatever its size, also after the venue changed the lot."""

from __future__ import annotations

import msgspec
import pytest

from bot.core.values import OrderStatus, Side
from bot.edge.venues.send import send_order
from tests.edge.worlds import entry
from tests.venues.world import SYMBOL, Scripted, flat, position_of


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
async def test_vc71_a_position_off_a_new_lot_is_closed_as_a_whole_and_only_so(world, side):
    async with world.venue() as venue:
        await flat(venue)
        await send_order(venue, entry("0.15", SYMBOL, side))
        world.lot(SYMBOL, "0.1")
        (instrument,) = await venue.instruments([SYMBOL])
        held = await position_of(venue)
        assert abs(held.qty) % instrument.lot
        other = Side.SELL if side is Side.BUY else Side.BUY
        exit_ = {"symbol": SYMBOL, "side": other, "reduce_only": True}
        refused = await send_order(venue, entry("0.15", **exit_))
        assert refused.kind == "REJECTED"
        submit = entry("0.15", close_all=True, **exit_)
        assert (await send_order(venue, submit)).kind == "ACK"
        row = await venue.find(submit.order, SYMBOL)
        assert (row.status, row.filled, row.qty) == (OrderStatus.FILLED, submit.qty, submit.qty)
        assert await position_of(venue) is None
        again = await send_order(venue, entry("0.15", close_all=True, **exit_))
        assert again.kind == "REJECTED", "nothing is open, and it opens nothing"


async def test_vc71_its_request_has_no_quantity_of_its_own():
    scripted, submit = Scripted(), entry("0.15", SYMBOL, Side.SELL, reduce_only=True)
    async with scripted.venue() as venue:
        await send_order(venue, submit)
        await send_order(venue, msgspec.structs.replace(submit, close_all=True))
    plain, whole = map(msgspec.json.decode, scripted.bodies)
    assert whole == plain | {"qty": "0", "closeOnTrigger": True}
