"""A wrong configuration is refused whole: every problem at once, each a sentence with its key."""

import os
from pathlib import Path

import pytest

from bot.config import load
from bot.errors import ConfigError


@pytest.fixture
def problems(tmp_path):
    def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
        file = tmp_path / "bot.toml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load(file, environ)
        return caught.value.problems

    return problems


ONE_PROBLEM = {
    "[guard]\npause_win_rate = 0.3": "guard.pause_win_rate: expected a known key, found no such name; the nearest is guard.paused_win_rate",
    "[gaurd]\nwindow = 20": "gaurd: expected a known key, found no such name; the nearest is [guard]",
    "[guard]\ndaily_loss_max = 0.01": "guard.daily_loss_max: expected a known key, found no such name; the nearest is kill.daily_loss_max",
    "leverage_max = 2": "leverage_max: expected a known key, found no such name; the nearest is risk.leverage_max",
    "guard = 3": "guard: expected a section [guard], found a single value",
    "[guard]\nwindow = 'x'": "guard.window: expected int in 5..500, found 'x'",
    "[guard]\nwindow = true": "guard.window: expected int, found True",
    "[guard]\nwindow = 3": "guard.window: expected int in 5..500, found 3",
    "[guard.window]\nx = 1": "guard.window: expected int in 5..500, found {'x': 1}",
    "[risk]\nleverage_max = nan": "risk.leverage_max: expected float, found nan",
    "[exchange]\nspeed = inf": "exchange.speed: expected float in 0.1..3600, found inf",
    "[kill]\nflatten = 1": "kill.flatten: expected true or false, found 1",
    "[market]\nsymbols = [1]": "market.symbols: expected a list of texts, found [1]",
    "[market]\nsymbols = 'BTCUSDT'": "market.symbols: expected a list of texts, found 'BTCUSDT'",
    "profile = 'bold'": "profile: expected conservative, moderate, or aggressive, found 'bold'",
    "[risk]\nleverage_max = 4": "risk.leverage_max: expected at most 3 (ceiling of profile moderate), found 4",
    "[strategy]\nadx_min = 20": "strategy.adx_min: expected at least 25 (floor of profile moderate), found 20",
    "[strategy]\nema_fast = 30": "strategy.ema_fast: expected < strategy.ema_slow (26), found 30",
    "[store]\nqueue_max = 200": "store.batch_max: expected ≤ store.queue_max (200), found 256",
    "[training]\nattempt_real_seconds = 2000": "training.attempt_real_seconds: expected under models.silent_real_seconds (1800), found 2000",
    "[notify]\nurls = [1]": "notify.urls: expected a list of texts, found another type (hidden)",
    "[metrics]\nhost = '0.0.0.0'": "metrics.host: expected a loopback address, found 0.0.0.0",
    "[metrics]\nhost = ''": "metrics.host: expected a loopback address, found nothing",
    "[metrics]\nhost = 'bot.example.com'": "metrics.host: expected a loopback address, found bot.example.com",
    "[metrics]\ntextfile = 'bot.txt'": "metrics.textfile: expected a name that ends in .prom, found bot.txt",
    "[log]\nformat = 'xml'": "log.format: expected auto, json, or text, found 'xml'",
    "[alerts]\nseverity_min = 'low'": "alerts.severity_min: expected info, warning, or critical, found 'low'",
    "[exchange]\nreplay = ['no.csv']": "exchange.replay: expected a file at no.csv, found none",
    "[exchange]\nsymbols = ['A']\n[market]\nsymbols = ['A', 'B']": "market.symbols: expected symbols of exchange.symbols, found B",
    "[venue]\nkey = 'k1'": "venue.key: expected in the file of venue.key_file (or BOT_VENUE_KEY for a simulated exchange), found it here",
    "[venue]\nenv = 'paper'": "venue.env: expected embedded, sim, testnet, demo, or live, found 'paper'",
    "[venue]\nws_url = 'ws://u:p@h/x?k=1'": "venue.ws_url: expected nothing (venue.env embedded picks its own port), found h/x",
    '"\\u001b[2J" = 1': "'\\x1b[2J': expected a known key, found no such name; the nearest is ",
}


@pytest.mark.parametrize(("text", "sentence"), ONE_PROBLEM.items())
def test_a_problem_is_one_sentence_with_file_key_expected_and_found(problems, text, sentence):
    (found,) = problems(text)
    assert found.startswith(f"bot.toml: {sentence}")
    assert sentence.endswith("nearest is ") or found == f"bot.toml: {sentence}"


def test_all_problems_come_at_once(problems):
    found = problems(
        "profile = 'moderate'\nx = 1\n[guard]\nwindow = 3\nreduced_win_rate = 0.2\n"
        "[venue]\nenv = 'sim'\nrest_url = 'http://example.com'\nws_url = 'ws://127.0.0.1:9'\n"
    )
    assert [line.split(": ")[1] for line in found] == [
        "x",
        "guard.window",
        "guard.reduced_win_rate",
        "venue.rest_url",
    ]


@pytest.mark.parametrize(
    ("env", "rest", "sentence"),
    [
        ("sim", "http://10.0.0.1:8", "expected a loopback host (venue.env is sim), found 10.0.0.1"),
        ("sim", "", "expected a http or https URL, found nothing"),
        ("sim", "http://[::1", "expected a http or https URL, found one that cannot be read"),
        (
            "sim",
            "http://127.0.0.1:x",
            "expected a http or https URL, found one that cannot be read",
        ),
        (
            "sim",
            "http://k:s@127.0.0.1",
            "expected a URL without a name or password, found one with",
        ),
        (
            "sim",
            "http://127.0.0.1.evil.com",
            "expected a loopback host (venue.env is sim), found 127.0.0.1.evil.com",
        ),
        (
            "live",
            "https://127.0.0.1",
            "expected a host of the venue (venue.env is live), found 127.0.0.1",
        ),
        (
            "live",
            "https://localhost",
            "expected a host of the venue (venue.env is live), found localhost",
        ),
        ("live", "https://[::1]:4", "expected a host of the venue (venue.env is live), found ::1"),
        ("live", "http://api.bybit.com", "expected https (the host is not loopback), found http"),
        ("live", "ftp://api.bybit.com", "expected a http or https URL, found ftp://api.bybit.com"),
    ],
)
def test_the_address_must_fit_the_environment(problems, env, rest, sentence):
    found = problems(f'[venue]\nenv = "{env}"\nrest_url = "{rest}"\n')
    assert f"bot.toml: venue.rest_url: {sentence}" in found


OTHERS = {
    "live": ("api-testnet.bybit.com", "stream-demo.bybit.com", "evil-bybit.com"),
    "testnet": ("api.bybit.com", "stream.bybit.com", "api-testnet.bybit.com.evil.com"),
    "demo": ("api.bybit.com", "stream-testnet.bybit.com", "xapi-demo.bybit.com"),
}


@pytest.mark.parametrize(("env", "hosts"), OTHERS.items())
def test_a_host_of_another_environment_is_refused(problems, env, hosts):
    for host in hosts:
        found = problems(
            f'[venue]\nenv = "{env}"\nrest_url = "https://{host}"\nws_url = "wss://{host}"\n'
        )
        for name in ("rest_url", "ws_url"):
            why = f"expected a host of the venue (venue.env is {env}), found {host}"
            assert f"bot.toml: venue.{name}: {why}" in found


@pytest.mark.parametrize("env", ["testnet", "demo", "live", "embedded"])
def test_a_socket_of_the_file_system_is_for_a_simulated_exchange(problems, env):
    found = problems(f'[venue]\nenv = "{env}"\nrest_url = "unix:/run/x"\n')
    why = f"venue.rest_url: expected no Unix socket (venue.env is {env}), found /run/x"
    assert f"bot.toml: {why}" in found


def test_live_needs_the_account_typed(problems):
    assert (
        "bot.toml: venue.account: expected the account's uid or name (venue.env is live), found"
        " nothing" in problems('[venue]\nenv = "live"\n')
    )


@pytest.mark.parametrize("env", ["testnet", "demo", "live"])
def test_bybit_needs_keys(problems, env):
    found = problems(f'[venue]\nenv = "{env}"\naccount = "1"\n')
    assert [line.split(": ")[1] for line in found] == ["venue.key_file", "venue.secret_file"]


@pytest.mark.parametrize("env", ["testnet", "demo", "live"])
def test_bybit_refuses_keys_of_the_environment(problems, env):
    keys = {"BOT_VENUE_KEY": "fake-hush", "BOT_VENUE_SECRET": "fake-hush"}
    found = problems(f'[venue]\nenv = "{env}"\naccount = "1"\n', keys)
    why = f"expected a file, found environment BOT_VENUE_KEY (venue.env is {env})"
    assert found[0] == f"bot.toml: venue.key_file: {why}"
    assert "fake-hush" not in " ".join(found)


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        (None, 0, "expected a readable file at {0}, found: No such file or directory"),
        (b"fake-hush", 0o644, "expected {0} with mode 0400 (chmod 400), found 0644"),
        (b"fake-hush", 0o600, "expected {0} with mode 0400 (chmod 400), found 0600"),
        (b"fake-hush", 0o440, "expected {0} with mode 0400 (chmod 400), found 0440"),
        (b"  \n", 0o400, "expected a secret in {0}, found an empty file"),
        (b"fake-hush\xff", 0o400, "expected text in {0}, found bytes that are not UTF-8"),
    ],
)
def test_a_secret_file_must_be_there_private_and_text(problems, tmp_path, content, mode, sentence):
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    found = problems(f'[venue]\nenv = "live"\nkey_file = "{file}"\n')
    assert found[0] == f"bot.toml: venue.key_file: {sentence.format(file)}"
    assert "fake-hush" not in " ".join(found)


def test_a_secret_file_is_no_link_no_folder_and_nobody_elses(problems, tmp_path):
    file, link = tmp_path / "key", tmp_path / "link"
    file.write_text("fake-hush")
    file.chmod(0o400)
    link.symlink_to(file)
    cases = {link: "a symbolic link", tmp_path: "something else"}
    if os.geteuid() == 0:
        other = tmp_path / "other"
        other.write_text("fake-hush")
        other.chmod(0o400)
        os.chown(other, 12345, 12345)
        cases[other] = "owned by 12345"
    for path, why in cases.items():
        found = problems(f'[venue]\nenv = "live"\naccount = "1"\nkey_file = "{path}"\n')
        assert found[0].startswith("bot.toml: venue.key_file: ")
        assert found[0].endswith(why)
        assert "fake-hush" not in " ".join(found)


def test_toml_that_cannot_be_read_says_where(problems):
    (found,) = problems("[guard]\nwindow = = 3\n")
    assert found == "bot.toml: expected TOML, found: Invalid value (at line 2, column 10)"


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "bot.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="expected UTF-8 text, found byte 0"):
        load(tmp_path / "bot.toml")


def test_a_file_that_is_named_must_be_there():
    with pytest.raises(ConfigError, match="expected a readable file, found: No such file"):
        load(Path("nowhere.toml"))
