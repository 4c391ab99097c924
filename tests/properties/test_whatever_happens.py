"""Whatever happens, in whatever order: the promises about exposure, money, stops, and the record."""

from collections import defaultdict

import msgspec
import pytest
from hypothesis import event as count
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.asking import pending
from bot.core.decide import TABLES, decide
from bot.core.effects import PROTECTIVE, Cancel, Protect, Reconcile, Submit
from bot.core.entries import Plan, why_not
from bot.core.events import Reconciled
from bot.core.facts import FillBooked
from bot.core.machine import Level
from bot.core.permission import entry_level, exit_level
from bot.core.strategy import Signal
from bot.core.values import Side
from bot.core.world import World
from bot.store.database import open_memory
from bot.store.schema import migrate
from bot.store.snapshots import pack
from bot.store.writer import Writer, encode
from tests.given import BTC, ETH, D, a_world, but, go, measured, opening_events, ticked, tuned
from tests.properties.life import ACTS, live, the_beginning

EXAMPLES = 1_000 if settings.get_current_profile_name() == "explore" else 120
often = settings(max_examples=EXAMPLES)
CLOSE = D("1e-9")


def submits(moment):
    return [d for d in moment.decision.dispatches if isinstance(d.effect, Submit)]


@often
@given(ACTS)
def test_held_paused_or_latched_never_increases_exposure(acts):
    for moment in live(acts):
        for dispatch in submits(moment):
            order = dispatch.effect
            assert not dispatch.again, "no order is handed out twice"
            if order.reduce_only:
                held = moment.before.positions[order.symbol].qty
                assert order.qty <= abs(held)
                assert order.side.sign * held < 0
                count("an exit")
                continue
            count("an entry")
            now = but(moment.before, at=moment.after.at)
            assert entry_level(now, order.symbol) >= Level.REDUCED
            assert entry_level(moment.after, order.symbol) >= Level.REDUCED
            assert order.stop > 0
            assert (order.take - order.stop) * order.side.sign > 0


@often
@given(ACTS)
def test_protection_is_allowed_whatever_the_machines_say(acts):
    for moment in live(acts):
        assert exit_level(moment.after) >= Level.REDUCE_ONLY


@pytest.fixture(scope="module")
def database():
    connection = open_memory()
    migrate(connection, 0)
    return connection


@often
@given(acts=ACTS)
def test_no_order_of_events_makes_an_illegal_move(database, acts):
    rules = {rule for table in TABLES for rule in table.rules()}
    writer = Writer(database)
    writer.begin()
    try:
        versions = write_the_beginning(writer)
        for moment in live(acts):
            write(writer, moment.event, moment.seq, moment.decision)
            for step in moment.decision.steps:
                count(f"{step.machine} → {step.dest}")
                assert (step.machine, step.source, step.trigger, step.dest) in rules
                assert step.version == versions[step.machine, step.key] + 1
                versions[step.machine, step.key] = step.version
    finally:
        writer.rollback()


def write(writer, event, seq, decision):
    """Write an event and what follows; SQLite refuses what is not legal."""
    body = encode(event)
    writer.append((seq, event.at, 0, type(event).__name__, None, body))
    writer.decision(seq, body, decision)


def write_the_beginning(writer):
    """Write the same opening that the life begins with; return the versions reached."""
    world, versions = World(), defaultdict(int)
    for event in opening_events((BTC, ETH)):
        decision = decide(world, event, world.seq + 1)
        write(writer, event, world.seq + 1, decision)
        world = decision.world
        for step in decision.steps:
            versions[step.machine, step.key] = step.version
    assert world == the_beginning()
    return versions


def cost(world):
    """Return what the open positions cost, signed."""
    return sum((p.qty * p.avg for p in world.positions.values()), D(0))


@often
@given(ACTS)
def test_cash_is_conserved_and_a_position_is_the_sum_of_its_executions(acts):
    world = the_beginning()
    cash, paid = world.account.cash, world.account.cash + cost(world)
    held = {symbol: p.qty for symbol, p in world.positions.items()}
    for moment in live(acts):
        for fact in moment.decision.facts:
            if isinstance(fact, FillBooked):
                fill = fact.fill
                count("a fill")
                cash += fact.realised - fill.fee
                paid -= fill.fee  # what is bought is worth what was paid for it
                held[fill.symbol] += fill.side.sign * fill.qty
        if adopted(moment):
            cash = moment.event.wallet
            there = {p.symbol: p.qty for p in moment.event.positions}
            held = {symbol: there.get(symbol, D(0)) for symbol in held}
            paid = cash + cost(moment.after)
        for symbol in moment.after.positions:
            held.setdefault(symbol, D(0))
        assert abs(moment.after.account.cash - cash) < CLOSE
        assert {s: p.qty for s, p in moment.after.positions.items()} == held


def adopted(moment):
    """Tell whether a reading of the account was taken over, not found torn."""
    torn = any(isinstance(d.effect, Reconcile) for d in moment.decision.emitted)
    return isinstance(moment.event, Reconciled) and not torn


@often
@given(ACTS)
def test_realised_profit_is_what_was_sold_less_what_it_cost(acts):
    """An account of its own: money that flowed, and what is still held at what it cost."""
    world = the_beginning()
    wealth = world.account.cash + cost(world)
    for moment in live(acts):
        if adopted(moment):
            wealth = moment.after.account.cash + cost(moment.after)
            continue
        flowed = spent = D(0)
        for fact in moment.decision.facts:
            if isinstance(fact, FillBooked):
                signed = fact.fill.side.sign * fact.fill.qty * fact.fill.price
                flowed -= signed + fact.fill.fee
                spent += signed
        # money out became cost of what is held, less the profit that was taken
        change = moment.after.account.cash - moment.before.account.cash
        held = cost(moment.after) - cost(moment.before)
        assert abs(change - held - flowed) < D("1e-6") * (1 + abs(spent)), (change, held, flowed)
        wealth += flowed


@often
@given(ACTS)
def test_protection_outlives_every_tightening(acts):
    for moment in live(acts):
        orders = {**moment.before.orders, **moment.after.orders}
        for dispatch in moment.decision.dispatches:
            if isinstance(dispatch.effect, Cancel) and not dispatch.again:
                assert orders[dispatch.effect.order].entry, "only entries are ever cancelled"
        for symbol, before in moment.before.positions.items():
            after = moment.after.positions[symbol]
            if before.qty * after.qty > 0 and before.stop is not None:
                assert after.stop == before.stop, "a stop is never taken away nor moved"
        for step in moment.decision.steps:
            if step.machine == "delivery" and step.dest in ("DEAD", "EXPIRED"):
                delivery = {**moment.after.deliveries, **moment.before.deliveries}[step.key]
                assert not isinstance(delivery.effect, PROTECTIVE)


@often
@given(ACTS)
def test_what_is_open_without_a_stop_is_protected_within_seconds_whatever_came_before(acts):
    world = the_beginning()
    for moment in live(acts):
        world = moment.after
    naked = {s for s, p in world.positions.items() if p.qty and not p.stop_held}
    patience = world.settings.orders.naked_real_seconds * world.rate
    told = go(world, ticked(world, patience), ticked(world, 2 * patience + 1))
    open_ = {s for s, p in told.world.positions.items() if p.qty}
    asked = {protect.symbol for protect in pending(told.world, Protect)}
    leaving = {s for s in open_ if told.world.state("position", s) == "CLOSING"}
    assert naked & open_ <= asked | leaving, "asked for, or closed because the market is through"


@often
@given(ACTS)
def test_deciding_is_pure(acts):
    for moment in live(acts):
        before = pack(moment.before)
        again = decide(moment.before, moment.event, moment.seq)
        assert pack(moment.before) == before, "the world that was is as it was"
        assert again == moment.decision
        assert pack(again.world) == pack(moment.after)


@often
@given(ACTS)
def test_a_world_survives_being_written_down(acts):
    for moment in live(acts):
        twin = msgspec.json.decode(pack(moment.before), type=World)
        assert twin == moment.before
        assert pack(twin) == pack(moment.before)
        again = decide(twin, moment.event, moment.seq)
        assert again == moment.decision
        assert pack(again.world) == pack(moment.after)


SIZES = st.decimals(D("0.001"), D(100_000), places=3)
TOO_MUCH = ("gross exposure", "notional", "positions open")


@often
@given(SIZES, SIZES, SIZES, st.floats(1.0, 3.0))
def test_more_never_turns_too_much_into_enough(qty, more, open_, leverage):
    world = a_world((BTC, ETH), settings=tuned(risk__leverage_max=leverage))
    held = but(world.positions[ETH], qty=open_, avg=D(100))
    world = but(world, positions={**world.positions, ETH: held})
    refused = too_much(world, qty)
    assert refused <= too_much(world, qty + more)
    larger = but(world, positions={**world.positions, ETH: but(held, qty=open_ + more)})
    assert refused <= too_much(larger, qty)
    poorer = but(world, account=but(world.account, equity=world.account.equity / (1 + more)))
    assert refused <= too_much(poorer, qty)


def too_much(world, qty):
    """Return the kinds of refusals for size or exposure of an entry of this size."""
    signal = Signal(BTC, Side.BUY, 0.9, 2.0, 3.0, "r")
    plan = Plan(signal, qty, 100.0, stop=D(98), take=D(103))
    reasons = why_not(world, plan, measured(world))
    return {
        kind for reason in reasons for kind in TOO_MUCH if reason.startswith(kind) or kind in reason
    }
