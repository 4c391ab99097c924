"""Starts the project's programs as a person would, and ends them again."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.rig import SYMBOLS

ROOT = Path(__file__).parents[2]
KEY, SECRET = "paperkey", "papersecret"
PATIENCE_SECONDS = 30.0


@contextmanager
def program(
    *arguments: str, cwd: Path, log: str = "log", **environ: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python -m …`` in a folder; it is killed at the end, if it still runs."""
    with (cwd / log).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def exchange(cwd: Path, start_ms: int) -> Iterator[str]:
    """Run the simulated exchange at real speed; give its URL."""
    begin = datetime.fromtimestamp(start_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    flags = (
        "--port-file",
        "port",
        "--symbols",
        ",".join(SYMBOLS),
        "--speed",
        "1",
        "--start",
        begin,
    )
    with program("exchange", *flags, cwd=cwd, log="exchange.log"):
        for _ in waiting("the exchange"):
            if (cwd / "port").exists():
                url: str = json.loads((cwd / "port").read_text())["url"]
                yield url
                return


def waiting(what: str, seconds: float = PATIENCE_SECONDS, pause: float = 0.002) -> Iterator[None]:
    """Yield until what is waited for happens; fail after a while."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(pause)
    raise TimeoutError(f"expected {what} within {seconds:g} s")


def moves(path: Path, after: int) -> Iterator[dict[str, Any]]:
    """Yield the transitions that a bot commits, from its command socket, as soon as there is one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        for _ in waiting("the command socket"):
            try:
                client.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                continue
        client.settimeout(PATIENCE_SECONDS)
        client.sendall(json.dumps({"op": "watch", "after": after}).encode() + b"\n")
        with client.makefile("rb") as lines:
            for line in lines:
                yield json.loads(line)
