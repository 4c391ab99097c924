"""Health of a real bot: what is broken from outside is found, told, and well again; intervals are the configuration's."""

import itertools
import json
import signal
import time

import pytest

from tests.faults.places import Place, until
from tests.faults.seen import Since

FAST, SLOW, STATUS = 1.0, 5.0, 1.0
CONFIG = {
    "exchange": {"speed": 60, "seed": 7},
    "health": {
        "fast_real_seconds": FAST,
        "slow_real_seconds": SLOW,
        "status_real_seconds": STATUS,
        "latency_ms": 500.0,
        "confirm": 1,
        "lag_ms": 900.0,
        "turn_ms": 9_000.0,
    },
    "healing": {"enabled": False},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A bot that is well; each test breaks one thing and mends it."""
    made = Place(tmp_path_factory.mktemp("health") / "p", CONFIG)
    try:
        made.start_exchange("--symbols", "BTCUSDT,ETHUSDT")
        made.bot = made.start_bot("--config", str(made.file))
        made.until_state("process", "RUNNING")
        yield made
        made.bot.send_signal(signal.SIGTERM)
        assert made.bot.wait(40) == 0, made.said()
    finally:
        made.close()


def findings(place) -> dict:
    return dict(place.rows("SELECT name, state FROM checks"))


def until_check(place, name: str, state: str) -> str:
    """Wait until a check stands so, and return the reason."""
    sql = "SELECT reason FROM instance WHERE machine = 'check' AND key = ? AND state = ?"
    return until(lambda: place.rows(sql, name, state), f"check {name} is {state}", 40)[0][0]


def told(place, text: str) -> list[str]:
    """Return the severities of what people were told with such a text."""
    sql = (
        "SELECT json_extract(body, '$.severity') FROM outbox WHERE kind = 'Notify'"
        " AND json_extract(body, '$.text') LIKE ?"
    )
    return [row[0] for row in place.rows(sql, f"{text}%")]


def test_a_bot_that_nothing_ails_is_well_in_every_check(place):
    names = {"candles BTCUSDT", "streams private", "venue", "backup", "config", "chain", "memory"}
    until(lambda: names <= set(findings(place)), "slow and fast checks were made")
    assert findings(place)["chain"] == "WELL"


def test_a_venue_that_answers_late_is_found_and_is_well_again(place):
    place.control("fault", kind="delay", match="/v5/", when="after", ms=800, seed=1, count=10_000)
    reason = until_check(place, "venue", "ESCALATED")
    assert "the slowest answer took" in reason
    assert "limit 500" in reason
    assert told(place, "check venue: the slowest answer") == ["warning"]
    place.control("clear")
    until_check(place, "venue", "WELL")
    assert told(place, "check venue is well again") == ["info"]


def test_a_configuration_that_was_changed_under_the_bot_is_found(place):
    before = place.file.read_text()
    place.file.write_text(before.replace("stop_atr = 2.0", "stop_atr = 2.5"))
    assert "was changed since the start" in until_check(place, "config", "ESCALATED")
    assert told(place, "check config: bot.toml was changed since the start") == ["warning"]
    place.file.write_text("nonsense")
    place.file.write_text(before)
    until_check(place, "config", "WELL")


def silent_ms(place) -> float:
    """Return the age of the bot's last sign of life, by the machine's own clock."""
    beat = json.loads(place.heartbeat.read_bytes().strip(b"\0 \n") or b'{"mono_ms": 0}')
    return time.monotonic() * 1000 - float(beat["mono_ms"])


def test_the_intervals_are_those_of_the_configuration(place):
    """Real time between two samplings is what the configuration says, and no less."""

    def gaps(pace: str) -> list[float]:
        sql = "SELECT wall FROM journal WHERE kind = 'Sampled' AND json_extract(body, '$.pace') = ?"
        walls = [row[0] for row in place.rows(f"{sql} ORDER BY seq", pace)]
        return [(b - a) / 1000 for a, b in itertools.pairwise(walls)]

    until(lambda: len(gaps("slow")) >= 2, "three slow samplings", 30)
    assert min(gaps("slow")) >= SLOW * 0.9
    assert min(gaps("fast")) >= FAST * 0.9
    assert len(gaps("fast")) > 2 * len(gaps("slow"))


def test_a_bot_that_is_paused_again_and_again_finds_that_it_was(place):
    since = Since(place)

    def paused() -> bool:
        place.bot.send_signal(signal.SIGSTOP)
        until(lambda: silent_ms(place) > 2_000, "the bot is silent")
        place.bot.send_signal(signal.SIGCONT)
        until(lambda: silent_ms(place) < 500, "it beats again")
        return findings(place).get("loop") == "ESCALATED"

    until(paused, "the lag was found twice in a row")
    since.moved("check", "SUSPECT", "ESCALATED", "the event loop woke ", "ms late, limit 900")
    since.told("warning", "check", "check loop: the event loop woke ", "ms late, limit 900")
    since.shown("loop: the event loop woke ")
    until_check(place, "loop", "WELL")


def test_the_status_file_is_the_status_and_never_half_written(place):
    path = place.folder / "status.json"
    until(path.exists, "status.json is there")
    seen = set()

    def whole() -> bool:
        json.loads(path.read_bytes())  # half a document would be no JSON
        seen.add(path.stat().st_mtime_ns)
        return len(seen) >= 3

    until(whole, "three different documents were read", 30)
    document = json.loads(path.read_bytes())
    assert document["bot"]["state"] == "running"
    names = {check["name"] for check in document["health"]["checks"]}
    assert {"loop", "wal", "disk", "stops BTCUSDT"} <= names
    objective = {o["name"]: o for o in document["health"]["objectives"]}["process"]
    assert set(objective) == {"name", "hours", "good", "spent", "burn"}
