"""Latch and gate: entries are refused at the last instant by whatever forbids them; exits never."""

import asyncio
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from bot.core.effects import Submit
from bot.core.events import NotSent, Undelivered
from bot.core.turn import Dispatch
from bot.edge.files import Halt
from bot.engine.gate import Gate
from bot.engine.latch import Latch
from tests.given import BTC, ETH, a_world, commanded, entering, go, in_position, ticked


def decided():
    """Return a world with an exit in ETH and an entry in BTC on their way, and both orders."""
    world = in_position(a_world((BTC, ETH)), ETH)
    leaving = go(world, commanded(world, "flatten", symbol=ETH))
    coming = entering(leaving.world)
    return coming.world, coming.effects(Submit)[-1], leaving.effects(Submit)[-1]


class Ground:
    """A gate and what it looks at; the venue is a clock and nothing that could send."""

    def __init__(self, folder):
        self.clock = SimpleNamespace(now=lambda: self.now)
        self.world, self.entry, self.exit = decided()
        self.now = self.world.at
        self.halt, self.latch = Halt(folder / "HALT"), Latch()
        self.halt.create()
        venue = SimpleNamespace(clock=self.clock)
        self.gate = Gate(venue, self.halt, self.latch, lambda: self.world)

    def tell(self, verb, **more):
        world = go(self.world, commanded(self.world, verb, **more)).world
        self.world = go(world, ticked(world)).world


@pytest.fixture
def ground(tmp_path):
    return Ground(tmp_path)


def test_what_nothing_forbids_may_leave(ground):
    assert ground.gate.why_not(ground.entry) is None


def expired(ground):
    ground.now = ground.entry.expires_at + 1_500
    return "its time was over 1.5 s ago"


def halted(ground):
    ground.halt.set("cy", "fire")
    return "HALT set by cy: fire"


def halt_gone(ground):
    ground.halt.path.unlink()
    return "HALT set by HALT file: HALT cannot be read"


def latched(ground):
    ground.latch.tighten("disk is full")
    return "entries are latched off: disk is full"


def held(ground):
    ground.tell("hold", reason="news")
    return "permission: hold account is HELD: ana: news"


def symbol_held(ground):
    ground.tell("hold", symbol=BTC)
    return f"permission: hold {BTC} is HELD"


def killed(ground):
    ground.tell("kill")
    return "permission: kill account is TRIPPED"


def stopping(ground):
    ground.world = go(ground.world, commanded(ground.world, "stop")).world
    return "permission: process account is DRAINING"


def gapped(ground):
    ground.world = go(ground.world, ticked(ground.world, 300)).world
    return f"permission: feed {BTC} is GAPPED"


FORBIDDING = [expired, halted, halt_gone, latched, held, symbol_held, killed, stopping, gapped]


@pytest.mark.parametrize("forbid", FORBIDDING, ids=lambda f: f.__name__)
def test_an_entry_is_refused_with_the_reason(ground, forbid):
    why = forbid(ground)
    assert ground.gate.why_not(ground.entry).startswith(why)


@pytest.mark.parametrize("forbid", FORBIDDING, ids=lambda f: f.__name__)
def test_an_exit_is_never_refused(ground, forbid):
    forbid(ground)
    assert ground.gate.why_not(ground.exit) is None


def test_everything_at_once_does_not_stop_an_exit(ground):
    for forbid in FORBIDDING:
        forbid(ground)
    assert ground.gate.why_not(ground.exit) is None


def test_reduced_size_may_leave(ground):
    ground.tell("reduce")
    assert ground.gate.why_not(ground.entry) is None


def test_a_refused_entry_never_reaches_the_venue_and_is_told_as_not_sent(ground):
    why = latched(ground)
    outcome = asyncio.run(ground.gate.send(Dispatch("7-0", ground.entry)))
    assert outcome == [
        NotSent(at=ground.now, order=ground.entry.order, reason=why),
        Undelivered(at=ground.now, effect="7-0", reason=why, final=True),
    ]


def test_no_order_leaves_without_a_decision_or_beyond_it(ground):
    for order in (ground.entry, ground.exit):
        unknown = replace(order, order="nobody-1-1-0")
        assert "ledger: no decision stands behind nobody" in ground.gate.why_not(unknown)
        more = replace(order, qty=order.qty + 1)
        assert "exceed" in ground.gate.why_not(more)
        other = replace(order, side=order.side.opposite)
        assert "was decided on as" in ground.gate.why_not(other)


def test_the_latch_keeps_its_first_reason_and_only_lowers():
    latch = Latch()
    latch.tighten("first")
    latch.tighten("second")
    assert latch.reason == "first"


@pytest.mark.parametrize(
    ("verb", "settles"), [("hold", True), ("kill", True), ("reduce", False), (None, False)]
)
def test_the_latch_settles_only_on_a_committed_tightening(verb, settles):
    world, latch = a_world(), Latch()
    latch.tighten("disk is full")
    if verb:
        world = go(world, commanded(world, verb)).world
    latch.settle(world, latch.reason)
    assert (latch.reason is None) == settles


def test_a_hold_of_one_symbol_is_not_as_tight_as_the_latch():
    world, latch = a_world(), Latch()
    latch.tighten("disk is full")
    latch.settle(go(world, commanded(world, "hold", symbol=BTC)).world, latch.reason)
    assert latch.reason == "disk is full"
