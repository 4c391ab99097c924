"""An older release: this code with another build and without the newest migration, in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import migrations
from tests import nursery
from tests.faults.places import ROOT, Place

NEWEST = migrations.names()[-1]
CONFIG = {
    "upgrade": {"stop_real_seconds": 60, "start_real_seconds": 60, "health_real_seconds": 1},
    "exchange": {"speed": 60},
}


def older(folder: Path) -> Path:
    """Make the older release in a folder; return where its code is."""
    code = folder / "release"
    for name in ("bot", "exchange", "migrations"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    (code / "migrations" / f"{NEWEST}.py").unlink()
    guard = code / "bot" / "core" / "guard.py"
    guard.write_text(guard.read_text() + "# an older one\n")
    return code


class Releases(Place):
    """A place in which an older release ran, and this one takes over."""

    def __init__(self, folder: Path, code: Path) -> None:
        super().__init__(folder, CONFIG)
        self.code = code

    def start_older(self) -> Any:
        """Start the older release's bot."""
        with (self.folder / "older.out").open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "bot", "run", "--state", str(self.state)],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(self.code)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self._started.append(process)
        return process

    def upgrade(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run a step of this release; return its exit code and what it said as JSON."""
        done = self.cli("upgrade", *words, "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of this release."""
        return nursery.run("bot", *words, "--state", str(self.state), cwd=self.folder)
