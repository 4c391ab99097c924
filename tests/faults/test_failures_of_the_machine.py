"""What goes wrong with memory, disk, files, and the process itself is found and told of by name."""

import contextlib
import json
import os
import resource
import signal
import sys
import time

import pytest

from bot.store.database import sqlite3
from tests.faults.places import Place, until
from tests.faults.seen import Since

CONFIG = {
    "healing": {"enabled": False},  # that one finds it is asked here, not what was tried
    "alerts": {"storm_max": 1000, "window_real_seconds": 1.0},
    "controls": {"entries_hour_max": 2},
    "health": {
        "fast_real_seconds": 1.0,
        "slow_real_seconds": 5.0,
        "confirm": 1,
        "memory_mb": 400.0,
        "alert_real_seconds": 5.0,
    },
    "notify": {"urls": ["json://127.0.0.1:1"]},
    "restarts": {"crashes_max": 2},
    "watch": {"storage_real_seconds": 1.0},
}
HOUR = 3600
SYMBOLS = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A bot whose channel to people is dead from the start; each test breaks one thing more."""
    made = Place(tmp_path_factory.mktemp("machine") / "p", CONFIG)
    try:
        made.start_exchange("--symbols", ",".join(SYMBOLS))
        begin(made)
        yield made
    finally:
        made.close()


@pytest.fixture
def since(place):
    return Since(place)


def begin(place):
    """Start the bot, and wait until it runs."""
    command = [sys.executable, "-m", "tests.faults.hosted", str(place.state), str(place.file)]
    place.bot = place._spawn([*command, "300"], "bot.out")

    def runs():
        with contextlib.suppress(OSError, ValueError):  # not there yet, or half written
            sign = json.loads(place.heartbeat.read_bytes())
            return (sign["pid"], sign["process"]) == (place.bot.pid, "RUNNING")

    until(runs, lambda: f"the bot runs: {place.said()[-2000:]}", 30)


# -- while it runs ---------------------------------------------------------------------------------


def test_entries_that_are_executed_again_and_again_are_held_until_a_person_looks(place):
    since = Since(place)
    since.id = 0  # the market does it, sooner or later
    symbol = since.moved("hold", "", "HELD", "repeated execution: 2 entries executed within ")
    since.told("critical", "hold", f"entries held in {symbol}: 2 entries executed within the hour")
    since.shown(f"hold {symbol} is HELD: repeated execution: ")


def test_entries_that_the_venue_rejects_in_a_row_are_held_until_a_person_looks(place):
    since = Since(place)
    create = "/v5/order/create"
    place.control("fault", kind="ret_code", match=create, code=110007, probability=1.0, seed=8)
    for symbol in SYMBOLS:
        if place.state_of("hold", symbol) != "HELD":  # the test before held one of them
            place.do("hold", symbol=symbol)
        assert place.do("release", symbol=symbol)["state"] == "DONE"
    since.moved("order", "INTENDED", "REJECTED", "110007: ")
    why = "3 entries in a row were rejected, the last with 110007: "
    symbol = since.moved("hold", "FREE", "HELD", f"rejections: {why}")
    since.told("critical", "hold", f"entries held in {symbol}: {why}")
    since.shown(f"hold {symbol} is HELD: rejections: ")
    place.control("clear")


def test_a_command_whose_person_is_gone_before_the_answer_is_carried_out(place, since):
    place.ask("hold", symbol="BTCUSDT") if place.state_of("hold", "BTCUSDT") != "HELD" else None
    place.ask("reduce")
    since.moved("guard", "NORMAL", "REDUCED", "root: ")
    since.moved("run", "VERIFYING", "DONE", "guard is REDUCED")
    since.told("info", "", "reduce by root: ")
    since.shown("guard account is REDUCED: ")


# -- when it ends ----------------------------------------------------------------------------------


def test_a_disk_that_fails_in_the_middle_of_a_write_ends_the_process_and_the_next_one_says_so(
    place, since
):
    size = (place.folder / "state.db-wal").stat().st_size
    resource.prlimit(place.bot.pid, resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    assert place.bot.wait(30) == 75, place.said()[-2000:]
    begin(place)
    since.moved("process", "RUNNING", "BOOT", "crash recorded: ", "disk I/O error")
    since.told("warning", "crash", "crash recorded: ", "disk I/O error")
    since.moved("process", "BOOT", "RECOVERING")


def test_a_bot_that_dies_again_and_again_may_not_trade_until_a_person_looks(place, since):
    place.bot.kill()
    assert place.bot.wait(10) == -signal.SIGKILL
    begin(place)
    since.moved("process", "RUNNING", "BOOT", "crash recorded: the last process ended in RUNNING")
    since.told("warning", "crash", "crash recorded: the last process ended in RUNNING")
    since.moved("hold", "FREE", "HELD", "restarts: 2 runs within 10 min did not end in STOPPED")
    since.told("critical", "hold", "entries held: 2 runs within 10 min did not end in STOPPED")
    since.shown("hold account is HELD: restarts: 2 runs ")


def test_a_database_that_somebody_removes_ends_the_process_and_leaves_the_mark(place):
    (place.folder / "state.db-wal").unlink()
    assert place.bot.wait(30) == 75, place.said()[-2000:]
    begin(place)
    since = Since(place)
    since.id = 0  # what was committed to that file is lost, and its numbers are given again
    why = "state.db-wal was removed under the bot"
    since.moved("kill", "ARMED", "TRIPPED", "HALT mark set by bot: ", why)
    since.told("critical", "kill", "kill switch tripped (account): HALT mark set by bot: ", why)
    since.shown("kill account is ", why)
    until(lambda: place.do("rearm")["state"] == "DONE", "a person re-arms it")


# -- slow checks -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failing(place):
    """Since a start of a bot that leaks, beside an old backup, whose audit is then edited."""
    since = Since(place)
    place.bot.kill()
    place.bot.wait(10)
    (place.folder / "backups").mkdir(exist_ok=True)
    backup = place.folder / "backups" / "state.db.1.backup"
    backup.touch()
    old = time.time() - 30 * HOUR
    os.utime(backup, (old, old))
    (place.folder / "state.db.fault").write_text("leak")
    begin(place)
    edit(place)
    return since


def edit(place):
    """Rewrite the newest row of the audit, past the trigger that forbids it."""
    db = sqlite3.connect(place.state, isolation_level=None, timeout=10)
    named = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'transition'"
    (trigger,) = db.execute(f"{named} AND sql LIKE '%BEFORE UPDATE%'").fetchone()
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"DROP TRIGGER {trigger}")
    newest = "(SELECT max(id) FROM transition)"
    db.execute(f"UPDATE transition SET reason = 'nothing happened' WHERE id = {newest}")
    db.execute("COMMIT")
    db.close()


def test_memory_that_grows_is_found(failing):
    failing.moved("check", "SUSPECT", "ESCALATED", "memory is ", "limit 400", key="memory")
    failing.told("warning", "check", "check memory: memory is ", "limit 400")
    failing.shown("memory: memory is ")


def test_a_backup_that_is_too_old_is_found(failing):
    failing.moved("check", "SUSPECT", "ESCALATED", "30 h since the newest backup", key="backup")
    failing.told("warning", "check", "check backup: 30 h since the newest backup, limit 26")
    failing.shown("backup: 30 h since the newest backup")


def test_a_channel_that_nobody_listens_to_is_found(failing):
    failing.moved("delivery", "PENDING", "RETRY", "Retryable: json-1: ")
    failing.moved("check", "SUSPECT", "ESCALATED", "the oldest alert is on its way for ")
    failing.told("warning", "check", "check alerts: the oldest alert is on its way for ", "limit 5")
    failing.shown("alerts: the oldest alert is on its way for ")


def test_an_audit_that_is_edited_under_the_bot_is_found(failing):
    failing.moved("check", "SUSPECT", "ESCALATED", "the audit's chain is broken", key="chain")
    failing.told("critical", "check", "check chain: the audit's chain is broken: `bot verify`")
    failing.shown("chain: the audit's chain is broken")
