"""Trouble with the file: entries go off, protection stays, a sentence says what and what to do."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from bot.store.database import sqlite3, why_affected
from tests.faults.places import ROOT, Place, until
from tests.faults.seen import Since

LOCKER = """
import sys
from bot.store.database import sqlite3
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def beat(place) -> dict:
    try:
        return json.loads(place.heartbeat.read_bytes())
    except (OSError, ValueError):
        return {}


def hosted(place):
    command = [sys.executable, "-m", "tests.faults.hosted", str(place.state), str(place.file), "60"]
    return place._spawn(command, "bot.out")


def locker(place):
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(place.state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == b"locked\n"
    return process


def unlock(process) -> None:
    process.stdin.close()
    process.wait(10)
    process.stdout.close()


def entries(place) -> int:
    """Count the entry orders that the exchange accepted, by its own log."""
    lines = (place.folder / "exchange.db.log").read_bytes().split(b"\n")[:-1]
    found = [json.loads(line) for line in lines]
    return sum(1 for line in found if line["kind"] == "create" and not line["reduceOnly"])


def until_trading(place) -> None:
    place.until_state("process", "RUNNING")
    until(lambda: entries(place), lambda: f"an entry is accepted; {place.said()[-500:]}", 20)


@pytest.mark.parametrize(
    ("fault", "storage", "words"),
    [("full", "FULL", "full"), ("readonly", "READONLY", "readonly")],
)
def test_a_file_that_refuses_writes_latches_entries_off_until_it_recovers(
    place, fault, storage, words
):
    place.start_exchange()
    bot = hosted(place)
    until_trading(place)
    since = Since(place)
    (place.folder / "state.db.fault").write_text(fault)
    said = until(lambda: beat(place).get("latch"), "the latch is set", 20)
    assert words in said
    before = entries(place)
    assert bot.poll() is None
    time.sleep(
        1.0
    )  # five minutes of market time with nothing written: none of it may become an entry
    assert entries(place) == before
    (place.folder / "state.db.fault").unlink()
    until(lambda: not beat(place).get("latch"), "the latch clears once a hold is committed")
    assert place.state_of("hold") == "HELD"
    moved = place.rows(
        "SELECT dest, reason FROM transition WHERE machine = 'storage' AND version = 2"
    )
    assert moved
    assert moved[0][0] == storage
    assert words in moved[0][1]
    since.moved("storage", "OK", storage, "the database could not be written: ", words)
    since.told("critical", "disk", "storage: the database could not be written: ", words)
    since.told("critical", "hold", "entries held: the database could not be written: ", words)
    place.until_state("storage", "OK", seconds=10)
    assert place.do("release")["state"] == "DONE"
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(30) == 0, place.said()


def test_a_file_locked_by_another_program_latches_entries_off_until_it_is_free(place):
    place.start_exchange()
    bot = place.start_bot("--config", str(place.file))
    until_trading(place)
    since, other = Since(place), locker(place)
    try:
        assert "locked" in until(lambda: beat(place).get("latch"), "the latch is set", 20)
    finally:
        unlock(other)
    place.until_state("hold", "HELD")
    since.moved("hold", "FREE", "HELD", "the database could not be written: ", "locked")
    since.told("critical", "hold", "entries held: the database could not be written: ", "locked")
    since.shown("hold account is HELD: the database could not be written: ")
    assert place.do("release")["state"] == "DONE"
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(30) == 0, place.said()


def kill_with_positions(place) -> list[str]:
    """Leave a dead bot whose exchange holds positions."""
    bot = place.start_bot("--config", str(place.file))
    until_trading(place)
    until(lambda: place.control("state")["positions"], "the exchange holds a position")
    bot.kill()
    bot.wait()
    return list(place.control("state")["positions"])


def corrupt(place) -> None:
    """Overwrite every page but the first two, and the tail that is not yet in the file."""
    with place.state.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * max(4096, place.state.stat().st_size - 8192))
    for suffix in ("-wal", "-shm"):
        place.state.with_name(f"state.db{suffix}").unlink(missing_ok=True)


def copy_database(source, target) -> None:
    target.mkdir()
    for path in source.glob("state.db*"):
        if not path.name.endswith(".sock"):
            shutil.copy2(path, target)


def checkpointed(place) -> None:
    db = sqlite3.connect(place.state, isolation_level=None)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()


def test_a_damaged_file_is_not_used_positions_are_protected_and_a_good_copy_goes_on(place):
    place.start_exchange()
    kill_with_positions(place)
    checkpointed(place)
    copy_database(place.folder, place.folder / "good")
    corrupt(place)
    bot = place.start_bot("--config", str(place.file), out="protect.out")
    until(
        lambda: "protect-only" in place.said("protect.out"), lambda: place.said("protect.out"), 20
    )
    until((place.folder / "panic.jsonl").exists, "panic.jsonl is written")
    said = place.said("protect.out")
    assert "cannot be used" in said, said
    assert "restore" in said, said
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(20) == 75, place.said("protect.out")
    for path in place.folder.glob("state.db*"):
        path.unlink()
    for path in (place.folder / "good").iterdir():
        shutil.copy2(path, place.folder)
    again_with_kill_switch(place)


def again_with_kill_switch(place) -> None:
    """Boot after protect-only: it tells what was done, and the HALT mark holds entries off."""
    since = Since(place)
    bot = place.start_bot("--config", str(place.file))
    place.until_state("kill", "LATCHED")
    since.moved("kill", "ARMED", "TRIPPED", "HALT mark set by boot: ")
    since.told("critical", "kill", "kill switch tripped (account): HALT mark set by boot: ")
    since.shown("kill account is LATCHED: HALT mark set by boot: ")
    assert place.rows("SELECT count(*) FROM journal WHERE kind = 'Panicked'")[0][0] >= 1
    place.until_state("process", "RUNNING")
    for position in place.control("state")["positions"]:
        held = place.rows("SELECT stop IS NOT NULL FROM position WHERE symbol = ?", position)
        assert held == [(1,)]
    bot.send_signal(signal.SIGTERM)
    assert bot.wait(30) == 0, place.said()


def test_a_boot_that_finds_the_file_locked_protects_and_the_next_boot_goes_on(place):
    place.start_exchange()
    kill_with_positions(place)
    other = locker(place)
    try:
        bot = place.start_bot("--config", str(place.file), out="protect.out")
        until(
            lambda: "protect-only" in place.said("protect.out"),
            lambda: place.said("protect.out"),
            40,
        )
        until((place.folder / "panic.jsonl").exists, "panic.jsonl is written")
        assert "locked" in place.said("protect.out")
        bot.send_signal(signal.SIGTERM)
        assert bot.wait(20) == 75, place.said("protect.out")
    finally:
        unlock(other)
    again_with_kill_switch(place)


def mounted(folder, *options: str) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
    return done.returncode == 0


def test_a_disk_that_is_really_full_latches_entries_off_until_there_is_room(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mounted(folder, "-t", "tmpfs", "-o", "size=96m", "tmpfs"):
        pytest.skip("only root may mount a small disk; the page limit stands in for it above")
    place = Place(folder)
    try:
        place.start_exchange()
        bot = place.start_bot("--config", str(place.file))
        until_trading(place)
        since, ballast = Since(place), folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            fill(file)
            until(lambda: fill(file) or beat(place).get("latch"), "the latch is set", 20)
        assert "full" in beat(place)["latch"]
        before = entries(place)
        ballast.unlink()
        place.until_state("hold", "HELD")
        assert place.state_of("storage") in ("FULL", "OK", "LOW")
        since.told("critical", "hold", "entries held: ", "full")
        assert entries(place) == before
        bot.send_signal(signal.SIGTERM)
        assert bot.wait(30) == 0, place.said()
    finally:
        place.close()
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(file) -> None:
    """Write until there is no room."""
    for size in (1 << 20, 4096):
        try:
            while True:
                file.write(bytes(size))
        except OSError:
            continue


def test_a_file_that_cannot_be_written_at_boot_means_protect_only(place):
    place.start_exchange()
    kill_with_positions(place)
    if os.geteuid() == 0:
        if not mounted(place.state, "--bind", str(place.state)):
            pytest.skip("root ignores permissions, and may not mount here")
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place.state)], check=True)
    else:
        place.state.chmod(0o444)
    try:
        bot = place.start_bot("--config", str(place.file), out="protect.out")
        until(
            lambda: "protect-only" in place.said("protect.out"),
            lambda: place.said("protect.out"),
            20,
        )
        until((place.folder / "panic.jsonl").exists, "panic.jsonl is written")
        bot.send_signal(signal.SIGTERM)
        assert bot.wait(20) == 75, place.said("protect.out")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", str(place.state)], check=False)
        else:
            place.state.chmod(0o644)
    again_with_kill_switch(place)


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 34, 1), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), True),
        ((3, 53, 0), False),
    ],
)
def test_an_affected_sqlite_is_named_with_its_cure(version, affected):
    why = why_affected(version)
    assert bool(why) is affected
    if why:
        assert ".".join(map(str, version)) in why
        assert "cure" in why


def test_a_bot_with_an_affected_sqlite_refuses_to_start(place):
    """The version is the one of the library itself, in a process where it says that it is old."""
    program = (
        "import sys; from bot.store import database; database.only_library(); "
        "database.refuse_affected.__defaults__ = ((3, 51, 2),); "
        "from bot.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "--for", "5s", "--state", str(place.state)],
        cwd=place.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78, done.stderr
    assert "3.51.2" in done.stderr
    assert "cure" in done.stderr
    assert not place.state.exists()
