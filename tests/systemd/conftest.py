"""One systemd for all tests, in which the bot was installed by its own command."""

from __future__ import annotations

import pytest

from tests.faults.places import toml
from tests.systemd import lab as labs

CONFIG = {
    "exchange": {"speed": 60, "symbols": ["BTCUSDT", "ETHUSDT"]},
    "roles": {
        "viewers_group": "bot-view",
        "operators_group": "bot-ops",
        "admins_group": "bot-admin",
    },
    "restarts": {"crashes_max": 3},
    "training": {"rows_min": 300, "rows_max": 2_000},
}
QUICK = """
[Service]
WatchdogSec=3
RestartSec=200ms
StandardError=append:/run/lab/bot.err
"""
HEARD = """
[Service]
StandardOutput=append:/run/lab/alert.out
StandardError=append:/run/lab/alert.out
"""
LEARNT = """
[Service]
StandardError=append:/run/lab/train.err
"""


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    why_not = labs.why_not()
    if why_not:
        pytest.skip(why_not)
    made = labs.Lab(tmp_path_factory.mktemp("lab"))
    try:
        made.installed = made.bot("install", "--json")
        made.write("/etc/trading-bot/bot.toml", toml(CONFIG))
        drop_ins = (
            ("trading-bot.service", QUICK),
            ("trading-bot-alert@.service", HEARD),
            ("trading-bot-train.service", LEARNT),
        )
        for unit, text in drop_ins:
            made.write(f"/etc/systemd/system/{unit}.d/lab.conf", text)
        made.run("systemctl", "daemon-reload", check=True)
        yield made
    finally:
        made.close()


@pytest.fixture
def running(lab):
    """The lab with a bot that systemd holds for started."""
    lab.run("systemctl", "reset-failed", "trading-bot")
    done = lab.run("systemctl", "start", "trading-bot")
    assert done.returncode == 0, done.stderr + lab.read("/run/lab/bot.err")
    return lab
