"""While the bot is stopped a person may tighten; what loosens or needs the venue says what to run."""

import pytest

from bot.engine.boot import open_state
from bot.engine.offline import do_offline
from bot.errors import ConfigError, LeaseHeld, NotRunning, Refused
from bot.store.lease import Lease
from tests.store.kept import lived


@pytest.fixture
def state(tmp_path):
    path = tmp_path / "state.db"
    reactor = lived(path)
    reactor.writer.connection.close()
    return path


@pytest.mark.parametrize(
    ("verb", "machine", "dest"),
    [("hold", "hold", "HELD"), ("reduce", "guard", "REDUCED"), ("kill", "kill", "TRIPPED")],
)
def test_a_tightening_is_written_down_at_once(state, verb, machine, dest):
    do_offline(state, verb, {}, "storm", "bo")
    world = open_state(state).world
    assert world.state(machine) == dest
    instance = world.instance_of(machine)
    assert instance.reason == "bo: storm"


def test_its_identity_is_marked_as_claimed(state):
    assert do_offline(state, "hold", {}, "storm", "bo") == ("DONE", "hold is HELD")
    booted = open_state(state)
    query = "SELECT operator, identity, outcome FROM operator_actions ORDER BY seq DESC LIMIT 1"
    assert booted.writer.connection.execute(query).fetchall() == [("bo", "claimed", "DONE")]


@pytest.mark.parametrize("verb", ["release", "rearm", "flatten", "stop", "set-parameter"])
def test_what_loosens_or_needs_the_venue_is_not_done(state, verb):
    with pytest.raises(NotRunning, match=f"{verb} needs the running bot: start it"):
        do_offline(state, verb, {}, "r", "bo")


def test_nonsense_is_refused_with_a_sentence(state, tmp_path):
    with pytest.raises(Refused, match=r"expected one of hold, .*; found 'dance'"):
        do_offline(state, "dance", {}, "r", "bo")
    with pytest.raises(ConfigError, match="expected a database at"):
        do_offline(tmp_path / "none.db", "hold", {}, "r", "bo")
    assert do_offline(state, "hold", {"symbol": "XXX"}, "r", "bo")[0] == "REFUSED"


def test_beside_a_running_bot_it_is_refused(state):
    lease = Lease(state, {"pid": 4711})
    with pytest.raises(LeaseHeld, match="pid 4711"):
        do_offline(state, "hold", {}, "r", "bo")
    lease.release()
    do_offline(state, "hold", {}, "r", "bo")
