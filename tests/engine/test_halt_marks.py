"""HALT marks: each new one trips the switch, and a re-arm clears only the one that it saw."""

from bot.core.effects import ClearHalt
from bot.core.events import Halted
from bot.edge.files import Halt
from bot.engine.boot import halt_event
from tests.given import a_world, commanded, go, ticked


def latched(tmp_path):
    """Return a HALT file set by ana, and the world that latched on it."""
    halt = Halt(tmp_path / "HALT")
    halt.create()
    halt.set("ana", "look at this")
    world = a_world()
    seen = halt_event(halt, world, world.at)
    assert isinstance(seen, Halted)
    world = go(world, seen).world
    return halt, go(world, ticked(world)).world


def test_a_known_mark_is_not_told_again_and_a_new_one_is(tmp_path):
    halt, world = latched(tmp_path)
    assert world.state("kill") == "LATCHED"
    assert halt_event(halt, world, world.at) is None
    halt.set("bob", "another thing")
    assert halt_event(halt, world, world.at) is not None


def test_a_re_arm_clears_the_mark_it_saw_and_a_newer_one_trips_again(tmp_path):
    halt, world = latched(tmp_path)
    told = go(world, commanded(world, "rearm"))
    (clear,) = told.effects(ClearHalt)
    assert clear.mark == "ana: look at this"
    assert halt_event(halt, told.world, world.at) is None, "it is being cleared"
    halt.set("bob", "stop again")
    newer = halt_event(halt, told.world, world.at)
    assert newer is not None
    assert go(told.world, newer).world.state("kill") == "TRIPPED"
