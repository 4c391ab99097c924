"""A configuration is read from defaults, profile, file, and environment, in that order."""

from pathlib import Path

import pytest

from bot.config import FIELDS, config_hash, effective, explain, load, show
from bot.core.settings import PROFILES, Settings, profile
from bot.errors import ConfigError

LIVE = '[venue]\nenv = "live"\naccount = "24617703"\nkey_file = "{0}/key"\nsecret_file = "{0}/secret"\n'


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "bot.toml") -> Path:
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def live(tmp_path, write):
    for name in ("key", "secret"):
        write(f"the-{name}\n", name).chmod(0o400)
    return write(LIVE.format(tmp_path))


def test_no_file_at_all_is_the_embedded_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = load()
    assert loaded.config.settings == Settings()
    assert (loaded.config.venue.env, loaded.config.exchange.seed) == ("embedded", 1988)
    assert (loaded.file, loaded.origins) == (None, {})


def test_bot_toml_in_the_working_directory_is_found(write, monkeypatch):
    monkeypatch.chdir(write("[guard]\nwindow = 30\n").parent)
    assert load().config.settings.guard.window == 30


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_changes_the_base(write, name):
    loaded = load(write(f'profile = "{name}"\n'))
    assert loaded.config.settings == profile(name)
    assert all(loaded.origins[key] == f"profile {name}" for key in PROFILES[name])


def test_the_file_stands_over_the_profile(write):
    loaded = load(write('profile = "aggressive"\n[risk]\nleverage_max = 2\n'))
    assert loaded.config.settings.risk.leverage_max == 2
    assert loaded.origins["risk.leverage_max"] == "bot.toml"
    assert loaded.origins["risk.base_size"] == "profile aggressive"


def test_every_key_of_the_edge_can_be_set(write):
    loaded = load(write("[exchange]\nspeed = 120\n[store]\nbatch_max = 64\n"))
    assert (loaded.config.exchange.speed, loaded.config.store.batch_max) == (120.0, 64)


def test_live_keys_come_from_files_and_addresses_are_built_in(live):
    venue = load(live).config.venue
    assert (venue.key, venue.secret) == ("the-key", "the-secret")
    assert (venue.rest_url, venue.ws_url) == ("https://api.bybit.com", "wss://stream.bybit.com")


SIM = '[venue]\nenv = "sim"\nrest_url = "{0}"\nws_url = "{1}"\n'


def test_keys_of_a_simulated_exchange_may_come_from_the_environment(write):
    keys = {"BOT_VENUE_KEY": "fake-key", "BOT_VENUE_SECRET": "fake-secret"}
    loaded = load(write(SIM.format("http://127.0.0.1:1", "ws://[::1]:1")), keys)
    assert (loaded.config.venue.key, loaded.config.venue.secret) == ("fake-key", "fake-secret")
    assert loaded.origins["venue.key"] == "environment BOT_VENUE_KEY"


def test_a_simulated_exchange_may_listen_on_a_socket_of_the_file_system(write):
    venue = load(write(SIM.format("unix:/run/x.sock", "unix:/run/x.sock"))).config.venue
    assert (venue.rest_url, venue.ws_url) == ("unix:/run/x.sock", "unix:/run/x.sock")


def test_keys_that_systemd_handed_over_are_named_without_a_folder(tmp_path, write):
    handed = tmp_path / "handed"
    handed.mkdir()
    for name in ("venue_key", "venue_secret"):
        (handed / name).write_text(f"the-{name}")
        (handed / name).chmod(0o440)
    names = f'key_file = "venue_key"\nsecret_file = "{handed}/venue_secret"\n'
    toml = write('[venue]\nenv = "testnet"\n' + names)
    venue = load(toml, {"CREDENTIALS_DIRECTORY": str(handed)}).config.venue
    assert (venue.key, venue.secret) == ("the-venue_key", "the-venue_secret")
    (handed / "venue_key").chmod(0o444)
    with pytest.raises(ConfigError, match="venue_key closed to others and read-only, found mode"):
        load(toml, {"CREDENTIALS_DIRECTORY": str(handed)})


def test_demo_takes_public_data_from_the_main_stream(tmp_path, live):
    demo = live.read_text().replace("live", "demo")
    live.write_text(demo)
    assert load(live).config.venue.ws_public_url == "wss://stream.bybit.com"


def test_notification_urls_come_from_environment_before_file_before_toml(write):
    file = write("tgram://b/1 tgram://c/1\n", "urls")
    file.chmod(0o400)
    toml = write(f'[notify]\nurls = ["tgram://a/1"]\nurls_file = "{file}"\n')
    assert load(toml).config.notify.urls == ("tgram://b/1", "tgram://c/1")
    assert load(toml, {"BOT_NOTIFY_URLS": "json://d"}).config.notify.urls == ("json://d",)


def test_secrets_are_never_shown(live):
    loaded = load(live, {"BOT_NOTIFY_URLS": "tgram://token/chat"})
    assert loaded.config.notify.urls == ("tgram://token/chat",)
    told = show(loaded) + repr(loaded) + str(explain(loaded, "venue.key"))
    told += str(explain(loaded, "notify.urls")) + str(effective(loaded.config))
    for secret in ("the-key", "the-secret", "token"):
        assert secret not in told


def test_what_is_shown_can_be_read_back_to_the_same_hash(write):
    loaded = load(
        write(
            'profile = "aggressive"\n[risk]\nbase_size = 1e-3\n[market]\nsymbols = ["A\\u007f"]\n'
        )
    )
    again = load(write(show(loaded), "again.toml"))
    assert (again.hash, again.config) == (loaded.hash, loaded.config)


def test_the_hash_knows_values_and_not_secrets_or_spelling(write):
    plain = load(write("")).hash
    assert load(write("[risk]\nleverage_max = 3.0\n")).hash == plain
    assert load(write(""), {"BOT_NOTIFY_URLS": "json://x"}).hash == plain
    assert load(write("[guard]\nwindow = 21\n")).hash != plain
    assert config_hash(load(write("")).config) == plain


@pytest.mark.parametrize("key", FIELDS)
def test_every_key_explains_itself(write, key):
    told = explain(load(write("")), key)
    assert told.meaning
    assert told.range
    assert told.origin == "default"


def test_an_explanation_has_value_origin_range_and_ceiling(write):
    told = explain(load(write("[kill]\ndrawdown_max = 0.1\n")), "kill.drawdown_max")
    assert (told.value, told.origin, told.tighter) == ("0.1", "bot.toml", "lower")
    assert told.range == "0.001 to 0.2, at most 0.15 in profile moderate"


def test_explaining_an_unknown_key_names_the_nearest(write):
    with pytest.raises(ConfigError, match=r"nearest is kill\.drawdown_max"):
        explain(load(write("")), "kill.drawdown")
