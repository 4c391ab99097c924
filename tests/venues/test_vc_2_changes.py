"""Contract VC-16 to VC-25: amending, cancelling, and protecting may be repeated without harm."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.core.values import OrderStatus
from bot.edge.backoff import backoff, chance_from
from bot.edge.venues.asking import PERSIST_GAP
from bot.edge.venues.codes import GONE
from bot.edge.venues.rest import Busy, Declined
from bot.edge.venues.send import send_order
from bot.errors import OutcomeUnknown, Refused
from tests.edge.worlds import entry
from tests.venues.world import (
    AMEND,
    CANCEL,
    PROTECT,
    SYMBOL,
    flat,
    position_of,
    prices,
    resting,
)


async def test_vc16_amend_moves_an_order_and_keeps_its_id(world):
    async with world.venue() as venue:
        submit = await resting(venue)
        (instrument,) = await venue.instruments([SYMBOL])
        moved = instrument.round_price(float(submit.price) * 0.99)
        for _ in range(2):  # the second finds it there already: fine
            await venue.amend(submit.order, SYMBOL, moved)
        row = await venue.find(submit.order, SYMBOL)
        assert (row.price, row.qty, row.status) == (moved, submit.qty, OrderStatus.OPEN)
        await venue.cancel(submit.order, SYMBOL)


async def test_vc17_amending_what_is_gone_is_declined_with_a_code_that_says_so(world):
    async with world.venue() as venue:
        submit = await resting(venue)
        await venue.cancel(submit.order, SYMBOL)
        with pytest.raises(Declined) as refusal:
            await venue.amend(submit.order, SYMBOL, submit.price)
        assert refusal.value.code in GONE
        with pytest.raises(Declined) as refusal:
            await venue.amend("never-sent", SYMBOL, submit.price)
        assert refusal.value.code in GONE


async def test_vc18_a_change_without_an_answer_is_in_doubt(world):
    async with world.venue() as venue:
        submit = await resting(venue)
        for path, change in (
            (AMEND, venue.amend(submit.order, SYMBOL, submit.price)),
            (CANCEL, venue.cancel(submit.order, SYMBOL)),
        ):
            world.cut(path, processed=True)
            with pytest.raises(OutcomeUnknown):
                await change


async def test_vc19_a_cancelled_order_is_gone_and_may_be_cancelled_again(world):
    async with world.venue() as venue:
        submit = await resting(venue)
        for _ in range(2):
            await venue.cancel(submit.order, SYMBOL)
        assert (await venue.find(submit.order, SYMBOL)).status is OrderStatus.CANCELED
        await venue.cancel("was-never-there", SYMBOL)


@pytest.mark.parametrize("fault", ["status", "code", "clock"])
async def test_vc20_a_cancel_turned_away_for_its_rate_goes_again_until_it_is_let_in(world, fault):
    async with world.venue() as venue:
        submit = await resting(venue)
        if fault == "status":
            world.status(CANCEL, 429, count=4)
        else:
            world.code(CANCEL, 10006 if fault == "code" else 10002, count=2)
        await venue.cancel(submit.order, SYMBOL)
        assert (await venue.find(submit.order, SYMBOL)).status is OrderStatus.CANCELED


def test_vc20_within_a_second_of_being_allowed():
    with chance_from(lambda: 1.0):
        assert max(backoff(attempt, *PERSIST_GAP) for attempt in range(1, 100)) < 1


async def test_vc21_cancelling_entries_keeps_the_stops_of_positions(world):
    async with world.venue() as venue:
        await flat(venue)
        low, _, high = await prices(venue)
        await send_order(venue, entry("0.5", SYMBOL, stop=low, take=high))
        await resting(venue)
        await venue.cancel_entries()
        assert await venue.open_orders() == ()
        position = await position_of(venue)
        assert (position.stop, position.take) == (low, high)
        await flat(venue)


async def test_vc22_a_stop_travels_with_the_entry(world):
    async with world.venue() as venue:
        await flat(venue)
        low, _, _ = await prices(venue)
        await send_order(venue, entry("0.5", SYMBOL, stop=low))
        position = await position_of(venue)
        assert (position.qty, position.stop) == (Decimal("0.5"), low)
        await flat(venue)


async def test_vc23_a_stop_covers_what_a_partial_fill_opened(world):
    async with world.venue() as venue:
        await flat(venue)
        low, _, _ = await prices(venue)
        submit = entry("1", SYMBOL, stop=low)
        world.partial(0.4)
        assert (await send_order(venue, submit)).kind == "ACK"
        row = await venue.find(submit.order, SYMBOL)
        assert (row.status, row.filled) == (OrderStatus.CANCELED, Decimal("0.4")), row
        position = await position_of(venue)
        assert (position.qty, position.stop) == (Decimal("0.4"), low)
        await flat(venue)


async def test_vc24_protecting_may_be_repeated_and_says_where_there_is_nothing_to_protect(world):
    async with world.venue() as venue:
        await flat(venue)
        low, _, high = await prices(venue)
        await send_order(venue, entry("0.5", SYMBOL))
        for stop, take in ((low, high), (low, high), (low, None)):
            await venue.protect(SYMBOL, stop, take)
            position = await position_of(venue)
            assert (position.stop, position.take) == (stop, take)
        await flat(venue)
        with pytest.raises(Refused, match="no position to protect"):
            await venue.protect(SYMBOL, low, None)


async def test_vc25_protection_without_an_answer_is_in_doubt_and_can_be_asked_for_again(world):
    async with world.venue() as venue:
        await flat(venue)
        low, _, _ = await prices(venue)
        await send_order(venue, entry("0.5", SYMBOL))
        world.cut(PROTECT, processed=True)
        with pytest.raises(OutcomeUnknown):
            await venue.protect(SYMBOL, low, None)
        world.cut(PROTECT, processed=False)
        with pytest.raises(OutcomeUnknown):
            await venue.protect(SYMBOL, low, None)
        await venue.protect(SYMBOL, low, None)
        assert (await position_of(venue)).stop == low
        world.status(PROTECT, 503)
        with pytest.raises((Busy, OutcomeUnknown)):
            await venue.protect(SYMBOL, low, None)
        await flat(venue)
