"""The dead-man's units: as closed as the bot's, often enough, and with a key of their own."""

from __future__ import annotations

from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
OWN = {"OOMScoreAdjust", "LimitNOFILE", "TasksMax", "MemoryMax", "CPUWeight", "IOWeight"}
CLOSED = ("Protect", "Private", "Restrict", "NoNew", "Capability", "SystemCall", "Memory", "Device")


def lines(name: str) -> list[tuple[str, str]]:
    """The settings of a unit in their order; a setting may stand there more than once."""
    found = []
    for line in (DEPLOY / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.append((key, value))
    return found


def test_it_is_as_closed_as_the_bot():
    mine = lines("bot-deadman.service")
    wanted = [(key, value) for key, value in lines("bot.service") if key.startswith(CLOSED)]
    wanted.remove(("SystemCallFilter", "@chown"))  # it gives no file away
    left_out = {"MemoryHigh", "MemorySwapMax", *OWN}
    missing = [pair for pair in wanted if pair not in mine and pair[0] not in left_out]
    assert not missing
    assert ("User", "trading-bot") in mine, "it may end a bot that hangs"


def test_no_key_is_handed_to_both():
    def handed(name):
        text = (DEPLOY / name).read_text()
        found = {line.partition("=")[2] for line in text.splitlines() if "LoadCredential" in line}
        return found - {"notify_urls"}

    assert handed("bot.service") == {"venue_key", "venue_secret"}
    assert handed("bot-deadman.service") == {"deadman_key", "deadman_secret"}


def test_the_timer_looks_often_enough():
    timer = dict(lines("bot-deadman.timer"))
    assert 15 <= int(timer["OnUnitInactiveSec"].removesuffix("s")) <= 30
    assert timer["WantedBy"] == "timers.target"
