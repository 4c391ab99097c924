"""The contracts of who may import what hold, and each of them bites when it is broken."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tidy.project import PRODUCT, ROOT

LINTER = Path(sys.executable).parent / "lint-imports"

# What to add to a module → the contract that must then be broken.
PLANTED = {
    "bot/core/guard.py": ("import bot.store", "Each ring knows only the rings inside it"),
    "bot/core/holds.py": ("import time", "The core is pure"),
    "bot/learn/__init__.py": ("import os", "Learning does no I/O"),
    "bot/panic.py": ("import bot.store", "The worst night needs no database"),
    "bot/deadman.py": ("import bot.store.database", "The dead-man never opens the database"),
    "bot/core/killswitch.py": ("import transitions", "Only core.machine knows"),
    "bot/store/chain.py": ("import sqlite3", "Only store.database knows the SQLite driver"),
    "bot/engine/reactor.py": ("import bot.edge.venues.send", "Only the gate, and panic"),
    "console/__init__.py": ("import bot.store", "The console sees nothing but the desk"),
    "bot/edge/host.py": ("import textual", "The bot never draws"),
    "bot/edge/venues/wire.py": ("import ccxt", "Other people's clients are for the tests"),
    "exchange/__init__.py": ("import bot.errors", "The exchange is a program of its own"),
    "migrations/__init__.py": ("import bot.errors", "Migrations are frozen"),
}


def lint(folder: Path) -> subprocess.CompletedProcess:
    command = [LINTER, "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_contracts_hold():
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_contract_bites(tmp_path):
    for name in PRODUCT:
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, (line, _) in PLANTED.items():
        with (tmp_path / path).open("a") as module:
            module.write(f"\n{line}\n")
    told = lint(tmp_path).stdout
    broken = re.findall(r"^(.+) BROKEN", told, re.MULTILINE)
    missing = [want for _, want in PLANTED.values() if not any(b.startswith(want) for b in broken)]
    assert not missing, told
    contracts = (ROOT / "pyproject.toml").read_text().count("[[tool.importlinter.contracts]]")
    assert len(broken) == contracts == len(PLANTED)
