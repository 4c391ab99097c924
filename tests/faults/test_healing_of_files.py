"""What a bot heals of the files it stands on: the log, the configuration, the disk; and what nothing heals."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.faults.places import ROOT, Place, until

CONFIG = {
    "exchange": {"speed": 120, "seed": 7},
    "health": {
        "fast_real_seconds": 1.0,
        "slow_real_seconds": 5.0,
        "lag_ms": 9_000.0,
        "turn_ms": 9_000.0,
        "wal_mb": 1.0,
    },
}
READER = """
import sys
from bot.store.database import sqlite3
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM journal").fetchone()
print("reads", flush=True)
sys.stdin.read()
"""


def started(folder):
    made = Place(folder, CONFIG)
    made.start_exchange("--symbols", "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT")
    made.bot = made.start_bot("--config", str(made.file))
    return made


def ended(place):
    place.bot.send_signal(signal.SIGTERM)
    assert place.bot.wait(40) == 0, place.said()


@pytest.fixture(scope="module")
def curable(tmp_path_factory):
    """A bot whose remedies may work."""
    place = started(tmp_path_factory.mktemp("curable") / "p")
    try:
        place.until_state("process", "RUNNING")
        yield place
        ended(place)
    finally:
        place.close()


@pytest.fixture(scope="module")
def hopeless(tmp_path_factory):
    """A bot whose remedies are kept from working, its log by a reader that stays."""
    place = started(tmp_path_factory.mktemp("hopeless") / "p")
    try:
        place.reader = a_reader(place)
        place.until_state("process", "RUNNING")
        yield place
        ended(place)
    finally:
        place.close()
        close(place.reader)


def a_reader(place):
    """Hold a read transaction on the database, from another process."""
    until(lambda: place.state_of("process"), "the database is there", 20)
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(place.state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == b"reads\n"
    return process


def close(reader) -> None:
    if reader.poll() is None:
        reader.stdin.close()
        reader.wait(10)
        reader.stdout.close()


def cured(place, remedy: str, check: str) -> str:
    """Wait until a remedy cured a check, and return what was said then."""
    sql = (
        "SELECT said FROM healing_attempts WHERE remedy = ? AND name = ? AND state = 'DONE'"
        " AND (SELECT count(*) FROM transition WHERE machine = 'check' AND key = ?2"
        " AND source = 'VERIFYING' AND dest = 'WELL') > 0"
    )
    return until(lambda: place.rows(sql, remedy, check), f"{remedy} cures {check}", 40)[0][0]


def given_up(place, check: str) -> tuple[str, str, str]:
    """Wait until a check is ESCALATED for want of a cure: what was tried, the alert, the report."""
    sql = "SELECT tried, file FROM escalations WHERE name = ? ORDER BY id LIMIT 1"
    tried, file = until(lambda: place.rows(sql, check), f"{check} is ESCALATED", 40)[0]
    report = place.folder / "reports" / file
    until(report.exists, "the report is written")
    alerts = place.rows(
        "SELECT json_extract(body, '$.text') FROM outbox WHERE kind = 'Notify'"
        " AND json_extract(body, '$.text') LIKE ?",
        f"check {check}: nothing helped%",
    )
    return tried, alerts[0][0], report.read_text()


def attempts(place, remedy: str) -> int:
    return place.rows("SELECT count(*) FROM healing_attempts WHERE remedy = ?", remedy)[0][0]


# -- the log ---------------------------------------------------------------------------------------


def test_a_log_that_grew_is_moved_into_the_database_and_cut(curable):
    said = cured(curable, "checkpoint-wal", "wal")
    assert re.fullmatch(r"the log is [\d.]+ MB, limit 1, after checkpoint-wal", said)


def test_a_log_that_a_reader_holds_is_told_of_and_is_well_once_the_reader_goes(hopeless):
    tried, told, report = given_up(hopeless, "wal")
    assert "failed: Retryable: a reader holds the log" in tried
    assert re.match(r"check wal: nothing helped: Retryable: a reader holds the log: \d+ of", told)
    assert "checkpoint-wal (low risk, 1 of 6 today): failed: Retryable" in report
    assert hopeless.state_of("hold") in ("", "FREE")  # nobody who writes was kept waiting for long
    close(hopeless.reader)
    hopeless.until_state("check", "WELL", key="wal", seconds=60)  # the writer cuts it
    assert attempts(hopeless, "checkpoint-wal") == 1
