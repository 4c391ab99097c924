"""Probes: a number that cannot be taken is left out; measuring never ends the bot."""

from pathlib import Path
from types import SimpleNamespace

from bot.config import load
from bot.engine.boot import Paths
from bot.engine.probes import Probes
from tests.given import a_world

SIM = """[venue]
env = "sim"
rest_url = "http://127.0.0.1:9"
ws_url = "ws://127.0.0.1:9"
"""


def probes(folder: Path, loaded=None) -> Probes:
    """Probes beside a database that is not there."""
    loop = SimpleNamespace(world=a_world())
    return Probes(None, Paths(folder / "state.db"), loaded, post=None, loop=loop, timings=None)


def test_what_cannot_be_measured_is_left_out_and_the_rest_is_there(tmp_path):
    (tmp_path / "bot.toml").write_text("")
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "state.db.1.backup").symlink_to(tmp_path / "gone")
    found = probes(tmp_path, load(tmp_path / "bot.toml")).slow()
    assert {"rss_mb", "chain_hours", "config_broken", "config_changed"} == set(found)


def test_an_audit_that_cannot_be_read_grows_older(tmp_path):
    unread = probes(tmp_path)
    unread._verified_s -= 7_200
    assert unread._audit()["chain_hours"] > 1.9


def test_keys_from_the_environment_are_no_change_of_the_configuration(tmp_path, monkeypatch):
    environ = {"BOT_VENUE_KEY": "a-key", "BOT_VENUE_SECRET": "a-word"}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "bot.toml").write_text(SIM)
    looked = probes(tmp_path, load(tmp_path / "bot.toml", environ))
    assert looked._config() == {"config_broken": 0.0, "config_changed": 0.0}
    (tmp_path / "bot.toml").write_text(SIM + "[guard]\nwindow = 30\n")
    assert looked._config() == {"config_broken": 0.0, "config_changed": 1.0}
    (tmp_path / "bot.toml").write_text(SIM + "[guard]\nwindow = -1\n")
    assert looked._config() == {"config_broken": 1.0}
