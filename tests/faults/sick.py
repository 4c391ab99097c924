"""A bot that falls ill in what it keeps, on a disk of its own, and what is asked of it afterwards."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

from bot.core.settings import Strategy
from bot.edge.host import free_mb
from bot.learn.features import feature_hash, vector
from bot.learn.manifest import Golden
from bot.learn.training import NAMES
from bot.store.database import sqlite3
from tests.faults.places import ROOT, Place, connected, until
from tests.models.made import a_graph, a_measure, published, says

CONFIG = {
    "exchange": {"speed": 120, "seed": 7},
    "watch": {"storage_real_seconds": 1.0},
    "models": {"window": 500, "faults_max": 500},
    "health": {
        "fast_real_seconds": 1.0,
        "slow_real_seconds": 5.0,
        "confirm": 2,
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
        self.sealed, self.mounts = True, [folder] if self.small else []

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

    def change_a_table(self):
        """Write past the bot what no transition says."""
        other = sqlite3.connect(self.state, isolation_level=None, timeout=20)
        other.execute("UPDATE instance SET state = 'PAUSED' WHERE machine = 'guard'")
        other.close()

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

    def seal(self):
        """Let nobody write to the configuration or the backups, where that can be done."""
        for folder in (self.etc, self.backups):
            if os.geteuid() != 0:
                folder.chmod(0o555)
            elif mounted("--bind", str(folder), str(folder)):
                self.mounts.append(folder)
                self.sealed = mounted("-o", "remount,ro,bind", str(folder))
            else:
                self.sealed = False

    def stop(self):
        self.bot.send_signal(signal.SIGTERM)
        assert self.bot.wait(40) == 0, self.said()

    def close(self):
        super().close()
        if self.reader is not None:
            close(self.reader)
        for folder in reversed(self.mounts):
            subprocess.run(["umount", "-l", str(folder)], check=False)
        for folder in (self.etc, self.backups):
            if folder.exists():
                folder.chmod(0o755)


def mounted(*words: str) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


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


def alerts(place, like: str) -> list[str]:
    """Return what people were told that reads like this."""
    sql = (
        "SELECT json_extract(body, '$.text') FROM outbox WHERE kind = 'Notify'"
        " AND json_extract(body, '$.text') LIKE ?"
    )
    return [row[0] for row in place.rows(sql, like)]


def report_of(place, check: str) -> str:
    """Return the report that a check's escalation left."""
    sql = "SELECT file FROM escalations WHERE name = ? ORDER BY id LIMIT 1"
    report = place.folder / "reports" / place.rows(sql, check)[0][0]
    until(report.exists, "the report is written")
    return report.read_text()


def given_up(place, check: str) -> tuple[str, str, str]:
    """Wait until a check is ESCALATED for want of a cure: what was tried, the alert, the report."""
    sql = "SELECT tried FROM escalations WHERE name = ? ORDER BY id LIMIT 1"
    tried = until(lambda: place.rows(sql, check), f"{check} is ESCALATED", 40)[0][0]
    told = alerts(place, f"check {check}: %; nothing helped%")[0]
    return tried, told, report_of(place, check)


def attempts(place, remedy: str) -> int:
    return place.rows("SELECT count(*) FROM healing_attempts WHERE remedy = ?", remedy)[0][0]
