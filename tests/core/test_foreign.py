"""Foreign orders: shown, counted, waited for, and never touched; what is ours by its id and let go is cancelled."""

import pytest

from bot.core.controls import denials
from bot.core.effects import Cancel, Notify, Reconcile, Submit
from bot.core.exposure import gross_exposure
from bot.core.facts import OrderRefused
from bot.core.foreign import FOREIGN_MAX
from bot.core.values import OrderStatus, Side, VenueOrder
from tests.core.worlds import asking
from tests.given import (
    BTC,
    ETH,
    D,
    a_fill,
    a_world,
    answered,
    commanded,
    entering,
    go,
    measured,
    reconciled,
    reported,
    ticked,
)


def theirs(venue_id="v7", order="", symbol=BTC, **more):
    usual = {"side": Side.SELL, "qty": D(3), "filled": D(1), "status": OrderStatus.PARTIAL}
    return VenueOrder(order, venue_id, symbol, **usual | more)


def calm():
    return answered(a_world((BTC, ETH)))


def seen(world, *rows, **more):
    return go(world, reconciled(world, foreign=rows, **more))


@pytest.mark.parametrize("order", ["", "web-1", "abc1234-1-7-0", "abc12-1-7-0", "xabc123-1-7-0"])
def test_an_order_that_is_not_ours_is_external_asked_about_and_never_cancelled(order):
    told = seen(calm(), theirs(order=order))
    assert told.moves[0] == "external BTCUSDT:  → EXTERNAL"
    (question,) = told.effects(Notify)
    assert question.severity == "warning"
    assert f"BTCUSDT: open orders, 1 that are not ours: Sell 3, id {order or 'v7'}" in question.text
    world = told.world
    everything = go(
        world,
        *(commanded(world, verb) for verb in ("hold", "kill", "flatten", "stop")),
        *(ticked(world, seconds) for seconds in (5, 30, 70)),
    )
    assert not everything.effects(Cancel)


def test_entries_in_its_symbol_wait_and_in_others_do_not():
    world = seen(calm(), theirs()).world
    told = go(world, measured(world))
    assert not told.effects(Submit)
    (row,) = told.noted(OrderRefused)
    assert (row.control, row.reason) == (
        "permission",
        "external BTCUSDT is EXTERNAL: 1 that are not ours: Sell 3, id v7",
    )
    assert go(world, measured(world, ETH)).effects(Submit)


def test_it_counts_as_exposure_while_it_is_there():
    world = seen(calm(), theirs()).world
    assert gross_exposure(world) == 200
    assert gross_exposure(seen(world).world) == 0


def test_it_is_told_once_and_its_end_is_a_step():
    world = seen(calm(), theirs()).world
    again = seen(world, theirs(filled=D(2)))
    assert not again.steps + tuple(again.effects(Notify))
    assert again.world.foreign["v7"].filled == 2, "what is left of it is up to date"
    gone = seen(again.world)
    assert gone.moves == ["external BTCUSDT: EXTERNAL → GONE"]
    assert gone.world.foreign == {}
    assert denials(gone.world, asking()) == []
    again = seen(gone.world, theirs())
    assert again.moves[0] == "external BTCUSDT: GONE → EXTERNAL", "it may come again"


def test_many_are_bounded():
    rows = [theirs(f"v{n}") for n in range(FOREIGN_MAX + 50)]
    world = seen(calm(), *rows).world
    assert FOREIGN_MAX - 1 <= len(world.foreign) <= FOREIGN_MAX
    assert list(world.machines["external"]) == [BTC]
    ours = theirs("v999", order="abc123-1-7-0")
    assert seen(calm(), *rows, ours).effects(Cancel), "what is ours is found behind them"


def test_another_one_is_told_and_the_same_ones_are_not():
    world = seen(calm(), theirs()).world
    more = seen(world, theirs(), theirs("v8"))
    assert more.moves[0] == "external BTCUSDT: EXTERNAL → EXTERNAL"
    assert len(more.effects(Notify)) == 1
    assert not seen(more.world, theirs(), theirs("v8")).steps


def test_a_torn_reading_says_nothing_of_foreign_orders():
    world = seen(calm(), theirs()).world
    fill = a_fill(BTC, Side.BUY, 1, 100, at=world.at)
    told = seen(world, fills=(fill,), as_of=world.at)
    assert "v7" in told.world.foreign


def test_an_order_of_ours_that_the_bot_let_go_of_is_cancelled_once_and_told():
    world = calm()
    row = theirs(order="abc123-1-7-0", symbol=ETH)
    told = seen(world, row)
    assert told.effects(Cancel) == [Cancel(order="abc123-1-7-0", symbol=ETH)]
    assert told.effects(Notify)[0].severity == "critical"
    assert told.world.foreign == {}
    again = seen(told.world, row)
    assert not again.effects(Cancel) + again.effects(Notify), "that is on its way"
    still = seen(answered(again.world), row)
    assert len(still.effects(Cancel)) == 1, "the venue took it and has the order still"


def test_an_order_of_an_earlier_epoch_is_ours():
    told = seen(calm(), theirs(order="abc123-0-99-3"))
    assert len(told.effects(Cancel)) == 1


@pytest.mark.parametrize(
    ("order", "cancelled"),
    [("abc123-1-{0}-0", True), ("abc123-1-{1}-0", False), ("abc123-0-{1}-0", True)],
)
def test_an_order_of_ours_that_was_decided_after_the_question_is_not_judged_by_its_answer(
    order, cancelled
):
    world = go(calm(), ticked(calm(), 61)).world
    (question,) = [d for d in world.deliveries if isinstance(world.deliveries[d].effect, Reconcile)]
    seq = int(question.partition("-")[0])
    world = go(world, *(ticked(world, n) for n in range(62, 70))).world
    told = seen(world, theirs(order=order.format(seq, seq + 1)), question=seq)
    assert bool(told.effects(Cancel)) == cancelled, "of an earlier epoch, whatever its number"


def test_an_order_of_ours_that_is_known_is_left_alone():
    world = entering(calm()).world
    (order,) = world.orders
    told = seen(world, theirs(order=order, side=Side.BUY, qty=D(20), filled=D(0)))
    assert not told.effects(Cancel)
    assert told.world.foreign == {}
    assert told.world.state("order", order) == "INTENDED"


def test_an_order_of_ours_that_was_taken_for_ended_is_cancelled():
    world = entering(calm()).world
    (order,) = world.orders
    world = go(world, reported(world, order, OrderStatus.REJECTED), ticked(world)).world
    assert not world.orders
    assert len(seen(world, theirs(order=order)).effects(Cancel)) == 1


def test_while_the_ledger_differs_foreign_orders_are_seen_all_the_same():
    world = calm()
    told = go(world, reconciled(world, 90_000, foreign=(theirs(),)))
    assert told.world.state("reconciliation") == "DRIFT"
    assert told.world.state("external", BTC) == "EXTERNAL"
