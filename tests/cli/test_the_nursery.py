"""A program of the nursery is what a new process is: its words, its files, its exit, its end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import nursery
from tests.cli.conftest import COMMAND, ENV

LISTENS = '{"event": "listening"'


@pytest.mark.parametrize(
    "args", ["--help", "tail -n 3", "query open_positions", "do hold", "nonsense"]
)
def test_a_fork_says_what_a_new_process_says(bot, args):
    forked = bot(*args.split())
    options = {"cwd": bot.folder, "env": ENV, "capture_output": True, "text": True}
    new = subprocess.run([*COMMAND, *args.split()], **options, check=False)
    assert (forked.code, forked.out, forked.err) == (new.returncode, new.stdout, new.stderr)


def files_of(pid):
    """Return what kind of file each descriptor of a process is, and its folder."""
    process = Path("/proc", str(pid))
    found = {path.name: str(path.readlink()) for path in (process / "fd").iterdir()}
    kinds = {name: target.partition(":[")[0].rpartition("/")[2] for name, target in found.items()}
    return kinds, str((process / "cwd").readlink())


def test_a_fork_has_the_files_of_a_new_process_and_ends_like_one(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "forked").mkdir()
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    new = subprocess.Popen(
        [sys.executable, "-m", "exchange"],
        **quiet, cwd=tmp_path / "new", env=ENV, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    forked = nursery.start("exchange", **quiet, cwd=tmp_path / "forked", env=ENV)
    try:
        assert new.stdout.readline().startswith(LISTENS)
        assert forked.stdout.readline().startswith(LISTENS)
        files, folder = files_of(forked.pid)
        assert (files, folder) == (files_of(new.pid)[0], str(tmp_path / "forked"))
        assert forked.poll() is None
        new.terminate()
        assert new.wait(10) == 0
    finally:
        for process in (new, forked):
            process.kill()
            process.wait(10)
            process.stdout.close()
    assert forked.returncode == forked.poll() == -signal.SIGKILL
    forked.kill()  # whoever has its number now is left alone
