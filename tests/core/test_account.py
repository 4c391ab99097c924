"""The account: cash is conserved, equity has unrealised profit, baselines persist and roll with the day."""

import msgspec

from bot.core.account import DAY_MS
from bot.core.effects import Reconcile
from bot.core.events import ClockJumped, Filled, Ticked
from bot.core.facts import EquityMarked, FillBooked
from bot.core.values import Side, VenuePosition
from bot.core.world import World
from bot.store.snapshots import pack
from tests.given import (
    BTC,
    D,
    T,
    a_fill,
    a_world,
    answered,
    but,
    go,
    in_position,
    measured,
    read_through,
    reconciled,
    review,
    ticked,
    tuned,
    with_money,
)


def test_cash_is_conserved_over_any_fills():
    world, told = a_world(), None
    sizes = [
        (1, "3", "100"),
        (-1, "5", "97.3"),
        (1, "1.7", "33.33"),
        (1, "2", "0.01"),
        (-1, "9", "7"),
    ]
    booked = []
    for sign, qty, price in sizes:
        side = Side.BUY if sign > 0 else Side.SELL
        fill = a_fill(side=side, qty=qty, price=price, fee=D("0.017"))
        told = go(world, Filled(at=world.at, fill=fill))
        booked += told.noted(FillBooked)
        world = told.world
    change = world.account.cash - D(100_000)
    assert abs(change - sum(b.realised - b.fill.fee for b in booked)) < D("1e-15")


def test_a_closed_book_earned_exactly_what_was_sold_less_what_was_paid():
    world = a_world()
    fills = [
        a_fill(side=Side.BUY, qty=3, price=100, fee=D(1)),
        a_fill(side=Side.BUY, qty=2, price=110, fee=D(1)),
        a_fill(side=Side.SELL, qty=5, price=120, fee=D(1)),
    ]
    world = go(world, *(Filled(at=world.at, fill=f) for f in fills)).world
    assert world.account.cash == D(100_000) + 5 * 120 - 3 * 100 - 2 * 110 - 3


def test_equity_is_cash_and_unrealised_profit_at_the_marks():
    world = in_position(a_world())
    assert review(world, BTCUSDT=103.0).world.account.equity == D(100_000) + 20 * 3
    short = in_position(a_world(), up=False)
    assert review(short, BTCUSDT=103.0).world.account.equity == D(100_000) - 20 * 3


def test_the_peak_only_grows():
    world = review(with_money(a_world(), 120_000)).world
    assert world.account.peak == D(120_000)
    world = review(with_money(world, 118_000)).world
    assert (world.account.peak, world.account.equity) == (D(120_000), D(118_000))


def test_it_is_reviewed_on_the_timer_and_not_between():
    world = a_world(settings=tuned(guard__review_seconds=60))
    world = review(world).world
    soon = go(world, Ticked(at=world.at + 59_999, marks={})).world
    assert soon.account.reviewed_at == world.account.reviewed_at
    due = go(world, Ticked(at=world.at + 60_000, marks={})).world
    assert due.account.reviewed_at == world.at + 60_000


def test_a_new_day_has_a_new_start_and_yesterdays_loss_is_forgiven_then_only():
    world = review(with_money(a_world(), 97_000)).world
    assert world.account.day_start == D(100_000)
    midnight = (world.at // DAY_MS + 1) * DAY_MS
    late = go(world, Ticked(at=midnight - 1, marks={BTC: 100.0})).world
    assert late.account.day_start == D(100_000)
    told = go(late, Ticked(at=midnight + 15_000, marks={BTC: 100.0}))
    assert told.world.account.day_start == D(97_000)
    assert told.world.account.peak == D(100_000), "the peak knows no day"
    assert review(with_money(told.world, 93_500)).world.state("kill") == "ARMED"  # 3.6 % of today


def test_going_back_over_midnight_does_not_forgive_a_loss():
    world = review(with_money(a_world(), 97_000)).world
    midnight = world.at // DAY_MS * DAY_MS
    world = go(world, ClockJumped(at=midnight - 60_000, by_ms=-1)).world
    world = review(world).world
    world = go(world, Ticked(at=midnight + 60_000, marks={BTC: 100.0})).world
    assert world.account.day_start == D(100_000)


def test_after_a_clock_that_jumps_back_the_account_is_reviewed_and_reconciled_as_before():
    world = review(in_position(a_world())).world
    back = world.at - 3_600_000
    world = go(world, ClockJumped(at=back, by_ms=-3_600_000)).world
    world = go(world, ticked(world, 61)).world
    assert world.account.reviewed_at == world.at
    told = read_through(world, 99_000)
    assert told.world.account.cash == D(99_000), "and it is not torn"


def test_peak_day_start_and_results_survive_a_restart():
    world = review(with_money(in_position(a_world()), 98_000)).world
    again = msgspec.json.decode(pack(world), type=World)
    assert again == world
    assert again.account.peak == D(100_000)
    assert again.account.day_start == D(100_000)


def test_the_venues_wallet_becomes_cash_and_only_the_first_is_the_baseline():
    world = a_world(wallet=50_000)
    assert world.account.peak == world.account.day_start == D(50_000)
    world = read_through(world, 49_000).world
    assert (world.account.cash, world.account.peak) == (D(49_000), D(50_000))


def test_the_account_is_compared_with_the_venue_from_time_to_time():
    world = answered(a_world())
    assert not go(world, ticked(world, 59)).effects(Reconcile)
    told = go(world, ticked(world, 61))
    assert len(told.effects(Reconcile)) == 1
    assert not go(told.world, ticked(told.world, 61)).effects(Reconcile), "one is on its way"
    assert not go(told.world, ticked(told.world, 1)).effects(Reconcile)


def test_the_equity_curve_has_a_row_a_minute_with_its_baselines():
    world, rows = a_world(), []
    for _ in range(8):
        told = review(world)
        world, rows = told.world, rows + told.noted(EquityMarked)
    assert len(rows) == 2
    assert (rows[0].equity, rows[0].peak, rows[0].why) == (D(100_000), D(100_000), "review")


def test_a_position_without_a_mark_counts_nothing():
    world = in_position(a_world())
    assert review(but(world, marks={})).world.account.equity == D(100_000)


def test_size_follows_equity():
    rich = review(with_money(a_world(), 200_000)).world
    assert next(iter(go(rich, measured(rich)).world.orders.values())).qty == D(40)
    assert a_world().at - 3 == T


def test_only_a_whole_reading_moves_the_time_from_which_executions_are_read():
    world = answered(a_world())
    before = world.account.fills_since
    world = go(world, ticked(world, 30)).world
    world = go(world, Filled(at=world.at, fill=a_fill(at=world.at))).world
    assert world.account.fills_since == before, "an earlier one may have been missed"
    torn = reconciled(world, as_of=world.at - 1)
    assert go(world, torn).world.account.fills_since == before, "it is read again"
    row = VenuePosition(BTC, D(1), D(100))
    whole = reconciled(world, as_of=world.at + 1, positions=(row,))
    assert go(world, whole).world.account.fills_since == whole.as_of
