"""Orders: in doubt they are asked about, never sent again; only the venue's word ends a doubt."""

import pytest

from bot.core.effects import Inquire, Submit
from bot.core.events import (
    Absent,
    Accepted,
    Doubted,
    NotSent,
    OrderReported,
    Recovered,
    Rejected,
)
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.values import OrderStatus
from tests.given import (
    BTC,
    a_row,
    a_world,
    entering,
    go,
    reported,
    started,
    ticked,
)


def on_its_way():
    world = entering(a_world()).world
    (order,) = world.orders
    return world, order


def doubtful():
    world, order = on_its_way()
    return go(world, Doubted(at=world.at, order=order, reason="timeout")).world, order


def test_an_id_is_made_of_the_event_that_caused_it():
    world, order = on_its_way()
    told = entering(a_world())
    (dispatch,) = [d for d in told.emitted if isinstance(d.effect, Submit)]
    assert dispatch.id == f"{told.world.seq}-0"
    assert order == dispatch.effect.order == f"abc123-1-{dispatch.id}"
    assert len(order) <= 36
    assert world.state("order", order) == "INTENDED"


def test_the_usual_life_is_sent_open_partial_filled():
    world, order = on_its_way()
    told = go(
        world,
        Accepted(at=world.at, order=order, venue_id="v9"),
        reported(world, order, OrderStatus.OPEN),
        reported(world, order, OrderStatus.PARTIAL, filled=5),
        reported(world, order, OrderStatus.FILLED),
    )
    assert [s.dest for s in told.steps if s.machine == "order"] == [
        "SENT",
        "OPEN",
        "PARTIAL",
        "FILLED",
    ]
    assert told.steps[0].reason == "acknowledged as v9"
    assert told.world.orders[order].ended, "its executions have not arrived yet"


@pytest.mark.parametrize(
    ("event", "end", "why"),
    [
        (lambda o: NotSent(at=0, order=o, reason="no route"), "EXPIRED", "no route"),
        (
            lambda o: Rejected(at=0, order=o, code=110007, reason="margin"),
            "REJECTED",
            "110007: margin",
        ),
        (lambda o: Absent(at=0, order=o, reason="never there"), "LOST", "never there"),
        (
            lambda o: OrderReported(at=0, row=a_row(o, OrderStatus.CANCELED, reason="by user")),
            "CANCELED",
            "venue: 0 of 20 filled (by user)",
        ),
    ],
)
def test_every_end_has_its_reason_and_is_forgotten(event, end, why):
    world, order = on_its_way()
    told = go(world, event(order))
    assert (told.steps[0].dest, told.steps[0].reason) == (end, why)
    assert order not in told.world.orders
    assert told.world.instance_of("order", order) is None


def test_no_news_moves_an_order_out_of_its_end():
    world, order = on_its_way()
    done = go(world, reported(world, order)).world
    late = [
        Accepted(at=0, order=order, venue_id="v"),
        NotSent(at=0, order=order, reason="x"),
        Doubted(at=0, order=order, reason="x"),
        OrderReported(at=0, row=a_row(order, OrderStatus.OPEN)),
    ]
    assert not go(done, *late).steps


def test_an_open_order_is_not_made_absent_or_unsent_by_late_news():
    world, order = on_its_way()
    world = go(world, reported(world, order, OrderStatus.OPEN)).world
    for event in (Absent(at=0, order=order, reason="x"), NotSent(at=0, order=order, reason="x")):
        assert go(world, event).world.state("order", order) == "OPEN"


def test_a_doubt_is_asked_about_and_never_sent_again():
    world, order = doubtful()
    assert world.state("order", order) == "UNKNOWN"
    told = go(world, *(ticked(world, 30 * n) for n in range(1, 20)))
    assert not told.effects(Submit)
    assert told.world.state("order", order) == "UNKNOWN"


def test_an_order_in_doubt_lowers_its_symbol():
    world, _ = doubtful()
    assert entry_level(world, BTC) == Level.REDUCE_ONLY


def test_only_the_venue_ends_a_doubt():
    world, order = doubtful()
    for status in (OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.REJECTED):
        assert go(world, reported(world, order, status)).steps[0].dest == status.value
    assert go(world, Absent(at=0, order=order, reason="x")).steps[0].dest == "LOST"


def test_silence_is_asked_about_in_people_time():
    world, order = on_its_way()
    assert not go(world, ticked(world, 5)).effects(Inquire)
    told = go(world, ticked(world, 6))
    (question,) = told.effects(Inquire)
    assert question.order == order
    assert told.reason("order") == "no news for 6 s of market time"


def test_a_crash_leaves_what_may_be_on_the_wire_unknown_and_asks():
    world, order = on_its_way()
    told = go(world, started(world.at), Recovered(at=world.at, snapshot_seq=0, tail=world.seq))
    assert told.world.state("order", order) == "UNKNOWN"
    assert [i.order for i in told.effects(Inquire)] == [order]
    assert not told.effects(Submit), "an order is never sent by two processes"


def test_filled_never_shrinks_with_old_news():
    world, order = on_its_way()
    world = go(world, reported(world, order, OrderStatus.PARTIAL, filled=5)).world
    world = go(world, reported(world, order, OrderStatus.OPEN, filled=0)).world
    assert (world.orders[order].filled, world.state("order", order)) == (5, "PARTIAL")


def test_an_id_grows_no_longer_than_the_venue_allows():
    world = a_world()
    assert len(world.order_id(10**15, 999)) <= 36


def test_news_of_an_order_that_is_not_ours_changes_nothing():
    world = a_world()
    told = go(world, OrderReported(at=0, row=a_row("theirs", OrderStatus.FILLED)))
    assert not (told.steps)
    assert not (told.dispatches)
