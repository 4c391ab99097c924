"""Its limits fit each other, and it reads its own key, never the bot's."""

from __future__ import annotations

import pytest

from bot.config import bot_key, load
from bot.errors import ConfigError


@pytest.fixture
def toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        (tmp_path / "bot.toml").write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("warn_real_seconds = 90", "cancel_real_seconds: expected > deadman.warn_real_seconds (90)"),
        ("flatten_real_seconds = 60", "expected 0, or ≥ deadman.cancel_real_seconds (90), found 60"),
        ("warn_real_seconds = 1", "deadman.warn_real_seconds"),
        ("key = 'k'", "deadman.key: expected in the file of deadman.key_file (or BOT_DEADMAN_KEY"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(toml, text, sentence):
    toml(f"[deadman]\n{text}\n")
    with pytest.raises(ConfigError) as found:
        load()
    assert sentence in str(found.value)


def test_each_program_reads_its_own_key(toml):
    toml("[venue]\nkey_file = 'bots'\nsecret_file = 'bots'\n[deadman]\nkey_file = 'its'\n")
    environ = {"BOT_DEADMAN_KEY": "d", "BOT_VENUE_KEY": "v", "BOT_VENUE_SECRET": "v"}
    bot, man = load(None, environ), load(None, environ | {"BOT_VENUE_SECRET": ""}, "deadman")
    assert (bot.config.venue.key, bot.config.deadman.key) == ("v", "")
    assert (man.config.venue.key, man.config.deadman.key) == ("", "d")
    assert bot.hash == man.hash
    assert bot_key(man, environ) == "v"
    assert bot_key(man, {}) == "", "a file that is not there, or may not be read"


def test_a_name_is_a_credential_that_systemd_handed_over(toml):
    folder = toml("[deadman]\nkey_file = 'deadman_key'\n")
    handed = folder / "credentials"
    handed.mkdir()
    (handed / "deadman_key").write_text("its own\n")
    (handed / "deadman_key").chmod(0o400)
    found = load(None, {"CREDENTIALS_DIRECTORY": str(handed)}, "deadman")
    assert found.config.deadman.key == "its own"
    with pytest.raises(ConfigError, match=r"deadman\.key_file"):
        load(None, {}, "deadman")
    assert load(None, {}).config.deadman.key == "", "the bot does not look"


def test_a_simulated_exchange_of_others_needs_a_key(toml):
    toml("[venue]\nenv = 'sim'\nrest_url = 'http://127.0.0.1:9'\nws_url = 'ws://127.0.0.1:9'\n")
    with pytest.raises(ConfigError, match="BOT_DEADMAN_KEY"):
        load(None, {}, "deadman")
    assert load(None, {}).config.venue.env == "sim"
