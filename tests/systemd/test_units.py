"""The units: systemd can load them, they are closed, and what they promise stands in them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from bot.cli.training import train
from bot.config.sections import Training

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES = sorted(path.name for path in DEPLOY.glob("bot*.service"))
BESIDE = [name for name in SERVICES if name not in ("bot.service", "bot-alert@.service")]
EXPOSURE_MAX = 1.5
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="this machine has no systemd-analyze"
)


def settings(name: str) -> dict[str, list[str]]:
    """The settings of a unit; one may stand there more than once."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_a_wrong_configuration_never_loops_and_a_crash_is_started_again_a_few_times():
    unit = settings("bot.service")
    assert unit["RestartPreventExitStatus"] == ["78"]
    assert unit["Restart"] == ["on-failure"]
    assert (unit["StartLimitBurst"], unit["StartLimitIntervalSec"]) == (["5"], ["600"])
    assert "ExecStartPre" not in unit, "its exit code would not be the bot's: 78 would loop"


def test_a_bot_that_hangs_leaves_its_stack():
    unit = settings("bot.service")
    assert (unit["Type"], unit["NotifyAccess"]) == (["notify"], ["main"])
    assert (unit["WatchdogSignal"], unit["TimeoutStartFailureMode"]) == (["SIGABRT"], ["abort"])
    assert any("PYTHONFAULTHANDLER=1" in line for line in unit["Environment"])
    assert unit["LimitCORE"] == ["0"], "a core file has the keys in it"


@pytest.mark.parametrize("name", [name for name in SERVICES if "alert" not in name])
def test_who_fails_is_told_of(name):
    assert settings(name)["OnFailure"] == ["trading-bot-alert@%n.service"]


@pytest.mark.parametrize("name", BESIDE)
def test_all_that_share_the_state_are_the_same_user_with_the_same_folder(name):
    unit, bot = settings(name), settings("bot.service")
    for key in ("User", "Group", "StateDirectory", "StateDirectoryMode", "UMask"):
        assert unit[key] == bot[key], "systemd gives the whole folder to the last one"


def test_the_trainer_goes_first_and_the_bot_last():
    score = {name: int(settings(name)["OOMScoreAdjust"][0]) for name in SERVICES}
    assert score["bot-train.service"] == max(score.values()) == 800
    assert score["bot.service"] < 0
    train, bot = settings("bot-train.service"), settings("bot.service")
    assert (train["MemoryMax"], train["Nice"], train["CPUWeight"]) == (["4G"], ["19"], ["20"])
    assert int(bot["CPUWeight"][0]) > 20


def test_the_trainer_is_started_each_week_with_what_train_takes():
    words = settings("bot-train.service")["ExecStart"][0].split()
    assert words[1:4] == ["-m", "bot", "train"]
    context = train.make_context("train", words[4:])
    assert str(context.params["state"]) == "/var/lib/trading-bot/state.db"
    assert str(context.params["config_path"]) == "/etc/trading-bot/bot.toml"
    unit, found = settings("bot-train.service"), Training()
    attempts = (found.retries + 1) * found.attempt_real_seconds
    assert unit["TimeoutStartSec"] == ["6h"]
    assert attempts < 6 * 3600, "the unit ends no training that its own limits allow"
    assert int(unit["MemoryMax"][0].removesuffix("G")) * 1024 > found.memory_mb
    assert settings("bot-train.timer")["OnCalendar"] == ["Sun 03:00 UTC"]


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("bot*.timer")), ids=lambda path: path.name)
def test_each_timer_has_a_service_of_its_name(path):
    assert path.with_suffix(".service").exists()


def test_the_alert_depends_on_nothing_of_the_bot():
    unit = settings("bot-alert@.service")
    assert unit["ExecStart"][0].startswith("/bin/echo "), "even without Python"
    assert not {"User", "StateDirectory", "OnFailure"} & unit.keys()
    assert not [line for line in unit["Environment"] if "PYTHONPATH" in line]
    script = (DEPLOY / "alert.py").read_text()
    assert "import bot" not in script
    assert "from bot" not in script


@pytest.fixture
def units(tmp_path):
    """The units as they are installed, with a program that exists everywhere."""
    for path in [*DEPLOY.glob("bot*.service"), *DEPLOY.glob("bot*.timer")]:
        text = path.read_text().replace("/opt/trading-bot/.venv/bin/python", "/bin/true")
        (tmp_path / f"trading-{path.name}").write_text(text)
    return tmp_path


@needs_systemd
def test_systemd_takes_them(units):
    command = ["systemd-analyze", "verify", "--man=no", *units.iterdir()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_they_are_closed(units, name):
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    command += [f"--threshold={EXPOSURE_MAX * 10:.0f}", units / f"trading-{name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout[-200:]
