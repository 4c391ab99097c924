"""Whatever happens, in whatever order: the promises about exposure, money, stops, and the record."""

from collections import defaultdict

import msgspec
import pytest
from hypothesis import event as count
from hypothesis import given, settings

from bot.core.asking import pending
from bot.core.controls import Asked, collar_distance, denials
from bot.core.decide import TABLES, decide
from bot.core.effects import PROTECTIVE, Amend, Cancel, Protect, Reconcile, Submit
from bot.core.events import Delivered, Measured, Recovered
from bot.core.exposure import gross_exposure
from bot.core.facts import AccountCompared, CashMoved, FillBooked, OrderRefused
from bot.core.machine import Level
from bot.core.permission import entry_level
from bot.core.values import Side, VenuePosition
from bot.core.world import World
from bot.store.database import open_memory
from bot.store.schema import migrate
from bot.store.snapshots import pack
from bot.store.writer import Writer, encode
from tests.given import (
    BTC,
    ETH,
    D,
    but,
    connected,
    go,
    opening_events,
    reconciled,
    started,
    ticked,
)
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
        for held in moment.after.positions.values():
            if held.qty:
                side = Side.SELL if held.qty > 0 else Side.BUY
                asked = Asked(held.symbol, side, abs(held.qty), None, reduce_only=True)
                assert denials(moment.after, asked) == []


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
            if isinstance(fact, CashMoved):
                count("a move of cash")
                cash += fact.move.change
                paid += fact.move.change
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
    """Tell whether a reading of the account was taken over: not torn, and nothing deeper to read."""
    compared = any(isinstance(fact, AccountCompared) for fact in moment.decision.facts)
    return compared and moment.after.state("reconciliation") in ("CLEAN", "MISMATCH")


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
            if isinstance(fact, CashMoved):
                flowed += fact.move.change
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
                count("a cancel")
                order = orders.get(dispatch.effect.order)
                assert order is None or order.entry, "only entries are ever cancelled"
                mine = dispatch.effect.order.startswith("abc123-")
                assert mine, "what is not ours is never touched"
        for symbol, before in moment.before.positions.items():
            after = moment.after.positions[symbol]
            if before.qty * after.qty > 0 and before.stop is not None:
                assert after.stop is not None, "a stop is never taken away"
                closer = (after.stop - before.stop) * (1 if after.qty > 0 else -1)
                assert closer >= 0, "nor widened: only a person moves it, and only closer"
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


@often
@given(ACTS)
def test_the_gate_agrees_with_every_decision_to_enter_or_to_move(acts):
    for moment in live(acts):
        after = moment.after
        for dispatch in moment.decision.emitted:
            effect = dispatch.effect
            if isinstance(effect, Submit):
                qty, reduce_only = effect.qty, effect.reduce_only
                side = effect.side
            elif isinstance(effect, Amend):
                count("a move")
                order = after.orders[effect.order]
                qty, side, reduce_only = order.qty - order.booked, order.side, False
                assert order.entry
                assert 1 <= order.moves <= after.settings.orders.moves_max
                mark = D(str(after.marks[effect.symbol]))
                assert abs(effect.price - mark) <= collar_distance(after, effect.symbol)
            else:
                continue
            asked = Asked(effect.symbol, side, qty, effect.price, reduce_only, effect.order)
            found = denials(after, asked)
            assert [d for d in found if d.control != "message rate"] == []
            assert gross_exposure(after) >= (0 if reduce_only else qty * effect.price)


@often
@given(ACTS)
def test_what_is_read_again_is_booked_once(acts):
    booked = set()
    for moment in live(acts):
        for fact in moment.decision.facts:
            if isinstance(fact, FillBooked | CashMoved):
                key = fact.fill.fill if isinstance(fact, FillBooked) else fact.move.move
                assert key not in booked
                booked.add(key)


@often
@given(ACTS)
def test_every_refusal_is_a_row_and_every_hold_has_a_person_at_its_end(acts):
    for moment in live(acts):
        event, decision = moment.event, moment.decision
        for step in decision.steps:
            if step.machine == "hold" and step.dest == "FREE" and step.source:
                assert type(event).__name__ == "Commanded"
                assert (event.verb, event.identity) == ("release", "kernel")
            if step.machine == "hold" and step.trigger == "Limited":
                count(f"held by {step.reason.partition(':')[0]}")
        if isinstance(event, Measured) and submits(moment):
            entered = [d for d in submits(moment) if not d.effect.reduce_only]
            rows = [f for f in decision.facts if isinstance(f, OrderRefused)]
            assert not (entered and rows), "an entry either leaves or has its reasons"


@often
@given(ACTS)
def test_from_whatever_came_a_venue_that_answers_leads_back_to_an_equal_ledger(acts):
    world = the_beginning()
    for moment in live(acts):
        world = moment.after
    again = (
        started(world.at),
        Recovered(at=world.at, snapshot_seq=0, tail=world.seq),
        connected(world.at, (BTC, ETH)),
    )
    world = go(world, *again).world
    wallet = world.account.cash
    rows = tuple(
        VenuePosition(p.symbol, p.qty, p.avg, p.stop) for p in world.positions.values() if p.qty
    )
    for _ in range(12):
        asked = {
            k: d.effect for k, d in world.deliveries.items() if isinstance(d.effect, Reconcile)
        }
        for key, question in asked.items():
            read = reconciled(world, wallet, positions=rows, depth=question.depth)
            world = go(world, read, Delivered(at=world.at, effect=key)).world
        world = go(world, ticked(world, 70)).world
        wallet = world.account.cash  # nothing moves at the venue
    assert world.state("process") in ("RUNNING", "PROTECT_ONLY", "DRAINING", "STOPPED")
    assert world.state("reconciliation") == "CLEAN"
    assert world.state("breaker") == "CLOSED"
