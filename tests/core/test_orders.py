"""Orders: in doubt they are asked about, never sent again; only the venue's word ends a doubt."""

import pytest

from bot.core.effects import Cancel, Inquire, Protect, Reconcile, Submit
from bot.core.events import (
    Absent,
    Accepted,
    ClockJumped,
    Doubted,
    Filled,
    NotSent,
    OrderReported,
    Recovered,
    Rejected,
)
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.values import OrderStatus, Side, VenuePosition
from tests.given import (
    BTC,
    D,
    a_fill,
    a_row,
    a_world,
    answered,
    but,
    commanded,
    entering,
    go,
    in_position,
    measured,
    reconciled,
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


def executed(world, order, qty, **more):
    intent = world.orders[order]
    fill = a_fill(BTC, intent.side, qty, 100, order=order, at=world.at, **more)
    return Filled(at=world.at, fill=fill)


def test_an_order_that_ended_is_remembered_until_its_executions_are_booked():
    world, order = on_its_way()
    world = go(world, reported(world, order)).world
    world = go(world, executed(world, order, 15), ticked(world)).world
    assert world.orders[order].ended
    world = go(world, executed(world, order, 5)).world
    assert order not in world.orders


def test_a_report_that_comes_before_its_execution_loses_neither_stop_nor_target():
    world, order = on_its_way()
    bracket = world.positions[BTC].stop, world.positions[BTC].take
    late = executed(world, order, 20)
    world = go(world, reported(world, order), ticked(world, 1), ticked(world, 2)).world
    assert world.state("position", BTC) == "OPENING", "what was reported as filled is awaited"
    world = go(world, late).world
    assert world.state("position", BTC) == "OPEN"
    assert (world.positions[BTC].stop, world.positions[BTC].take) == bracket


def test_an_execution_that_does_not_arrive_is_read_from_the_account_within_seconds():
    world, order = on_its_way()
    world = answered(go(world, reported(world, order)).world)
    lost = executed(world, order, 20).fill
    told = go(world, *(ticked(world, seconds) for seconds in range(1, 9)))
    assert len(told.effects(Reconcile)) == 1
    bracket = told.world.positions[BTC].stop, told.world.positions[BTC].take
    assert not go(told.world, measured(told.world)).effects(Submit), "it is not entered again"
    row = VenuePosition(BTC, lost.qty, lost.price, *bracket)
    world = go(told.world, reconciled(told.world, fills=(lost,), positions=(row,))).world
    assert (world.state("position", BTC), world.positions[BTC].qty) == ("OPEN", 20)
    assert (world.positions[BTC].stop, world.positions[BTC].take) == bracket
    assert not world.orders


def test_a_reading_that_began_before_the_order_ended_does_not_end_the_wait_for_its_executions():
    world, order = on_its_way()
    began = world.at
    bracket = world.positions[BTC].stop, world.positions[BTC].take
    world = go(world, ticked(world, 1)).world
    late = executed(world, order, 20)
    world = go(
        world,
        reported(world, order),
        reconciled(world, as_of=began),  # read before anything was filled
        ticked(world, 1),
        late,
    ).world
    assert world.positions[BTC].qty == 20
    assert (world.positions[BTC].stop, world.positions[BTC].take) == bracket


def test_a_rejected_exit_has_the_account_read_and_a_rejected_entry_does_not():
    world = answered(in_position(a_world()))
    told = go(world, measured(world, up=False, cross_age=0))
    (exit_,) = told.effects(Submit)
    no = Rejected(at=world.at, order=exit_.order, code=110017, reason="position is zero")
    told = go(told.world, no)
    assert len(told.effects(Reconcile)) == 1
    assert not go(told.world, no).effects(Reconcile), "it is asked once"
    world, order = on_its_way()
    world = answered(world)
    assert not go(world, but(no, order=order)).effects(Reconcile)


def test_the_proof_of_absence_does_not_wait_for_a_time_that_was_a_mistake():
    world, order = doubtful()
    told = go(world, ClockJumped(at=world.at - 3_600_000, by_ms=-3_600_000))
    (question,) = [
        d.effect for d in told.world.deliveries.values() if isinstance(d.effect, Inquire)
    ]
    assert question.order == order
    assert question.sent_at <= told.world.at


# -- prices, over-fills, and orders that a reading does not show ------------------------------------


def test_the_price_of_an_order_is_what_the_venue_says_it_is_now():
    world, order = on_its_way()
    before = world.orders[order].price
    world = go(world, reported(world, order, OrderStatus.OPEN)).world
    assert world.orders[order].price == before, "a row without a price says nothing of it"
    world = go(world, reported(world, order, OrderStatus.OPEN, price=D("101.1"))).world
    assert world.orders[order].price == D("101.1")


@pytest.mark.parametrize(("more", "state"), [("0", "FREE"), ("0.001", "HELD")])
def test_an_order_that_fills_beyond_what_was_decided_holds_the_account(more, state):
    world, order = on_its_way()
    told = go(world, executed(world, order, 15), executed(world, order, D(5) + D(more)))
    assert told.world.state("hold") == state
    if more != "0":
        assert told.reason("hold") == f"ledger: {order}: 20.001 filled of 20.000 decided on"
        assert told.world.positions[BTC].qty == D("20.001"), "it is booked all the same"
        assert go(told.world, ticked(told.world, 3)).effects(Protect)


def test_an_exit_that_fills_beyond_what_was_decided_holds_the_account():
    world = in_position(a_world())
    told = go(world, measured(world, up=False, cross_age=0))
    (exit_,) = told.effects(Submit)
    fill = a_fill(BTC, Side.SELL, 21, 100, order=exit_.order, at=world.at)
    told = go(told.world, Filled(at=world.at, fill=fill))
    assert told.world.state("hold") == "HELD"
    assert told.world.positions[BTC].qty == -1
    assert go(told.world, ticked(told.world, 3)).effects(Protect), "what it opened is protected"


def open_at_the_venue():
    world, order = on_its_way()
    world = go(world, reported(world, order, OrderStatus.OPEN)).world
    return answered(go(world, ticked(world, 1)).world), order


def test_an_order_that_a_reading_does_not_show_is_in_doubt_and_asked_about():
    world, order = open_at_the_venue()
    told = go(world, reconciled(world))
    assert told.world.state("order", order) == "UNKNOWN"
    assert told.reason("order") == "a reading of the account does not show it"
    assert [i.order for i in told.effects(Inquire)] == [order]


@pytest.mark.parametrize("where", ["orders", "foreign"])
def test_an_order_that_a_reading_shows_is_not_in_doubt(where):
    world, order = open_at_the_venue()
    row = reported(world, order, OrderStatus.OPEN).row
    told = go(world, reconciled(world, **{where: (row,)}))
    assert told.world.state("order", order) == "OPEN"
    assert not told.effects(Cancel)


def test_a_reading_says_nothing_of_what_was_heard_of_since_or_was_never_there():
    world, order = open_at_the_venue()
    told = go(world, reconciled(world, as_of=world.orders[order].news_at))
    assert told.world.state("order", order) == "OPEN", "it was put after the reading began"
    world, order = on_its_way()
    world = go(world, ticked(world, 1)).world
    assert go(world, reconciled(world)).world.state("order", order) == "INTENDED"


def test_a_torn_reading_puts_no_order_in_doubt():
    world, order = open_at_the_venue()
    fill = a_fill(BTC, Side.BUY, 1, 100, at=world.at)
    told = go(world, reconciled(world, fills=(fill,), as_of=world.at))
    assert told.world.state("order", order) == "OPEN"


def test_a_cancel_is_sent_once_whoever_asks_for_it():
    world, order = on_its_way()
    told = go(world, commanded(world, "hold"), commanded(world, "kill"), commanded(world, "stop"))
    assert [c.order for c in told.effects(Cancel)] == [order]


def test_what_an_intent_came_to_is_remembered_for_an_hour():
    world, order = on_its_way()
    assert [(i.order, i.executed) for i in world.intents] == [(order, False)]
    world = go(world, executed(world, order, 1), executed(world, order, 1)).world
    assert [(i.order, i.executed) for i in world.intents] == [(order, True)]
    later = but(world, at=world.at + 3_600_000, orders={}, positions=a_world().positions)
    later = but(later, machines=a_world().machines, crosses={}, feeds=a_world().feeds)
    assert order not in [i.order for i in entering(later).world.intents]


@pytest.mark.parametrize("seen", [True, False])
def test_a_reading_whose_executions_lag_does_not_end_the_wait_for_them(seen):
    """What comes a moment later is an execution of ours, not one of an order that was let go."""
    world, order = on_its_way()
    late = executed(world, order, 20)
    bracket = world.positions[BTC].stop, world.positions[BTC].take
    row = VenuePosition(BTC, late.fill.qty, late.fill.price, *bracket)
    world = go(world, reported(world, order), ticked(world, 1)).world
    world = go(world, reconciled(world, positions=(row,) if seen else ()), late).world
    assert (world.positions[BTC].qty, world.state("hold"), world.orders) == (20, "FREE", {})


def test_executions_that_never_come_are_given_up_after_a_while():
    world, order = on_its_way()
    world = go(world, reported(world, order), ticked(world, 40)).world
    world = go(world, reconciled(world)).world
    assert world.orders == {}


@pytest.mark.parametrize("status", [OrderStatus.OPEN, OrderStatus.PARTIAL])
def test_an_order_that_was_let_go_and_is_open_after_all_is_read_and_cancelled_at_once(status):
    world, order = doubtful()
    row = a_row(order, status, qty=20)
    world = answered(go(world, Absent(at=world.at, order=order, reason="too late")).world)
    told = go(world, OrderReported(at=world.at, row=row), ticked(world, 0))
    assert len(told.effects(Reconcile)) == 1
    told = go(told.world, reconciled(told.world, foreign=(row,)))
    assert told.effects(Cancel) == [Cancel(order=order, symbol=BTC)]


@pytest.mark.parametrize("end", [OrderStatus.FILLED, OrderStatus.CANCELED])
def test_an_end_that_is_told_twice_asks_nothing(end):
    world, order = doubtful()
    world = answered(go(world, Absent(at=world.at, order=order, reason="too late")).world)
    assert not go(world, OrderReported(at=world.at, row=a_row(order, end))).dispatches
