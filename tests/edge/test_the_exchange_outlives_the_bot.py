"""The embedded exchange is started, found again after its starter was killed, and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from bot.edge import embedded
from bot.errors import Refused

STARTER = """
import asyncio, os, signal, sys
from pathlib import Path
from bot.edge import embedded
print(asyncio.run(embedded.start(Path(sys.argv[1]), 7, 30.0)).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_second_bot_finds_the_first_ones_exchange(tmp_path):
    first = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", STARTER, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert first.returncode == -signal.SIGKILL, first.stderr
    endpoint = await embedded.start(tmp_path, 7, 30.0)
    try:
        assert endpoint.reused
        assert endpoint.pid == int(first.stdout)
        assert os.getsid(endpoint.pid) == endpoint.pid, "a session of its own"
    finally:
        await embedded.stop(endpoint)
    again = await embedded.start(tmp_path, 7, 30.0)
    assert not again.reused
    await embedded.stop(again)
    await embedded.stop(again)  # gone already: fine


async def test_an_exchange_that_cannot_start_says_why(tmp_path):
    with pytest.raises(Refused, match="no-such-flag"):
        await embedded.start(tmp_path, 7, 1.0, ["--no-such-flag"])
