"""The budget never exceeds a limit, never lets the less urgent delay the more urgent, and is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.edge.venues.budget import (
    IP_LIMIT,
    RATES,
    SECOND_NS,
    WAITING_MAX,
    WINDOW_NS,
    Budget,
    Priority,
    Request,
)

CANCEL, ORDER, MARKET = "/v5/order/cancel", "/v5/order/create", "/v5/market/kline"


def request(path=ORDER, priority=Priority.ENTRY):
    return Request(path, "linear", priority)


def drained(budget, path=ORDER, priority=Priority.EXIT, now=0):
    """Take all that there is."""
    count = 0
    while not budget.take(request(path, priority), now):
        budget.ended()
        count += 1
    return count


@pytest.mark.parametrize("path", RATES)
def test_a_fifth_is_left_to_what_protects(path):
    budget, limit = Budget(), RATES[path][1]
    assert drained(budget, path, Priority.ENTRY) == limit - limit // 5
    assert drained(budget, path, Priority.CANCEL) == limit // 5


def test_tokens_come_back_one_window_after_they_were_taken():
    budget = Budget()
    assert drained(budget) == 10
    assert budget.take(request(priority=Priority.EXIT), WINDOW_NS // 2) == pytest.approx(0.525)
    assert budget.take(request(priority=Priority.EXIT), WINDOW_NS) == 0


def test_a_token_that_a_more_urgent_request_waits_for_is_not_free():
    budget = Budget()
    drained(budget)
    exit_ = request(priority=Priority.EXIT)
    assert budget.take(exit_, 1) > 0
    assert budget.queue(exit_) is None
    entries = [request() for _ in range(3)]
    for waiting in entries:
        budget.queue(waiting)
    for waiting in entries:
        assert budget.take(waiting, 1) >= budget.take(exit_, 1)
    assert budget.take(exit_, WINDOW_NS) == 0


def test_equals_leave_in_the_order_in_which_they_came():
    budget = Budget()
    drained(budget)
    first, second = request(priority=Priority.EXIT), request(priority=Priority.EXIT)
    budget.queue(first)
    budget.queue(second)
    budget._buckets["/v5/order/create linear"].taken.popleft()  # one token comes back
    assert budget.take(second, 1) > 0
    assert budget.take(first, 1) == 0


def test_the_queue_is_bounded_and_keeps_places_for_what_protects():
    budget = Budget()
    accepted = 0
    while budget.queue(request(MARKET, Priority.MARKET)) is None:
        accepted += 1
    assert accepted == WAITING_MAX - WAITING_MAX // 5
    assert budget.queue(request(CANCEL, Priority.CANCEL)) is None
    assert "requests wait already" in budget.queue(request(MARKET, Priority.MARKET))


def test_a_limit_that_was_lowered_is_kept():
    budget = Budget()
    asked = request()
    budget.take(asked, 0)
    budget.told(asked, 4, 1, 0)
    assert drained(budget) == 1
    budget.told(asked, 0, 0, 0)  # no limit at all is none that is believed
    assert drained(budget, now=2 * WINDOW_NS) == 4


@given(
    st.lists(
        st.tuples(
            st.sampled_from([CANCEL, ORDER, MARKET, "/v5/order/realtime"]),
            st.sampled_from(list(Priority)),
            st.integers(0, 60_000_000),
        ),
        max_size=400,
    )
)
def test_no_window_ever_has_more_than_the_limit(asked):
    budget, now, left = Budget(), 0, {}
    for path, priority, pause in asked:
        now += pause
        if not budget.take(request(path, priority), now):
            budget.ended()
            left.setdefault(path, []).append(now)
    for path, times in left.items():
        limit = RATES[path][1] if path in RATES else IP_LIMIT
        for n, at in enumerate(times):
            assert sum(at - SECOND_NS < other <= at for other in times[: n + 1]) <= limit


@given(st.lists(st.sampled_from(list(Priority)), min_size=1, max_size=30), st.data())
def test_nobody_leaves_before_one_who_is_more_urgent_or_older(priorities, data):
    budget = Budget()
    drained(budget)
    waiting = [request(priority=priority) for priority in priorities]
    for one in waiting:
        budget.queue(one)
    left, now = {}, 0
    while waiting:
        for one in data.draw(st.permutations(waiting)):
            if not budget.take(one, now):
                budget.ended()
                budget.unqueue(one)
                waiting.remove(one)
                left[one.priority, one.order] = now
        now += WINDOW_NS // 7
        assert now < 20 * WINDOW_NS, "nobody waits for ever"
    times = [left[key] for key in sorted(left)]
    assert times == sorted(times)
