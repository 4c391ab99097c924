"""What a bot heals of what it keeps: log, configuration, disk, backup, model; and what nothing heals.

The remedy for backups is the example of docs/healing.md, taken from its text.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from bot.core.settings import Strategy
from bot.edge.host import free_mb
from bot.learn.features import feature_hash, vector
from bot.learn.manifest import Golden
from bot.learn.training import NAMES
from tests.faults.places import ROOT, Place, connected, until
from tests.models.made import a_graph, a_measure, published, says

CONFIG = {
    "exchange": {"speed": 120, "seed": 7},
    "models": {"window": 500, "faults_max": 500},
    "health": {
        "fast_real_seconds": 1.0,
        "slow_real_seconds": 5.0,
        "confirm": 1,
        "lag_ms": 9_000.0,
        "turn_ms": 9_000.0,
        "wal_mb": 1.0,
    },
}
DISK_MB, BALLAST_MB, LOW_MB = 128, 32, 14
READER = """
import sys
from bot.store.database import sqlite3
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM journal").fetchone()
print("reads", flush=True)
sys.stdin.read()
"""


class Sick(Place):
    """A bot with the documented example among its remedies, on a disk of its own where that is allowed."""

    def __init__(self, folder, ballast_mb):
        folder.mkdir()
        self.small = mounted("-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder))
        super().__init__(folder, {**CONFIG, "storage": {"ballast_mb": ballast_mb}})
        self.etc, self.backups = folder / "etc", folder / "backups"
        self.etc.mkdir()
        self.file = self.file.rename(self.etc / "bot.toml")
        self.good = self.file.read_text()
        self.bot = self.reader = None

    def start(self):
        self.start_exchange("--symbols", "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT")
        more = self.folder / "more"
        more.mkdir()
        text = (ROOT / "docs" / "healing.md").read_text()
        (module,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        (more / "make_backup.py").write_text(module)
        words = [str(self.state), str(self.file), "300", str(more)]
        self.bot = self._spawn([sys.executable, "-m", "tests.faults.hosted", *words], "bot.out")

    def hand_in(self, bias):
        """Make a model by hand and return its id; once it is verified it scores in shadow."""
        folder, run = self.folder / "models", f"t{bias:g}"
        one = a_measure()
        golden = (Golden(one, tuple(map(float, vector(one, NAMES))), says(one, bias)),)
        strategy = Strategy(**self.config["strategy"])
        fits = {"feature_hash": feature_hash(NAMES, strategy), "golden": golden}
        model = published(folder, a_graph(bias), **fits)
        ended = {"cause": "ok", "reason": "made", "seconds": 1.0, "peak_mb": 1, "rows": 9}
        self.report("TrainingQueued", run=run, rows=9)
        self.report("TrainingStarted", run=run, attempt=1, rows=9, pid=1)
        self.report("TrainingEnded", run=run, attempt=1, model=model, **ended)
        return model

    def promote(self, model):
        self.until_state("model", "SHADOW", key=model)
        assert self.do("promote", model=model)["state"] == "DONE"

    def report(self, kind, **fields):
        """Tell the bot what a trainer tells it."""
        with connected(self.socket) as client, client.makefile("rwb") as stream:
            event = {"type": kind, **fields}
            stream.write(json.dumps({"op": "report", "event": event}).encode() + b"\n")
            stream.flush()
            assert "error" not in json.loads(stream.readline())

    def damage(self, model):
        path = self.folder / "models" / model / "model.onnx"
        path.parent.chmod(0o750)
        path.chmod(0o640)
        path.write_bytes(path.read_bytes()[:-1])

    def forget(self):
        """Take the loaded models from the process's memory."""
        (self.folder / "state.db.fault").write_text("forget")

    def make_old_backups(self, count):
        """Leave backups that are older than the limit of the check."""
        self.backups.mkdir()
        for nth in range(count):
            path = self.backups / f"state.db.2026010{nth}T000000000Z.backup"
            path.write_bytes(bytes(1 << 20))
            os.utime(path, (1e9 + nth, 1e9 + nth))

    def fill(self):
        """Fill the disk until it is LOW."""
        size = (free_mb(self.folder) - LOW_MB) << 20
        with (self.folder / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)

    def seal(self, folder):
        """Let nobody write to a folder. Skips the test where that cannot be done."""
        if os.geteuid() != 0:
            folder.chmod(0o555)
        elif not mounted("--bind", str(folder), str(folder)):
            pytest.skip("root ignores permissions, and may not mount here")
        else:
            assert mounted("-o", "remount,ro,bind", str(folder))

    def stop(self):
        self.bot.send_signal(signal.SIGTERM)
        assert self.bot.wait(40) == 0, self.said()

    def close(self):
        super().close()
        if self.reader is not None:
            close(self.reader)
        for folder in (self.etc, self.backups):
            if os.geteuid() == 0:
                subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)
            elif folder.exists():
                folder.chmod(0o755)
        if self.small:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


def mounted(*words: str) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two bots that everything ails at once: one whose remedies work, and one where none can."""
    folder = tmp_path_factory.mktemp("sick")
    with contextlib.ExitStack() as cleaning:
        made = [Sick(folder / "curable", BALLAST_MB), Sick(folder / "hopeless", 0)]
        for place in made:
            cleaning.callback(place.close)
            place.start()
        made[1].reader = a_reader(made[1])
        for place in made:
            place.until_state("process", "RUNNING", seconds=40)
        fall_ill(*made)
        yield made
        for place in made:
            place.stop()


def fall_ill(curable, hopeless) -> None:
    """Break the same in both; in the second there is nowhere to write and nothing to delete."""
    curable.make_old_backups(5)
    curable.file.write_text("[health\n")
    hopeless.make_old_backups(1)
    hopeless.file.write_text(hopeless.good.replace("seed", "sneed"))
    curable.made = [curable.hand_in(0.1)]
    hopeless.made = [hopeless.hand_in(0.2), hopeless.hand_in(0.3)]
    hopeless.seal(hopeless.etc)
    hopeless.seal(hopeless.backups)
    for place in (curable, hopeless):
        if place.small:
            place.fill()


@pytest.fixture
def curable(places):
    return places[0]


@pytest.fixture
def hopeless(places):
    return places[1]


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


# -- the configuration -----------------------------------------------------------------------------


def test_a_configuration_that_no_start_could_use_is_put_back_and_the_broken_one_is_kept(curable):
    assert "it can be used, after restore-config" in cured(curable, "restore-config", "config file")
    assert curable.file.read_text() == curable.good
    (bad,) = curable.etc.glob("bot.toml.bad-*")
    assert bad.read_text() == "[health\n"
    assert bad.stat().st_mode & 0o777 == 0o600
    kept = curable.folder / "bot.toml.good"
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_configuration_that_cannot_be_put_back_is_told_of_with_where_the_good_one_is(hopeless):
    tried, told, report = given_up(hopeless, "config file")
    assert "restore-config" in tried
    assert re.match(r"check config file: nothing helped: Retryable: cannot write \S+bot.toml", told)
    assert f"the last good file is {hopeless.folder / 'bot.toml.good'}" in told
    assert "restore-config (medium risk, 1 of 3 today): failed" in report
    assert "sneed" in hopeless.file.read_text()


def test_a_valid_change_waits_for_its_restart_and_is_not_touched(curable):
    cured(curable, "restore-config", "config file")
    changed = curable.good.replace("seed = 7", "seed = 8")
    curable.file.write_text(changed)
    curable.until_state("check", "ESCALATED", key="config", seconds=40)
    (reason,) = curable.rows("SELECT reason FROM instance WHERE machine='check' AND key='config'")
    assert "was changed since the start" in reason[0]
    assert curable.file.read_text() == changed
    assert attempts(curable, "restore-config") == 1


# -- the disk --------------------------------------------------------------------------------------


def test_a_disk_that_gets_low_gets_the_ballast_and_old_backups_back(curable):
    if not curable.small:
        pytest.skip("only root may mount a small disk")
    assert "storage is OK" in cured(curable, "free-disk", "disk")
    assert not (curable.folder / "ballast").exists()
    left = {path.name[9:17] for path in curable.backups.glob("*.backup")}
    assert len(left) >= 3
    assert not left & {"20260100", "20260101"}
    assert "20260104" in left


def test_a_disk_with_nothing_to_give_back_is_told_of(hopeless):
    if not hopeless.small:
        pytest.skip("only root may mount a small disk")
    tried, told, report = given_up(hopeless, "disk")
    assert "free-disk" in tried
    assert "nothing helped: Refused: there is no ballast, no old backup, and no old report" in told
    assert "free-disk (medium risk, 1 of 3 today): failed" in report


# -- the model -------------------------------------------------------------------------------------


def test_a_champion_that_does_not_answer_is_loaded_anew(curable):
    (model,) = curable.made
    curable.promote(model)
    curable.forget()
    assert re.match(r"0 % of the last \d scores of model", cured(curable, "reload-model", "scores"))
    dropped = curable.rows("SELECT DISTINCT fault FROM model_score WHERE fault <> ''")
    assert dropped == [("it is not loaded",)]
    assert curable.state_of("model", model) == "CHAMPION"


def test_a_champion_that_cannot_be_loaded_anew_is_told_of_and_the_one_before_takes_over(hopeless):
    before, model = hopeless.made
    for key in (before, model):
        hopeless.promote(key)
    hopeless.damage(model)
    hopeless.forget()
    tried, told, report = given_up(hopeless, "scores")
    assert f"failed: Refused: model {model[:12]} cannot be loaded anew" in tried
    assert re.search(r"nothing helped: Refused: .* model.onnx: expected", told)
    assert "reload-model (low risk, 1 of 6 today): failed" in report
    hopeless.until_state("model", "QUARANTINED", key=model)
    hopeless.until_state("model", "CHAMPION", key=before)
    hopeless.until_state("check", "WELL", key="scores")


# -- the example -----------------------------------------------------------------------------------


def test_the_documented_example_makes_the_backup_that_is_missing(curable):
    assert "0 h since the newest backup" in cured(curable, "make-backup", "backup")
    assert curable.rows("SELECT risk FROM remedy WHERE name = 'make-backup'") == [("low",)]


def test_the_documented_example_where_no_backup_can_be_made(hopeless):
    tried, told, report = given_up(hopeless, "backup")
    assert "make-backup" in tried
    assert told.startswith("check backup: nothing helped: ")
    assert "make-backup (low risk, 1 of 3 today): failed" in report
