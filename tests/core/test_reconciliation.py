"""Reconciliation: a difference is read deeper before it is believed, and no state is a dead end."""

import pytest

from bot.core.account import DAY_MS
from bot.core.effects import Notify, Reconcile, Submit
from bot.core.facts import AccountCompared, CashMoved, OrderRefused
from bot.core.values import CashMove, Side, VenuePosition
from tests.given import (
    BTC,
    ETH,
    D,
    T,
    a_fill,
    a_world,
    answered,
    but,
    commanded,
    go,
    in_position,
    measured,
    reconciled,
    ticked,
)

HOUR = 3_600_000
DEPTHS = ("light", "full", "day")


def calm():
    return answered(a_world())


def read(world, wallet=100_000, depth="light", **more):
    return go(world, reconciled(world, wallet, depth=depth, **more))


def standing(state):
    """A world whose ledger lacks 1,000 of cash, as far as this state."""
    world = calm()
    for depth in DEPTHS[: ("CLEAN", "DRIFT", "RESOLVING", "MISMATCH").index(state)]:
        world = answered(read(world, 99_000, depth).world)
    assert world.state("reconciliation") == state
    return world


def a_move(number=1, change=-5, at=T + 10, **more):
    return CashMove(f"m{number}", "FUNDING", BTC, D(change), at, **more)


# -- what is compared ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wallet", "state"),
    [
        ("100000", "CLEAN"),
        ("100000.009", "CLEAN"),
        ("99999.9901", "CLEAN"),
        ("100000.01", "DRIFT"),
        ("99999.99", "DRIFT"),
    ],
)
def test_the_wallet_is_equal_to_the_cent(wallet, state):
    assert read(calm(), wallet).world.state("reconciliation") == state


def test_every_comparison_is_a_row_with_both_numbers():
    told = read(calm(), "100000.5", positions=(VenuePosition(BTC, D(2), D(100)),))
    (row,) = told.noted(AccountCompared)
    assert (row.depth, row.wallet, row.cash) == ("light", D("100000.5"), D(100_000))
    assert (row.positions, row.fills, row.moves) == (1, 0, 0)
    assert row.differs == "wallet 100000.5, ledger 100000 (+0.5); BTCUSDT 2, ledger 0"
    assert told.reason("reconciliation") == row.differs
    assert read(calm()).noted(AccountCompared)[0].differs == ""


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (VenuePosition(BTC, D(2), D(100)), "BTCUSDT 2, ledger 0"),
        (VenuePosition(BTC, D("-0.001"), D(100)), "BTCUSDT -0.001, ledger 0"),
        (
            VenuePosition(ETH, D(1), D(100)),
            (
                "ETHUSDT 1 is open at the venue and not traded here: close it there,"
                " add it to market.symbols, or give the bot an account of its own"
            ),
        ),
    ],
)
def test_a_position_differs_by_anything(row, why):
    assert read(calm(), positions=(row,)).noted(AccountCompared)[0].differs == why


def test_a_position_that_the_venue_no_longer_has_differs():
    told = read(in_position(calm()))
    assert told.noted(AccountCompared)[0].differs == "BTCUSDT 0, ledger 20.000"


def test_the_first_reading_has_nothing_to_differ_from():
    told = go(but(a_world(), account=but(a_world().account, peak=D(0))), reconciled(T, 5))
    assert (told.world.state("reconciliation"), told.world.account.cash) == ("CLEAN", 5)


# -- deeper and deeper -----------------------------------------------------------------------------


def test_a_difference_is_read_anew_each_time_deeper_and_then_taken_over():
    world = calm()
    told = read(world, 99_000)
    assert told.world.state("reconciliation") == "DRIFT"
    assert [asked_after(told.world, seconds) for seconds in (1.9, 2)] == [[], ["full"]]
    told = read(answered(told.world), 99_000, "full")
    assert told.world.state("reconciliation") == "RESOLVING"
    assert [asked_after(told.world, seconds) for seconds in (19.9, 20)] == [[], ["day"]]
    assert told.world.account.cash == 100_000, "not yet"
    told = read(answered(told.world), 99_000, "day")
    assert told.world.state("reconciliation") == "MISMATCH"
    assert told.world.account.cash == 99_000
    assert told.world.state("hold") == "HELD"
    assert "reconciliation: wallet 99000, ledger 100000 (-1000)" in told.reason("hold")
    (critical,) = [n.text for n in told.effects(Notify) if n.severity == "critical"]
    assert "wallet 99000, ledger 100000 (-1000)" in critical


def asked_after(world, seconds):
    """Return how deep the account is read again by then."""
    return [q.depth for q in go(world, ticked(world, seconds)).effects(Reconcile)]


def test_the_pause_before_a_deeper_reading_is_of_real_time():
    world = read(answered(a_world(rate=60.0)), 99_000).world
    assert [asked_after(world, seconds) for seconds in (119, 120)] == [[], ["full"]]


def test_what_the_venue_lists_late_is_no_alarm():
    world, late = calm(), a_move(change=-5, at=T + 10)
    world = read(go(world, ticked(world, 1)).world, 99_995).world
    told = go(world, ticked(world, 2))
    told = read(told.world, 99_995, "full", moves=(late,))
    assert (told.world.state("reconciliation"), told.world.state("hold")) == ("CLEAN", "FREE")
    assert not told.effects(Notify)


def test_a_leak_of_less_than_a_cent_a_reading_adds_up_until_it_shows():
    world = calm()
    for number in range(1, 4):
        assert world.state("reconciliation") == "CLEAN"
        world = read(world, D(100_000) - number * D("0.004")).world
    assert world.state("reconciliation") == "DRIFT"
    assert world.account.cash == 100_000


def test_what_the_venue_rounds_is_taken_over_and_does_not_add_up():
    world = read(calm(), "99999.9999995").world
    assert world.account.cash == D("99999.9999995")
    assert read(world, "99999.9999985").world.account.cash == D("99999.9999995"), (
        "a whole millionth"
    )


def test_after_a_mismatch_another_difference_is_read_deeper_again_and_not_taken_over():
    told = read(standing("MISMATCH"), 98_000)
    assert told.moves == ["reconciliation account: MISMATCH → DRIFT"]
    assert told.world.account.cash == 99_000
    assert asked_after(told.world, 2) == ["full"]


def test_a_mismatch_that_stays_as_it_was_stays():
    stranger = (VenuePosition("XXXUSDT", D(1), D(100)),)
    world = calm()
    for depth in DEPTHS:
        world = answered(read(world, 100_000, depth, positions=stranger).world)
    told = read(world, "100000.004", positions=stranger)
    assert told.world.state("reconciliation") == "MISMATCH"
    assert not told.steps + told.emitted
    assert told.world.account.cash == D("100000.004"), "the rest is the venue's"


@pytest.mark.parametrize(
    ("state", "depth"),
    [("DRIFT", "light"), ("RESOLVING", "light"), ("RESOLVING", "full")],
)
def test_a_reading_that_is_not_deeper_decides_nothing(state, depth):
    told = read(standing(state), 99_000, depth)
    assert told.world.state("reconciliation") == state
    assert told.world.account.cash == 100_000
    assert not told.effects(Reconcile)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("state", ["DRIFT", "RESOLVING", "MISMATCH"])
def test_an_equal_reading_of_any_depth_ends_it(state, depth):
    world = standing(state)
    told = read(world, world.account.cash, depth)
    assert told.world.state("reconciliation") == "CLEAN"
    assert told.reason("reconciliation") == f"{depth} reading agrees"


@pytest.mark.parametrize("state", ["DRIFT", "RESOLVING", "MISMATCH"])
def test_no_entry_while_a_difference_stands_and_exits_leave(state):
    world = standing(state)
    told = go(world, measured(world))
    assert not told.effects(Submit)
    rows = " ".join(row.reason for row in told.noted(OrderRefused))
    assert f"reconciliation account is {state}: " in rows
    world = in_position(calm())
    world = but(world, machines={**world.machines, **_only(standing(state), "reconciliation")})
    assert go(world, commanded(world, "flatten")).effects(Submit)[0].reduce_only


def _only(world, machine):
    return {machine: world.machines[machine]}


def test_a_mismatch_ends_with_an_equal_reading_and_a_named_person():
    world = standing("MISMATCH")
    world = read(world, 99_000).world
    assert (world.state("reconciliation"), world.state("hold")) == ("CLEAN", "HELD")
    assert not go(world, measured(world)).effects(Submit)
    world = go(world, commanded(world, "release")).world
    assert go(world, measured(world)).effects(Submit)


def test_the_lost_execution_that_a_deeper_reading_finds_ends_it_without_a_word():
    world = calm()
    lost = a_fill(BTC, Side.BUY, 3, 100, fee=D(1), at=world.at)
    row = VenuePosition(BTC, D(3), D(100))
    world = go(world, ticked(world, 2)).world
    world = read(world, 99_999, positions=(row,)).world
    assert world.state("reconciliation") == "DRIFT"
    told = read(answered(world), 99_999, "full", positions=(row,), fills=(lost,))
    assert told.world.state("reconciliation") == "CLEAN"
    assert (told.world.account.cash, told.world.positions[BTC].qty) == (99_999, 3)
    assert told.world.state("hold") == "FREE"


@pytest.mark.parametrize(("depth", "back"), [("light", 0), ("full", HOUR), ("day", DAY_MS + HOUR)])
def test_each_depth_looks_further_back_but_not_before_the_beginning(depth, back):
    world = calm()
    late = but(world.account, fills_since=T + 90 * HOUR)
    question = asked(but(world, account=late), depth)
    assert question.since == T + 90 * HOUR - back
    assert asked(world, depth).since == (world.account.fills_since if not back else T)
    floor = but(late, fills_floor=T + 90 * HOUR - 7)
    if back:
        assert asked(but(world, account=floor), depth).since == T + 90 * HOUR - 7


def asked(world, depth):
    world = but(world, account=but(world.account, reread=depth))
    (question,) = go(world, ticked(world, 0)).effects(Reconcile)
    assert question.depth == depth
    return question


# -- torn ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_torn_reading_is_not_compared_and_read_again_as_deep(depth):
    world = calm()
    fill = a_fill(BTC, Side.BUY, 1, 100, at=world.at)
    told = read(world, 5, depth, fills=(fill,), as_of=world.at)
    assert not told.noted(AccountCompared)
    assert told.world.state("reconciliation") == "CLEAN"
    assert told.world.account.cash == 100_000
    told = go(told.world, ticked(told.world))
    assert [q.depth for q in told.effects(Reconcile)] == [depth]


def test_a_torn_light_reading_does_not_take_the_place_of_a_torn_deep_one():
    world = standing("DRIFT")
    fill = a_fill(BTC, Side.BUY, 1, 100, at=world.at)
    world = read(world, 5, "full", fills=(fill,), as_of=world.at).world
    world = read(world, 5, "light", as_of=T).world
    assert [q.depth for q in go(world, ticked(world)).effects(Reconcile)] == ["full"]


def test_an_execution_just_before_the_reading_does_not_tear_it():
    world = calm()
    fill = a_fill(BTC, Side.BUY, 1, 100, at=world.at)
    row = VenuePosition(BTC, D(1), D(100))
    told = read(world, fills=(fill,), positions=(row,), as_of=world.at + 1)
    assert (told.world.state("reconciliation"), told.world.positions[BTC].qty) == ("CLEAN", 1)


# -- cash that moves -------------------------------------------------------------------------------


def test_cash_that_moved_is_booked_once_whatever_is_read_again():
    world = calm()
    for depth in (*DEPTHS, *DEPTHS):
        told = read(world, 99_995, depth, moves=(a_move(), a_move()))
        assert told.world.account.cash == 99_995
        assert told.world.state("reconciliation") == "CLEAN"
        assert len(told.noted(CashMoved)) == (world.account.cash == 100_000)
        world = told.world


def test_cash_that_moved_before_the_beginning_is_not_ours():
    told = read(calm(), moves=(a_move(at=T - 1), a_move(2, 0, at=T)))
    assert [fact.move.move for fact in told.noted(CashMoved)] == ["m2"]


@pytest.mark.parametrize("number", [400, 600, 2_000])
def test_a_day_of_many_moves_that_is_read_again_is_booked_once(number):
    moves = tuple(a_move(n, at=T + n) for n in range(number))
    world = read(calm(), 100_000 - 5 * number, moves=moves).world
    told = read(world, 100_000 - 5 * number, "day", moves=moves)
    assert not told.noted(CashMoved)
    assert told.world.state("reconciliation") == "CLEAN"


def test_what_is_remembered_of_moves_is_bounded_by_time_and_what_is_forgotten_is_not_booked():
    world = calm()
    for day in range(10):
        at = T + day * DAY_MS
        moves = tuple(a_move(f"{day}-{n}", at=at + n) for n in range(10))
        world = but(world, at=at + 60_000)
        world = read(world, 99_950 - 50 * day, moves=moves, as_of=at + 60_000).world
        assert world.state("reconciliation") == "CLEAN"
    assert len(world.moves) <= 40
    assert not read(world, moves=(a_move("0-3", at=T + 3),)).noted(CashMoved)
