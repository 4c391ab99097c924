"""An inquiry: the row that the venue has under our id is our order, however it writes its numbers."""

import asyncio
from types import SimpleNamespace

import pytest

from bot.core.effects import Inquire
from bot.core.events import Delivered, OrderReported, Undelivered
from bot.core.turn import Dispatch
from bot.core.values import OrderStatus
from bot.engine.effects import Runner
from tests.given import BTC, D, a_row, a_world, but, entering


def answered(row, world):
    """Return what a runner posts of an inquiry that the venue answers with this row."""

    async def find(order, symbol):
        return row

    async def inquired():
        clock = SimpleNamespace(now=lambda: world.at)
        posted = []
        runner = Runner(
            SimpleNamespace(clock=clock, find=find),
            SimpleNamespace(send=None, world=lambda: world),
            None,
            post=posted.append,
            reference=str,
            say=print,
            leave=print,
            broken=print,
            probe=lambda point: None,
        )
        runner.start([Dispatch("1-0", Inquire(order=row.order, symbol=BTC, sent_at=world.at))])
        await asyncio.gather(*runner.in_flight)
        return posted

    return asyncio.run(inquired())


def a_doubt():
    """Return a world with an entry of 20 at 100.1 on its way, and the order."""
    world = entering(a_world()).world
    (order,) = world.orders.values()
    return world, order


@pytest.mark.parametrize(("qty", "price"), [("20", "100.10"), ("20.000", "100.1"), ("2E+1", None)])
def test_a_number_that_is_written_in_another_way_is_the_same_number(qty, price):
    world, order = a_doubt()
    row = a_row(order.order, OrderStatus.OPEN, qty=qty, price=price and D(price))
    assert [type(event) for event in answered(row, world)] == [OrderReported, Delivered]


@pytest.mark.parametrize("other", [{"qty": D("20.001")}, {"price": D("100.2")}])
def test_another_number_is_another_order(other):
    world, order = a_doubt()
    row = a_row(order.order, OrderStatus.OPEN, qty=order.qty, price=order.price)
    (told,) = answered(but(row, **other), world)
    assert isinstance(told, Undelivered)
    assert told.reason.startswith(f"expected Buy 20 {BTC} 100.1 under this id, found Buy 20")
