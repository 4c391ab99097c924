"""The guard: reduces, pauses, and comes back at the lines of the mission, with hysteresis."""

import pytest

from bot.core.effects import Cancel, Notify, Submit
from bot.core.facts import EquityMarked
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.settings import PROFILES, profile
from tests.given import (
    BTC,
    D,
    a_world,
    but,
    commanded,
    entering,
    go,
    in_position,
    measured,
    review,
    trades,
    tuned,
    with_money,
)


def judged(wins, losses, *, equity=100_000, settings=None, state="NORMAL"):
    """Return what a review says of these trades and this equity, from a state."""
    world = a_world(settings=settings)
    if state != "NORMAL":
        bad = trades(0, 10) if state == "PAUSED" else trades(7, 13)
        world = but(review(but(world, closed=bad)).world, closed=())
        assert world.state("guard") == state
    return review(with_money(but(world, closed=trades(wins, losses)), equity))


@pytest.mark.parametrize(
    ("wins", "losses", "expected"),
    [
        (8, 12, "NORMAL"),
        (7, 13, "REDUCED"),
        (6, 14, "REDUCED"),
        (5, 15, "PAUSED"),
        (0, 4, "NORMAL"),
    ],
)
def test_win_rate_under_40_percent_reduces_and_under_30_percent_pauses(wins, losses, expected):
    assert judged(wins, losses).world.state("guard") == expected


@pytest.mark.parametrize(
    ("equity", "expected"),
    [(95_000, "NORMAL"), (94_990, "REDUCED"), (90_000, "REDUCED"), (89_990, "PAUSED")],
)
def test_drawdown_over_5_percent_reduces_and_over_10_percent_pauses(equity, expected):
    lenient = tuned(kill__daily_loss_max=0.99, kill__drawdown_max=0.99)
    assert judged(0, 0, equity=equity, settings=lenient).world.state("guard") == expected


def test_the_reason_has_the_numbers():
    assert judged(7, 13).reason("guard") == "win rate 35% under 40% over 20 trades"
    lenient = tuned(kill__daily_loss_max=0.99)
    told = judged(0, 0, equity=94_000, settings=lenient)
    assert told.reason("guard") == "drawdown 6.00% over 5.00%"


@pytest.mark.parametrize(
    ("wins", "losses", "equity", "expected"),
    [
        (9, 11, 100_000, "NORMAL"),  # 45 %
        (8, 12, 100_000, "REDUCED"),  # 40 %: above the reduce line, under the recovery line
        (4, 0, 100_000, "REDUCED"),  # four trades are not five
        (5, 0, 100_000, "NORMAL"),
        (5, 0, 95_010, "NORMAL"),
        (5, 0, 95_000, "REDUCED"),  # a drawdown of 5 % is not under 5 %
    ],
)
def test_reduced_ends_at_45_percent_under_5_percent_drawdown_after_5_trades(
    wins, losses, equity, expected
):
    lenient = tuned(kill__daily_loss_max=0.99)
    told = judged(wins, losses, equity=equity, settings=lenient, state="REDUCED")
    assert told.world.state("guard") == expected


def test_paused_comes_back_to_reduced_only():
    told = judged(20, 0, state="PAUSED")
    assert [m for m in told.moves if m.startswith("guard")] == ["guard account: PAUSED → REDUCED"]


def test_shadow_trades_count_while_paused_and_only_then():
    shadows = trades(20, 0, shadow=True)
    paused = but(review(but(a_world(), closed=trades(0, 10))).world, closed=trades(0, 10) + shadows)
    assert review(paused).world.state("guard") == "REDUCED"
    normal = but(a_world(), closed=trades(0, 10) + shadows)
    assert review(normal).world.state("guard") == "PAUSED"


def test_a_pause_that_ended_is_not_brought_back_by_the_trades_that_caused_it():
    world = review(but(a_world(), closed=trades(0, 10))).world
    world = but(world, closed=world.closed + trades(20, 0, shadow=True, at=world.at))
    world = review(world).world
    assert world.state("guard") == "REDUCED"
    for _ in range(5):
        world = review(world).world
        assert world.state("guard") == "REDUCED", world.instance_of("guard")


def test_the_guards_peak_is_set_anew_when_its_pause_ends_and_the_true_peak_stays():
    lenient = tuned(kill__daily_loss_max=0.99, kill__drawdown_max=0.99)
    world = review(with_money(a_world(settings=lenient), 85_000)).world
    assert world.state("guard") == "PAUSED"
    # shadow profit brings the guard's own curve back; the money is still lost
    shadows = tuple(but(c, pnl=D(1_000)) for c in trades(14, 0, shadow=True, at=world.at))
    told = review(but(world, closed=shadows))
    assert told.world.state("guard") == "REDUCED"
    assert told.world.account.guard_peak == D(85_000)
    assert told.world.account.peak == D(100_000)
    assert "guard baseline set anew" in told.noted(EquityMarked)[-1].why
    assert review(told.world).world.state("guard") == "REDUCED"


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_has_hysteresis(name):
    limits = profile(name).guard
    assert limits.paused_win_rate < limits.reduced_win_rate
    assert limits.recover_margin >= 0.05
    # on the reduce line it is neither reduced from NORMAL nor lifted from REDUCED
    wins = round(limits.reduced_win_rate * 20)
    for state in ("NORMAL", "REDUCED"):
        settings = tuned(profile(name), kill__daily_loss_max=0.99)
        world = a_world(settings=settings)
        if state == "REDUCED":
            world = go(world, commanded(world, "reduce")).world
        assert review(but(world, closed=trades(wins, 20 - wins))).world.state("guard") == state


def test_reduced_halves_the_size_of_an_entry():
    full = entering(a_world()).effects(Submit)[0].qty
    world = a_world()
    reduced = go(world, commanded(world, "reduce")).world
    assert entry_level(reduced, BTC) == Level.REDUCED
    assert entering(reduced).effects(Submit)[0].qty == full / 2


def test_pausing_cancels_entries_keeps_positions_and_tells_people():
    world = in_position(a_world(("BTCUSDT", "ETHUSDT")), "ETHUSDT")
    world = entering(world, BTC).world
    told = review(but(world, closed=trades(0, 10)))
    assert told.world.state("guard") == "PAUSED"
    assert [c.symbol for c in told.effects(Cancel)] == [BTC]
    assert told.effects(Notify)[0].severity == "warning"
    assert told.world.positions["ETHUSDT"] == world.positions["ETHUSDT"]


def test_paused_opens_nothing_and_says_why():
    world = review(but(a_world(), closed=trades(0, 10))).world
    told = go(world, measured(world))
    assert not told.effects(Submit)
    assert "guard account is PAUSED: win rate 0% under 30% over 10 trades" in told.facts[-1].reason


def test_an_operators_hold_is_not_lifted_by_the_guards_recovery():
    world = review(but(a_world(), closed=trades(0, 10))).world
    world = go(world, commanded(world, "hold")).world
    world = review(but(world, closed=trades(20, 0, shadow=True, at=world.at))).world
    assert world.state("guard") == "REDUCED"
    assert world.state("hold") == "HELD"
    assert entry_level(world) == Level.REDUCE_ONLY


def test_only_the_newest_trades_of_the_window_count():
    assert judged(20, 200).world.state("guard") == "NORMAL"  # the wins are the newest 20
    assert judged(20, 200, settings=tuned(guard__window=25)).world.state("guard") == "NORMAL"
    assert judged(5, 200, settings=tuned(guard__window=25)).world.state("guard") == "PAUSED"


def test_each_line_can_be_configured():
    strict = tuned(guard__reduced_win_rate=0.6, guard__paused_win_rate=0.5)
    assert judged(11, 9, settings=strict).world.state("guard") == "REDUCED"
    assert judged(9, 11, settings=strict).world.state("guard") == "PAUSED"
    assert (
        judged(0, 0, equity=98_900, settings=tuned(guard__reduced_drawdown=0.01)).world.state(
            "guard"
        )
        == "REDUCED"
    )
