"""A crash followed by a mended build: what was committed is the truth, and entries are held."""

import pytest

from bot.core import feeds
from bot.core.events import StreamLost
from bot.core.settings import Settings
from bot.engine import boot
from bot.engine.replay import disagreement
from bot.errors import StoreFatal
from tests.given import BTC, backfilled, opening_events

AT = 1_700_000_000_000


def crashed(tmp_path):
    """Return the path of a database whose process died with a tail behind its last snapshot."""
    path = tmp_path / "state.db"
    booted = boot.open_state(path)
    reactor = boot.build_reactor(booted, Settings())
    reactor.turn([*opening_events(), backfilled()])
    reactor.turn([StreamLost(at=reactor.world.at, stream="public", reason="gone")])
    assert reactor.world.state("feed", BTC) == "STALE"
    return path


def decides_otherwise(monkeypatch):
    monkeypatch.setattr(feeds, "all_feeds", lambda turn, event: None)


def test_one_build_that_contradicts_itself_does_not_start(tmp_path, monkeypatch):
    path = crashed(tmp_path)
    decides_otherwise(monkeypatch)
    with pytest.raises(StoreFatal, match="memory says LIVE"):
        boot.open_state(path)


def test_another_build_takes_the_committed_states_and_holds_entries(tmp_path, monkeypatch):
    path = crashed(tmp_path)
    decides_otherwise(monkeypatch)
    monkeypatch.setattr(boot, "build_id", lambda: "000000000000")
    booted = boot.open_state(path)
    assert booted.world.state("feed", BTC) == "STALE"
    assert disagreement(booted.writer.connection, booted.world) is None
    assert "recomputed by build 000000000000" in booted.doubt
    paths = boot.Paths(path)
    reactor = boot.build_reactor(booted, Settings())
    reactor.turn(boot.first_events(booted, paths, Settings(), "hash", AT))
    assert reactor.world.state("hold") == "HELD"
    again = boot.open_state(path)
    assert (again.doubt, again.world.state("feed", BTC)) == ("", "STALE"), "it is settled"
