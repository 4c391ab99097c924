"""The inbox: bounded and in order; ticks coalesce, fills and commands are never dropped."""

import threading

import pytest

from bot.core.events import CandleClosed, ClockJumped, Filled, FramesRefused, Ticked
from bot.engine.inbox import Inbox
from bot.errors import Broken
from tests.given import BTC, T, a_candle, a_fill, a_world, go

FILL = Filled(at=T, fill=a_fill())
CANDLE = CandleClosed(at=T, symbol=BTC, candle=a_candle(), source="t")
REFUSED = FramesRefused(at=T, symbol=BTC, count=1, reason="r")


def tick(at=T, **marks):
    return Ticked(at=at, marks=marks)


def filled(inbox, *events):
    for event in events:
        inbox.put(event)
    return inbox


def test_events_come_out_in_order_and_the_tick_last():
    inbox = filled(Inbox(10), tick(), FILL, CANDLE, REFUSED)
    assert inbox.take(10, 0) == [FILL, CANDLE, REFUSED, tick()]
    assert len(inbox) == 0


def test_ticks_are_one_tick_with_the_newest_marks_of_each():
    inbox = filled(Inbox(10), tick(T, A=1.0, B=2.0), tick(T + 1, B=3.0), tick(T + 2, C=4.0))
    assert inbox.take(10, 0) == [tick(T + 2, A=1.0, B=3.0, C=4.0)]


def test_no_more_than_asked_for_and_no_tick_before_what_waited_longer():
    inbox = filled(Inbox(10), FILL, tick(), CANDLE, REFUSED)
    assert inbox.take(2, 0) == [FILL, CANDLE]
    assert inbox.take(2, 0) == [REFUSED, tick()]


def test_what_was_not_written_comes_first_again():
    inbox = filled(Inbox(10), FILL, CANDLE, tick(A=1.0))
    taken = inbox.take(10, 0)
    filled(inbox, REFUSED, tick(T + 1, A=2.0))
    inbox.put_back(taken)
    assert inbox.take(10, 0) == [FILL, CANDLE, tick(A=1.0), REFUSED, tick(T + 1, A=2.0)]


def test_when_full_only_what_can_be_fetched_again_is_left_out_and_counted():
    inbox = filled(Inbox(2), FILL, FILL, CANDLE, REFUSED, FILL, tick())
    assert inbox.dropped == 2
    assert inbox.take(10, 0) == [FILL, FILL, FILL, tick()]


def test_twice_the_limit_means_that_nothing_turns_any_more():
    inbox = filled(Inbox(2), *[FILL] * 4)
    with pytest.raises(Broken, match="expected at most 4 waiting events, found more"):
        inbox.put(FILL)
    inbox.put(tick())
    assert len(inbox) == 5


def test_nothing_comes_of_waiting_in_vain():
    assert Inbox(2).take(2, 0.01) == []


def test_who_is_hurried_takes_what_is_there_and_waits_for_nothing():
    inbox = filled(Inbox(10), FILL)
    inbox.hurry()
    assert inbox.take(10, 3_600) == [FILL]
    assert inbox.take(10, 3_600) == []


def test_a_waiting_taker_is_woken():
    inbox, taken = Inbox(2), []
    taker = threading.Thread(target=lambda: taken.extend(inbox.take(2, 10)))
    taker.start()
    inbox.put(FILL)
    taker.join(5)
    assert taken == [FILL]


def test_many_senses_lose_nothing():
    inbox, taken = Inbox(10_000), []
    senses = [threading.Thread(target=filled, args=(inbox, *[FILL] * 500)) for _ in range(8)]
    for sense in senses:
        sense.start()
    while len(taken) < 4_000:
        taken += inbox.take(64, 5)
    assert len(taken) == 4_000


def test_a_tick_from_before_the_clock_jumped_back_does_not_undo_the_jump():
    world, jump = a_world(), ClockJumped(at=T + 5_000, by_ms=-3_600_000)
    inbox = filled(Inbox(10), FILL, tick(T + 3_605_000, BTCUSDT=100.0), jump)
    told = go(world, *inbox.take(10, 0))
    assert told.world.at == jump.at
    inbox.put(tick(T + 6_000, BTCUSDT=101.0))
    told = go(told.world, *inbox.take(10, 0))
    assert (told.world.at, told.world.marks[BTC]) == (T + 6_000, 101.0)


def test_a_tick_after_the_clock_jumped_comes_after_the_jump():
    jump = ClockJumped(at=T + 5_000, by_ms=-3_600_000)
    inbox = filled(Inbox(10), tick(T + 3_605_000, A=1.0), jump, tick(T + 5_001, B=2.0))
    taken = inbox.take(10, 0)
    assert [event.at for event in taken] == [T + 5_000, T + 5_001]


def test_a_tick_that_could_not_be_written_comes_before_the_jump_that_followed_it():
    jump = ClockJumped(at=T + 5_000, by_ms=-3_600_000)
    inbox = filled(Inbox(10), tick(T + 3_605_000, BTCUSDT=100.0))
    taken = inbox.take(10, 0)
    inbox.put(jump)
    inbox.put_back(taken)
    assert go(a_world(), *inbox.take(10, 0)).world.at == jump.at
