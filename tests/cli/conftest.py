"""Gives each test a folder with a told day, and the command line as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import nursery
from tests.desk.story import copied, told_in

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
COMMAND = (sys.executable, "-m", "bot")


class Ran:
    """What a command printed and how it ended."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def data(self):
        return json.loads(self.out)


class Bot:
    """Runs commands as a person would: in a process of its own, in the folder of the database.

    A call comes from the nursery, unless it says what only a whole new process can have.
    """

    def __init__(self, folder):
        self.folder, self.state = folder, folder / "state.db"

    def __call__(self, *args, **more):
        if not more:
            return Ran(nursery.run("bot", *map(str, args), cwd=self.folder, env=ENV))
        options = {"cwd": self.folder, "env": ENV, "capture_output": True, "text": True} | more
        return Ran(subprocess.run([*COMMAND, *map(str, args)], **options, check=False, timeout=60))

    def start(self, *args, **more):
        options = {"cwd": self.folder, "env": ENV, "text": True} | more
        return subprocess.Popen([*COMMAND, *map(str, args)], **options)


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """One told day for all tests of the folder."""
    return told_in(tmp_path_factory.mktemp("told"))


@pytest.fixture
def empty(tmp_path):
    """A folder without a database."""
    return Bot(tmp_path)


@pytest.fixture
def bot(told, tmp_path):
    """A folder with the told day, with a clear HALT mark; no bot runs."""
    copied(told, tmp_path)
    return Bot(tmp_path)
