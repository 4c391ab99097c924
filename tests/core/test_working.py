"""Working: an entry rests, follows the market as often as allowed, and is cancelled when its time is over."""

import pytest

from bot.core.effects import Amend, Cancel, Protect
from bot.core.events import (
    Accepted,
    ClockJumped,
    Delivered,
    Doubted,
    Filled,
    Latched,
    Recovered,
    Ticked,
    Undelivered,
)
from bot.core.facts import OrderRefused
from bot.core.machine import Instance
from bot.core.values import OrderStatus, Side
from tests.given import (
    BTC,
    ETH,
    MINUTE,
    D,
    a_fill,
    a_world,
    answered,
    but,
    commanded,
    entering,
    go,
    measured,
    reported,
    started,
    stop_seen,
    ticked,
    tuned,
)


def resting(up=True, **values):
    """An entry of 20 at 100.1 (or 99.9) that the venue has on its book, and its id."""
    world = answered(a_world((BTC, ETH), settings=tuned(**values)))
    world = entering(world, up=up).world
    (order,) = world.orders
    world = go(
        world,
        Accepted(at=world.at, order=order, venue_id="v1"),
        reported(world, order, OrderStatus.OPEN, price=world.orders[order].price),
    ).world
    return answered(world), order


def done(told, kind):
    """Return the world once the venue carried out the effects of a kind."""
    keys = [d.id for d in told.dispatches if isinstance(d.effect, kind)]
    return go(told.world, *(Delivered(at=told.world.at, effect=key) for key in keys)).world


def moved(told, order):
    """Return the world once the venue moved the order."""
    (amend,) = told.effects(Amend)
    world = done(told, Amend)
    return go(world, reported(world, order, OrderStatus.OPEN, price=amend.price)).world


def test_an_entry_rests_for_its_time_and_no_longer():
    world, order = resting()
    quiet = go(world, ticked(world, 2.999, BTCUSDT=101.0))
    assert not quiet.effects(Amend) + quiet.effects(Cancel)
    told = go(quiet.world, ticked(quiet.world, 0.001))
    assert [(a.order, a.symbol) for a in told.effects(Amend)] == [(order, BTC)]


def test_its_time_is_people_time():
    world, _ = resting()
    world = but(world, rate=60.0)
    assert not go(world, ticked(world, 29, BTCUSDT=101.0)).effects(Amend)
    assert go(world, ticked(world, 180, BTCUSDT=101.0)).effects(Amend)


@pytest.mark.parametrize(
    ("up", "mark", "price"), [(True, 101.0, "101.1"), (False, 99.0, "98.9"), (True, 99.0, "99.1")]
)
def test_it_follows_the_market_to_just_beyond_the_mark(up, mark, price):
    world, _ = resting(up)
    (amend,) = go(world, ticked(world, 3, BTCUSDT=mark)).effects(Amend)
    assert amend.price == D(price)
    assert amend.expires_at == world.at + 6_000


@pytest.mark.parametrize("times", [0, 1, 3])
def test_it_follows_so_many_times_and_is_then_cancelled_once(times):
    world, order = resting(orders__moves_max=times)
    for n in range(times):
        told = go(world, ticked(world, 3, BTCUSDT=100.5 + n / 2))
        assert (len(told.effects(Amend)), told.effects(Cancel)) == (1, [])
        world = moved(told, order)
    told = go(world, ticked(world, 3, BTCUSDT=102.5))
    assert (told.effects(Amend), told.effects(Cancel)) == ([], [Cancel(order=order, symbol=BTC)])
    waiting = go(told.world, *(ticked(told.world, n) for n in range(1, 30)))
    assert not waiting.effects(Cancel) + waiting.effects(Amend), "it is on its way"


def test_a_price_that_has_not_changed_is_not_sent_again_but_cancelled():
    world, order = resting()
    told = go(world, ticked(world, 3))
    assert (told.effects(Amend), len(told.effects(Cancel))) == ([], 1)
    assert told.world.orders[order].moves == 0


@pytest.mark.parametrize(
    ("mark", "collar", "sent"), [(101.0, 0.03, "101.1"), (103.0, 0.03, "103.1"), (103.2, 0.03, "")]
)
def test_it_never_follows_a_market_that_ran_away(mark, collar, sent):
    far = {"strategy__take_atr": 10.0}
    world, _ = resting(controls__drift_max=0.0301, controls__collar=collar, **far)
    told = go(world, ticked(world, 3, BTCUSDT=mark))
    assert [f"{amend.price}" for amend in told.effects(Amend)] == ([sent] if sent else [])
    assert len(told.effects(Cancel)) == (not sent)


@pytest.mark.parametrize("mark", [90.0, 99.5, 100.4, 101.7, 102.9])
@pytest.mark.parametrize("up", [True, False])
def test_the_price_followed_to_is_well_within_the_collar(mark, up):
    world, _ = resting(up, orders__slippage_max=0.01, controls__collar_atr=0.5)
    for amend in go(world, ticked(world, 3, BTCUSDT=mark)).effects(Amend):
        assert abs(amend.price - D(str(mark))) <= D("0.25") + D("0.1")


def test_without_a_mark_it_is_cancelled():
    world, _ = resting()
    told = go(but(world, marks={}), Ticked(at=world.at + 3_000, marks={}))
    assert (told.effects(Amend), len(told.effects(Cancel))) == ([], 1)


def forbidden(name):
    """What forbids an entry, as events for a world."""

    def standing(world, machine, state, key="account"):
        at = {**world.machines.get(machine, {}), key: Instance(state, 9, world.at, "because")}
        return but(world, machines={**world.machines, machine: at})

    states = {
        "guard": ("guard", "PAUSED"),
        "feed": ("feed", "STALE", BTC),
        "kill": ("kill", "LATCHED"),
        "kill of the symbol": ("kill", "LATCHED", BTC),
        "hold": ("hold", "HELD"),
        "breaker": ("breaker", "OPEN"),
        "reconciliation": ("reconciliation", "DRIFT"),
        "storage": ("storage", "FULL"),
    }
    return lambda world: standing(world, *states[name])


FORBIDDEN = ("guard", "feed", "kill", "kill of the symbol", "hold", "breaker", "reconciliation")


@pytest.mark.parametrize("name", [*FORBIDDEN, "storage"])
def test_what_may_no_longer_be_entered_is_cancelled_at_once_and_once(name):
    world, order = resting()
    world = forbidden(name)(world)
    world = but(world, breaker_until=world.at + 60_000)
    told = go(world, ticked(world, 0.1))
    assert told.effects(Cancel) == [Cancel(order=order, symbol=BTC)]
    assert not go(told.world, *(ticked(told.world, n) for n in (1, 2, 3))).effects(Cancel)


def test_another_symbols_trouble_does_not_cancel_it():
    world, _ = resting()
    world = go(world, commanded(world, "hold", symbol=ETH), commanded(world, "kill", symbol=ETH))
    assert not go(world.world, ticked(world.world, 1)).effects(Cancel)


def test_two_reasons_to_cancel_cancel_once():
    world, _ = resting()
    told = go(world, commanded(world, "hold"), commanded(world, "kill"), commanded(world, "stop"))
    told = go(told.world, Latched(at=world.at, reason="x"), ticked(told.world)), told
    assert sum(len(part.effects(Cancel)) for part in told) == 1


def test_a_cancel_that_the_venue_took_and_forgot_is_tried_again_after_its_time():
    world, _ = resting(orders__moves_max=0)
    world = done(go(world, ticked(world, 3)), Cancel)
    assert not go(world, ticked(world, 2.9)).effects(Cancel)
    assert len(go(world, ticked(world, 3)).effects(Cancel)) == 1


def test_a_cancel_that_was_forgotten_does_not_wait_for_a_time_that_was_a_mistake():
    world, _ = resting(orders__moves_max=0)
    world = done(go(world, ticked(world, 3)), Cancel)
    world = go(world, ClockJumped(at=world.at - 60 * MINUTE, by_ms=-60 * MINUTE)).world
    assert len(go(world, ticked(world, 3)).effects(Cancel)) == 1


def test_while_a_move_is_on_its_way_neither_another_nor_a_cancel_is_sent():
    world, _ = resting(orders__moves_max=5)
    told = go(world, ticked(world, 3, BTCUSDT=101.0))
    assert told.effects(Amend)
    later = go(told.world, ticked(told.world, 1), ticked(told.world, 2, BTCUSDT=101.5))
    assert not later.effects(Amend) + later.effects(Cancel)


def failing(world, seconds):
    """Let the venue answer no move; return the world and how often each kind was handed out."""
    sent = {Amend: 0, Cancel: 0}
    for n in range(seconds * 2):
        told = go(world, ticked(world, 0.5, BTCUSDT=101.0 + n / 100))
        world = told.world
        for dispatch in told.dispatches:
            if type(dispatch.effect) in sent:
                sent[type(dispatch.effect)] += 1
                no = Undelivered(at=world.at, effect=dispatch.id, reason="timeout")
                world = go(world, no).world
    return world, sent


def test_a_move_in_doubt_is_not_repeated_for_ever():
    world, _ = resting()
    world, sent = failing(world, 30)
    assert 1 <= sent[Amend] <= 4, "within its time, and no second one after it"
    assert sent[Cancel] >= 1, "then it is cancelled, until the venue says so"
    assert not [d for d in world.deliveries.values() if isinstance(d.effect, Amend)]


def test_a_move_of_a_process_that_died_is_not_made_by_the_next():
    world, _ = resting()
    told = go(world, ticked(world, 3, BTCUSDT=101.0))
    again = started(told.world.at), Recovered(at=told.world.at, snapshot_seq=0, tail=told.world.seq)
    reborn = go(told.world, *again)
    assert not reborn.effects(Amend)
    assert not [d for d in reborn.world.deliveries.values() if isinstance(d.effect, Amend)]


def test_an_entry_in_doubt_is_asked_about_and_not_worked():
    world, order = resting()
    world = go(world, Doubted(at=world.at, order=order, reason="timeout")).world
    told = go(world, *(ticked(world, n, BTCUSDT=101.0) for n in (3, 6, 9)))
    assert not told.effects(Amend)


def test_exits_are_never_worked():
    world, order = resting()
    world = but(world, orders={order: but(world.orders[order], entry=False)})
    told = go(world, *(ticked(world, n, BTCUSDT=101.0) for n in (3, 6, 9)))
    assert not told.effects(Amend) + told.effects(Cancel)


def test_a_part_that_was_filled_is_protected_when_the_rest_is_cancelled():
    world, order = resting()
    fill = a_fill(BTC, Side.BUY, 7, 100, order=order, at=world.at)
    world = go(
        world, Filled(at=world.at, fill=fill), reported(world, order, OrderStatus.PARTIAL, filled=7)
    ).world
    world = go(world, stop_seen(world)).world
    told = go(world, ticked(world, 3))
    assert len(told.effects(Cancel)) == 1
    world = done(told, Cancel)
    world = go(world, reported(world, order, OrderStatus.CANCELED, filled=D(7))).world
    assert (world.orders, world.state("position", BTC)) == ({}, "OPEN")
    position = world.positions[BTC]
    assert (position.qty, position.stop, position.take) == (7, D("98.0"), D("103.0"))
    lost = go(world, stop_seen(world, stop=None), ticked(world, 2), ticked(world, 4))
    assert [(p.stop, p.take) for p in lost.effects(Protect)] == [(D("98.0"), D("103.0"))]


def test_only_what_is_left_of_it_is_measured_when_it_follows():
    world, order = resting(controls__value_max=2_010.0)
    told = go(world, ticked(world, 3, BTCUSDT=101.0))
    assert not told.effects(Amend), "20 at 101.1 are 2022"
    fill = a_fill(BTC, Side.BUY, 10, 100, order=order, at=world.at)
    half = go(
        world,
        Filled(at=world.at, fill=fill),
        reported(world, order, OrderStatus.PARTIAL, filled=10),
    ).world
    assert len(go(half, ticked(half, 3, BTCUSDT=101.0)).effects(Amend)) == 1


def test_an_entry_that_was_cancelled_unfilled_leaves_nothing_behind():
    world, order = resting(orders__moves_max=0)
    candle = world.at - MINUTE
    world = done(go(world, ticked(world, 3)), Cancel)
    world = go(world, reported(world, order, OrderStatus.CANCELED), ticked(world)).world
    assert (world.state("position", BTC), world.orders) == ("FLAT", {})
    assert world.positions[BTC].stop is None
    told = go(world, measured(world, open_time=candle))
    assert [row.control for row in told.noted(OrderRefused)] == ["cross"], "it was traded"


@pytest.mark.parametrize(("mark", "follows"), [(101.4, True), (101.6, False)])
def test_it_does_not_follow_beyond_half_of_its_way_to_the_target(mark, follows):
    world, _ = resting()
    told = go(world, ticked(world, 3, BTCUSDT=mark))
    assert (len(told.effects(Amend)), len(told.effects(Cancel))) == (follows, not follows)
    reasons = [f"{row.control}: {row.reason}" for row in told.noted(OrderRefused)]
    said = "follow: 1.6 of the 2.9 to the target 103.0 are gone already"
    assert reasons == [said] * (not follows)
