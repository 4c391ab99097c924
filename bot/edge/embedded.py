"""Starts the simulated exchange as a program of its own, or finds the one that runs already."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from bot.core.text import safe_text
from bot.edge.host import process_ended
from bot.errors import Refused, Retryable

PORT_FILE, BOOK, LOG = "exchange.port", "exchange.db", "exchange.out"
START_SECONDS = 20.0
STOP_SECONDS = 10.0
IDLE_EXIT_SECONDS = 60
LOG_TAIL_BYTES = 600
KEY, SECRET = "paperkey", "papersecret"  # the exchange's own defaults: play money on loopback
_PROBE = aiohttp.ClientTimeout(total=2)


class Endpoint(Struct, frozen=True):
    """Where the simulated exchange listens, and the process that it is."""

    rest_url: str
    ws_url: str
    key: str
    secret: str
    pid: int
    reused: bool = False


class _Line(Struct):
    url: str
    pid: int


async def start(state_dir: Path, seed: int, speed: float, extra: Sequence[str] = ()) -> Endpoint:
    """Return the exchange whose book lies in ``state_dir``, started if it does not run.

    A bot that starts again finds the exchange, and so the orders, of the bot that was killed.
    ``extra`` are more flags of ``python -m exchange``. Raises Refused with the end of its log if it
    ends at once, Retryable if it does not answer in time.
    """
    running = await _running(state_dir)
    if running is not None:
        return running
    pid = _spawn(state_dir, ["--seed", str(seed), "--speed", f"{speed:g}", *extra])
    handle = os.pidfd_open(pid)
    try:
        async with asyncio.timeout(START_SECONDS):
            while (found := await _running(state_dir)) is None:
                if await process_ended(handle, 0.05):
                    code = _reaped(pid)
                    said = _tail(state_dir / LOG)
                    raise Refused(f"the simulated exchange ended ({code}): {said}")
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)  # a second one must not share its book
        _reaped(pid)
        limit, said = f"{START_SECONDS:g} s", _tail(state_dir / LOG)
        raise Retryable(f"the simulated exchange did not answer within {limit}: {said}") from None
    finally:
        os.close(handle)
    return msgspec.structs.replace(found, reused=False)


def last_known(state_dir: Path) -> Endpoint:
    """Return where the exchange of this folder was seen last, whether or not it runs.

    A lost one gives an address at which nothing listens, so that every request says so.
    """
    try:
        line = msgspec.json.decode((state_dir / PORT_FILE).read_bytes(), type=_Line)
    except (OSError, msgspec.DecodeError):
        line = _Line("http://127.0.0.1:1", 0)
    return Endpoint(line.url, line.url.replace("http", "ws", 1), KEY, SECRET, line.pid)


async def stop(endpoint: Endpoint) -> None:
    """Ask the exchange to stop and wait until its process is gone. Raises Retryable if it stays."""
    try:
        handle = os.pidfd_open(endpoint.pid)
    except ProcessLookupError:
        return
    try:
        said = await _why_not_asked(f"{endpoint.rest_url}/control/stop")
        gone = await process_ended(handle, STOP_SECONDS if said is None else 0.1)
    finally:
        os.close(handle)
    if not gone:
        raise Retryable(f"the simulated exchange (pid {endpoint.pid}) still runs: {said or 'busy'}")


async def _why_not_asked(url: str) -> str | None:
    try:
        async with aiohttp.request("POST", url, json={}, timeout=_PROBE) as answer:
            await answer.read()
    except (TimeoutError, aiohttp.ClientError) as error:
        return safe_text(f"{type(error).__name__}: {error}")
    return None


def _spawn(state_dir: Path, flags: list[str]) -> int:
    """Start the exchange in a session of its own: neither Ctrl-C nor the bot's end ends it."""
    log = str(_cleared(state_dir))
    command = [
        *(sys.executable, "-m", "exchange", "--host", "127.0.0.1", "--port", "0"),
        *("--port-file", str(state_dir / PORT_FILE), "--book", str(state_dir / BOOK)),
        *("--idle-exit", str(IDLE_EXIT_SECONDS)),
        *flags,
    ]
    return os.posix_spawn(
        sys.executable,
        command,
        {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def _reaped(pid: int) -> int:
    """Return the exit code of a child that has ended or is ending now."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _cleared(state_dir: Path) -> Path:
    """Remove the port file of an exchange that is gone; return the path of the log."""
    state_dir.mkdir(parents=True, exist_ok=True)
    (state_dir / PORT_FILE).unlink(missing_ok=True)
    return state_dir / LOG


async def _running(state_dir: Path) -> Endpoint | None:
    """Return the exchange that the port file names, if it answers as one."""
    try:
        line = msgspec.json.decode((state_dir / PORT_FILE).read_bytes(), type=_Line)
    except (OSError, msgspec.DecodeError):
        return None
    async with aiohttp.ClientSession(timeout=_PROBE) as http:
        if not await _alive(http, line.url):
            return None
    ws_url = line.url.replace("http", "ws", 1)
    return Endpoint(line.url, ws_url, KEY, SECRET, line.pid, reused=True)


async def _alive(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/v5/market/time") as answer:
            found: Any = msgspec.json.decode(await answer.read())
            return isinstance(found, dict) and found.get("retCode") == 0
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False


def _tail(path: Path) -> str:
    try:
        text = path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
    except OSError as error:
        return f"no log ({error.strerror})"
    return safe_text(" | ".join(text.split("\n")).strip(" |"), LOG_TAIL_BYTES)
