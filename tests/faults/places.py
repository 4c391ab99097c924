"""A folder in which a bot and its exchange live and die: configuration, processes, operator, watcher."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.edge.embedded import KEY, SECRET
from bot.errors import BotError
from bot.store.database import open_reader, sqlite3
from tests import nursery

ROOT = Path(__file__).parents[2]
SYMBOLS = "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,DOGEUSDT,ADAUSDT,LTCUSDT,LINKUSDT"
BUSY = {
    "exchange": {"speed": 300, "seed": 7},
    "strategy": {
        "ema_fast": 2,
        "ema_slow": 3,
        "cross_age_max": 60,
        "stop_atr": 2.0,
        "take_atr": 3.0,
    },
    "risk": {"base_size": 0.001},
    "guard": {"window": 500, "trades_min": 100},
    "storage": {"snapshot_events": 100, "low_mb": 16, "full_mb": 4, "ballast_mb": 0},
    "market": {"warmup_candles": 600},
    "restarts": {"crashes_max": 10_000},
}
"""Looser entry conditions, within the allowed ranges, so that orders are many."""

Program = subprocess.Popen[bytes] | nursery.Child
Json = dict[str, Any]
Config = dict[str, dict[str, Any]]


def until(
    condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = 15.0
) -> Any:
    """Return the first true value of a condition; fail with ``what`` after a deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    told = what if isinstance(what, str) else what()
    raise AssertionError(f"expected within {seconds:g} s: {told}")


def merged(*configs: Config) -> Config:
    """Return configurations laid over one another."""
    found: Config = {}
    for config in configs:
        for section, values in config.items():
            found[section] = {**found.get(section, {}), **values}
    return found


def toml(config: Config) -> str:
    """Return a configuration as the text of a ``bot.toml``."""
    return "\n".join(
        f"[{section}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in values.items())
        for section, values in config.items()
    )


class Place:
    """One folder. Everything it started is gone after ``close``."""

    def __init__(self, folder: Path, config: Config | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state.db"
        self.socket = folder / "state.db.sock"
        self.heartbeat = folder / "state.db.heartbeat"
        self.config = merged(BUSY, config or {})
        self.file = folder / "bot.toml"
        self.file.write_text(toml(self.config))
        self._started: list[Program] = []

    def close(self) -> None:
        """End what still runs, and only what was started here."""
        with contextlib.suppress(OSError, AssertionError):
            self.stop_exchange()
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait(10)

    # -- processes ---------------------------------------------------------------------------------

    def start_exchange(self, *flags: str) -> str:
        """Start the exchange where the bot will find it; return its address."""
        numbers = self.config["exchange"]
        command = [sys.executable, "-m", "exchange", "--port", "0", "--idle-exit", "60"]
        command += ["--port-file", str(self.folder / "exchange.port")]
        command += ["--book", str(self.folder / "exchange.db"), "--no-rate-limit"]
        command += ["--seed", str(numbers["seed"]), "--speed", f"{numbers['speed']:g}"]
        self._spawn([*command, *flags], "exchange.out")
        return str(until(self.url, "the exchange listens"))

    def start_relay(self, url: str) -> dict[str, str]:
        """Start a relay before the exchange at an address; return the venue's configuration."""
        there, port_file = urlsplit(url), self.folder / "relay.port"
        command = [sys.executable, "-m", "tests.faults.relay", str(there.hostname)]
        self._spawn([*command, str(there.port), str(port_file)], "relay.out")
        port = until(lambda: port_file.exists() and port_file.read_text(), "the relay listens")
        streams = f"ws://{there.netloc}"
        key, secret = self.folder / "key", self.folder / "secret"
        for file, value in ((key, KEY), (secret, SECRET)):
            file.write_text(value)
            file.chmod(0o400)
        addresses = {"rest_url": f"http://127.0.0.1:{port}", "ws_url": streams}
        return {"env": "sim", "key_file": str(key), "secret_file": str(secret), **addresses}

    def start_bot(self, *flags: str, out: str = "bot.out") -> Program:
        """Start the whole program; what it prints goes to a file that only people read."""
        return self._spawn(
            [sys.executable, "-m", "bot", "run", "--state", str(self.state), *flags], out
        )

    def _spawn(self, command: list[str], out: str) -> Program:
        with (self.folder / out).open("ab") as file:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self._started.append(process)
        return process

    def said(self, out: str = "bot.out") -> str:
        """Return what a process printed, for messages to people and tests of sentences."""
        path = self.folder / out
        return path.read_text(errors="replace") if path.exists() else ""

    # -- exchange ----------------------------------------------------------------------------------

    def url(self) -> str | None:
        """Return the exchange's address, or None if it did not announce itself."""
        try:
            return str(json.loads((self.folder / "exchange.port").read_bytes())["url"])
        except (OSError, ValueError):
            return None

    def control(self, what: str, **body: Any) -> Json:
        """Ask the exchange for a fault, or for its state."""
        data = None if what == "state" else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url()}/control/{what}", data)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: Json = json.loads(answer.read())
        return found

    def stop_exchange(self) -> None:
        """Ask the exchange to end, and wait until its book is written."""
        if self.url() is None:
            return
        pid = json.loads((self.folder / "exchange.port").read_bytes())["pid"]
        with contextlib.suppress(urllib.error.URLError):
            self.control("stop")
        until(lambda: gone(pid), "the exchange ends")
        (self.folder / "exchange.port").unlink(missing_ok=True)

    # -- operator ----------------------------------------------------------------------------------

    def ask(self, verb: str, **args: str) -> None:
        """Send an operator's command and do not wait for what becomes of it."""
        request = {"op": "do", "id": uuid.uuid4().hex, "verb": verb, "args": args}
        with contextlib.suppress(OSError), connected(self.socket) as client:
            client.sendall(json.dumps({**request, "reason": f"test of {verb}"}).encode() + b"\n")

    def do(self, verb: str, **args: str) -> Json:
        """Send a command and return its last word."""
        request = {"op": "do", "id": uuid.uuid4().hex, "verb": verb, "args": args}
        with connected(self.socket) as client, client.makefile("rwb") as stream:
            stream.write(json.dumps({**request, "reason": f"test of {verb}"}).encode() + b"\n")
            stream.flush()
            said: Json = {}
            for line in stream:
                said = json.loads(line)
            return said

    # -- database ----------------------------------------------------------------------------------

    def rows(self, sql: str, *values: Any, alive: bool = True) -> list[tuple[Any, ...]]:
        """Read the database, read-only."""
        db = open_reader(self.state, alive=alive)
        try:
            found: list[tuple[Any, ...]] = db.execute(sql, values).fetchall()
            return found
        finally:
            db.close()

    def state_of(self, machine: str, key: str = "account") -> str:
        """Return where a machine stands, "" if it is not born or there is no database yet."""
        try:
            sql = "SELECT state FROM instance WHERE machine = ? AND key = ?"
            rows = self.rows(sql, machine, key)
        except (BotError, sqlite3.Error):  # not there yet, or its schema is not
            return ""
        return str(rows[0][0]) if rows else ""

    def until_state(
        self, machine: str, *states: str, key: str = "account", seconds: float = 20
    ) -> None:
        """Wait until a machine stands in one of these states."""
        until(
            lambda: self.state_of(machine, key) in states,
            lambda: f"{machine} {key} is {' or '.join(states)}; {self.said()[-800:]}",
            seconds,
        )


def connected(path: Path) -> socket.socket:
    """Connect to a Unix socket, however long its path is. Raises OSError."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(30)
        client.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        client.close()
        raise
    finally:
        os.close(folder)
    return client


def gone(pid: int) -> bool:
    """Tell whether a process is gone, or dead and only waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Watcher(threading.Thread):
    """Writes down every transition that the bot acknowledges on its socket, and each heartbeat."""

    def __init__(self, place: Place) -> None:
        super().__init__(name="watcher", daemon=True)
        self.place = place
        self.last = 0
        self.process_states: list[str] = []
        self._ending = threading.Event()

    def finish(self) -> None:
        """End and wait."""
        self._ending.set()
        self.join(10)

    def run(self) -> None:
        """Watch, over the deaths of the bot, until finished."""
        folder = self.place.folder
        with (
            (folder / "acks.jsonl").open("ab") as acks,
            (folder / "beats.jsonl").open("ab") as beats,
        ):
            while not self._ending.wait(0.01):
                with contextlib.suppress(OSError):
                    self._watch(acks, beats)

    def _watch(self, acks: Any, beats: Any) -> None:
        with connected(self.place.socket) as client, client.makefile("rb") as stream:
            client.settimeout(0.5)
            client.sendall(json.dumps({"op": "watch", "after": self.last}).encode() + b"\n")
            while not self._ending.is_set():
                line = stream.readline()
                if not line.endswith(b"\n"):
                    return
                found = json.loads(line)
                acks.write(line)
                acks.flush()
                self.last = found["id"]
                if found["machine"] == "process":
                    self.process_states.append(found["dest"])
                self._copy_beat(beats)

    def _copy_beat(self, beats: Any) -> None:
        """Copy the heartbeat file when it changed since the last copy."""
        raw = self.place.heartbeat.read_bytes().strip(b"\0 \n")
        if raw and raw != getattr(self, "_beat", b""):
            self._beat = raw
            with contextlib.suppress(ValueError):
                beats.write(json.dumps(json.loads(raw)).encode() + b"\n")
                beats.flush()
